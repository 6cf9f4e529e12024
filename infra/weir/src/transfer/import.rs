//! `weir import`: files of samples to a running Weir.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use xxhash_rust::xxh3::xxh3_128;

use super::client::{Client, Post};
use super::files::{FileFormat, cut};
use super::pool::{Job, report, run};
use super::{Server, bar};
use crate::banner;

/// Settings of `weir import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    server: Server,

    /// Files to import; those ending in .gz and .zst are unpacked.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// What the files hold; told from their names without it.
    #[arg(long, value_enum)]
    format: Option<FileFormat>,

    /// CSV: columns by place, for files without a header, e.g. `1:time:unix_s,2:metric:load,3:label:host`.
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,

    /// CSV: the metric's name, for a header without a column `metric`.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
}

/// Runs `weir import`.
pub(crate) fn import(import: &Import) -> Result<()> {
    let client = Client::new(&import.server)?;
    for file in &import.files {
        let format = match import.format {
            Some(format) => format,
            None => FileFormat::of_path(file)?,
        };
        let size = std::fs::metadata(file).with_context(|| format!("cannot open {}", file.display()))?.len();
        let bar = bar(Some(size), &file.display().to_string());
        let (path, content_type) = import.target(format);
        let mut bodies = 0u64;
        let outcome = run(&client, &bar, |send| {
            cut(file, format, import.columns.is_none(), |(body, progress)| {
                bodies += 1;
                // The same file in the same place: a second run within the server's memory of keys counts once.
                let key = format!("import-{:032x}-{bodies}", xxh3_128(&body));
                let body = zstd::bulk::compress(&body, 1)?;
                send(Job {
                    post: Post { path: path.clone(), content_type, encoding: "zstd", key, body },
                    progress,
                })
            })
        })?;
        bar.finish_and_clear();
        banner::say(&format!("{}: imported in {bodies} requests", file.display()));
        report(&outcome).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

impl Import {
    fn target(&self, format: FileFormat) -> (String, &'static str) {
        match format {
            FileFormat::Jsonl | FileFormat::Parquet => {
                ("/api/v1/import/jsonl".to_owned(), "application/x-ndjson")
            }
            FileFormat::Openmetrics => {
                ("/api/v1/import/prometheus".to_owned(), "application/openmetrics-text; version=1.0.0")
            }
            FileFormat::Csv => {
                let pairs = [("format", &self.columns), ("metric", &self.metric)];
                let pairs: Vec<_> = pairs.iter().filter_map(|(n, v)| Some((*n, v.as_ref()?))).collect();
                let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
                (format!("/api/v1/import/csv?{query}"), "text/csv")
            }
        }
    }
}
