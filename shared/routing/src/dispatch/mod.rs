//! Dispatching as a state machine over time: alerts come in, groups form, notifications fall due.
//!
//! The rules of Alertmanager's dispatcher, muting stages and notification log, without its timers: a round at any
//! time does what has fallen due by then, and gives the same for the same state, alerts and time. A round whose
//! state is not saved is simply done again: its notifications keep their ids.

mod due;
mod inhibit;
mod state;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use weir_model::Labels;

pub use due::Due;
pub(crate) use inhibit::Inhibitor;
pub use state::DispatchState;
use state::{Group, LogEntry};

use crate::alert::{Alert, Status};
use crate::config::{Config, Integration, Route};
use crate::silence::Silences;

/// Most groups; alerts that would make more are counted and left out.
pub const MAX_GROUPS: usize = 100_000;
/// For how long a group keeps alerts that ended and that its receiver could not be told of, in milliseconds.
const GIVE_UP_MS: i64 = 24 * 3_600_000;

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It may have been taken or not; the next round sends it again.
    Unknown,
    /// It was not wanted; the group's next turn says what is to be said then.
    Refused,
}

/// Routes, groups, mutes and tells.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    config: Arc<Config>,
}

/// A round under way: what is to be sent, and what will be remembered when it has been.
#[derive(Debug, Clone)]
pub struct Round {
    state: DispatchState,
    due: Vec<Due>,
    flushed: Vec<Flushed>,
    /// Alerts that no group took, since there are [`MAX_GROUPS`].
    pub left_out: usize,
}

/// A group whose turn it was.
#[derive(Debug, Clone)]
struct Flushed {
    id: String,
    /// Its place in `due` of each notification it makes.
    due: Vec<usize>,
}

impl Dispatcher {
    /// A dispatcher by this configuration.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// One round: `alerts` are all that fire at `at_ms` or were resolved a while ago. One that fired and is not
    /// among them any more has ended.
    #[must_use]
    pub fn round(&self, state: DispatchState, alerts: &[Alert], silences: &Silences, at_ms: i64) -> Round {
        let routes = self.config.route.walk();
        let mut round = Round { state, due: Vec::new(), flushed: Vec::new(), left_out: 0 };
        round.adopt(&routes, alerts, at_ms);
        round.take(&self.config.route, alerts, at_ms);
        let inhibitor = Inhibitor::new(&self.config.inhibit_rules, alerts, at_ms);
        let due: Vec<String> = round
            .state
            .groups
            .iter()
            .filter(|(_, group)| group.due_ms <= at_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            if let Some(group) = round.state.groups.get_mut(&id) {
                group.turn(routes[group.route], at_ms);
                let told = self.unmuted(group, routes[group.route], &inhibitor, silences, at_ms);
                let first = round.due.len();
                if !told.is_empty() {
                    self.tell(&mut round.state.log, group, routes[group.route], &told, at_ms, &mut round.due);
                }
                round.flushed.push(Flushed { id, due: (first..round.due.len()).collect() });
            }
        }
        round.state.at_ms = Some(at_ms);
        round
    }

    /// The alerts of a group that nothing mutes.
    fn unmuted(
        &self,
        group: &Group,
        route: &Route,
        inhibitor: &Inhibitor<'_>,
        silences: &Silences,
        at_ms: i64,
    ) -> Vec<Alert> {
        let within = |names: &[String]| {
            let intervals = names.iter().filter_map(|name| self.config.time_intervals.get(name)).flatten();
            intervals.into_iter().any(|interval| interval.contains(at_ms))
        };
        let active = route.active_time_intervals.is_empty() || within(&route.active_time_intervals);
        if !active || within(&route.mute_time_intervals) {
            return Vec::new();
        }
        let heard = |alert: &&Alert| {
            inhibitor.inhibited_by(&alert.labels).is_none()
                && silences.muting(&alert.labels, at_ms).is_empty()
        };
        let mut alerts: Vec<Alert> = group.alerts.values().filter(heard).cloned().collect();
        alerts.sort_by(|a, b| order(&a.labels, &b.labels));
        alerts
    }

