//! Runs a unit test: evaluates its groups at every interval, then looks.

use std::collections::BTreeSet;

use weir_model::Labels;
use weir_promql::{Query, SampleValue, Value, evaluate};

use super::compare::text;
use super::{AlertTest, Failure, QueryTest, Test};
use crate::evaluate::{ALERT_NAME, AlertState, GroupState, Health, Overlay, Settings, evaluate_group};
use crate::file::Group;

impl Test {
    /// Evaluates `groups` in their order, and compares.
    pub(super) async fn run(&self, groups: &[&Group], interval_ms: i64, fuzzy: bool) -> Vec<Failure> {
        let settings = Settings {
            external_labels: self.external_labels.clone(),
            external_url: self.external_url.clone(),
            ..Settings::default()
        };
        let mut storage = Overlay::new(&self.input);
        let mut states: Vec<GroupState> = groups.iter().map(|_| GroupState::default()).collect();
        let alert_times: BTreeSet<i64> = self.alerts.iter().map(|test| test.at_ms).collect();
        let query_times = self.queries.iter().map(|test| test.at_ms);
        let end_ms = alert_times.iter().copied().chain(query_times).max().unwrap_or(0);
        let mut failures = Vec::new();
        let mut at_ms = 0;
        while at_ms <= end_ms {
            for (group, state) in groups.iter().zip(&mut states) {
                evaluate_group(group, state, &mut storage, &settings, at_ms).await;
                let failed =
                    group.rules.iter().zip(&state.rules).filter(|(_, rule)| rule.health == Health::Err);
                for (rule, state) in failed {
                    let (name, error) = (&rule.name, &state.last_error);
                    failures
                        .push(self.failure(0, format!("rule: {name}, time: {}, err: {error}", span(at_ms))));
                }
            }
            if !failures.is_empty() {
                return failures;
            }
            for time in alert_times.range(at_ms..at_ms.saturating_add(interval_ms)) {
                let due = self.alerts.iter().filter(|test| test.at_ms == *time);
                failures.extend(due.filter_map(|test| self.check_alerts(test, &states)));
            }
            at_ms = at_ms.saturating_add(interval_ms);
        }
        for test in &self.queries {
            failures.extend(self.check_query(test, &storage, &settings, fuzzy).await);
        }
        failures
    }

    fn check_alerts(&self, test: &AlertTest, states: &[GroupState]) -> Option<Failure> {
        let alerts = states.iter().flat_map(|group| &group.rules).flat_map(|rule| rule.alerts.values());
        let firing = alerts.filter(|alert| {
            alert.state == AlertState::Firing && alert.labels.get(ALERT_NAME) == Some(test.name.as_str())
        });
        let mut got: Vec<_> = firing.map(|alert| (alert.labels.clone(), alert.annotations.clone())).collect();
        got.sort();
        if got == test.expected {
            return None;
        }
        let list = |alerts: &[(Labels, Labels)]| {
            let lines = alerts.iter().map(|(labels, annotations)| {
                format!("\n            Labels:{labels} Annotations:{annotations}")
            });
            if alerts.is_empty() { " none".to_owned() } else { lines.collect() }
        };
        let message = format!(
            "alertname: {}, time: {},\n        exp:{}\n        got:{}",
            test.name,
            span(test.at_ms),
            list(&test.expected),
            list(&got)
        );
        Some(self.failure(test.line, message))
    }

    async fn check_query(
        &self,
        test: &QueryTest,
        storage: &Overlay<'_>,
        settings: &Settings,
        fuzzy: bool,
    ) -> Option<Failure> {
        let query = Query::instant(test.expr.clone(), &test.text, test.at_ms);
        let head = format!("expr: {:?}, time: {},", test.text, span(test.at_ms));
        let mut got: Vec<(Labels, SampleValue)> = match evaluate(storage, &query, &settings.limits).await {
            Err(error) => return Some(self.failure(test.line, format!("{head} err: {error}"))),
            Ok(answer) => match answer.value {
                Value::Vector(samples) => samples.into_iter().map(|s| (s.labels, s.value)).collect(),
                Value::Scalar { value, .. } => vec![(Labels::empty(), SampleValue::Float(value))],
                Value::String { .. } | Value::Matrix(_) => {
                    let message = format!("{head} err: the expression gives neither a vector nor a scalar");
                    return Some(self.failure(test.line, message));
                }
            },
        };
        got.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected: Vec<_> = test.expected.iter().collect();
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        let met = got.len() == expected.len()
            && got
                .iter()
                .zip(&expected)
                .all(|((labels, value), want)| *labels == want.labels && want.is_met(value, fuzzy));
        if met {
            return None;
        }
        let expected: Vec<String> = expected.iter().map(|sample| sample.text()).collect();
        let got: Vec<String> = got.iter().map(|(labels, value)| text(labels, value)).collect();
        let list = |lines: Vec<String>| {
            if lines.is_empty() { "nil".to_owned() } else { lines.join("\n            ") }
        };
        let message = format!("{head}\n        exp: {}\n        got: {}", list(expected), list(got));
        Some(self.failure(test.line, message))
    }

    fn failure(&self, line: u64, message: String) -> Failure {
        let message =
            if self.name.is_empty() { message } else { format!("name: {},\n    {message}", self.name) };
        Failure { line, message }
    }
}

/// A time since the start, for people.
fn span(ms: i64) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = ms;
    let mut out = String::new();
    for (unit, size) in units {
        if rest / size > 0 {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}
