//! What every sink keeps: one result for each point, in order; the bad ones keep none back.

use weir_platform::{Observation, Point, PointKind, Sink, SinkError};

/// Points of one call of the suite.
pub(crate) const POINTS: usize = 250;

/// A point of its number, in an interval that begins at the time given: each number is a series of its own.
pub(crate) fn point(number: usize, start_ms: i64) -> Point {
    let value = number as f64 + 0.5;
    let (kind, observations) = match number % 3 {
        0 => (PointKind::Level, vec![(1.0, 2.0), (value, 1.0)]),
        1 => (PointKind::Increase, vec![(value, 4.0)]),
        // More distinct values than a request of some services takes in one piece.
        _ => (PointKind::Distribution, (1..=200).map(|n| (f64::from(n), 1.0)).collect()),
    };
    let observations: Vec<Observation> =
        observations.into_iter().map(|(value, count)| Observation { value, count }).collect();
    Point {
        tenant: "default".to_owned(),
        metric: format!("conformance_{}", number % 3),
        labels: vec![("case".to_owned(), "sound".to_owned()), ("number".to_owned(), number.to_string())],
        start_ms,
        every_ms: 60_000,
        kind,
        sum: observations.iter().map(|it| it.value * it.count).sum(),
        observations,
        last: value,
        version: if kind == PointKind::Level { start_ms } else { 1 },
        part: if kind == PointKind::Level { 0 } else { number as u32 },
    }
}

/// Runs the suite; the numbers of the points that must have arrived, each with what [`point`] says.
pub(crate) async fn run(sink: &dyn Sink, start_ms: i64) -> Vec<usize> {
    assert!(sink.send(&[]).await.is_empty());
    // More than one request of any kind, every tenth of them bad.
    let break_it: [fn(&mut Point); 4] = [
        |it| it.observations.clear(),
        |it| it.observations[0].value = f64::NAN,
        |it| it.observations[0].count = 0.0,
        |it| it.metric.clear(),
    ];
    let bad = |number: usize| number % 10 == 9;
    let mut all: Vec<Point> = (0..POINTS).map(|number| point(number, start_ms)).collect();
    for (number, it) in all.iter_mut().enumerate().filter(|(number, _)| bad(*number)) {
        break_it[number / 10 % 4](it);
    }
    let results = sink.send(&all).await;
    assert_eq!(results.len(), POINTS);
    for (number, result) in results.iter().enumerate() {
        match result {
            Err(error @ SinkError::Invalid { .. }) => assert!(bad(number) && !error.retryable(), "{error}"),
            other => assert!(!bad(number) && other.is_ok(), "{number}: {other:?}"),
        }
    }
    (0..POINTS).filter(|number| !bad(*number)).collect()
}
