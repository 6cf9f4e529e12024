//! Compares what a query gave with what a test expects.

use std::sync::Arc;

use weir_model::{Histogram, Labels};
use weir_promql::SampleValue;
use weir_promql::memory::{Point, parse_points, parse_series};

/// How far numbers may differ in a file that says `fuzzy_compare`, as promtool has it.
const FUZZY_EPSILON: f64 = 1e-6;

/// A sample that a test expects.
#[derive(Debug)]
pub(super) struct ExpectedSample {
    pub(super) labels: Labels,
    value: ExpectedValue,
}

#[derive(Debug)]
enum ExpectedValue {
    Float(f64),
    Histogram { histogram: Arc<Histogram>, with_hint: bool },
}

impl ExpectedSample {
    /// Reads labels (`name{a="b"}`, or nothing) and a value or a histogram.
    pub(super) fn parse(labels: &str, value: Option<f64>, histogram: Option<&str>) -> Result<Self, String> {
        let labels = match labels.trim() {
            "" => Labels::empty(),
            text => match parse_series(text) {
                Ok((labels, points)) if points.is_empty() => labels,
                Ok(_) => return Err(format!("labels {text:?} hold more than labels")),
                Err(error) => return Err(format!("labels {text:?}: {error}")),
            },
        };
        let value = match (value, histogram) {
            (value, None) => ExpectedValue::Float(value.unwrap_or(0.0)),
            (_, Some(text)) => {
                let mut points = parse_points(text).map_err(|error| error.to_string())?;
                match (points.pop(), points.is_empty()) {
                    (Some(Point::Histogram { histogram, hint_given }), true) => {
                        ExpectedValue::Histogram { histogram: compacted(&histogram), with_hint: hint_given }
                    }
                    _ => return Err(format!("{text:?} is not one histogram")),
                }
            }
        };
        Ok(Self { labels, value })
    }

    /// True when `got` is what is expected.
    pub(super) fn is_met(&self, got: &SampleValue, fuzzy: bool) -> bool {
        match (&self.value, got) {
            (ExpectedValue::Float(want), SampleValue::Float(got)) => equal(*want, *got, fuzzy),
            (ExpectedValue::Histogram { histogram, with_hint }, SampleValue::Histogram(got)) => {
                let mut got = Histogram::clone(&compacted(got));
                if !with_hint {
                    got.counter_reset_hint = histogram.counter_reset_hint;
                }
                **histogram == got
            }
            _ => false,
        }
    }

    pub(super) fn text(&self) -> String {
        match &self.value {
            ExpectedValue::Float(value) => text(&self.labels, &SampleValue::Float(*value)),
            ExpectedValue::Histogram { histogram, .. } => {
                text(&self.labels, &SampleValue::Histogram(histogram.clone()))
            }
        }
    }
}

fn compacted(histogram: &Arc<Histogram>) -> Arc<Histogram> {
    let mut histogram = Histogram::clone(histogram);
    histogram.compact();
    Arc::new(histogram)
}

fn equal(a: f64, b: f64, fuzzy: bool) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    fuzzy && (a - b).abs() <= FUZZY_EPSILON * (a.abs() + b.abs())
}

/// A sample for people.
pub(super) fn text(labels: &Labels, value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{labels} {value}"),
        SampleValue::Histogram(histogram) => format!("{labels} {histogram}"),
    }
}
