//! What Weir costs on AWS: `weir cost` and `weir deploy-check`.
//!
//! The design is counted (usage), multiplied by a file of prices (bill), and put beside other services
//! (peers). Everything but reading files and asking a running Weir is a pure function.

mod bill;
mod load;
mod measured;
mod peers;
mod prices;
mod report;
mod resources;
mod sinks;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use self::bill::{Bill, Terms};
use self::load::{Architecture, Assumptions, Load, Mode};
use self::prices::Prices;
use self::report::Report;
use self::usage::Deployment;
use crate::banner;
use crate::cli::parse_duration;
use crate::template::TEMPLATE;

/// Settings of `weir cost` and `weir deploy-check`.
#[derive(Debug, Args)]
pub(crate) struct CostSettings {
    /// Series that have a sample at each interval.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000), value_name = "N")]
    series: u64,

    /// Time between two samples of a series.
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    interval: Duration,

    /// How records travel from ingest to the lake.
    #[arg(long, value_enum, default_value = "provisioned")]
    mode: Mode,

    /// Shards of a provisioned stream; as many as the load needs without it.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    shards: Option<u32>,

    /// What functions run on.
    #[arg(long, value_enum, default_value = "arm64")]
    architecture: Architecture,

    /// Prices of another region, in the form of infra/config/prices.yaml.
    #[arg(long, value_name = "FILE")]
    region_prices: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Assumptions")]
    assumptions: Assumptions,
}

/// Settings of `weir cost`.
#[derive(Debug, Args)]
pub(crate) struct Cost {
    #[command(flatten)]
    settings: CostSettings,

    /// Print the table of three loads, in all modes and beside other services.
    #[arg(long, conflicts_with_all = ["json", "url"])]
    table: bool,

    /// Take the load from what a running Weir has counted about itself, scaled to a month.
    #[arg(long, value_name = "URL", conflicts_with_all = ["series", "interval"])]
    url: Option<String>,

    /// Whose own metrics to read, with --url; the tenant `default` without it.
    #[arg(long, requires = "url", value_name = "NAME")]
    tenant: Option<String>,

    /// The key of the API that --url names, if it takes one.
    #[arg(long, env = "WEIR_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,

    /// How far to look back, with --url.
    #[arg(long, default_value = "1h", value_parser = parse_duration, value_name = "DURATION")]
    period: Duration,
}

/// Runs `weir cost`.
pub(crate) fn cost(cost: &Cost) -> Result<()> {
    let mut terms = terms(&cost.settings)?;
    if cost.table {
        banner::say(report::table(&terms).trim_end());
        return Ok(());
    }
    let report = match &cost.url {
        Some(url) => {
            let found = measured::measure(url, cost.tenant.as_deref(), cost.api_key.as_deref(), cost.period)?;
            found.apply(&mut terms.assumptions);
            let bill = Bill::of(&found.load, cost.settings.mode, &terms);
            Report::new(found.basis(url), found.load, bill, &terms)
        }
        None => planned(&cost.settings, &terms)?,
    };
    print(&report, &terms, cost.settings.json);
    Ok(())
}

/// Runs `weir deploy-check`.
pub(crate) fn deploy_check(settings: &CostSettings) -> Result<()> {
    let terms = terms(settings)?;
    let created = resources::created(TEMPLATE)?;
    let report = planned(settings, &terms)?;
    if settings.json {
        let mut json = report.json(&terms);
        json["resources"] = serde_json::to_value(&created)?;
        banner::say(&serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    banner::say(&resources::text(&created));
    print(&report, &terms, false);
    Ok(())
}

fn planned(settings: &CostSettings, terms: &Terms) -> Result<Report> {
    let load = Load::new(settings.series, settings.interval);
    let bill = Bill::of(&load, settings.mode, terms);
    let mode = serde_json::to_value(settings.mode)?;
    let basis = format!(
        "{} series, a sample each every {} s: {:.0} samples a second, {:.3} billion a month; mode {}.",
        settings.series,
        settings.interval.as_secs_f64(),
        load.samples_per_second,
        load.samples() / 1e9,
        mode.as_str().unwrap_or_default(),
    );
    Ok(Report::new(basis, load, bill, terms))
}

fn terms(settings: &CostSettings) -> Result<Terms> {
    settings.assumptions.check()?;
    if settings.shards.is_some() && settings.mode != Mode::Provisioned {
        bail!("--shards is for --mode provisioned; the other modes have no shards to choose");
    }
    let alarms = resources::count(TEMPLATE, "AWS::CloudWatch::Alarm", settings.assumptions.sinks())?;
    Ok(Terms {
        architecture: settings.architecture,
        shards: settings.shards,
        deployment: Deployment::read(TEMPLATE, alarms)?,
        assumptions: settings.assumptions,
        prices: Prices::load(settings.region_prices.as_deref())?,
    })
}

fn print(report: &Report, terms: &Terms, json: bool) {
    let text = if json { format!("{:#}", report.json(terms)) } else { report.text(terms) };
    banner::say(text.trim_end());
}
