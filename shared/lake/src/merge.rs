//! What happens when a series has several samples at one timestamp, and how sample columns join.
//!
//! One rule for everything that holds samples (records of one segment, hot data, blocks), associative
//! in the order of writes, so that no compaction changes an answer:
//!
//! - sets unite, and win over numbers at their timestamp;
//! - otherwise, in a cumulative series, the later write wins;
//! - otherwise, in a delta series, histograms add up and win over floats, and floats add up.

use std::sync::Arc;

use weir_model::{Histogram, Samples, Temporality, UniqueSet, is_stale_nan};

/// A sample's value of any kind.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A number.
    Float(f64),
    /// A distribution.
    Histogram(Arc<Histogram>),
    /// Unique members.
    Set(Arc<UniqueSet>),
}

/// The one value that `earlier` and `later`, written in this order to one timestamp, leave.
pub(crate) fn combine(earlier: Value, later: Value, temporality: Temporality) -> Value {
    match (earlier, later, temporality) {
        (Value::Set(a), Value::Set(b), _) => {
            let mut union = UniqueSet::clone(&a);
            union.merge(&b);
            Value::Set(union.into())
        }
        (set @ Value::Set(_), _, _) | (_, set @ Value::Set(_), _) => set,
        (_, later, Temporality::Cumulative) => later,
        (Value::Float(a), Value::Float(b), Temporality::Delta) => Value::Float(add_floats(a, b)),
        (Value::Histogram(a), Value::Histogram(b), Temporality::Delta) => Value::Histogram(add(&a, b)),
        (histogram @ Value::Histogram(_), Value::Float(_), Temporality::Delta)
        | (Value::Float(_), histogram @ Value::Histogram(_), Temporality::Delta) => histogram,
    }
}

/// Adds two changes; a staleness marker is no change.
fn add_floats(a: f64, b: f64) -> f64 {
    if is_stale_nan(a) {
        b
    } else if is_stale_nan(b) {
        a
    } else {
        a + b
    }
}

fn add(a: &Arc<Histogram>, b: Arc<Histogram>) -> Arc<Histogram> {
    if is_stale_nan(a.sum) {
        return b;
    }
    if is_stale_nan(b.sum) {
        return a.clone();
    }
    let mut sum = Histogram::clone(a);
    // Custom and exponential buckets have no common layout: then the later one has to stand for both.
    if sum.add(&b).is_ok() { Arc::new(sum) } else { b }
}

/// Joins `later`, written after `into`, to it. Both are as [`Samples`] promises, ascending and without
/// repeats, and so is the result. `later` is used up; its memory is kept.
pub(crate) fn join(into: &mut Samples, later: &mut Samples, temporality: Temporality) {
    let Some((first, _)) = bounds(later) else { return };
    match bounds(into) {
        None => std::mem::swap(into, later),
        Some((_, last)) if last < first => {
            into.timestamps.append(&mut later.timestamps);
            into.values.append(&mut later.values);
            into.histograms.append(&mut later.histograms);
            into.sets.append(&mut later.sets);
        }
        Some(_) => join_overlapping(into, later, first, temporality),
    }
    later.clear();
}

