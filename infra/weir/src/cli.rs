//! The command line: every flag is also an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::analysis::{Detect, ForecastSettings};
use crate::cost::{Cost, CostSettings};
use crate::erase::Erase;
use crate::roll_up::RollUp;
use crate::rule_export::ExportRules;
use crate::transfer::{Backfill, Export, Import};

/// A metrics platform with no servers to keep.
///
/// Without a command, `weir` runs the whole platform on this machine: `weir up`.
#[derive(Debug, Parser)]
#[command(name = "weir", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) up: Up,
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole platform on this machine: metrics in, PromQL out.
    Up(Box<Up>),
    /// Write samples of a running Weir to a file: JSON lines, CSV, OpenMetrics or Parquet.
    Export(Export),
    /// Write alerting rules as monitors of Datadog.
    ExportRules(ExportRules),
    /// Send files of samples to a running Weir, as `weir export` and others write them.
    Import(Import),
    /// Send blocks of a Prometheus TSDB to a running Weir.
    Backfill(Backfill),
    /// Roll up days of a data folder that no running Weir uses: those that are due, or any range again.
    Rollup(RollUp),
    /// Erase series from a data folder that no running Weir uses: from every block, rollup and segment.
    Erase(Erase),
    /// Score each row of a CSV file of `timestamp,value` as it comes: how anomalous it is, from 0 to 1.
    Detect(Detect),
    /// Forecast the next steps of a CSV file of `timestamp,value`, with a 95 % band.
    Forecast(ForecastSettings),
    /// Say what a deployment on AWS costs a month, planned or running, beside other services.
    Cost(Box<Cost>),
    /// Say what deploying template.yaml would create, and what it costs a month.
    DeployCheck(Box<CostSettings>),
    /// Say what is wrong with files before they are used.
    #[command(subcommand)]
    Check(Check),
    /// Run the unit tests of files.
    #[command(subcommand)]
    Test(Test),
}

/// What can be checked.
#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Check rule files in Prometheus' format: syntax, names, expressions, templates, repeated rules.
    Rules(CheckRules),
    /// Check Alertmanager configurations: routes, matchers, receivers, inhibition, time intervals.
    Routing(CheckFiles),
    /// Check rules of sinks: selectors, intervals, names.
    Sinks(CheckFiles),
    /// Check any of Weir's configuration files, each by what it holds: rules, routing, retention, events, sinks.
    Config(CheckFiles),
}

/// Settings of `weir check routing`, `weir check sinks` and `weir check config`.
#[derive(Debug, Args)]
pub(crate) struct CheckFiles {
    /// Files to check.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// What has unit tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Test {
    /// Run unit tests of rules in promtool's format.
    Rules(TestRules),
}

/// Settings of `weir check rules`.
#[derive(Debug, Args)]
pub(crate) struct CheckRules {
    /// Rule files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// End with status 3 when rules repeat each other, which otherwise is only said.
    #[arg(long)]
    pub(crate) lint_fatal: bool,
}

/// Settings of `weir test rules`.
#[derive(Debug, Args)]
pub(crate) struct TestRules {
    /// Files of unit tests.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Settings of `weir up`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// Address of the HTTP API.
    #[arg(long, env = "WEIR_LISTEN", default_value = "127.0.0.1:7070", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Folder that holds the data; made if need be, used by one process at a time.
    #[arg(long, env = "WEIR_DATA", default_value = "./weir-data", value_name = "FOLDER")]
    pub(crate) data: PathBuf,

    /// Collect nothing about this host and Weir itself; start empty.
    #[arg(long, env = "WEIR_NO_SELF")]
    pub(crate) no_self: bool,

    /// How often to collect this host's and Weir's own metrics.
    #[arg(long, env = "WEIR_SELF_INTERVAL", default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) self_interval: Duration,

    /// YAML file that says how long which series are kept, read again every 15 minutes; without it, for ever.
    #[arg(long, env = "WEIR_RETENTION", value_name = "FILE")]
    pub(crate) retention: Option<PathBuf>,

    /// Key that requests must have, as `Authorization: Bearer KEY` or as the password of basic auth; without one,
    /// whoever reaches the API may use it.
    #[arg(long, env = "WEIR_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,

    /// Key that requests to /api/v1/admin/ must have, as `Authorization: Bearer KEY`; without one, only this
    /// machine is answered there.
    #[arg(long, env = "WEIR_ADMIN_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) admin_key: Option<String>,

    /// Do not listen for StatsD on UDP.
    #[arg(long, env = "WEIR_NO_STATSD")]
    pub(crate) no_statsd: bool,

    /// UDP address for StatsD and DogStatsD lines.
    #[arg(long, env = "WEIR_STATSD_LISTEN", default_value = "127.0.0.1:8125", value_name = "ADDRESS")]
    pub(crate) statsd_listen: SocketAddr,

    /// Folder of rule files (`*.yml`) to evaluate beside the shipped ones; one of the same name replaces a
    /// shipped one.
    #[arg(long, env = "WEIR_RULES", value_name = "FOLDER")]
    pub(crate) rules: Option<PathBuf>,

    /// Alertmanager configuration that says who hears of alerts, instead of the shipped one
    /// (infra/config/routing.yml), which tells nobody on a single machine.
    #[arg(long, env = "WEIR_ROUTING", value_name = "FILE")]
    pub(crate) routing: Option<PathBuf>,

