//! The YAML of a file of unit tests, and its checks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;
use weir_model::Labels;
use weir_promql::memory::{MemoryStorage, NotationError};
use weir_promql::{parse, parse_duration_ms};

use super::compare::ExpectedSample;
use super::{AlertTest, MAX_EVALUATIONS, QueryTest, Test, UnitTestFile};
use crate::evaluate::ALERT_NAME;
use crate::yaml::Problem;

const MINUTE_MS: i64 = 60_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    rule_files: Vec<String>,
    evaluation_interval: Option<Spanned<String>>,
    #[serde(default)]
    group_eval_order: Vec<Spanned<String>>,
    #[serde(default)]
    fuzzy_compare: bool,
    #[serde(default)]
    tests: Vec<RawTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    interval: Option<Spanned<String>>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    input_series: Vec<RawSeries>,
    #[serde(default)]
    alert_rule_test: Vec<RawAlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<RawQueryTest>,
    #[serde(default)]
    external_labels: BTreeMap<String, String>,
    #[serde(default)]
    external_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeries {
    series: Spanned<String>,
    #[serde(default)]
    values: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlertTest {
    eval_time: Spanned<String>,
    alertname: Spanned<String>,
    #[serde(default)]
    exp_alerts: Option<Vec<RawAlert>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlert {
    #[serde(default)]
    exp_labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    exp_annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQueryTest {
    expr: Spanned<String>,
    eval_time: Spanned<String>,
    #[serde(default)]
    exp_samples: Option<Vec<RawSample>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSample {
    #[serde(default)]
    labels: Option<Spanned<String>>,
    value: Option<f64>,
    histogram: Option<Spanned<String>>,
}

/// Reads and checks a file of unit tests.
pub(super) fn read(text: &str) -> Result<UnitTestFile, Vec<Problem>> {
    let raw: RawFile = crate::yaml::read(text).map_err(|problem| vec![problem])?;
    let mut reader = Reader { problems: Vec::new() };
    let interval_ms = reader.interval("evaluation_interval", raw.evaluation_interval.as_ref(), MINUTE_MS);
    let mut order: Vec<String> = Vec::new();
    for name in raw.group_eval_order {
        if order.contains(&name.value) {
            reader.say(&name, format!("group name repeated in evaluation order: {}", name.value));
        }
        order.push(name.value);
    }
    let tests = raw.tests.into_iter().map(|test| reader.test(test, interval_ms)).collect();
    if reader.problems.is_empty() {
        let rule_files = raw.rule_files;
        Ok(UnitTestFile { rule_files, interval_ms, group_order: order, fuzzy: raw.fuzzy_compare, tests })
    } else {
        Err(reader.problems)
    }
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn say<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        self.problems.push(Problem::at(at.referenced, message));
    }

    fn test(&mut self, raw: RawTest, interval_ms: i64) -> Test {
        let step_ms = self.interval("interval", raw.interval.as_ref(), interval_ms);
        let mut input = MemoryStorage::new();
        for series in raw.input_series {
            // Folded text may bring line breaks, which separate points as spaces do.
            let line = format!("{} {}", series.series.value.trim(), series.values).replace('\n', " ");
            if let Err(error) = input.load(step_ms, &line) {
                self.say(&series.series, format!("bad input series: {}", without_line(error)));
            }
        }
        let alerts = raw.alert_rule_test.into_iter().map(|test| self.alert(test, interval_ms)).collect();
        let queries =
            raw.promql_expr_test.into_iter().filter_map(|test| self.query(test, interval_ms)).collect();
        Test {
            name: raw.name,
            input,
            external_labels: Labels::from_pairs(raw.external_labels),
            external_url: raw.external_url,
            alerts,
            queries,
        }
    }

    fn alert(&mut self, raw: RawAlertTest, interval_ms: i64) -> AlertTest {
        let at_ms = self.time(&raw.eval_time, interval_ms);
        if raw.alertname.value.is_empty() {
            self.say(&raw.alertname, "an item under alert_rule_test misses required attribute alertname");
        }
        let name = raw.alertname.value;
        let pairs = |map: Option<BTreeMap<String, String>>| Labels::from_pairs(map.unwrap_or_default());
        let alert = |alert: RawAlert| {
            let mut labels = alert.exp_labels.unwrap_or_default();
            labels.insert(ALERT_NAME.to_owned(), name.clone());
            (Labels::from_pairs(labels), pairs(alert.exp_annotations))
        };
        let mut expected: Vec<_> = raw.exp_alerts.unwrap_or_default().into_iter().map(alert).collect();
        expected.sort();
        AlertTest { at_ms, expected, line: raw.eval_time.referenced.line(), name }
    }

    fn query(&mut self, raw: RawQueryTest, interval_ms: i64) -> Option<QueryTest> {
        let at_ms = self.time(&raw.eval_time, interval_ms);
        let mut expected = Vec::new();
        for sample in raw.exp_samples.unwrap_or_default() {
            let labels = sample.labels.as_ref().map_or("", |labels| labels.value.as_str());
            let histogram = sample.histogram.as_ref().map(|h| h.value.as_str());
            match ExpectedSample::parse(labels, sample.value, histogram) {
                Ok(sample) => expected.push(sample),
                Err(message) => match sample.labels.as_ref().or(sample.histogram.as_ref()) {
                    Some(place) => self.say(place, message),
                    None => self.say(&raw.expr, message),
                },
            }
        }
        match parse(&raw.expr.value) {
            Ok(expr) => Some(QueryTest {
                at_ms,
                expr,
                line: raw.expr.referenced.line(),
                text: raw.expr.value,
                expected,
            }),
            Err(error) => {
                self.say(&raw.expr, format!("could not parse expression: {error}"));
                None
            }
        }
    }

    fn interval(&mut self, what: &str, text: Option<&Spanned<String>>, default: i64) -> i64 {
        let Some(text) = text else { return default };
        match duration(&text.value) {
            Some(0) => default,
            Some(ms) => ms,
            None => {
                self.say(text, format!("{what} is not a valid duration string: {:?}", text.value));
                default
            }
        }
    }

    fn time(&mut self, text: &Spanned<String>, interval_ms: i64) -> i64 {
        match duration(&text.value) {
            Some(ms) if ms / interval_ms <= MAX_EVALUATIONS => ms,
            Some(_) => {
                self.say(
                    text,
                    format!("eval_time {:?} takes more than {MAX_EVALUATIONS} evaluations", text.value),
                );
                0
            }
            None => {
                self.say(text, format!("eval_time is not a valid duration string: {:?}", text.value));
                0
            }
        }
    }
}

fn duration(text: &str) -> Option<i64> {
    if text == "0" { Some(0) } else { parse_duration_ms(text) }
}

/// Each series is a line of its own, so its number says nothing.
fn without_line(error: NotationError) -> NotationError {
    match error {
        NotationError::Line { error, .. } => *error,
        other => other,
    }
}
