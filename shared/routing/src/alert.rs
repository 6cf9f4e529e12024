//! An alert as routing knows it.

use serde::{Deserialize, Serialize};
use weir_model::Labels;
use weir_rules::AlertState;

/// Whether something fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does.
    Firing,
    /// It did.
    Resolved,
}

impl Status {
    /// The word for it in Alertmanager's messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert that fires or has been resolved, known by its labels. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Who it is.
    #[serde(with = "weir_rules::serial::labels")]
    pub labels: Labels,
    /// Texts for people.
    #[serde(with = "weir_rules::serial::labels")]
    pub annotations: Labels,
    /// When it began to fire.
    pub starts_ms: i64,
    /// When it was resolved; `None` while it fires.
    pub ends_ms: Option<i64>,
    /// Where a person sees the expression behind it.
    pub generator_url: String,
}

impl Alert {
    /// An alert of a rule that fires or fired. One that was only pending is nobody's business.
    #[must_use]
    pub fn of_rule(alert: &weir_rules::Alert, generator_url: &str) -> Option<Self> {
        let starts_ms = alert.fired_at_ms?;
        let ends_ms = match alert.state {
            AlertState::Firing => None,
            AlertState::Inactive => Some(alert.resolved_at_ms?),
            AlertState::Pending => return None,
        };
        let (labels, annotations) = (alert.labels.clone(), alert.annotations.clone());
        Some(Self { labels, annotations, starts_ms, ends_ms, generator_url: generator_url.to_owned() })
    }

    /// What it is at a time.
    #[must_use]
    pub fn status(&self, at_ms: i64) -> Status {
        if self.ends_ms.is_some_and(|end| end <= at_ms) { Status::Resolved } else { Status::Firing }
    }

    /// Alertmanager's name of it: FNV-1a over its labels, as Prometheus fingerprints label sets.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        // Each name and value is followed by a byte that no UTF-8 text holds.
        const SEPARATOR: u8 = 0xff;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut feed = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        for (name, value) in self.labels.iter() {
            name.bytes().for_each(&mut feed);
            feed(SEPARATOR);
            value.bytes().for_each(&mut feed);
            feed(SEPARATOR);
        }
        hash
    }
}
