//! What rules remember from one evaluation to the next, in a form that outlives the process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_model::Labels;

use crate::file::{Group, Rule};
use crate::serial;

/// The state of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition held and no longer does.
    Inactive,
    /// Its condition holds, but not yet for as long as the rule asks.
    Pending,
    /// It fires.
    Firing,
}

impl AlertState {
    /// The word for it in Prometheus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An alert, known by its labels. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Labels of the sample and the rule, and `alertname`.
    #[serde(with = "serial::labels")]
    pub labels: Labels,
    /// The rule's annotations, expanded.
    #[serde(with = "serial::labels")]
    pub annotations: Labels,
    /// Its state.
    pub state: AlertState,
    /// The value of the expression when its condition held last.
    #[serde(with = "serial::float")]
    pub value: f64,
    /// Since when its condition holds.
    pub active_at_ms: i64,
    /// When it began to fire.
    pub fired_at_ms: Option<i64>,
    /// When it was resolved.
    pub resolved_at_ms: Option<i64>,
    /// Since when it is only kept firing.
    pub keep_firing_since_ms: Option<i64>,
    /// How often in a row it fired again within fifteen minutes of its end.
    #[serde(default)]
    pub flaps: u32,
}

impl Alert {
    /// An alert whose condition has just begun to hold.
    pub(crate) fn new(labels: Labels, annotations: Labels, value: f64, at_ms: i64) -> Self {
        Self {
            labels,
            annotations,
            state: AlertState::Pending,
            value,
            active_at_ms: at_ms,
            fired_at_ms: None,
            resolved_at_ms: None,
            keep_firing_since_ms: None,
            flaps: 0,
        }
    }
}

/// How a rule's last evaluation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// It went well.
    Ok,
    /// It failed.
    Err,
}

/// What a rule remembers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RuleState {
    /// Which rule of its group this is: a hash of its kind, name and labels.
    pub id: String,
    /// How its last evaluation went.
    pub health: Health,
    /// Why the last evaluation failed, or empty.
    pub last_error: String,
    /// Microseconds that the last evaluation took.
    pub took_us: u64,
    /// Series that it wrote at its last evaluation: one that it no longer writes gets a staleness marker.
    #[serde(with = "serial::label_list")]
    pub series: Vec<Labels>,
    /// Its alerts, those resolved a short while ago among them.
    #[serde(with = "serial::alerts")]
    pub alerts: BTreeMap<Labels, Alert>,
}

/// What a group remembers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GroupState {
    /// When it was evaluated last, milliseconds since the Unix epoch.
    pub evaluated_ms: Option<i64>,
    /// Microseconds that its last evaluation took.
    pub took_us: u64,
    /// Evaluations that were due and did not take place.
    pub missed: u64,
    /// In the order of its rules.
    pub rules: Vec<RuleState>,
    /// Series of rules that are gone; their end is still to be written.
    #[serde(with = "serial::label_list")]
    pub orphans: Vec<Labels>,
}

impl GroupState {
    /// The state of a group whose rules may have changed since `self` was written: rules keep what is theirs
    /// by name and labels, in order where several are alike.
    #[must_use]
    pub fn adopt(mut self, group: &Group) -> Self {
        let ids: Vec<String> = group.rules.iter().map(id).collect();
        if self.rules.len() == ids.len() && self.rules.iter().zip(&ids).all(|(rule, id)| rule.id == *id) {
            return self;
        }
        let mut known: BTreeMap<String, std::collections::VecDeque<RuleState>> = BTreeMap::new();
        for rule in std::mem::take(&mut self.rules) {
            known.entry(rule.id.clone()).or_default().push_back(rule);
        }
        for id in ids {
            let rule = known.get_mut(&id).and_then(std::collections::VecDeque::pop_front);
            self.rules.push(rule.unwrap_or_else(|| RuleState { id, ..RuleState::default() }));
        }
        self.orphans.extend(known.into_values().flatten().flat_map(|rule| rule.series));
        self
    }

    /// Every series that the group has written and not ended.
    pub fn series(self) -> impl Iterator<Item = Labels> {
        self.rules.into_iter().flat_map(|rule| rule.series).chain(self.orphans)
    }
}

/// Which rule of its group a rule is.
fn id(rule: &Rule) -> String {
    let mut text = format!("{}\0{}", if rule.alert.is_some() { "alert" } else { "record" }, rule.name);
    for (name, value) in rule.label_texts() {
        text.push_str(&format!("\0{name}\0{value}"));
    }
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}
