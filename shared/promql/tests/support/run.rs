//! Runs upstream's test scripts: evaluates each query as upstream's runner does and compares.
//!
//! An instant query is evaluated at its time, again as the middle step of a range query, and again at other
//! times with its selectors pinned by `@`: all must give the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_model::{Histogram, Labels, is_stale_nan};
use weir_promql::ast::{AtModifier, Expr, Node};
use weir_promql::memory::{MemoryStorage, Point};
use weir_promql::{Answer, Limits, Query, RangeSeries, SampleValue, Value, evaluate, parse};

use super::script::{Command, Eval, Expected, Message, When, parse_script};

/// Relative difference that counts as equal, as upstream has it.
const EPSILON: f64 = 1e-6;

/// What became of a script.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Cases that gave what is expected.
    pub(crate) passed: usize,
    /// Line, query and reason of each that did not.
    pub(crate) failed: Vec<(usize, String, String)>,
}

/// Runs a script.
pub(crate) fn run_script(runtime: &tokio::runtime::Runtime, text: &str) -> Result<Outcome, String> {
    let mut storage = Arc::new(MemoryStorage::new());
    let mut outcome = Outcome::default();
    for command in parse_script(text)? {
        match command {
            Command::Clear => storage = Arc::new(MemoryStorage::new()),
            Command::Load { interval_ms, block, with_native } => {
                let into = Arc::make_mut(&mut storage);
                let load = if with_native { MemoryStorage::load_with_buckets } else { MemoryStorage::load };
                load(into, interval_ms, &block).map_err(|error| error.to_string())?;
            }
            Command::Eval(eval) => {
                // In a task of its own, a panic of the engine is one failed case.
                let (eval, data) = (Arc::new(*eval), Arc::clone(&storage));
                let task = {
                    let eval = Arc::clone(&eval);
                    runtime.spawn(async move { check(&data, &eval).await })
                };
                match runtime.block_on(task).unwrap_or_else(|error| Err(format!("panicked: {error}"))) {
                    Ok(()) => outcome.passed += 1,
                    Err(reason) => {
                        outcome.failed.push((eval.line, eval.query.clone(), reason));
                    }
                }
            }
        }
    }
    Ok(outcome)
}

async fn check(storage: &MemoryStorage, eval: &Eval) -> Result<(), String> {
    match eval.when {
        When::Range { start, end, step } => {
            let answer = run(storage, eval, &eval.query, start, end, step).await?;
            let Some(answer) = annotated(eval, answer)? else { return Ok(()) };
            let Expected::Series(rows) = &eval.expected else {
                return Err(format!("got a matrix, expected {:?}", eval.expected));
            };
            compare_matrix(rows, start, step, &answer.value)
        }
        When::Instant(at) => {
            check_instant(storage, eval, &eval.query, at).await?;
            for (query, at) in pinned(&eval.query, at) {
                let told = |reason| format!("{reason} (as {query} at {at} ms)");
                check_instant(storage, eval, &query, at).await.map_err(told)?;
            }
            Ok(())
        }
    }
}

/// Evaluates; `None` when the expected error came.
async fn run(
    storage: &MemoryStorage,
    eval: &Eval,
    text: &str,
    start: i64,
    end: i64,
    step: i64,
) -> Result<Option<Answer>, String> {
    let answer = match parse(text) {
        Ok(expr) => {
            let query = Query::range(expr, text, start, end, step);
            evaluate(storage, &query, &Limits::default()).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match (answer, &eval.fail) {
        (Ok(_), Some(want)) => Err(format!("succeeded, expected an error: {want:?}")),
        (Ok(answer), None) => Ok(Some(answer)),
        (Err(error), Some(want)) if want.fits(&error) => Ok(None),
        (Err(error), Some(want)) => Err(format!("failed with {error:?}, expected {want:?}")),
        (Err(error), None) => Err(format!("failed: {error}")),
    }
}

/// Checks the annotations of an answer.
fn annotated(eval: &Eval, answer: Option<Answer>) -> Result<Option<Answer>, String> {
    if let Some(answer) = &answer {
        check_notes("warning", &answer.warnings, &eval.warnings, eval.no_warnings)?;
        check_notes("info", &answer.infos, &eval.infos, eval.no_infos)?;
    }
    Ok(answer)
}

fn check_notes(kind: &str, got: &[String], wanted: &[Message], none: bool) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("unexpected {kind}s {got:?}"));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if let Some(missing) = wanted.iter().find(|w| !got.iter().any(|g| w.fits(g))) {
        return Err(format!("missing {kind} {missing:?}, got {got:?}"));
    }
    match got.iter().find(|g| !wanted.iter().any(|w| w.fits(g))) {
        Some(more) => Err(format!("unexpected {kind} {more:?}")),
        None => Ok(()),
    }
}

