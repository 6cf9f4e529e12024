//! What a deployment has to carry, and what is assumed about it.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Seconds of a month of 730 hours, the one that AWS' calculators use.
pub(super) const MONTH_SECONDS: f64 = 730.0 * 3600.0;

/// How records travel from ingest to the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Ingest writes to the lake itself: nothing idles.
    Direct,
    /// A Kinesis stream with a fixed number of shards.
    Provisioned,
    /// A Kinesis stream that grows by itself.
    OnDemand,
}

/// What functions run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Architecture {
    /// AWS' Graviton.
    #[value(name = "arm64")]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    #[serde(rename = "x86_64")]
    X86,
}

/// A steady load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Load {
    pub(super) series: f64,
    pub(super) samples_per_second: f64,
}

impl Load {
    /// A number of series with a sample each at every interval.
    pub(super) fn new(series: u64, interval: Duration) -> Self {
        Self { series: series as f64, samples_per_second: series as f64 / interval.as_secs_f64() }
    }

    /// Samples of a month.
    pub(super) fn samples(&self) -> f64 {
        self.samples_per_second * MONTH_SECONDS
    }
}

// The help of each flag is printed beside its value as the assumption's explanation: its first words say
// what it is and its unit, the brackets at its end where the default comes from.
/// Everything that a bill assumes beside the load.
#[derive(Debug, Clone, Copy, PartialEq, Args, Serialize)]
pub(crate) struct Assumptions {
    /// Most samples of a write request [Prometheus' default]
    #[arg(long, default_value_t = 2000.0, value_name = "N")]
    pub(super) samples_per_request: f64,
    /// Longest that a sender collects samples, in seconds [Prometheus' default]
    #[arg(long, default_value_t = 5.0, value_name = "N")]
    pub(super) send_deadline_seconds: f64,
    /// Senders among which the samples are spread [assumed]
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub(super) senders: f64,
    /// Bytes of a sample in a write request, compressed [assumed]
    #[arg(long, default_value_t = 25.0, value_name = "N")]
    pub(super) request_bytes_per_sample: f64,
    /// Bytes of a sample in a stream record and a hot segment [measured: records of 2,000 samples]
    #[arg(long, default_value_t = 6.4, value_name = "N")]
    pub(super) record_bytes_per_sample: f64,
    /// Bytes of a sample in a block [measured: ARCHITECTURE.md]
    #[arg(long, default_value_t = 1.11, value_name = "N")]
    pub(super) stored_bytes_per_sample: f64,
    /// Bytes of rollups for each byte of samples [measured at 15 s; half of it at 60 s: ARCHITECTURE.md]
    #[arg(long, default_value_t = 1.2, value_name = "N")]
    pub(super) rollup_bytes_ratio: f64,
    /// Months that samples are kept, and paid for [assumed]
    #[arg(long, default_value_t = 12.0, value_name = "N")]
    pub(super) retention_months: f64,
    /// CPU-seconds of ingest for a million samples [measured on x86: ARCHITECTURE.md]
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub(super) ingest_cpu_seconds_per_million_samples: f64,
    /// CPU-seconds of enrich for a million samples [measured, likewise]
    #[arg(long, default_value_t = 0.43, value_name = "N")]
    pub(super) enrich_cpu_seconds_per_million_samples: f64,
    /// CPU-seconds of compaction, rollups and archive for a million samples [measured, likewise]
    #[arg(long, default_value_t = 0.5, value_name = "N")]
    pub(super) compact_cpu_seconds_per_million_samples: f64,
    /// CPU-microseconds of a compaction (and its share of rollups) for each series with new samples [measured, likewise]
    #[arg(long, default_value_t = 8.0, value_name = "N")]
    pub(super) compact_cpu_microseconds_per_series: f64,
    /// Memory of each function in MB; 1,769 is one processor [template.yaml]
    #[arg(long, default_value_t = 1024.0, value_name = "N")]
    pub(super) memory_mb: f64,
    /// Milliseconds that an ingest invocation waits for the stream [assumed]
    #[arg(long, default_value_t = 20.0, value_name = "N")]
    pub(super) stream_wait_ms: f64,
    /// Milliseconds that writing a hot segment waits for S3 [assumed]
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    pub(super) segment_wait_ms: f64,
    /// Listings of S3 before each hot segment is written [by design]
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub(super) lists_per_segment: f64,
    /// Environments that keep hot segments in memory; each fetches every one once [assumed]
    #[arg(long, default_value_t = 4.0, value_name = "N")]
    pub(super) readers: f64,
    /// Seconds that a scheduled run waits for S3 [assumed]
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    pub(super) scheduled_wait_seconds: f64,
    /// Objects that a scheduled run writes: blocks, merges, manifest, states of rules [assumed]
    #[arg(long, default_value_t = 8.0, value_name = "N")]
    pub(super) writes_per_scheduled_run: f64,
    /// Queries a minute [assumed]
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    pub(super) queries_per_minute: f64,
    /// CPU-milliseconds of a query [measured, 0.2 to 40: ARCHITECTURE.md]
    #[arg(long, default_value_t = 20.0, value_name = "N")]
    pub(super) query_cpu_ms: f64,
    /// Milliseconds that a query waits for S3 [assumed]
    #[arg(long, default_value_t = 150.0, value_name = "N")]
    pub(super) query_wait_ms: f64,
    /// Objects of S3, or parts, that a query or a scheduled run reads beside hot segments [assumed]
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    pub(super) gets_per_query: f64,
    /// Samples that a query reads, which Managed Prometheus charges [assumed]
    #[arg(long, default_value_t = 200_000.0, value_name = "N")]
    pub(super) samples_per_query: f64,
    /// Bytes that an invocation logs [assumed]
    #[arg(long, default_value_t = 500.0, value_name = "N")]
    pub(super) log_bytes_per_invocation: f64,
    /// CloudWatch metrics that Weir has about itself [assumed]
    #[arg(long, default_value_t = 30.0, value_name = "N")]
    pub(super) own_metrics: f64,
    /// Series that sinks copy to CloudWatch, a metric each; more than none turns sinks on [none chosen]
    #[arg(long, default_value_t = 0.0, value_name = "N")]
    pub(super) sink_cloudwatch_series: f64,
    /// Series that sinks copy to Timestream; more than none turns sinks on [none chosen]
    #[arg(long, default_value_t = 0.0, value_name = "N")]
    pub(super) sink_timestream_series: f64,
    /// Seconds between two points of such a series, `every` of its rule [assumed]
    #[arg(long, default_value_t = 60.0, value_name = "N")]
    pub(super) sink_interval_seconds: f64,
    /// Bytes of such a point in Timestream: time, names and values that it does not share with others [assumed]
    #[arg(long, default_value_t = 150.0, value_name = "N")]
    pub(super) sink_timestream_bytes_per_point: f64,
    /// CPU-seconds of forward for a million samples of the stream, where sinks are on [measured: ARCHITECTURE.md]
    #[arg(long, default_value_t = 0.4, value_name = "N")]
    pub(super) sink_cpu_seconds_per_million_samples: f64,
    /// Notifications a month [assumed]
    #[arg(long, default_value_t = 1000.0, value_name = "N")]
    pub(super) notifications_per_month: f64,
    /// Highest load over the mean, which shards are counted for [assumed]
    #[arg(long, default_value_t = 1.5, value_name = "N")]
    pub(super) peak_ratio: f64,
    /// Bytes that CloudWatch's OTel metrics charge for a sample [assumed]
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    pub(super) otel_bytes_per_sample: f64,
    /// Bytes of a sample in Managed Prometheus' storage [assumed]
    #[arg(long, default_value_t = 1.5, value_name = "N")]
    pub(super) amp_bytes_per_sample: f64,
    /// Bytes of a sample in Timestream, in multi-measure records [assumed]
    #[arg(long, default_value_t = 50.0, value_name = "N")]
    pub(super) timestream_bytes_per_sample: f64,
    /// Hours that Timestream keeps a sample in memory [assumed]
    #[arg(long, default_value_t = 12.0, value_name = "N")]
    pub(super) timestream_memory_hours: f64,
}

