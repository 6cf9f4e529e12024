//! A month's bill: quantities times prices.

use serde::Serialize;

use super::load::{Architecture, Assumptions, Load, Mode};
use super::prices::Prices;
use super::usage::{Deployment, Usage};

/// Hours of the month.
const MONTH_HOURS: f64 = 730.0;

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Item {
    pub(super) what: &'static str,
    pub(super) quantity: f64,
    pub(super) unit: &'static str,
    pub(super) usd: f64,
}

/// What a deployment is, beside its load.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) architecture: Architecture,
    pub(super) shards: Option<u32>,
    pub(super) deployment: Deployment,
    pub(super) assumptions: Assumptions,
    pub(super) prices: Prices,
}

/// The bill of a month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Bill {
    pub(super) mode: Mode,
    pub(super) items: Vec<Item>,
    pub(super) usd: f64,
    pub(super) usd_per_billion_samples: f64,
}

impl Bill {
    /// What a load costs in a mode.
    pub(super) fn of(load: &Load, mode: Mode, terms: &Terms) -> Self {
        let usage = Usage::of(load, mode, terms.shards, &terms.deployment, &terms.assumptions);
        Self::from_usage(load, mode, &usage, terms)
    }

    /// What counted quantities cost.
    pub(super) fn from_usage(load: &Load, mode: Mode, u: &Usage, terms: &Terms) -> Self {
        let a = &terms.assumptions;
        let mut items = Vec::with_capacity(16);
        let mut add = |what, quantity: f64, unit, price| {
            items.push(Item { what, quantity, unit, usd: terms.prices.usd(price, quantity) });
        };
        let gb_second = match terms.architecture {
            Architecture::Arm64 => "lambda_gb_second_arm64",
            Architecture::X86 => "lambda_gb_second_x86_64",
        };
        add("HTTP API: writes and queries", u.metered_requests, "requests", "api_request");
        add("Lambda: invocations", u.invocations, "requests", "lambda_request");
        add("Lambda: computing on samples", u.sample_gb_seconds, "GB-s", gb_second);
        add("Lambda: waiting while writing", u.waiting_gb_seconds, "GB-s", gb_second);
        add("Lambda: queries and schedules", u.reading_gb_seconds, "GB-s", gb_second);
        match mode {
            Mode::Direct => {}
            Mode::Provisioned => {
                add("Kinesis: shards", u.shards * MONTH_HOURS, "shard-h", "kinesis_shard_hour");
                add("Kinesis: records in", u.put_units, "PUT units", "kinesis_put_unit");
            }
            Mode::OnDemand => {
                add("Kinesis: stream", MONTH_HOURS, "h", "kinesis_on_demand_hour");
                add("Kinesis: data in", u.stream_gb, "GB", "kinesis_on_demand_gb_in");
                add("Kinesis: data out", u.stream_gb, "GB", "kinesis_on_demand_gb_out");
            }
        }
        add("S3: objects written", u.s3_writes, "PUT", "s3_write");
        add("S3: listings", u.s3_lists, "LIST", "s3_write");
        add("S3: reads", u.s3_reads, "GET", "s3_read");
        add("S3: storage", u.stored_gb, "GB", "s3_gb_month");
        add("Scheduler", u.scheduled_runs, "runs", "scheduler_invocation");
        add("SNS: notifications", a.notifications_per_month, "messages", "sns_publish");
        add("CloudWatch: logs", u.log_gb, "GB", "logs_gb_in");
        add("CloudWatch: own metrics", a.own_metrics, "metrics", "cloudwatch_metric");
        add("CloudWatch: alarms", terms.deployment.alarms, "alarms", "cloudwatch_alarm");
        let usd = items.iter().map(|item| item.usd).sum();
        Self { mode, items, usd, usd_per_billion_samples: usd / load.samples() * 1e9 }
    }
}

