//! A notification that has fallen due.

use std::collections::BTreeMap;

use weir_model::Labels;
use xxhash_rust::xxh3::xxh3_128;

use super::state::{Group, LogEntry};
use crate::alert::{Alert, Status};
use crate::config::{Channel, Integration};
use crate::message::{About, Message};

/// Longest attribute's value in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 256;

/// A notification that has fallen due: one integration is to hear of one group.
#[derive(Debug, Clone)]
pub struct Due {
    /// The same for a repetition after a crash, another one for everything else.
    pub id: String,
    /// Who hears.
    pub receiver: String,
    /// How.
    pub integration: Integration,
    /// The group, as Alertmanager names it.
    pub group_key: String,
    /// Labels that make the group.
    pub group_labels: Labels,
    /// What it hears of, in the order of messages.
    pub alerts: Vec<Alert>,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    pub(super) log_key: String,
    pub(super) entry: LogEntry,
}

impl Due {
    pub(super) fn new(
        group: &Group,
        receiver: &str,
        integration: &Integration,
        alerts: Vec<Alert>,
        log_key: String,
        entry: LogEntry,
        previous_ms: Option<i64>,
    ) -> Self {
        // The alerts' own beginning tells apart what is first told of a group now and long ago, when the log has
        // forgotten it; the time of what was said before, each repetition. Neither changes in a crash.
        let since_ms = alerts.iter().map(|alert| alert.starts_ms).min();
        let says =
            format!("{log_key}\n{previous_ms:?}\n{since_ms:?}\n{:?}\n{:?}", entry.firing, entry.resolved);
        Self {
            id: format!("{:032x}", xxh3_128(says.as_bytes())),
            receiver: receiver.to_owned(),
            integration: integration.clone(),
            group_key: group.key.clone(),
            group_labels: group.labels.clone(),
            alerts,
            at_ms: entry.at_ms,
            log_key,
            entry,
        }
    }

    /// Firing while any of its alerts is.
    #[must_use]
    pub fn status(&self) -> Status {
        let fires = self.alerts.iter().any(|alert| alert.status(self.at_ms) == Status::Firing);
        if fires { Status::Firing } else { Status::Resolved }
    }

    /// What it says.
    #[must_use]
    pub fn message<'a>(&'a self, external_url: &'a str) -> Message<'a> {
        let max_alerts = match self.integration.channel {
            Channel::Webhook { max_alerts, .. } => max_alerts,
            Channel::Sns { .. } => 0,
        };
        let alerts: Vec<&Alert> = self.alerts.iter().collect();
        Message::new(self.about(external_url, max_alerts), &alerts)
    }

    /// The title, where it has one, and what subscribers filter by. A value that comes out empty is left out, since
    /// SNS takes none.
    #[must_use]
    pub fn title_and_attributes(&self, external_url: &str) -> (Option<String>, BTreeMap<String, String>) {
        let Channel::Sns { subject, attributes, .. } = &self.integration.channel else {
            return (None, BTreeMap::new());
        };
        let message = self.message(external_url);
        let expanded = attributes.iter().map(|(name, text)| (name.clone(), text.expand(&message)));
        let short = expanded.map(|(name, value)| (name, cut(value, MAX_ATTRIBUTE_BYTES)));
        (Some(subject.expand(&message)), short.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The body of at most `max_bytes`: alerts that do not fit are counted in it instead of told of.
    #[must_use]
    pub fn body(&self, external_url: &str, max_bytes: usize) -> String {
        let message = self.message(external_url);
        if let Channel::Sns { message: Some(text), .. } = &self.integration.channel {
            return cut(text.expand(&message), max_bytes);
        }
        let whole = message.json();
        if whole.len() <= max_bytes {
            return whole;
        }
        let alerts: Vec<&Alert> = self.alerts.iter().collect();
        // A body grows with the number of alerts, so that halving finds the most that fit.
        let (mut fits, mut too_many) = (1, message.alerts.len());
        let mut best = Message::new(self.about(external_url, 1), &alerts).json();
        while fits + 1 < too_many {
            let middle = usize::midpoint(fits, too_many);
            let body = Message::new(self.about(external_url, middle), &alerts).json();
            if body.len() <= max_bytes {
                (fits, best) = (middle, body);
            } else {
                too_many = middle;
            }
        }
        best
    }

    fn about<'a>(&'a self, external_url: &'a str, max_alerts: usize) -> About<'a> {
        About {
            receiver: &self.receiver,
            group_key: &self.group_key,
            group_labels: &self.group_labels,
            external_url,
            max_alerts,
            at_ms: self.at_ms,
        }
    }
}

/// The text, or as much of it as fits in whole characters.
fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
