//! Bills as text for people, as JSON, and the table of three loads.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::bill::{Bill, DirectPays, Terms, direct_pays};
use super::load::{Load, Mode};
use super::peers::{Peer, peers};

/// The loads of the table: what to call them, series, seconds between samples.
const LOADS: [(&str, u64, u64); 3] =
    [("10,000 at 60 s", 10_000, 60), ("100,000 at 15 s", 100_000, 15), ("1,000,000 at 15 s", 1_000_000, 15)];

/// What no bill has, said beside each.
const NOT_COUNTED: &str =
    "Not counted: data transfer, KMS, tracing, retries, cold starts, free tiers of an account.";

/// A bill and all that it is compared with.
pub(super) struct Report {
    /// Where the load comes from, in a sentence.
    pub(super) basis: String,
    pub(super) load: Load,
    pub(super) bill: Bill,
    peers: [Peer; 4],
    direct: Option<DirectPays>,
}

impl Report {
    /// Puts a bill beside the others'.
    pub(super) fn new(basis: String, load: Load, bill: Bill, terms: &Terms) -> Self {
        let interval_seconds = load.series / load.samples_per_second;
        let direct = direct_pays(interval_seconds, terms);
        Self { basis, load, bill, peers: peers(&load, terms), direct }
    }

    /// For people.
    pub(super) fn text(&self, terms: &Terms) -> String {
        let mut out = format!("{}\n\n", self.basis);
        for item in &self.bill.items {
            let quantity = format!("{} {}", number(item.quantity), item.unit);
            let _ = writeln!(out, "  {:<32} {quantity:>28} {:>12}", item.what, dollars(item.usd));
        }
        let per_billion = dollars(self.bill.usd_per_billion_samples);
        let _ = writeln!(out, "  {:<61} {:>12}", "a month", dollars(self.bill.usd));
        let _ = writeln!(
            out,
            "  {:<61} {per_billion:>12}\n\nThe same load elsewhere, a month:\n",
            "a billion samples"
        );
        for peer in &self.peers {
            let times = format!("{:.1} times", peer.usd / self.bill.usd);
            let _ = writeln!(out, "  {:<46} {times:>14} {:>12}", peer.name, dollars(peer.usd));
        }
        let _ = writeln!(out, "\n{}\n\nAssumed (each is a flag):\n", self.direct_text());
        for (flag, value, text) in terms.assumptions.explained() {
            let value = (value * 1e3).round() / 1e3;
            let _ = writeln!(out, "  --{flag:<33} {value:>8}  {text}");
        }
        let Terms { prices, .. } = terms;
        let _ = writeln!(
            out,
            "\nPrices: {}, as of {} (infra/config/prices.yaml). {NOT_COUNTED}",
            prices.region, prices.as_of
        );
        out
    }

    /// For programs.
    pub(super) fn json(&self, terms: &Terms) -> Value {
        json!({
            "basis": self.basis,
            "load": self.load,
            "bill": self.bill,
            "peers": self.peers,
            "directIsCheaper": self.direct,
            "assumptions": terms.assumptions,
            "architecture": terms.architecture,
            "prices": { "region": terms.prices.region, "asOf": terms.prices.as_of },
        })
    }

    fn direct_text(&self) -> String {
        let Some(DirectPays { from, to }) = &self.direct else {
            return "A provisioned shard is cheaper than direct mode at any load: each query and scheduled run lists more \
                    shards of hot segments there, and that costs more than a stream (--queries-per-minute)."
                .to_owned();
        };
        let range = |value: fn(&Load) -> f64| format!("{} to {}", number(value(from)), number(value(to)));
        format!(
            "Direct mode is cheaper than a provisioned shard from {} samples a second ({} series at this interval).",
            range(|load| load.samples_per_second),
            range(|load| load.series.round())
        )
    }
}

/// The table of ARCHITECTURE.md: three loads, each in the modes of Weir and elsewhere.
pub(super) fn table(terms: &Terms) -> String {
    let loads = LOADS.map(|(name, series, seconds)| (name, Load::new(series, Duration::from_secs(seconds))));
    let mut out = String::from("| USD a month (a billion samples), series |");
    for (name, _) in &loads {
        let _ = write!(out, " {name} |");
    }
    out.push_str("\n|---|---|---|---|\n");
    let mut row = |name: &str, usd: &dyn Fn(&Load) -> f64| {
        let _ = write!(out, "| {name} |");
        for (_, load) in &loads {
            let usd = usd(load);
            let _ = write!(out, " {} ({}) |", dollars(usd), dollars(usd / load.samples() * 1e9));
        }
        out.push('\n');
    };
    for (name, mode) in [
        ("Weir, direct", Mode::Direct),
        ("Weir, provisioned", Mode::Provisioned),
        ("Weir, on demand", Mode::OnDemand),
    ] {
        row(name, &|load| Bill::of(load, mode, terms).usd);
    }
    for (index, Peer { name, .. }) in peers(&loads[0].1, terms).iter().enumerate() {
        row(name, &|load| peers(load, terms)[index].usd);
    }
    out
}

/// `$1,234.50`.
fn dollars(usd: f64) -> String {
    let cents = (usd * 100.0).round();
    let whole = grouped((cents / 100.0).trunc());
    format!("${whole}.{:02.0}", cents % 100.0)
}

/// Whole from 1,000 on, else three digits after the point at most.
fn number(value: f64) -> String {
    if value >= 1000.0 { grouped(value.round()) } else { format!("{}", (value * 1e3).round() / 1e3) }
}

fn grouped(whole: f64) -> String {
    let digits = format!("{whole:.0}");
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{CostSettings, terms};
    use super::*;
    use clap::{Args, FromArgMatches};

    #[test]
    fn amounts_read_as_people_write_them() {
        for (usd, want) in [
            (0.0, "$0.00"),
            (0.004, "$0.00"),
            (1.999, "$2.00"),
            (1234.5, "$1,234.50"),
            (1e6, "$1,000,000.00"),
        ] {
            assert_eq!(dollars(usd), want);
        }
        for (value, want) in [(0.0, "0"), (12.3456, "12.346"), (999.0, "999"), (1_234_567.4, "1,234,567")] {
            assert_eq!(number(value), want);
        }
    }

    #[test]
    fn the_table_in_the_architecture_page_is_the_one_that_the_command_prints() {
        let command = CostSettings::augment_args(clap::Command::new("cost"));
        let settings = CostSettings::from_arg_matches(&command.get_matches_from(["cost"])).unwrap();
        let table = table(&terms(&settings).unwrap());
        let page = include_str!("../../../../ARCHITECTURE.md");
        assert!(page.contains(&table), "put this into ARCHITECTURE.md (`weir cost --table`):\n{table}");
    }
}