/// The lowest load, in series, at which one provisioned shard costs no more than direct mode, all series
/// having a sample each `interval_seconds`; none if that is never so within what one shard takes.
pub(super) fn break_even(interval_seconds: f64, terms: &Terms) -> Option<Load> {
    let terms = Terms { shards: Some(1), ..terms.clone() };
    let load = |series: f64| Load { series, samples_per_second: series / interval_seconds };
    let stream_pays = |series: f64| {
        let usd = |mode| Bill::of(&load(series), mode, &terms).usd;
        usd(Mode::Provisioned) <= usd(Mode::Direct)
    };
    let a = &terms.assumptions;
    // What one shard takes in bytes; in requests it takes more at every size of theirs that matters.
    let most = 1_048_576.0 / a.record_bytes_per_sample.max(1e-9) / a.peak_ratio * interval_seconds;
    let (mut low, mut high) = (1.0, most);
    if stream_pays(low) {
        return Some(load(low));
    }
    if !stream_pays(high) {
        return None;
    }
    // Halving a bracket 100 times is finer than a series.
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if stream_pays(middle) { high = middle } else { low = middle }
    }
    Some(load(high))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    pub(in crate::cost) fn terms() -> Terms {
        Terms {
            architecture: Architecture::Arm64,
            shards: None,
            deployment: Deployment {
                scheduled_runs: 10_000.0,
                window_seconds: 1.0,
                batch_records: 10_000.0,
                alarms: 20.0,
            },
            assumptions: Assumptions::default(),
            prices: Prices::load(None).unwrap(),
        }
    }

    #[test]
    fn a_bill_is_what_hand_computation_gives() {
        let load = Load::new(100_000, Duration::from_secs(15));
        let bill = Bill::of(&load, Mode::Provisioned, &terms());
        // 17.52 G samples, 8.76 M requests, 438,000 queries, 10,000 runs, 2.628 M segments.
        for (what, want_usd) in [
            ("HTTP API: writes and queries", 9.198),
            ("Lambda: invocations", 11.836 * 0.2),
            ("Lambda: computing on samples", 17_520.0 * 0.78 * 1769.0 / 1024.0 * 0.0000133334),
            ("Lambda: waiting while writing", (8.76e6 * 0.02 + 2.628e6 * 0.1) * 0.0000133334),
            ("Kinesis: shards", 10.95),
            ("Kinesis: records in", 8.76 * 0.014),
            ("S3: objects written", 2708.0 * 0.005),
            // Before each segment one; for each query and run the manifest, two to find the shard, and the shard.
            ("S3: listings", (2628.0 + 4.0 * 448.0) * 0.005),
            ("S3: reads", (4.0 * 2628.0 + 4480.0) * 0.0004),
            ("S3: storage", 17.52e9 * 1.11 * 1.2 * 12.0 / 1_073_741_824.0 * 0.023),
            ("Scheduler", 0.0),
            ("CloudWatch: own metrics", 9.0),
            ("CloudWatch: alarms", 2.0),
        ] {
            let item = bill.items.iter().find(|item| item.what == what).unwrap();
            assert!((item.usd - want_usd).abs() < 1e-6, "{what}: {}, not {want_usd}", item.usd);
        }
        let sum: f64 = bill.items.iter().map(|item| item.usd).sum();
        assert!((bill.usd - sum).abs() < 1e-9);
        assert!((bill.usd_per_billion_samples - sum / 17.52).abs() < 1e-9);
    }

    #[test]
    fn a_stream_pays_from_the_break_even_on_and_not_before() {
        // Where nobody reads, a shard's fee is saved until there are several requests a second.
        let mut unread = terms();
        unread.assumptions.queries_per_minute = 0.0;
        unread.deployment.scheduled_runs = 0.0;
        let even = break_even(15.0, &unread).unwrap();
        for (factor, stream_is_cheaper) in [(0.5, false), (0.99, false), (1.01, true), (2.0, true)] {
            let load =
                Load { series: even.series * factor, samples_per_second: even.samples_per_second * factor };
            let usd = |mode| Bill::of(&load, mode, &unread).usd;
            assert_eq!(usd(Mode::Provisioned) < usd(Mode::Direct), stream_is_cheaper, "{factor}");
        }
    }

    #[test]
    fn where_much_is_read_a_stream_pays_at_any_load() {
        // A query takes 18 listings in direct mode and 4 with a shard: 14 more for
        // each of 438,000 queries, at 0.005 a thousand, are 30 dollars.
        assert_eq!(break_even(15.0, &terms()).unwrap().series, 1.0);
    }
}
