//! Tests of whole queries over data in memory.

mod explain;
mod extensions;
mod limits;
mod property;
mod semantics;
mod threads;

use weir_model::Labels;

use super::{Answer, Limits, Query, QueryError, SampleValue, Value, evaluate};
use crate::memory::MemoryStorage;

/// Runs a query to its end.
fn run(storage: &MemoryStorage, query: &Query, limits: &Limits) -> Result<Answer, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(evaluate(storage, query, limits))
}

/// An instant query.
fn instant(storage: &MemoryStorage, text: &str, at_ms: i64) -> Result<Answer, QueryError> {
    let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    run(storage, &Query::instant(expr, text, at_ms), &Limits::default())
}

/// A range query.
fn range(
    storage: &MemoryStorage,
    text: &str,
    (start, end, step): (i64, i64, i64),
) -> Result<Answer, QueryError> {
    let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    run(storage, &Query::range(expr, text, start, end, step), &Limits::default())
}

/// The floats of an instant answer with their labels as text, in order of the labels.
fn floats(answer: &Answer) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = match &answer.value {
        Value::Scalar { value, .. } => vec![("scalar".to_owned(), *value)],
        Value::Vector(samples) => samples
            .iter()
            .map(|s| match &s.value {
                SampleValue::Float(x) => (s.labels.to_string(), *x),
                SampleValue::Histogram(h) => panic!("{} is a histogram: {h}", s.labels),
            })
            .collect(),
        other => panic!("{other:?} is neither scalar nor vector"),
    };
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn loaded(block: &str) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    storage.load(10_000, block).unwrap();
    storage
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}