async fn check_instant(storage: &MemoryStorage, eval: &Eval, text: &str, at: i64) -> Result<(), String> {
    let answer = run(storage, eval, text, at, at, 0).await?;
    let Some(answer) = annotated(eval, answer)? else { return Ok(()) };
    let rows = match (&eval.expected, &answer.value) {
        (Expected::RangeVector { start, step, series }, value) => {
            return compare_matrix(series, *start, *step, value);
        }
        (Expected::String(want), Value::String { text, .. }) if want == text => return Ok(()),
        (Expected::Scalar(want), Value::Scalar { value, .. }) if almost(*want, *value) => &Vec::new(),
        (Expected::Series(rows), Value::Vector(samples)) => {
            let samples = samples.iter().map(|s| (s.labels.clone(), s.value.clone())).collect();
            compare_vector(rows, samples, eval.ordered)?;
            rows
        }
        (want, got) => return Err(format!("got {got:?}, expected {want:?}")),
    };
    let depends_on_range = ["start()", "end()", "range()", "step()"].iter().any(|f| text.contains(f));
    if depends_on_range || eval.ordered {
        return Ok(());
    }
    // As upstream does: a range query may well say other things about its value.
    let Some(range) = run(storage, eval, text, at - 60_000, at + 60_000, 60_000).await? else {
        return Ok(());
    };
    let Value::Matrix(series) = range.value else {
        return Err(format!("a range query gave {:?}", range.value));
    };
    check_sorted(&series)?;
    let mut samples = Vec::new();
    for one in series {
        let float = one.floats.iter().find(|(t, _)| *t == at).map(|(_, x)| SampleValue::Float(*x));
        let histogram = one.histograms.iter().find(|(t, _)| *t == at);
        let histogram = histogram.map(|(_, h)| SampleValue::Histogram(Arc::clone(h)));
        samples.extend(float.or(histogram).map(|value| (one.labels.clone(), value)));
    }
    let result = match (&eval.expected, samples.first()) {
        (Expected::Scalar(want), Some((_, SampleValue::Float(got)))) if almost(*want, *got) => Ok(()),
        (Expected::Scalar(want), got) => Err(format!("got {got:?}, expected {want}")),
        _ => compare_vector(rows, samples, false),
    };
    result.map_err(|reason| format!("in range mode: {reason}"))
}

type Row = (Labels, Vec<Point>);

fn compare_vector(rows: &[Row], samples: Vec<(Labels, SampleValue)>, ordered: bool) -> Result<(), String> {
    let mut wanted: BTreeMap<&Labels, (usize, Option<&Point>)> =
        rows.iter().enumerate().map(|(at, (labels, points))| (labels, (at, points.first()))).collect();
    for (at, (labels, value)) in samples.iter().enumerate() {
        let Some((place, point)) = wanted.remove(labels) else {
            return Err(format!("unexpected series {labels} with {value:?}"));
        };
        if ordered && place != at {
            return Err(format!("{labels} at place {at}, expected {place}"));
        }
        match (point, value) {
            (Some(Point::Float(want)), SampleValue::Float(got)) if almost(*want, *got) => {}
            (Some(Point::Histogram { histogram, hint_given }), SampleValue::Histogram(got))
                if same_histogram(histogram, got, *hint_given) => {}
            (want, got) => return Err(format!("{labels} is {got:?}, expected {want:?}")),
        }
    }
    match wanted.keys().next() {
        Some(labels) => Err(format!("series {labels} is missing")),
        None => Ok(()),
    }
}

