//! What dispatching remembers from one round to the next, in a form that outlives the process.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weir_model::Labels;

use crate::alert::Alert;
use crate::config::{Integration, Route};
use crate::quoted::labels_text;

/// The groups of alerts, and who was told what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DispatchState {
    /// The time of the round, milliseconds since the Unix epoch; `None` before the first one.
    pub at_ms: Option<i64>,
    /// By route and group.
    pub(crate) groups: BTreeMap<String, Group>,
    /// By group, receiver and integration.
    pub(crate) log: BTreeMap<String, LogEntry>,
    /// Alerts that the last round knew as resolved, by fingerprint, and since when: they are no news.
    pub(crate) ended: BTreeMap<u64, i64>,
}

/// Alerts of a route that are told of together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The route's place in the tree.
    pub(crate) route: usize,
    /// Alertmanager's name of it.
    pub(crate) key: String,
    #[serde(with = "weir_rules::serial::labels")]
    pub(crate) labels: Labels,
    /// When it is looked at next.
    pub(crate) due_ms: i64,
    /// Whether it was looked at before.
    pub(crate) flushed: bool,
    #[serde(with = "alerts")]
    pub(crate) alerts: BTreeMap<Labels, Alert>,
}

/// What an integration was told of a group last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    pub(crate) at_ms: i64,
    /// When it may be forgotten, if the group is gone.
    pub(crate) expires_ms: i64,
    pub(crate) firing: BTreeSet<u64>,
    pub(crate) resolved: BTreeSet<u64>,
}

impl DispatchState {
    /// When a group is due next, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        self.groups.values().map(|group| group.due_ms).min()
    }
}

impl Group {
    pub(crate) fn key_of(route: &Route, labels: &Labels) -> String {
        format!("{}:{}", route.key, labels_text(labels))
    }

    /// Groups of two routes may have the same key, where the routes have the same matchers.
    pub(crate) fn id(route: usize, key: &str) -> String {
        format!("{route} {key}")
    }

    pub(crate) fn log_key(&self, receiver: &str, integration: &Integration) -> String {
        format!("{} {receiver:?} {}[{}]", self.key, integration.kind(), integration.index)
    }
}

/// Alerts as a list: their labels are their keys.
mod alerts {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use weir_model::Labels;

    use crate::alert::Alert;

    pub(super) fn serialize<S: Serializer>(
        all: &BTreeMap<Labels, Alert>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Labels, Alert>, D::Error> {
        let list = Vec::<Alert>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|alert| (alert.labels.clone(), alert)).collect())
    }
}
