//! `weir export`: samples of a running Weir to a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::client::Client;
use super::{Server, bar};
use crate::banner;

/// Settings of `weir export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    server: Server,

    /// Series selector; repeat it for the union, e.g. --match '{job="api"}'.
    #[arg(long = "match", required = true, value_name = "SELECTOR")]
    matches: Vec<String>,

    /// From when, inclusive: Unix seconds or RFC 3339.
    #[arg(long, value_name = "TIME")]
    start: String,

    /// Until when, inclusive; now without it.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,

    /// What to write.
    #[arg(long, default_value = "jsonl", value_parser = ["jsonl", "csv", "openmetrics", "parquet"])]
    format: String,

    /// How to compress it (Parquet always is by itself).
    #[arg(long, default_value = "none", value_parser = ["none", "gzip", "zstd"])]
    compression: String,

    /// The file to write; it appears under this name once it is whole.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Runs `weir export`.
pub(crate) fn export(export: &Export) -> Result<()> {
    let client = Client::new(&export.server)?;
    let mut pairs: Vec<(&str, &str)> = export.matches.iter().map(|m| ("match[]", m.as_str())).collect();
    pairs.push(("start", &export.start));
    pairs.extend(export.end.iter().map(|end| ("end", end.as_str())));
    pairs.push(("compression", &export.compression));
    let query = serde_urlencoded::to_string(pairs)?;
    let (size, mut answer) = client.open(&format!("/api/v1/export/{}?{query}", export.format))?;
    let bar = bar(size, &export.output.display().to_string());
    let mut partial = export.output.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = || format!("cannot write {}", partial.display());
    let file = File::create(&partial).with_context(written)?;
    let mut writer = bar.wrap_write(BufWriter::with_capacity(1 << 20, file));
    let bytes = std::io::copy(&mut answer, &mut writer).context("the export ended early; run it again")?;
    writer.flush().with_context(written)?;
    drop(writer);
    std::fs::rename(&partial, &export.output)
        .with_context(|| format!("cannot rename {}", partial.display()))?;
    bar.finish_and_clear();
    banner::say(&format!("{}: {bytes} bytes", export.output.display()));
    Ok(())
}
