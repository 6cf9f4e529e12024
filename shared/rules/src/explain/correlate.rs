//! Which alerts likely belong together: active at the same time, begun near each other, alike in labels.

use std::collections::HashMap;

use serde::Serialize;
use weir_model::Labels;

use super::identity;
use crate::evaluate::{ALERT_NAME, Alert, AlertState};
use crate::template::rfc3339;

/// Most correlated alerts that are told of one.
const MAX_TOLD: usize = 10;
/// Alerts that began further apart do not belong together.
const MAX_APART_MS: i64 = 3_600_000;
/// Alerts begun so far apart count half.
const HALF_APART_MS: f64 = 300_000.0;
/// Most neighbours, in order of their beginnings, that are looked at on each side of an alert.
const MAX_NEIGHBOURS: usize = 100;
/// Labels that many alerts share without having anything to do with each other.
const MEANINGLESS: [&str; 3] = ["severity", "priority", "alertstate"];

/// An alert that likely has to do with another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Correlated {
    /// Which firing it is.
    pub id: String,
    /// Its name.
    pub alertname: String,
    /// Since when its condition holds.
    pub active_at: String,
    /// Names of the labels that both have alike.
    pub shared: Vec<String>,
    /// How strongly they belong together, from 0 on; the list descends by it.
    pub strength: f64,
}

/// Alerts in order of their beginnings, and how common each label is among them.
pub(super) struct Neighbourhood<'a> {
    by_start: Vec<&'a Alert>,
    common: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> Neighbourhood<'a> {
    /// Of all alerts those that are active.
    pub(super) fn new(alerts: impl Iterator<Item = &'a Alert>) -> Self {
        let mut by_start: Vec<_> = alerts.filter(|alert| alert.state != AlertState::Inactive).collect();
        by_start.sort_by(|a, b| (a.active_at_ms, &a.labels).cmp(&(b.active_at_ms, &b.labels)));
        let mut common = HashMap::new();
        for pair in by_start.iter().flat_map(|alert| telling(&alert.labels)) {
            *common.entry(pair).or_insert(0) += 1;
        }
        Self { by_start, common }
    }

    /// Alerts that likely belong to this one, the strongest first.
    ///
    /// The strength is the information of the labels shared, the sum of `ln(1 + alerts / alerts with it)` (the
    /// inverse document frequency of information retrieval), times how near the two began, `1 / (1 + apart /
    /// 5 min)`.
    pub(super) fn of(&self, alert: &Alert) -> Vec<Correlated> {
        let at = self.by_start.partition_point(|other| other.active_at_ms < alert.active_at_ms);
        let near = |other: &&&Alert| {
            (other.active_at_ms - alert.active_at_ms).abs() <= MAX_APART_MS && other.labels != alert.labels
        };
        let (before, after) = self.by_start.split_at(at);
        let neighbours = before.iter().rev().take_while(near_enough(alert)).take(MAX_NEIGHBOURS);
        // The alert itself is among the later ones.
        let neighbours =
            neighbours.chain(after.iter().take_while(near_enough(alert)).take(MAX_NEIGHBOURS + 1));
        let strong = |other: &&'a Alert| self.strength(alert, other).map(|strength| (strength, *other));
        let mut found: Vec<(f64, &Alert)> = neighbours.filter(near).filter_map(strong).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.labels.cmp(&b.1.labels)));
        found.truncate(MAX_TOLD);
        let tell = |(strength, other): (f64, &Alert)| Correlated {
            id: identity(other),
            alertname: other.labels.get(ALERT_NAME).unwrap_or_default().to_owned(),
            active_at: rfc3339(other.active_at_ms),
            shared: shared(alert, other).map(|(name, _)| name.to_owned()).collect(),
            strength,
        };
        found.into_iter().map(tell).collect()
    }

    /// How strongly two alerts belong together; nothing for those that share no label.
    fn strength(&self, alert: &Alert, other: &Alert) -> Option<f64> {
        let all = self.by_start.len() as f64;
        let information = |pair| (1.0 + all / self.common.get(&pair).copied().unwrap_or(1) as f64).ln();
        let information = shared(alert, other).map(information).reduce(|a, b| a + b)?;
        let apart_ms = (alert.active_at_ms - other.active_at_ms).abs() as f64;
        Some(information / (1.0 + apart_ms / HALF_APART_MS))
    }
}

/// The telling labels that two alerts have alike.
fn shared<'l>(alert: &'l Alert, other: &Alert) -> impl Iterator<Item = (&'l str, &'l str)> {
    telling(&alert.labels).filter(|(name, value)| other.labels.get(name) == Some(*value))
}

fn near_enough(alert: &Alert) -> impl Fn(&&&Alert) -> bool {
    let at_ms = alert.active_at_ms;
    move |other| (other.active_at_ms - at_ms).abs() <= MAX_APART_MS
}

/// Labels that say what an alert is about.
fn telling(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(name, _)| !MEANINGLESS.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(labels: &[(&str, &str)], minute: i64) -> Alert {
        Alert::new(Labels::from_pairs(labels.iter().copied()), Labels::empty(), 1.0, minute * 60_000)
    }

    fn names(found: &[Correlated]) -> Vec<&str> {
        found.iter().map(|one| one.alertname.as_str()).collect()
    }

    #[test]
    fn alerts_that_share_rare_labels_and_begin_near_each_other_come_first() {
        let alerts = [
            alert(&[("alertname", "Cpu"), ("instance", "a"), ("env", "prod")], 100),
            alert(&[("alertname", "Memory"), ("instance", "a"), ("env", "prod")], 101),
            alert(&[("alertname", "Disk"), ("instance", "a"), ("env", "prod")], 130),
            alert(&[("alertname", "Queue"), ("instance", "b"), ("env", "prod")], 100),
            alert(&[("alertname", "Cache"), ("severity", "page")], 100),
            alert(&[("alertname", "Old"), ("instance", "a"), ("env", "prod")], 39),
        ];
        let mut resolved = alert(&[("alertname", "Gone"), ("instance", "a")], 100);
        resolved.state = AlertState::Inactive;
        let near = Neighbourhood::new(alerts.iter().chain([&resolved]));
        let found = near.of(&alerts[0]);
        assert_eq!(names(&found), ["Memory", "Queue", "Disk"]);
        assert_eq!(found[0].shared, ["env", "instance"]);
        assert!(near.of(&alerts[4]).is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_does_not_depend_on_the_order_of_alerts() {
        let label = |index: i64| format!("host-{index}");
        let mut alerts: Vec<Alert> =
            (0..1000).map(|i| alert(&[("alertname", "Down"), ("host", &label(i))], i % 7)).collect();
        let first = alerts[0].clone();
        let found = Neighbourhood::new(alerts.iter()).of(&first);
        assert_eq!(found.len(), MAX_TOLD);
        alerts.reverse();
        assert_eq!(Neighbourhood::new(alerts.iter()).of(&first), found);
    }
}
