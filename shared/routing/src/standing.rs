//! How things stand with alerts right now: who would hear, and what keeps it quiet.

use crate::alert::{Alert, Status};
use crate::config::{Config, Route};
use crate::dispatch::Inhibitor;
use crate::silence::Silences;

/// How things stand with an alert.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// The routes that it takes.
    pub routes: Vec<&'a Route>,
    /// Ids of the silences that mute it.
    pub silenced_by: Vec<&'a str>,
    /// The alert that inhibits it.
    pub inhibited_by: Option<&'a Alert>,
}

impl Standing<'_> {
    /// Whether something keeps it quiet.
    #[must_use]
    pub fn is_suppressed(&self) -> bool {
        !self.silenced_by.is_empty() || self.inhibited_by.is_some()
    }
}

/// How things stand with each alert that fires.
#[must_use]
pub fn standings<'a>(
    config: &'a Config,
    alerts: &'a [Alert],
    silences: &'a Silences,
    at_ms: i64,
) -> Vec<Standing<'a>> {
    let inhibitor = Inhibitor::new(&config.inhibit_rules, alerts, at_ms);
    let firing = alerts.iter().filter(|alert| alert.status(at_ms) == Status::Firing);
    let standing = |alert: &'a Alert| Standing {
        alert,
        routes: config.route.matching(&alert.labels),
        silenced_by: silences.muting(&alert.labels, at_ms),
        inhibited_by: inhibitor.inhibited_by(&alert.labels),
    };
    firing.map(standing).collect()
}
