//! Prices of a region, read from a data file and checked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The prices that come with this command.
const SHIPPED: &str = include_str!("../../../config/prices.yaml");
/// Largest file of prices that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Every price that a bill needs; a file that lacks one is refused.
pub(super) const NEEDED: [&str; 25] = [
    "api_request",
    "lambda_request",
    "lambda_gb_second_arm64",
    "lambda_gb_second_x86_64",
    "kinesis_shard_hour",
    "kinesis_put_unit",
    "kinesis_on_demand_hour",
    "kinesis_on_demand_gb_in",
    "kinesis_on_demand_gb_out",
    "s3_write",
    "s3_read",
    "s3_gb_month",
    "scheduler_invocation",
    "sns_publish",
    "logs_gb_in",
    "cloudwatch_metric",
    "cloudwatch_request",
    "cloudwatch_alarm",
    "cloudwatch_otel_gb",
    "amp_sample",
    "amp_gb_month",
    "amp_query_sample",
    "timestream_write",
    "timestream_memory_gb_hour",
    "timestream_gb_month",
];

/// A file of prices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prices {
    pub(super) region: String,
    pub(super) as_of: String,
    prices: BTreeMap<String, Price>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    /// Units that `usd` is for.
    #[serde(default = "one")]
    per: f64,
    /// Units a month that cost nothing.
    #[serde(default)]
    free: f64,
    tiers: Vec<Tier>,
    source: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    /// Units of this tier; without it, all further ones.
    first: Option<f64>,
    usd: f64,
}

fn one() -> f64 {
    1.0
}

impl Prices {
    /// The shipped prices, or those of a file.
    pub(super) fn load(file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else { return Self::parse(SHIPPED).context("infra/config/prices.yaml") };
        let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        if size > MAX_FILE_BYTES {
            bail!("{} has {size} bytes; a file of prices has at most {MAX_FILE_BYTES}", file.display());
        }
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let prices: Self = serde_norway::from_str(text).context("is no file of prices")?;
        for name in NEEDED {
            if !prices.prices.contains_key(name) {
                bail!("price {name} is missing; infra/config/prices.yaml shows all that are needed");
            }
        }
        for (name, price) in &prices.prices {
            if !NEEDED.contains(&name.as_str()) {
                bail!("price {name} is not known; remove it or correct its name");
            }
            price.check().with_context(|| format!("price {name}"))?;
        }
        Ok(prices)
    }

    /// What a quantity of a month costs, in US dollars; `name` is one of [`NEEDED`].
    pub(super) fn usd(&self, name: &'static str, quantity: f64) -> f64 {
        self.prices.get(name).map_or(f64::NAN, |price| price.usd(quantity))
    }
}

impl Price {
    fn check(&self) -> Result<()> {
        let amount = |what: &str, value: f64| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => bail!("{what} is {value}, which is no amount"),
        };
        amount("per", self.per)?;
        amount("free", self.free)?;
        if self.per == 0.0 {
            bail!("per is 0; it counts the units that usd is for");
        }
        if self.source.is_empty() {
            bail!("has no source");
        }
        for tier in &self.tiers {
            amount("usd", tier.usd)?;
            amount("first", tier.first.unwrap_or_default())?;
        }
        let open = self.tiers.iter().position(|tier| tier.first.is_none());
        if open.is_none_or(|at| at + 1 != self.tiers.len()) {
            bail!("the last tier, and only it, must have no first");
        }
        Ok(())
    }

    fn usd(&self, quantity: f64) -> f64 {
        let mut left = (quantity - self.free).max(0.0);
        let mut usd = 0.0;
        for tier in &self.tiers {
            let here = tier.first.unwrap_or(f64::INFINITY).min(left);
            usd += here / self.per * tier.usd;
            left -= here;
        }
        usd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_cost_what_the_tiers_say() {
        let prices = Prices::load(None).unwrap();
        for (name, quantity, want_usd) in [
            ("api_request", 0.0, 0.0),
            ("api_request", 2e6, 2.0),
            ("api_request", 301e6, 300.9),
            ("s3_write", 2_628_000.0, 13.14),
            ("kinesis_shard_hour", 730.0, 10.95),
            ("scheduler_invocation", 14e6, 0.0),
            ("scheduler_invocation", 15e6, 1.0),
            // 10,000 at 0.30, 240,000 at 0.10, 750,000 at 0.05, 1,000 at 0.02.
            ("cloudwatch_metric", 1_001_000.0, 3000.0 + 24_000.0 + 37_500.0 + 20.0),
            // 40 M free, 2 G at 0.09 a million, 1 G at 0.035 a million.
            ("amp_sample", 3.04e9, 180.0 + 35.0),
        ] {
            let usd = prices.usd(name, quantity);
            assert!((usd - want_usd).abs() < 1e-6, "{quantity} of {name}: {usd}, not {want_usd}");
        }
    }

    #[test]
    fn files_that_would_make_wrong_bills_are_refused_by_name() {
        for (from, to, part) in [
            ("  sns_publish:", "  sns_publisher:", "sns_publish is missing"),
            ("usd: 0.023", "usd: -0.023", "price s3_gb_month: usd is -0.023"),
            ("usd: 0.023", "first: 5, usd: 0.023", "price s3_gb_month: the last tier"),
            ("per: 1000,", "per: 0,", "per is 0"),
            ("region: us-east-1", "place: us-east-1", "place"),
            ("as_of: 2026-11\n", "as_of: 2026-11\nmore: 1\n", "more"),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = format!("{:#}", Prices::parse(&SHIPPED.replace(from, to)).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