/// First and last timestamp over all columns.
pub(crate) fn bounds(samples: &Samples) -> Option<(i64, i64)> {
    let columns = [
        samples.timestamps.first().copied().zip(samples.timestamps.last().copied()),
        samples.histograms.first().map(|s| s.0).zip(samples.histograms.last().map(|s| s.0)),
        samples.sets.first().map(|s| s.0).zip(samples.sets.last().map(|s| s.0)),
    ];
    columns.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// Merges the part of `into` from `first` on with `later`.
fn join_overlapping(into: &mut Samples, later: &mut Samples, first: i64, temporality: Temporality) {
    let mut earlier = rows_from(into, first).into_iter().peekable();
    let mut later = rows_from(later, first).into_iter().peekable();
    loop {
        let (a, b) = (earlier.peek().map(|r| r.0), later.peek().map(|r| r.0));
        let row = match (a, b) {
            (None, None) => return,
            (Some(a), Some(b)) if a == b => match (earlier.next(), later.next()) {
                (Some((at, a)), Some((_, b))) => Some((at, combine(a, b, temporality))),
                _ => None,
            },
            (Some(a), b) if b.is_none_or(|b| a < b) => earlier.next(),
            _ => later.next(),
        };
        if let Some((at, value)) = row {
            push(into, at, value);
        }
    }
}

/// Takes the samples from `first` on out of `samples`, in order of time.
fn rows_from(samples: &mut Samples, first: i64) -> Vec<(i64, Value)> {
    let float = samples.timestamps.partition_point(|t| *t < first);
    let histogram = samples.histograms.partition_point(|s| s.0 < first);
    let set = samples.sets.partition_point(|s| s.0 < first);
    let timestamps = samples.timestamps.drain(float..);
    let mut rows: Vec<(i64, Value)> =
        timestamps.zip(samples.values.drain(float..)).map(|(at, value)| (at, Value::Float(value))).collect();
    let floats = rows.len();
    rows.extend(samples.histograms.drain(histogram..).map(|(at, h)| (at, Value::Histogram(h))));
    rows.extend(samples.sets.drain(set..).map(|(at, s)| (at, Value::Set(s))));
    if rows.len() > floats {
        rows.sort_by_key(|row| row.0);
    }
    rows
}

/// Appends one sample; the caller keeps the order.
pub(crate) fn push(into: &mut Samples, at: i64, value: Value) {
    match value {
        Value::Float(value) => {
            into.timestamps.push(at);
            into.values.push(value);
        }
        Value::Histogram(histogram) => into.histograms.push((at, histogram)),
        Value::Set(set) => into.sets.push((at, set)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_model::STALE_NAN;

    fn value(kind: u8, number: u8) -> Value {
        match kind {
            0 => Value::Float(f64::from(number)),
            1 => Value::Histogram(Arc::new(histogram(number))),
            _ => {
                let mut set = UniqueSet::new();
                set.insert(&[number]);
                Value::Set(set.into())
            }
        }
    }

    fn histogram(number: u8) -> Histogram {
        Histogram { count: f64::from(number), zero_count: f64::from(number), ..Histogram::default() }
    }

    fn shown(value: &Value) -> String {
        match value {
            Value::Float(v) => format!("{v}"),
            Value::Histogram(h) => format!("h{}", h.count),
            Value::Set(s) => format!("s{:?}", s.to_bytes()),
        }
    }

    fn of(rows: &[(i64, u8, u8)], temporality: Temporality) -> Samples {
        let mut samples = Samples::default();
        for (at, kind, number) in rows {
            let mut one = Samples::default();
            push(&mut one, *at, value(*kind, *number));
            join(&mut samples, &mut one, temporality);
        }
        samples
    }

    fn rows() -> impl Strategy<Value = Vec<(i64, u8, u8)>> {
        prop::collection::vec((0i64..6, 0u8..3, 0u8..4), 0..8)
    }

    fn debug(samples: &Samples) -> String {
        format!("{samples:?}")
    }

    proptest! {
        #[test]
        fn combining_is_associative(kinds: [u8; 3], delta: bool) {
            let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
            let [a, b, c] = kinds.map(|k| value(k % 3, k / 3 % 5));
            let left = combine(combine(a.clone(), b.clone(), temporality), c.clone(), temporality);
            let right = combine(a, combine(b, c, temporality), temporality);
            prop_assert_eq!(shown(&left), shown(&right));
        }

        #[test]
        fn joining_in_pieces_equals_joining_one_by_one(a in rows(), b in rows(), delta: bool) {
            let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
            let mut joined = of(&a, temporality);
            join(&mut joined, &mut of(&b, temporality), temporality);
            let whole = of(&[a, b].concat(), temporality);
            prop_assert_eq!(debug(&joined), debug(&whole));
            prop_assert!(joined.timestamps.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn one_timestamp_follows_the_rule_of_its_series() {
        use Temporality::{Cumulative, Delta};
        let rows = [
            ("the later state wins", Value::Float(1.0), Value::Float(2.0), Cumulative, "2"),
            ("changes add up", Value::Float(1.0), Value::Float(2.0), Delta, "3"),
            ("a marker is no change", Value::Float(1.0), Value::Float(STALE_NAN), Delta, "1"),
            ("a marker ends a state", Value::Float(1.0), Value::Float(STALE_NAN), Cumulative, "NaN"),
            ("a later histogram wins", Value::Float(1.0), value(1, 2), Cumulative, "h2"),
            ("histograms of changes add up", value(1, 1), value(1, 2), Delta, "h3"),
            ("a histogram outweighs a float of changes", value(1, 1), Value::Float(5.0), Delta, "h1"),
        ];
        for (shows, a, b, temporality, want) in rows {
            assert_eq!(shown(&combine(a, b, temporality)), want, "{shows}");
        }
    }
}
