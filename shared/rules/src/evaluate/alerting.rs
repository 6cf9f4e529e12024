//! The life of alerts: pending while the condition must still hold, firing, kept firing, resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_model::{Labels, LabelsBuilder, METRIC_NAME};
use weir_promql::{InstantSample, SampleValue};

use super::asking::{Asker, RuleError, float};
use super::state::{Alert, AlertState};
use super::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE, RuleSample};
use crate::file::{Alerting, Rule};
use crate::template::{Answers, Data};

/// How long a resolved alert is remembered, in milliseconds: Prometheus' fifteen minutes, so that whoever
/// hears of alerts hears of the resolution, too.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// Times of one evaluation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The evaluation's own, in milliseconds.
    pub(super) at_ms: i64,
    /// How far behind that its query looked and its samples stand.
    pub(super) offset_ms: i64,
}

/// Turns the samples of an alerting rule's expression into alerts.
pub(super) async fn alerts(
    rule: &Rule,
    alerting: &Alerting,
    samples: &[InstantSample],
    asker: &Asker<'_>,
    at_ms: i64,
) -> Result<BTreeMap<Labels, Alert>, RuleError> {
    let mut answers = Answers::new();
    let mut found = BTreeMap::new();
    for sample in samples {
        let data = Arc::new(Data {
            labels: sample.labels.clone(),
            external_labels: asker.settings.external_labels.clone(),
            external_url: asker.settings.external_url.clone(),
            value: float(&sample.value),
        });
        let mut labels = LabelsBuilder::from_labels(&sample.labels);
        labels.remove(METRIC_NAME);
        for (name, template) in &rule.labels {
            let text = asker.expand(template, &rule.name, &data, &mut answers, at_ms).await;
            labels.set(name, &text);
        }
        labels.set(ALERT_NAME, &rule.name);
        let mut annotations = LabelsBuilder::new();
        for (name, template) in &alerting.annotations {
            let text = asker.expand(template, &rule.name, &data, &mut answers, at_ms).await;
            annotations.set(name, &text);
        }
        let (labels, annotations) = (labels.build(), annotations.build());
        let alert = Alert::new(labels.clone(), annotations, data.value, at_ms);
        if found.insert(labels, alert).is_some() {
            return Err(RuleError::SameLabels("alert"));
        }
    }
    Ok(found)
}

/// Moves the alerts of a rule on by one evaluation and returns the samples that tell of the active ones.
pub(super) fn advance(
    alerting: &Alerting,
    active: &mut BTreeMap<Labels, Alert>,
    mut found: BTreeMap<Labels, Alert>,
    limit: usize,
    times: Times,
) -> Result<Vec<RuleSample>, RuleError> {
    let at_ms = times.at_ms;
    for (labels, known) in active.iter_mut() {
        let Some(now) = found.get_mut(labels) else { continue };
        if known.state == AlertState::Inactive {
            // Remembered still, so it ended a short while ago.
            now.flaps = known.flaps.saturating_add(1);
        } else {
            known.value = now.value;
            known.annotations = now.annotations.clone();
        }
    }
    let holds: Vec<Labels> = found.keys().cloned().collect();
    found.retain(|labels, _| active.get(labels).is_none_or(|known| known.state == AlertState::Inactive));
    active.append(&mut found);
    let mut samples = Vec::new();
    let mut count = 0;
    active.retain(|labels, alert| {
        if holds.binary_search(labels).is_ok() {
            alert.keep_firing_since_ms = None;
        } else {
            let keeps = alert.state == AlertState::Firing && alerting.keep_firing_for_ms > 0 && {
                let since = *alert.keep_firing_since_ms.get_or_insert(at_ms);
                at_ms - since < alerting.keep_firing_for_ms
            };
            if !keeps {
                let forgotten = alert.resolved_at_ms.is_some_and(|at| at_ms - at > RESOLVED_RETENTION_MS);
                let keep = alert.state != AlertState::Pending && !forgotten;
                if alert.state != AlertState::Inactive {
                    alert.state = AlertState::Inactive;
                    alert.resolved_at_ms = Some(at_ms);
                }
                return keep;
            }
        }
        count += 1;
        if alert.state == AlertState::Pending && at_ms - alert.active_at_ms >= alerting.for_ms {
            alert.state = AlertState::Firing;
            alert.fired_at_ms = Some(at_ms);
        }
        samples.extend(tell(alert, at_ms - times.offset_ms));
        true
    });
    if limit > 0 && count > limit {
        active.clear();
        return Err(RuleError::Limit { limit, found: count, what: "alerts" });
    }
    Ok(samples)
}

/// `ALERTS` and `ALERTS_FOR_STATE` of an active alert.
fn tell(alert: &Alert, timestamp_ms: i64) -> [RuleSample; 2] {
    let mut labels = LabelsBuilder::from_labels(&alert.labels);
    let since = labels.set(METRIC_NAME, ALERTS_FOR_STATE).clone().build();
    let state = labels.set(METRIC_NAME, ALERTS).set("alertstate", alert.state.name()).clone().build();
    let active_at_s = alert.active_at_ms.div_euclid(1000) as f64;
    [
        RuleSample { labels: state, timestamp_ms, value: SampleValue::Float(1.0) },
        RuleSample { labels: since, timestamp_ms, value: SampleValue::Float(active_at_s) },
    ]
}