    /// What each integration of the group's receiver has yet to hear.
    fn tell(
        &self,
        log: &mut BTreeMap<String, LogEntry>,
        group: &Group,
        route: &Route,
        alerts: &[Alert],
        at_ms: i64,
        due: &mut Vec<Due>,
    ) {
        let Some(receiver) = self.config.receivers.get(&route.receiver) else { return };
        let of = |status| {
            let all = alerts.iter().filter(move |alert| alert.status(at_ms) == status);
            all.map(Alert::fingerprint).collect::<BTreeSet<u64>>()
        };
        let (firing, resolved) = (of(Status::Firing), of(Status::Resolved));
        for integration in &receiver.integrations {
            let key = group.log_key(&receiver.name, integration);
            let last = log.get(&key);
            if !is_news(last, &firing, &resolved, integration, route.repeat_interval_ms, at_ms) {
                continue;
            }
            let entry = LogEntry {
                at_ms,
                expires_ms: at_ms.saturating_add(route.repeat_interval_ms.saturating_mul(2)),
                firing: firing.clone(),
                resolved: resolved.clone(),
            };
            let heard = |alert: &&Alert| integration.send_resolved || alert.status(at_ms) == Status::Firing;
            let alerts: Vec<Alert> = alerts.iter().filter(heard).cloned().collect();
            if alerts.is_empty() {
                // Nobody hears, but the log must not say that something still fires.
                log.insert(key, entry);
                continue;
            }
            let previous_ms = last.map(|entry| entry.at_ms);
            due.push(Due::new(group, &receiver.name, integration, alerts, key, entry, previous_ms));
        }
    }
}

