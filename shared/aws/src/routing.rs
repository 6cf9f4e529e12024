//! Where alerts go in the cloud: the shipped routes, or those that lie in the bucket.

use std::sync::Arc;

use weir_platform::{Notifier, Notifiers, WebhookNotifier, WebhookOptions};
use weir_routing::{Config, Silence, parse_windows};

use crate::lambda::Error;
use crate::own_file::own_file;
use crate::wiring::Wiring;

/// Where people put an Alertmanager configuration of their own.
const ROUTING: &str = "config/routing.yml";
/// Where people put maintenance windows.
const WINDOWS: &str = "config/maintenance.yml";

/// Where alerts go, and the silences that are known beforehand.
///
/// # Errors
/// When the bucket fails.
pub async fn routing(wiring: &Wiring) -> Result<(Config, Vec<Silence>), Error> {
    let bucket = wiring.bucket();
    let config =
        own_file(&*bucket, ROUTING, |text| Config::parse(ROUTING, text).map_err(|error| error.to_string()));
    let windows =
        own_file(&*bucket, WINDOWS, |text| parse_windows(WINDOWS, text).map_err(|error| error.to_string()));
    let config = config.await?.map_or_else(Config::shipped, Ok)?;
    Ok((config, windows.await?.unwrap_or_default()))
}

/// Who sends notifications: to SNS topics and to webhooks.
///
/// # Errors
/// When webhooks cannot be sent.
pub fn notifier(wiring: &Wiring) -> Result<Arc<dyn Notifier>, Error> {
    let webhooks = WebhookNotifier::new(wiring.clock(), WebhookOptions::default())?;
    Ok(Arc::new(Notifiers::new(Some(wiring.topics()), Arc::new(webhooks))))
}
