//! Generated queries over generated data, asked of Weir and of a real Prometheus: the answers must agree to
//! 1e-9, and refusals in status and error type.
//!
//! `WEIR_DIFFERENTIAL_QUERIES` sets how many (500), `WEIR_SEED` repeats a run. The peer is Debian's
//! Prometheus 2.42, while Weir follows 3.x. Where the two differ by design, the generator keeps away:
//!
//! - Samples exactly on a window's edge: 2.42 counts what lies at a range's start in. Data, query times and
//!   subquery steps stand at different fractions of a second; for the same reason there is no subquery within
//!   a subquery, whose steps and edges are both whole seconds.
//! - Rates of counters that begin or come back near zero after a gap: 3.x extrapolates less far. Counters
//!   near zero have no gaps here, those with gaps are far from zero, and nothing but counters is rated.
//! - Native histograms in `histogram_quantile` and `histogram_fraction` (2.42 interpolates linearly), and as
//!   operands of operators and of most functions, which 2.42 lacks or gets wrong.
//! - `__name__` as a grouping or matching label of what lost its name: here it goes at the end of the query,
//!   as with Prometheus' `promql-delayed-name-removal`, there with each function. `atan2` of vectors: 2.42
//!   keeps the name.
//! - Filters between vectors where several of one side match: 3.x refuses, 2.42 only if more than one is left.
//! - `stddev` and `stdvar` of NaN and infinities (2.42 says 0), or of numbers so large that they are noise (of
//!   timestamps); for the same reason `%`, rounding, comparisons and angles take values without rounding errors.
//! - `predict_linear` over a range at `@`, and `timestamp` of a selector with both `@` and a negative offset:
//!   2.42 loses samples.
//! - Functions, aggregations and syntax newer than 2.42; label names and patterns valid only since UTF-8 names.
//! - Which of equal values `topk` and `bottomk` keep: they rank values of which no two are the same.

mod data;
mod grammar;

use weir_tests::answers::{self, Answer, Outcome, Tolerance};
use weir_tests::peers::wait_until;
use weir_tests::{Prometheus, Random, Weir, http, weir};

/// A part of a second at which no sample and no step of a subquery stands.
const FRACTION_S: f64 = 0.417;

/// Rounding of data around 1 leaves about 1e-16 where terms cancel out, and the two add up in other orders.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-9, absolute: 1e-12 };

/// What a query asks: an expression, and the rest of the path.
struct Query {
    text: String,
    path: String,
    instant: bool,
}

fn query(random: &mut Random, start_s: i64) -> Query {
    let end_s = (start_s + data::SECONDS - random.below(900) as i64) as f64 + FRACTION_S;
    let text = grammar::Grammar { random, end_s }.query();
    let encoded = http::encode(&text);
    let instant = random.below(2) == 0;
    let path = if instant {
        format!("/api/v1/query?query={encoded}&time={end_s:.3}")
    } else {
        let step_s = [7, 15, 60, 61, 150][random.below(5) as usize];
        let from_s = end_s - random.below(900) as f64;
        format!("/api/v1/query_range?query={encoded}&start={from_s:.3}&end={end_s:.3}&step={step_s}")
    };
    Query { text, path, instant }
}

/// In what the outcomes differ, if they do.
fn compare(query: &Query, theirs: &Outcome, ours: &Outcome) -> Option<String> {
    match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => {
            let mut differences = answers::differences(theirs, ours, TOLERANCE);
            if query.instant && query.text.starts_with("sort") && !same_order(theirs, ours) {
                differences.push(format!("{:?} there, {:?} here", theirs.order, ours.order));
            }
            differences.truncate(4);
            (!differences.is_empty()).then(|| differences.join("\n    "))
        }
        (Err(theirs), Err(ours)) if theirs.status == ours.status && theirs.kind == ours.kind => None,
        (theirs, ours) => {
            let shown = |outcome: &Outcome| match outcome {
                Ok(answer) => format!("{} series", answer.series.len()),
                Err(refusal) => format!("{refusal:?}"),
            };
            Some(format!("{} there\n    {} here", shown(theirs), shown(ours)))
        }
    }
}

/// Whether values come in the same order; series of equal values may change places.
fn same_order(theirs: &Answer, ours: &Answer) -> bool {
    theirs.order.len() == ours.order.len()
        && theirs.order.iter().zip(&ours.order).all(|(a, b)| TOLERANCE.same(*a, *b))
}

#[test]
fn generated_queries_are_answered_as_prometheus_answers_them() {
    let count = std::env::var("WEIR_DIFFERENTIAL_QUERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let mut random = Random::from_env();
    let folder = tempfile::tempdir().unwrap();
    let Some(peer) = Prometheus::start(folder.path()).unwrap() else { return };
    let ours = Weir::start(&folder.path().join("weir")).unwrap();
    let client = http::Client::new();

    // Some hour of 2026, by the seed.
    let start_s = 1_767_225_600 + random.below(300 * 86_400) as i64;
    for body in data::bodies(start_s, &mut random) {
        for url in [&peer.url, &ours.url] {
            let reply = client
                .post(&format!("{url}/api/v1/write"), &[("Content-Encoding", "snappy")], &body)
                .unwrap();
            assert_eq!(reply.status, 204, "{url}: {}", reply.text());
        }
    }
    let all = "sum(count_over_time(wave[2h]))";
    let end_s = (start_s + data::SECONDS) as f64;
    let sent = http::get(&format!("{}/api/v1/query?query={}&time={end_s}", peer.url, http::encode(all)), &[]);
    let sent = answers::read(&sent.unwrap()).unwrap().order;
    wait_until("Weir has every sample", 20, || ours.value_at(all, end_s).unwrap() == sent.first().copied());

    let mut failures = Vec::new();
    let (mut empty, mut refused) = (0, 0);
    for number in 0..count {
        if number == count / 2 {
            // The second half is answered from blocks.
            assert_eq!(ours.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
        }
        let query = query(&mut random, start_s);
        let ask = |url: &str| answers::read(&client.get(&format!("{url}{}", query.path), &[]).unwrap());
        let (theirs, ours) = (ask(&peer.url), ask(&ours.url));
        empty += usize::from(theirs.as_ref().is_ok_and(|answer| answer.series.is_empty()));
        refused += usize::from(theirs.is_err());
        if let Some(difference) = compare(&query, &theirs, &ours) {
            let kind = query.path.split(['?']).next().unwrap_or("");
            let times = query.path.split_once('&').map_or("", |(_, times)| times);
            failures.push(format!("{}\n    {kind} {times}\n    {difference}", query.text));
        }
    }
    weir::note(&format!(
        "{count} queries asked of both ({refused} refused, {empty} without series), {} differ",
        failures.len()
    ));
    assert!(failures.is_empty(), "{} of {count} differ:\n{}", failures.len(), failures.join("\n"));
}