/// The order in Alertmanager's messages: by job and instance, alerts without them last; then those of fewer labels
/// first, and by their values.
fn order(a: &Labels, b: &Labels) -> Ordering {
    let by = |name| match (a.get(name), b.get(name)) {
        (Some(a), Some(b)) => a.cmp(b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    let by_pairs = || {
        let mut pairs = a.iter().zip(b.iter());
        // Who lacks the first name that only one of them has comes first: that is who has the later name there.
        pairs.find_map(|((n, v), (m, w))| Some(m.cmp(n).then_with(|| v.cmp(w))).filter(|found| found.is_ne()))
    };
    by("job")
        .then_with(|| by("instance"))
        .then_with(|| a.iter().count().cmp(&b.iter().count()))
        .then_with(|| by_pairs().unwrap_or(Ordering::Equal))
}

/// Whether an integration has something new to hear of a group, or is due to hear the same again.
fn is_news(
    last: Option<&LogEntry>,
    firing: &BTreeSet<u64>,
    resolved: &BTreeSet<u64>,
    integration: &Integration,
    repeat_ms: i64,
    at_ms: i64,
) -> bool {
    let Some(last) = last else { return !firing.is_empty() };
    if !firing.is_subset(&last.firing) {
        return true;
    }
    if firing.is_empty() {
        // What fired and ended between two turns was never told of.
        return !last.firing.is_empty();
    }
    (integration.send_resolved && !resolved.is_subset(&last.resolved))
        || last.at_ms < at_ms.saturating_sub(repeat_ms)
}

impl Group {
    /// Sets the time of the turn after this one. Turns stay on their grid, however late a round comes.
    fn turn(&mut self, route: &Route, at_ms: i64) {
        let next = self.due_ms.saturating_add(route.group_interval_ms);
        self.due_ms = if next > at_ms { next } else { at_ms.saturating_add(route.group_interval_ms) };
        self.flushed = true;
    }
}

impl Round {
    /// Lets go of groups whose routes are gone, and ends alerts that nobody speaks of any more.
    fn adopt(&mut self, routes: &[&Route], alerts: &[Alert], at_ms: i64) {
        self.state.groups.retain(|_, group| {
            routes.get(group.route).is_some_and(|route| group.key == Group::key_of(route, &group.labels))
        });
        let spoken_of: HashMap<_, _> = alerts.iter().map(|alert| (&alert.labels, ())).collect();
        for group in self.state.groups.values_mut() {
            for alert in group.alerts.values_mut() {
                if alert.ends_ms.is_none() && !spoken_of.contains_key(&alert.labels) {
                    alert.ends_ms = Some(at_ms);
                }
            }
            group
                .alerts
                .retain(|_, alert| alert.ends_ms.is_none_or(|end| end > at_ms.saturating_sub(GIVE_UP_MS)));
        }
        self.state.groups.retain(|_, group| !group.alerts.is_empty());
    }

    /// Puts alerts into their groups.
    fn take(&mut self, root: &Route, alerts: &[Alert], at_ms: i64) {
        let mut ended = BTreeMap::new();
        for alert in alerts {
            if alert.status(at_ms) == Status::Resolved {
                let end_ms = alert.ends_ms.unwrap_or(at_ms);
                let fingerprint = alert.fingerprint();
                ended.insert(fingerprint, end_ms);
                if self.state.ended.get(&fingerprint) == Some(&end_ms) {
                    continue;
                }
            }
            for route in root.matching(&alert.labels) {
                let labels = route.group_labels(&alert.labels);
                let key = Group::key_of(route, &labels);
                let id = Group::id(route.index, &key);
                if !self.state.groups.contains_key(&id) && self.state.groups.len() >= MAX_GROUPS {
                    self.left_out += 1;
                    continue;
                }
                let group = self.state.groups.entry(id).or_insert_with(|| Group {
                    route: route.index,
                    key,
                    labels,
                    due_ms: at_ms.saturating_add(route.group_wait_ms),
                    flushed: false,
                    alerts: BTreeMap::new(),
                });
                group.alerts.insert(alert.labels.clone(), alert.clone());
                // One that has fired for longer than a group waits is told of at once.
                if !group.flushed && alert.starts_ms.saturating_add(route.group_wait_ms) < at_ms {
                    group.due_ms = group.due_ms.min(at_ms);
                }
            }
        }
        self.state.ended = ended;
    }

    /// What is to be sent now.
    #[must_use]
    pub fn due(&self) -> &[Due] {
        &self.due
    }

    /// What is to be remembered, given what became of each notification, in their order. One without an outcome
    /// counts as not sent.
    #[must_use]
    pub fn finish(self, outcomes: &[Outcome]) -> DispatchState {
        let Self { mut state, due, flushed, .. } = self;
        let at_ms = state.at_ms.unwrap_or_default();
        let outcome = |index: usize| outcomes.get(index).copied().unwrap_or(Outcome::Unknown);
        for (index, due) in due.iter().enumerate() {
            if outcome(index) == Outcome::Sent {
                state.log.insert(due.log_key.clone(), due.entry.clone());
            }
        }
        for Flushed { id, due } in flushed {
            let Some(group) = state.groups.get_mut(&id) else { continue };
            if due.iter().any(|index| outcome(*index) == Outcome::Unknown) {
                group.due_ms = at_ms;
            }
            if due.iter().all(|index| outcome(*index) == Outcome::Sent) {
                group.alerts.retain(|_, alert| alert.status(at_ms) == Status::Firing);
            }
        }
        state.groups.retain(|_, group| !group.alerts.is_empty());
        let living: BTreeSet<&str> = state.groups.values().map(|group| group.key.as_str()).collect();
        let kept: BTreeSet<String> = state
            .log
            .iter()
            .filter(|(key, entry)| {
                entry.expires_ms > at_ms || living.iter().any(|group| key.starts_with(group))
            })
            .map(|(key, _)| key.clone())
            .collect();
        state.log.retain(|key, _| kept.contains(key));
        state
    }
}
