//! One evaluation of a group: its rules in order, each seeing what those before it gave.

use std::collections::BTreeSet;
use std::time::Instant;

use weir_model::{Labels, LabelsBuilder, METRIC_NAME, STALE_NAN, is_stale_nan};
use weir_promql::{InstantSample, SampleValue};

use super::alerting::{self, Times};
use super::asking::{Asker, RuleError};
use super::overlay::Overlay;
use super::state::{GroupState, Health, RuleState};
use super::{RuleSample, Settings};
use crate::file::{Group, Rule};

/// Evaluates the rules of a group at one time, moves `state` on, leaves the results in `overlay` and returns
/// them: samples, and staleness markers for series that have ended.
///
/// A rule that fails is marked so in `state`; the others go on.
pub async fn evaluate_group(
    group: &Group,
    state: &mut GroupState,
    overlay: &mut Overlay<'_>,
    settings: &Settings,
    at_ms: i64,
) -> Vec<RuleSample> {
    *state = std::mem::take(state).adopt(group);
    let started = Instant::now();
    let times = Times { at_ms, offset_ms: group.query_offset_ms };
    let stands_ms = at_ms - group.query_offset_ms;
    let mut written = Vec::new();
    for (rule, state) in group.rules.iter().zip(&mut state.rules) {
        let rule_started = Instant::now();
        let asker = Asker { storage: overlay, settings };
        let given = evaluate_rule(rule, state, group.limit, &asker, times).await;
        state.took_us = micros(rule_started);
        match given {
            Err(error) => {
                state.health = Health::Err;
                state.last_error = error.to_string();
                tracing::warn!(group = group.name, rule = rule.name, %error, "a rule could not be evaluated");
            }
            Ok(mut samples) => {
                state.health = Health::Ok;
                state.last_error.clear();
                let series: BTreeSet<Labels> = samples.iter().map(|s| s.labels.clone()).collect();
                let before = std::mem::take(&mut state.series).into_iter();
                samples.extend(before.filter(|labels| !series.contains(labels)).map(|l| end(l, stands_ms)));
                state.series = series.into_iter().collect();
                overlay.push(&samples);
                written.extend(samples);
            }
        }
    }
    let orphans: Vec<_> = std::mem::take(&mut state.orphans).into_iter().map(|l| end(l, stands_ms)).collect();
    written.extend(orphans);
    drop_ends_of_living(&mut written);
    state.evaluated_ms = Some(at_ms);
    state.took_us = micros(started);
    written
}

async fn evaluate_rule(
    rule: &Rule,
    state: &mut RuleState,
    limit: usize,
    asker: &Asker<'_>,
    times: Times,
) -> Result<Vec<RuleSample>, RuleError> {
    let results = asker.instant(&rule.expr, &rule.query, times.at_ms - times.offset_ms).await?;
    match &rule.alert {
        Some(alerting) => {
            let found = alerting::alerts(rule, alerting, &results, asker, times.at_ms).await?;
            alerting::advance(alerting, &mut state.alerts, found, limit, times)
        }
        None => record(rule, results, limit),
    }
}

/// The samples of a recording rule under its name and labels.
fn record(rule: &Rule, results: Vec<InstantSample>, limit: usize) -> Result<Vec<RuleSample>, RuleError> {
    let mut seen = BTreeSet::new();
    let mut samples = Vec::with_capacity(results.len());
    for sample in results {
        let mut labels = LabelsBuilder::from_labels(&sample.labels);
        labels.set(METRIC_NAME, &rule.name);
        for (name, template) in &rule.labels {
            // Only labels of alerts are templates.
            labels.set(name, template.source());
        }
        let labels = labels.build();
        if !seen.insert(labels.clone()) {
            return Err(RuleError::SameLabels("rule"));
        }
        samples.push(RuleSample { labels, timestamp_ms: sample.timestamp_ms, value: sample.value });
    }
    if limit > 0 && samples.len() > limit {
        return Err(RuleError::Limit { limit, found: samples.len(), what: "series" });
    }
    Ok(samples)
}

fn end(labels: Labels, timestamp_ms: i64) -> RuleSample {
    RuleSample { labels, timestamp_ms, value: SampleValue::Float(STALE_NAN) }
}

fn is_end(sample: &RuleSample) -> bool {
    matches!(sample.value, SampleValue::Float(value) if is_stale_nan(value))
}

/// A series that one rule no longer writes may be what another one writes now: it has not ended.
fn drop_ends_of_living(written: &mut Vec<RuleSample>) {
    if !written.iter().any(is_end) {
        return;
    }
    let living: BTreeSet<Labels> = written.iter().filter(|s| !is_end(s)).map(|s| s.labels.clone()).collect();
    written.retain(|sample| !is_end(sample) || !living.contains(&sample.labels));
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