impl Assumptions {
    /// CPU-seconds that a million samples take until they lie in blocks and rollups, beside what series take.
    pub(super) fn cpu_seconds_per_million_samples(&self) -> f64 {
        self.ingest_cpu_seconds_per_million_samples
            + self.enrich_cpu_seconds_per_million_samples
            + self.compact_cpu_seconds_per_million_samples
    }

    /// Whether series are copied anywhere.
    pub(super) fn sinks(&self) -> bool {
        self.sink_cloudwatch_series > 0.0 || self.sink_timestream_series > 0.0
    }

    /// Refuses what is no quantity, and zero where it would be divided by.
    pub(super) fn check(&self) -> Result<()> {
        let positive = [
            "samples_per_request",
            "send_deadline_seconds",
            "senders",
            "memory_mb",
            "sink_interval_seconds",
            "peak_ratio",
        ];
        for (name, value) in self.values() {
            let flag = name.replace('_', "-");
            if !(value.is_finite() && (0.0..=1e15).contains(&value)) {
                bail!("--{flag} {value} is no quantity; it is from 0 to 1e15");
            }
            if value == 0.0 && positive.contains(&name.as_str()) {
                bail!("--{flag} must be more than 0");
            }
        }
        Ok(())
    }

    /// Name and value of each assumption, in the order of the flags.
    fn values(&self) -> Vec<(String, f64)> {
        let values = serde_json::to_value(self).unwrap_or_default();
        let command = Self::augment_args(clap::Command::new("assumptions"));
        let name = |argument: &clap::Arg| argument.get_id().to_string();
        let value = |name: &String| values.get(name).and_then(serde_json::Value::as_f64);
        command
            .get_arguments()
            .map(name)
            .map(|name| (name.clone(), value(&name).unwrap_or(f64::NAN)))
            .collect()
    }