fn compare_matrix(rows: &[Row], start: i64, step: i64, value: &Value) -> Result<(), String> {
    let Value::Matrix(series) = value else { return Err(format!("got {value:?}, expected a matrix")) };
    check_sorted(series)?;
    let mut wanted: BTreeMap<&Labels, &Vec<Point>> = rows.iter().map(|(l, p)| (l, p)).collect();
    for one in series {
        let labels = &one.labels;
        let Some(points) = wanted.remove(labels) else {
            return Err(format!("unexpected series {one:?}"));
        };
        let (mut floats, mut histograms) = (one.floats.iter(), one.histograms.iter());
        for (index, point) in points.iter().enumerate() {
            let at = start + step * index as i64;
            let fits = match point {
                Point::Omitted => true,
                Point::Float(want) => floats.next().is_some_and(|(t, got)| *t == at && almost(*want, *got)),
                Point::Histogram { histogram, hint_given } => histograms
                    .next()
                    .is_some_and(|(t, got)| *t == at && same_histogram(histogram, got, *hint_given)),
            };
            if !fits {
                return Err(format!("{labels} at {at} ms: expected {point:?}, got {one:?}"));
            }
        }
        if let Some(more) = floats.next() {
            return Err(format!("{labels} has a further point {more:?}"));
        }
        if let Some((at, _)) = histograms.next() {
            return Err(format!("{labels} has a further histogram at {at}"));
        }
    }
    match wanted.keys().next() {
        Some(labels) => Err(format!("series {labels} is missing")),
        None => Ok(()),
    }
}

fn check_sorted(series: &[RangeSeries]) -> Result<(), String> {
    let sorted = series.windows(2).all(|w| w[0].labels.iter().le(w[1].labels.iter()));
    if sorted { Ok(()) } else { Err("the matrix is not sorted by labels".to_owned()) }
}

/// Upstream's idea of equal numbers.
fn almost(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

fn same_histogram(want: &Histogram, got: &Histogram, hint_given: bool) -> bool {
    let same_buckets = |a: Vec<(i32, f64)>, b: Vec<(i32, f64)>| {
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && almost(a.1, b.1))
    };
    // Empty buckets may or may not be listed.
    let populated = |side: &mut dyn Iterator<Item = (i32, f64)>| side.filter(|b| b.1 != 0.0).collect();
    want.schema == got.schema
        && almost(want.count, got.count)
        && almost(want.sum, got.sum)
        && want.custom_values == got.custom_values
        && want.zero_threshold == got.zero_threshold
        && almost(want.zero_count, got.zero_count)
        && same_buckets(populated(&mut want.positive()), populated(&mut got.positive()))
        && same_buckets(populated(&mut want.negative()), populated(&mut got.negative()))
        && (!hint_given || want.counter_reset_hint == got.counter_reset_hint)
}

/// The query with its selectors pinned to `at`, and other times at which it must give the same.
fn pinned(query: &str, at: i64) -> Vec<(String, i64)> {
    let Ok(mut expr) = parse(query) else { return Vec::new() };
    if !pin(&mut expr, at) {
        return Vec::new();
    }
    let text = expr.to_string();
    let times = if at == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at, 0, at / 5, at, 10 * at] };
    times.into_iter().map(|at| (text.clone(), at)).collect()
}

/// Functions whose value depends on the time of evaluation even when their arguments do not.
const TIME_DEPENDENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// Sets `@` on selectors outside of subqueries, and on subqueries; false when that is no equal query.
fn pin(expr: &mut Expr, at: i64) -> bool {
    let set = |modifier: &mut Option<AtModifier>| {
        if !matches!(modifier, Some(AtModifier::Timestamp(_))) {
            *modifier = Some(AtModifier::Timestamp(at));
        }
    };
    match &mut expr.node {
        Node::Number(_) | Node::String(_) => true,
        Node::Vector(selector) => {
            set(&mut selector.at);
            true
        }
        Node::Matrix(matrix) => {
            set(&mut matrix.vector.at);
            true
        }
        Node::Subquery(subquery) => {
            set(&mut subquery.at);
            // Its inner selectors stay, but a time-dependent function within counts.
            pin(&mut subquery.expr.clone(), at)
        }
        Node::Call(call) => {
            !TIME_DEPENDENT.contains(&call.function.as_str()) && call.args.iter_mut().all(|a| pin(a, at))
        }
        Node::Aggregate(aggregate) => {
            aggregate.param.iter_mut().all(|p| pin(p, at)) && pin(&mut aggregate.expr, at)
        }
        Node::Binary(binary) => pin(&mut binary.left, at) && pin(&mut binary.right, at),
        Node::Negate(inner) | Node::Paren(inner) => pin(inner, at),
    }
}
