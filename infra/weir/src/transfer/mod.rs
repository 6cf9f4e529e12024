//! Data in bulk, between files and a Weir that runs anywhere: `weir export`, `weir import`, `weir backfill`.
//!
//! All of it goes through the HTTP API, so it works alike with `weir up` and with a deployment, and what is
//! imported takes the way that every sample takes.

mod backfill;
mod client;
mod export;
mod files;
mod import;
mod pool;

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use backfill::{Backfill, backfill};
pub(crate) use export::{Export, export};
pub(crate) use import::{Import, import};

/// Which Weir to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Address of the HTTP API: `weir up` on this machine, or the URL that a deployment printed.
    #[arg(long, env = "WEIR_URL", default_value = "http://127.0.0.1:7070", value_name = "URL")]
    pub(crate) url: String,

    /// Whose data; the tenant `default` without it.
    #[arg(long, env = "WEIR_TENANT", value_name = "NAME")]
    pub(crate) tenant: Option<String>,

    /// The API's key, if it takes one.
    #[arg(long, env = "WEIR_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

/// A bar over a known amount of bytes, or a count of them when the amount is not known.
fn bar(bytes: Option<u64>, what: &str) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        }
        None => (ProgressBar::no_length(), "{msg} {spinner} {bytes} {bytes_per_sec} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = bar.with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
