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
        let mut items = Vec::with_capacity(24);
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
        let sinks = &u.sinks;
        if sinks.cloudwatch_metrics > 0.0 {
            add("CloudWatch: metrics of sinks", sinks.cloudwatch_metrics, "metrics", "cloudwatch_metric");
            add("CloudWatch: requests of sinks", sinks.cloudwatch_requests, "requests", "cloudwatch_request");
        }
        if sinks.timestream_writes > 0.0 {
            let memory = sinks.timestream_memory_gb_hours;
            add("Timestream: writes of 1 KiB", sinks.timestream_writes, "writes", "timestream_write");
            add("Timestream: memory store", memory, "GB-h", "timestream_memory_gb_hour");
            add("Timestream: magnetic store", sinks.timestream_gb, "GB", "timestream_gb_month");
        }
        let usd = items.iter().map(|item| item.usd).sum();
        Self { mode, items, usd, usd_per_billion_samples: usd / load.samples() * 1e9 }
    }
}

/// Loads between which direct mode is the cheaper one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct DirectPays {
    pub(super) from: Load,
    pub(super) to: Load,
}

/// Where direct mode costs less than one provisioned shard, of all loads that one shard takes, all series
/// having a sample each `interval_seconds`; none if nowhere.
///
/// There may be a lower end, too: near nothing there is little to save on, while each query lists more.
pub(super) fn direct_pays(interval_seconds: f64, terms: &Terms) -> Option<DirectPays> {
    /// Loads that are tried, each the same factor above the one before.
    const STEPS: i32 = 400;
    let terms = Terms { shards: Some(1), ..terms.clone() };
    let load = |series: f64| Load { series, samples_per_second: series / interval_seconds };
    let pays = |series: f64| {
        let usd = |mode| Bill::of(&load(series), mode, &terms).usd;
        usd(Mode::Direct) < usd(Mode::Provisioned)
    };
    let a = &terms.assumptions;
    // What one shard takes in bytes, which bind before its records at all sizes of requests that matter.
    let most = (1_048_576.0 / a.record_bytes_per_sample.max(1e-3) / a.peak_ratio * interval_seconds).max(1.0);
    let at = |step: i32| most.powf(f64::from(step) / f64::from(STEPS));
    let first = (0..=STEPS).find(|step| pays(at(*step)))?;
    let last = (first..=STEPS).rev().find(|step| pays(at(*step)))?;
    // Halving a bracket 60 times is finer than a series.
    let edge = |mut inside: f64, mut outside: f64| {
        for _ in 0..60 {
            let middle = (inside + outside) / 2.0;
            if pays(middle) { inside = middle } else { outside = middle }
        }
        inside
    };
    let from = if first == 0 { 1.0 } else { edge(at(first), at(first - 1)) };
    let to = if last == STEPS { most } else { edge(at(last), at(last + 1)) };
    Some(DirectPays { from: load(from), to: load(to) })
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
                compactions: 8_760.0,
                window_seconds: 1.0,
                batch_records: 10_000.0,
                sink_window_seconds: 60.0,
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
        // 17.52 G samples, 8.76 M requests, 438,000 queries, 10,000 runs, 2.628 M segments; 8,760 compactions of
        // 100,000 series, 8 us each.
        for (what, want_usd) in [
            ("HTTP API: writes and queries", 9.198),
            ("Lambda: invocations", 11.836 * 0.2),
            (
                "Lambda: computing on samples",
                (17_520.0 * 1.93 + 876.0 * 8.0) * 1769.0 / 1024.0 * 0.0000133334,
            ),
            ("Lambda: waiting while writing", (8.76e6 * 0.02 + 2.628e6 * 0.1) * 0.0000133334),
            ("Kinesis: shards", 10.95),
            ("Kinesis: records in", 8.76 * 0.014),
            ("S3: objects written", 2708.0 * 0.005),
            // Before each segment one; for each query and run the manifest, and 1,200 hot segments in two.
            ("S3: listings", (2628.0 + 3.0 * 448.0) * 0.005),
            ("S3: reads", (4.0 * 2628.0 + 4480.0) * 0.0004),
            ("S3: storage", 17.52e9 * 1.11 * 2.2 * 12.0 / 1_073_741_824.0 * 0.023),
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
    fn sinks_have_lines_of_their_own_where_series_go_there() {
        let load = Load::new(10_000, Duration::from_secs(60));
        let lines = |cloudwatch, timestream, mode| {
            let mut terms = terms();
            terms.assumptions.sink_cloudwatch_series = cloudwatch;
            terms.assumptions.sink_timestream_series = timestream;
            let mut items = Bill::of(&load, mode, &terms).items;
            items.retain(|it| it.what.contains("of sinks") || it.what.starts_with("Timestream"));
            items.into_iter().map(|it| (it.what, it.usd)).collect::<Vec<_>>()
        };
        // A point a minute, 43,800 a series and month: 200 in one request, or in two of 15,000 bytes.
        let gb = 200.0 * 43_800.0 * 150.0 / 1_073_741_824.0;
        let cloudwatch =
            [("CloudWatch: metrics of sinks", 60.0), ("CloudWatch: requests of sinks", 43.8 * 0.01)];
        let timestream = [
            ("Timestream: writes of 1 KiB", 2.0 * 15.0 * 0.0438 * 0.5),
            ("Timestream: memory store", gb * 12.0 * 0.036),
            ("Timestream: magnetic store", gb * 12.0 * 0.03),
        ];
        for (series, mode, want) in [
            ((0.0, 0.0), Mode::Provisioned, vec![]),
            ((200.0, 0.0), Mode::Provisioned, cloudwatch.to_vec()),
            ((0.0, 200.0), Mode::Provisioned, timestream.to_vec()),
            ((200.0, 200.0), Mode::Provisioned, [&cloudwatch[..], &timestream].concat()),
            ((200.0, 200.0), Mode::Direct, vec![]),
        ] {
            let found = lines(series.0, series.1, mode);
            assert_eq!(found.len(), want.len(), "{series:?} {mode:?}: {found:?}");
            for (found, want) in found.iter().zip(&want) {
                assert_eq!(found.0, want.0);
                assert!((found.1 - want.1).abs() < 1e-6, "{found:?}, not {want:?}");
            }
        }
    }

    fn direct_is_cheaper(series: f64, terms: &Terms) -> bool {
        let load = Load { series, samples_per_second: series / 15.0 };
        Bill::of(&load, Mode::Direct, terms).usd < Bill::of(&load, Mode::Provisioned, terms).usd
    }

    #[test]
    fn direct_mode_pays_between_the_ends_that_are_told_and_not_beyond() {
        for queries_per_minute in [0.0, 1.0, 2.0, 3.0, 4.0] {
            let mut terms = terms();
            terms.assumptions.queries_per_minute = queries_per_minute;
            let Some(DirectPays { from, to }) = direct_pays(15.0, &terms) else {
                for series in [1.0, 1e2, 1e3, 1e4, 2e4, 3e4, 1e5] {
                    assert!(!direct_is_cheaper(series, &terms), "{queries_per_minute}: {series}");
                }
                continue;
            };
            let (from, to) = (from.series, to.series);
            for (series, cheaper) in [
                (from * 1.01, true),
                (from.midpoint(to), true),
                (to * 0.99, true),
                (to * 1.01, false),
                (to * 2.0, false),
            ] {
                assert_eq!(direct_is_cheaper(series, &terms), cheaper, "{queries_per_minute}: {series}");
            }
            if from > 1.0 {
                assert!(!direct_is_cheaper(from * 0.99, &terms), "{queries_per_minute}: {from}");
            }
        }
    }

    #[test]
    fn a_little_load_is_cheaper_in_direct_mode_however_much_is_asked() {
        // A look at the lake is as many listings in both modes; what differs is paid by the write.
        for queries_per_minute in [0.0, 10.0, 1_000.0] {
            let mut terms = terms();
            terms.assumptions.queries_per_minute = queries_per_minute;
            let pays = direct_pays(15.0, &terms).unwrap();
            assert_eq!(pays.from.series, 1.0, "{queries_per_minute}");
            assert!(pays.to.series > 1_000.0, "{queries_per_minute}: {}", pays.to.series);
        }
    }
}
