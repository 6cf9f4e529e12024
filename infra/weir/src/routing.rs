//! Who hears of alerts in the local stack: the routes of `--routing`, or the shipped ones.

use std::sync::Arc;

use anyhow::{Context, Result};
use weir_alert::{Dispatch, DispatchPorts};
use weir_platform::{Bucket, Clock, Notifiers, Telemetry, WebhookNotifier, WebhookOptions};
use weir_routing::{Config, Dispatcher, Silence, parse_windows};

use crate::cli::Up;

/// The routes that these settings ask for.
pub(crate) fn config(up: &Up) -> Result<Config> {
    let Some(path) = &up.routing else { return Ok(Config::shipped()?) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Config::parse(&path.display().to_string(), &text)?)
}

/// The silences of `--maintenance`.
pub(crate) fn windows(up: &Up) -> Result<Vec<Silence>> {
    let Some(path) = &up.maintenance else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(parse_windows(&path.display().to_string(), &text)?)
}

/// What tells of alerts. SNS topics need AWS; webhooks are heard by whoever listens.
pub(crate) fn dispatch(
    up: &Up,
    config: Arc<Config>,
    bucket: Arc<dyn Bucket>,
    telemetry: Arc<Telemetry>,
    clock: Arc<dyn Clock>,
) -> Result<Dispatch> {
    let webhooks =
        WebhookNotifier::new(clock, WebhookOptions::default()).context("webhooks cannot be sent")?;
    let ports = DispatchPorts {
        bucket,
        notifier: Arc::new(Notifiers::new(None, Arc::new(webhooks))),
        telemetry,
        environment: Arc::new(|name| std::env::var(name).ok()),
    };
    let external_url = format!("http://{}", up.listen);
    Ok(Dispatch::new(Dispatcher::new(config), windows(up)?, &external_url, ports))
}
