//! Answers of the query API, compared point by point.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Reply;

/// What a query came to.
pub type Outcome = Result<Answer, Refusal>;

/// A query that was not answered: the status and the error type, which are what clients act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `bad_data`, `execution` …
    pub kind: String,
    /// The message, which no comparison looks at.
    pub message: String,
}

/// The result of an instant or range query.
#[derive(Debug, Default)]
pub struct Answer {
    /// Labels as JSON with sorted keys → timestamp as written → the point's numbers: one of a float;
    /// count, sum and the buckets of a histogram. A scalar has no labels.
    pub series: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// First numbers of all series' first points, in the order of the answer.
    pub order: Vec<f64>,
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.replace("Inf", "inf").parse().unwrap_or(f64::NAN),
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

fn point(point: &Value) -> (String, Vec<f64>) {
    let value = &point[1];
    let mut numbers = Vec::new();
    if value.is_object() {
        numbers.extend([number(&value["count"]), number(&value["sum"])]);
        let buckets = value["buckets"].as_array().into_iter().flatten();
        numbers.extend(buckets.flat_map(|bucket| bucket.as_array().into_iter().flatten()).map(number));
    } else {
        numbers.push(number(value));
    }
    (point[0].to_string(), numbers)
}

/// Reads a reply of `query` or `query_range`.
///
/// # Errors
/// What the server refused, if it did.
///
/// # Panics
/// When a series is in an answer twice.
pub fn read(reply: &Reply) -> Outcome {
    let body = reply.json();
    if reply.status != 200 {
        let text = |name: &str| body[name].as_str().unwrap_or("").to_owned();
        return Err(Refusal { status: reply.status, kind: text("errorType"), message: text("error") });
    }
    let result = &body["data"]["result"];
    let mut answer = Answer::default();
    if body["data"]["resultType"] == "scalar" {
        answer.series.insert(String::new(), BTreeMap::from([point(result)]));
    }
    for series in result.as_array().into_iter().flatten().filter(|series| series.is_object()) {
        // Maps of serde_json are sorted by key, so this text is canonical.
        let name = series["metric"].to_string();
        let many = ["values", "histograms"].iter().filter_map(|field| series[field].as_array()).flatten();
        let one = ["value", "histogram"].iter().filter_map(|field| series.get(field));
        let points: BTreeMap<_, _> = many.chain(one).map(point).collect();
        answer.order.extend(points.values().next().and_then(|numbers| numbers.first()));
        assert!(answer.series.insert(name.clone(), points).is_none(), "{name} is in an answer twice");
    }
    Ok(answer)
}

/// How far apart two numbers may be and still count as the same.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// As a share of the larger one.
    pub relative: f64,
    /// In the unit of the numbers: what rounding leaves where terms cancel out.
    pub absolute: f64,
}

impl Tolerance {
    /// One part in 10^9.
    pub const STRICT: Self = Self { relative: 1e-9, absolute: 0.0 };

    /// Whether two numbers are the same.
    #[must_use]
    pub fn same(self, a: f64, b: f64) -> bool {
        let near = (a - b).abs() <= (self.relative * a.abs().max(b.abs())).max(self.absolute);
        a == b || a.is_nan() && b.is_nan() || near && a.is_finite() && b.is_finite()
    }
}

/// In what two answers differ, a line each.
#[must_use]
pub fn differences(theirs: &Answer, ours: &Answer, tolerance: Tolerance) -> Vec<String> {
    let mut differences = Vec::new();
    let only_ours = ours.series.keys().filter(|name| !theirs.series.contains_key(*name));
    for name in theirs.series.keys().chain(only_ours) {
        let (Some(theirs), Some(ours)) = (theirs.series.get(name), ours.series.get(name)) else {
            let side = if theirs.series.contains_key(name) { "there" } else { "here" };
            differences.push(format!("only {side}: {name}"));
            continue;
        };
        if theirs.keys().ne(ours.keys()) {
            let (there, here) = (theirs.len(), ours.len());
            differences.push(format!("{name}: {there} points there, {here} here, or at other times"));
            continue;
        }
        for (at, theirs) in theirs {
            let ours = &ours[at];
            let equal = theirs.len() == ours.len()
                && theirs.iter().zip(ours).all(|(theirs, ours)| tolerance.same(*theirs, *ours));
            if !equal {
                differences.push(format!("{name} at {at}: {theirs:?} there, {ours:?} here"));
            }
        }
    }
    differences
}