    /// File of maintenance windows, in which alerts are silenced.
    #[arg(long, env = "WEIR_MAINTENANCE", value_name = "FILE")]
    pub(crate) maintenance: Option<PathBuf>,

    /// File that says which metrics events become, instead of the shipped one (infra/config/events.yml).
    #[arg(long, env = "WEIR_EVENTS", value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// File that says what alerts mean to the business and what to do, instead of the shipped one
    /// (infra/config/impact.yml).
    #[arg(long, env = "WEIR_IMPACT", value_name = "FILE")]
    pub(crate) impact: Option<PathBuf>,

    /// Rules of sinks (infra/config/sinks.yaml is an example) to try: what would go to CloudWatch and Timestream is
    /// appended to sinks.jsonl in the data folder.
    #[arg(long, env = "WEIR_SINKS", value_name = "FILE")]
    pub(crate) sinks: Option<PathBuf>,

    /// Evaluate no rules.
    #[arg(long, env = "WEIR_NO_RULES", conflicts_with = "rules")]
    pub(crate) no_rules: bool,

    /// Shards of the local stream.
    #[arg(long, env = "WEIR_SHARDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "N")]
    pub(crate) shards: u32,

    /// Hot samples at which compaction starts ahead of its schedule.
    #[arg(long, env = "WEIR_HOT_SAMPLES", default_value_t = 1_000_000, value_name = "N")]
    pub(crate) hot_samples: u64,

    #[command(flatten, next_help_heading = "Limits")]
    pub(crate) limits: Limits,
}

/// Bounds on what requests may cost; passing one is a named error.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Largest request body as sent, in bytes. (On AWS about 4.5 MB fit into an invocation.)
    #[arg(long, env = "WEIR_MAX_BODY_BYTES", default_value_t = 4_500_000, value_name = "BYTES")]
    pub(crate) max_body_bytes: usize,

    /// Largest request body once decompressed, in bytes.
    #[arg(long, env = "WEIR_MAX_DECODED_BYTES", default_value_t = 64 << 20, value_name = "BYTES")]
    pub(crate) max_decoded_bytes: usize,

    /// Most samples of one write request.
    #[arg(long, env = "WEIR_MAX_WRITE_SAMPLES", default_value_t = 200_000, value_name = "N")]
    pub(crate) max_write_samples: usize,

    /// Refuse samples older than this; samples of any age are accepted without it.
    #[arg(long, env = "WEIR_MAX_SAMPLE_AGE", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) max_sample_age: Option<Duration>,

    /// Refuse samples further in the future than this.
    #[arg(long, env = "WEIR_MAX_SAMPLE_FUTURE", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) max_sample_future: Option<Duration>,

    /// Longest time a query may take.
    #[arg(long, env = "WEIR_QUERY_TIMEOUT", default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) query_timeout: Duration,

    /// Most samples one query may read.
    #[arg(long, env = "WEIR_QUERY_MAX_SAMPLES", default_value_t = 50_000_000, value_name = "N")]
    pub(crate) query_max_samples: usize,

    /// Most series one query may touch.
    #[arg(long, env = "WEIR_QUERY_MAX_SERIES", default_value_t = 500_000, value_name = "N")]
    pub(crate) query_max_series: usize,

    /// Most memory one query may take, in bytes, as estimated.
    #[arg(long, env = "WEIR_QUERY_MAX_BYTES", default_value_t = 1 << 30, value_name = "N")]
    pub(crate) query_max_bytes: u64,

    /// Memory for answers of range queries that may be asked for again, in bytes; 0 keeps none.
    #[arg(long, env = "WEIR_QUERY_CACHE_BYTES", default_value_t = 64 << 20, value_name = "N")]
    pub(crate) query_cache_bytes: u64,

    /// Queries evaluated at once; further ones wait.
    #[arg(long, env = "WEIR_QUERY_CONCURRENCY", default_value_t = 20, value_name = "N")]
    pub(crate) query_concurrency: usize,
}

/// A duration as Prometheus writes it: `10s`, `1h30m`, `250ms`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 7] = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let refusal = || format!("{text:?} is no duration; write for instance 10s, 5m or 1h30m");
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refusal)?;
        let number: u64 = rest[..digits].parse().map_err(|_| refusal())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, scale) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(refusal)?;
        total = number.checked_mul(*scale).and_then(|ms| total.checked_add(ms)).ok_or_else(refusal)?;
        rest = &rest[letters..];
    }
    if total == 0 { Err(refusal()) } else { Ok(Duration::from_millis(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_flag_has_a_variable() {
        Cli::command().debug_assert();
        let without: Vec<_> = Cli::command()
            .get_arguments()
            .filter(|a| !["help", "version"].contains(&a.get_id().as_str()) && a.get_env().is_none())
            .map(|a| a.get_id().to_string())
            .collect();
        assert_eq!(without, [""; 0]);
    }

    #[test]
    fn durations_read_as_prometheus_writes_them() {
        for (text, want) in [
            ("10s", Some(10_000)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("5", None),
            ("", None),
            ("1x", None),
            ("0s", None),
        ] {
            assert_eq!(parse_duration(text).ok().map(|d| d.as_millis()), want, "{text}");
        }
    }
}
