//! The alerts of a run as notifications tell them: those that fire with what they mean beside their own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_model::LabelsBuilder;

use super::groups::key;
use super::store::RunState;
use crate::evaluate::Alert;
use crate::explain::{Explainer, Guide, MAX_EXPLAINED};
use crate::feedback::Learned;
use crate::file::Group;

/// Every alert of a state. Those that have fired carry the annotations of [`crate::Explained::annotations`], except
/// where their rule has one of the same name.
pub(super) fn told(
    groups: &[Arc<Group>],
    state: &RunState,
    guide: &Guide,
    external_url: &str,
    learned: &Learned,
    at_ms: i64,
) -> Vec<Alert> {
    let mut alerts = state.alerts();
    if !alerts.iter().any(|alert| alert.fired_at_ms.is_some()) {
        return alerts;
    }
    let rules: BTreeMap<String, &Arc<Group>> = groups.iter().map(|group| (key(group), group)).collect();
    let all = alerts.clone();
    let explainer = Explainer::new(guide, external_url, all.iter(), at_ms).having_learned(learned);
    let mut annotated: BTreeMap<_, _> = BTreeMap::new();
    for (key, state) in &state.groups {
        let Some(group) = rules.get(key) else { continue };
        // Rules may have changed since the state was written.
        let state = state.clone().adopt(group);
        for (rule, own) in group.rules.iter().zip(&state.rules) {
            let fired = own.alerts.values().filter(|alert| alert.fired_at_ms.is_some());
            for alert in fired.take(MAX_EXPLAINED.saturating_sub(annotated.len())) {
                let mut annotations = LabelsBuilder::from_labels(&alert.annotations);
                for (name, text) in explainer.explain(rule, alert).annotations() {
                    if alert.annotations.get(name).is_none() {
                        annotations.set(name, &text);
                    }
                }
                annotated.insert(alert.labels.clone(), annotations.build());
            }
        }
    }
    for alert in &mut alerts {
        if alert.fired_at_ms.is_some()
            && let Some(annotations) = annotated.get(&alert.labels)
        {
            alert.annotations = annotations.clone();
        }
    }
    alerts
}
