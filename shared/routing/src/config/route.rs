//! The routing tree: which receivers hear of an alert, and how its groups are formed and timed.

use std::collections::BTreeSet;

use weir_model::{Labels, Matcher};

use crate::quoted::matchers_text;

/// How alerts of a route are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// By all of their labels: each alert alone (`...`).
    All,
    /// By these labels.
    Labels(BTreeSet<String>),
}

/// A node of the tree, with what it inherits filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its place in a walk of the tree, parents first.
    pub index: usize,
    /// Its matchers behind those of its parents, the beginning of its groups' keys.
    pub key: String,
    /// Who hears.
    pub receiver: String,
    /// What an alert has to match.
    pub matchers: Vec<Matcher>,
    /// Whether routes behind this one are tried, too.
    pub continues: bool,
    /// How alerts are put together.
    pub group_by: GroupBy,
    /// How long a new group waits for further alerts, in milliseconds.
    pub group_wait_ms: i64,
    /// Time between notifications of a group that changes, in milliseconds.
    pub group_interval_ms: i64,
    /// Time until a group that does not change is told of again, in milliseconds.
    pub repeat_interval_ms: i64,
    /// Names of time intervals in which nothing is sent.
    pub mute_time_intervals: Vec<String>,
    /// Names of the only time intervals in which something is sent; none for always.
    pub active_time_intervals: Vec<String>,
    /// More special ones, tried in order.
    pub routes: Vec<Route>,
}

impl Route {
    /// The nodes whose receivers hear of an alert: the deepest that match, the first of each level and those
    /// that `continue` leads to.
    #[must_use]
    pub fn matching(&self, labels: &Labels) -> Vec<&Self> {
        let mut found = Vec::new();
        self.collect(labels, &mut found);
        found
    }

    fn collect<'a>(&'a self, labels: &Labels, found: &mut Vec<&'a Self>) -> bool {
        if !all_match(&self.matchers, labels) {
            return false;
        }
        let before = found.len();
        for route in &self.routes {
            if route.collect(labels, found) && !route.continues {
                break;
            }
        }
        if found.len() == before {
            found.push(self);
        }
        true
    }

    /// Every node, parents first.
    #[must_use]
    pub fn walk(&self) -> Vec<&Self> {
        let mut all = vec![self];
        for route in &self.routes {
            all.extend(route.walk());
        }
        all
    }

    /// The labels that an alert shares with its group.
    #[must_use]
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.retain(|name| names.contains(name)),
        }
    }

    /// The key of a node below `parent`, as Alertmanager builds it.
    pub(super) fn key_below(parent: Option<&str>, matchers: &[Matcher]) -> String {
        let own = matchers_text(matchers);
        parent.map_or_else(|| own.clone(), |parent| format!("{parent}/{own}"))
    }
}

/// Whether labels pass all matchers; a label that is not there is empty.
#[must_use]
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}
