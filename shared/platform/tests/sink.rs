//! The sink port's conformance suite on the sink that keeps what it is given.

#[path = "conformance/sink.rs"]
mod conformance;

use weir_platform::{MemorySink, Sink, SinkError};

const START_MS: i64 = 1_800_000_000_000;

#[tokio::test]
async fn the_sink_of_tests_keeps_what_it_took_and_says_what_it_did_not() {
    let sink = MemorySink::new("memory");
    let arrived = conformance::run(&sink, START_MS).await;
    let want: Vec<_> = arrived.iter().map(|number| conformance::point(*number, START_MS)).collect();
    assert_eq!(sink.sent(), want);
    sink.refuse(&["conformance_1"]);
    let two = [conformance::point(0, START_MS), conformance::point(1, START_MS)];
    let results = sink.send(&two).await;
    assert!(results[0].is_ok());
    assert!(matches!(&results[1], Err(error @ SinkError::Unavailable { .. }) if error.retryable()));
    assert_eq!(sink.sent().len(), want.len() + 1);
}