    /// Each assumption as its flag, value and explanation; one that is not the default says so.
    pub(super) fn explained(&self) -> Vec<(String, f64, String)> {
        let command = Self::augment_args(clap::Command::new("assumptions"));
        let explain = |argument: &clap::Arg, value: f64| {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let default = argument.get_default_values().first().and_then(|text| text.to_str()?.parse().ok());
            match (default == Some(value), help.split_once(" [")) {
                (false, Some((what, _))) => format!("{what} [given or measured]"),
                _ => help,
            }
        };
        let rows = command.get_arguments().zip(self.values());
        rows.map(|(argument, (name, value))| (name.replace('_', "-"), value, explain(argument, value)))
            .collect()
    }
}

#[cfg(test)]
impl Default for Assumptions {
    fn default() -> Self {
        use clap::FromArgMatches;
        let command = Self::augment_args(clap::Command::new("assumptions"));
        Self::from_arg_matches(&command.get_matches_from(["assumptions"])).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_assumption_tells_its_value_and_where_it_comes_from() {
        let given = Assumptions { senders: 7.0, ..Assumptions::default() };
        for (name, value, text) in given.explained() {
            assert!(value.is_finite(), "{name}");
            assert!(text.ends_with(']'), "{name}: {text}");
            assert_eq!(text.ends_with("[given or measured]"), name == "senders", "{name}: {text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_by_its_flag() {
        let fine = Assumptions::default();
        assert!(fine.check().is_ok());
        for (bad, part) in [
            (Assumptions { senders: 0.0, ..fine }, "--senders must be"),
            (Assumptions { sink_interval_seconds: 0.0, ..fine }, "--sink-interval-seconds must be"),
            (Assumptions { readers: f64::NAN, ..fine }, "--readers NaN"),
            (Assumptions { own_metrics: -1.0, ..fine }, "--own-metrics -1"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
