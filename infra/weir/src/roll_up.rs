//! `weir rollup`: rolls up days of a data folder again, or those that are due.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use weir_formats::from_iso8601;
use weir_lake::{Lake, LakeOptions, RollupProgress, RollupWish};
use weir_model::TenantId;
use weir_platform::{LocalBucket, SystemClock};

use crate::{banner, stack};

/// Settings of `weir rollup`.
#[derive(Debug, Args)]
pub(crate) struct RollUp {
    /// Folder that holds the data, which no running `weir` may use meanwhile.
    #[arg(long, env = "WEIR_DATA", default_value = "./weir-data", value_name = "FOLDER")]
    data: PathBuf,

    /// Roll up again from the day of this time on (RFC 3339, or a date); without it, only what is due.
    #[arg(long, value_name = "TIME", requires = "to", value_parser = parse_time)]
    from: Option<i64>,

    /// And to the day that this time ends or lies in.
    #[arg(long, value_name = "TIME", requires = "from", value_parser = parse_time)]
    to: Option<i64>,

    /// Whose data; that of all tenants without it.
    #[arg(long, env = "WEIR_TENANT", value_name = "NAME")]
    tenant: Option<String>,
}

fn parse_time(text: &str) -> Result<i64, String> {
    let refusal = || format!("{text:?} is no time; write for instance 2026-11-21 or 2026-11-21T08:00:00Z");
    from_iso8601(text).or_else(|| from_iso8601(&format!("{text}T00:00:00Z"))).ok_or_else(refusal)
}

/// Runs `weir rollup`.
pub(crate) async fn roll_up(settings: RollUp) -> Result<()> {
    let RollUp { data, from, to, tenant } = settings;
    let range_ms = from.zip(to);
    if let Some((from, to)) = range_ms.filter(|(from, to)| from >= to) {
        bail!("--from must lie before --to, not at {from} ms when that is {to} ms");
    }
    let tenant = tenant.as_deref().map(TenantId::new).transpose().context("--tenant")?;
    if !data.join("lake").is_dir() {
        bail!("{} holds no lake; say with --data where the data is", data.display());
    }
    let _lock = stack::lock(&data)?;
    let bucket = LocalBucket::open(data.join("lake")).context("cannot open the lake")?;
    let options = LakeOptions { sole_writer: true, ..LakeOptions::default() };
    let lake =
        Lake::open(Arc::new(bucket), Arc::new(SystemClock), options).await.context("cannot open the lake")?;
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}");
    let bar = ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message("days rolled up");
    let wish = RollupWish { tenant, range_ms, again: range_ms.is_some(), max_days: 0 };
    let shown = |RollupProgress { done, total }| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report =
        lake.roll_up(&wish, shown).await.context("rollups failed; what is done stays, run it again")?;
    bar.finish_and_clear();
    banner::say(&format!(
        "{} days rolled up: {} samples read, {} blocks of {} bytes written",
        report.days, report.samples, report.blocks_written, report.bytes_written
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_or_instants() {
        assert_eq!(parse_time("1970-01-02"), Ok(86_400_000));
        assert_eq!(parse_time("1970-01-01T01:00:00Z"), Ok(3_600_000));
        assert!(parse_time("yesterday").is_err());
    }
}
