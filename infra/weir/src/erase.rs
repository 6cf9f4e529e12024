//! `weir erase`: takes every sample of matching series, and every exemplar that matches, out of a data folder.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use weir_lake::{EraseProgress, EraseWish, Erased, Lake, LakeOptions};
use weir_model::{Matcher, TenantId};
use weir_platform::{LocalBucket, LocalStream, LocalStreamOptions, SystemClock};

use crate::{banner, stack};

/// Settings of `weir erase`.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// Folder that holds the data, which no running `weir` may use meanwhile.
    #[arg(long, env = "WEIR_DATA", default_value = "./weir-data", value_name = "FOLDER")]
    data: PathBuf,

    /// Which series, as a selector of PromQL: '{user_id="4711"}'. Exemplars of other series go, too, when it holds for
    /// their series' labels together with their own.
    #[arg(long, value_name = "SELECTOR", value_parser = parse_selector)]
    matcher: Selector,

    /// Whose series.
    #[arg(long, env = "WEIR_TENANT", value_name = "NAME", default_value = TenantId::DEFAULT)]
    tenant: String,

    /// Also drop what lies in quarantine and cannot be read, of any tenant: it might hold something.
    #[arg(long)]
    drop_unreadable: bool,

    /// Do it. Without this, only what would go is said.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,

    /// Say what would go, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A parsed selector.
#[derive(Debug, Clone)]
struct Selector(Vec<Matcher>);

fn parse_selector(text: &str) -> Result<Selector, String> {
    let parsed = weir_promql::parse_selector(text);
    parsed.map(|selector| Selector(selector.matchers)).map_err(|error| format!("{text:?}: {error}"))
}

/// Runs `weir erase`.
pub(crate) async fn erase(settings: Erase) -> Result<()> {
    let Erase { data, matcher, tenant, drop_unreadable, yes, dry_run } = settings;
    let tenant = TenantId::new(&tenant).context("--tenant")?;
    if !data.join("lake").is_dir() {
        bail!("{} holds no lake; say with --data where the data is", data.display());
    }
    let _lock = stack::lock(&data)?;
    let bucket = LocalBucket::open(data.join("lake")).context("cannot open the lake")?;
    let options = LakeOptions { sole_writer: true, ..LakeOptions::default() };
    let lake =
        Lake::open(Arc::new(bucket), Arc::new(SystemClock), options).await.context("cannot open the lake")?;
    let wish = EraseWish { tenant, matchers: matcher.0, by: "weir erase".to_owned(), drop_unreadable };
    if !yes {
        let counts = lake.preview_erasure(&wish).await.context("cannot say what would go")?;
        for (kind, found) in &counts {
            banner::say(&format!(
                "{kind}: {} of {} objects hold some of it",
                found.rewritten, found.examined
            ));
        }
        banner::say(if dry_run {
            "nothing was changed"
        } else {
            "nothing was changed; add --yes to erase it"
        });
        return Ok(());
    }
    let asked = lake.request_erasure(&wish).await.context("the erasure was not recorded")?;
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}");
    let bar = ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message("blocks looked at");
    let shown = |EraseProgress { done, total }| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let run = lake.run_erasure(asked.number, shown).await;
    let report = run.context("the erasure stopped; what is done stays, run it again or start `weir up`")?;
    bar.finish_and_clear();
    for (kind, done) in &report.counts {
        banner::say(&line(kind, done));
    }
    forget_delivered(&data)?;
    let total = report.total();
    banner::say(&format!(
        "erasure {}: {} samples and {} exemplars gone; samples of it that come late are dropped until {}",
        report.number,
        total.samples,
        total.exemplars,
        weir_model::Moment::from_unix(report.watched_until_ms.div_euclid(1_000)),
    ));
    if total.unreadable > 0 {
        banner::say(&format!(
            "{} objects in quarantine cannot be read and may hold some of it; --drop-unreadable drops them",
            total.unreadable
        ));
    }
    Ok(())
}

fn line(kind: &str, done: &Erased) -> String {
    format!(
        "{kind}: {} objects looked at, {} rewritten, {} dropped, {} samples and {} exemplars gone",
        done.examined, done.rewritten, done.dropped, done.samples, done.exemplars
    )
}

/// Drops the records from the local stream that the lake has; those that wait are filtered on their way in.
fn forget_delivered(data: &std::path::Path) -> Result<()> {
    let folder = data.join("stream");
    if !folder.is_dir() {
        return Ok(());
    }
    let shards = std::fs::read_dir(&folder).context("cannot read the stream")?.count();
    let options = LocalStreamOptions { shards: u32::try_from(shards)?, ..LocalStreamOptions::default() };
    let stream = LocalStream::open(folder, &options).context("cannot open the stream")?;
    stream.trim_delivered().context("delivered records could not be dropped from the stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_selector_is_refused_with_its_text() {
        assert_eq!(parse_selector("{user_id=\"1\"}").unwrap().0.len(), 1);
        assert!(parse_selector("{user_id=").unwrap_err().contains("{user_id="));
    }
}
