//! Every bound of a query has its own error.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::{loaded, run};
use crate::memory::MemoryStorage;
use crate::{Limits, Query};

fn storage() -> MemoryStorage {
    let lines: Vec<String> = (0..300).map(|i| format!("m_total{{i=\"{i}\"}} 0+1x100")).collect();
    loaded(&lines.join("\n"))
}

fn fails(query: &str, range: (i64, i64, i64), limits: &Limits) -> (String, &'static str) {
    let query = Query::range(crate::parse(query).unwrap(), query, range.0, range.1, range.2);
    let error = run(&storage(), &query, limits).unwrap_err();
    (error.to_string(), error.error_type())
}

#[test]
fn passing_a_bound_is_a_named_error() {
    let day = (0, 86_400_000, 10_000);
    let hour = (0, 1_000_000, 10_000);
    let base = Limits::default();
    for (shows, limits, query, range, kind, words) in [
        (
            "samples",
            Limits { max_samples: 10_000, ..base.clone() },
            "sum(rate(m_total[1m]))",
            hour,
            "execution",
            "query processing would load too many samples into memory in query execution",
        ),
        (
            "points held",
            Limits { max_result_points: 10_000, ..base.clone() },
            "m_total",
            hour,
            "execution",
            "too many samples into memory",
        ),
        (
            "memory",
            Limits { max_bytes: 100_000, ..base.clone() },
            "m_total",
            hour,
            "execution",
            "query processing would take too much memory in query execution",
        ),
        (
            "memory of groups",
            Limits { max_bytes: 200_000, ..base.clone() },
            "avg by (i) (m_total)",
            hour,
            "execution",
            "at most 200000); ask for fewer series, fewer steps or a shorter range",
        ),
        (
            "steps",
            Limits { max_points_per_series: 100, ..base.clone() },
            "m_total",
            day,
            "bad_data",
            "exceeded maximum resolution of 100 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "the deadline",
            Limits { deadline: Some(Instant::now()), ..base.clone() },
            "m_total",
            hour,
            "timeout",
            "query timed out in expression evaluation",
        ),
        (
            "the caller gone",
            Limits { cancel: Some(Arc::new(AtomicBool::new(true))), ..base.clone() },
            "m_total",
            hour,
            "canceled",
            "query was canceled in expression evaluation",
        ),
        (
            "no step",
            base.clone(),
            "m_total",
            (0, 10, 0),
            "bad_data",
            "zero or negative query resolution step",
        ),
        ("backwards", base.clone(), "m_total", (10, 0, 1), "bad_data", "end timestamp must not be before"),
        (
            "subquery steps",
            base,
            "sum(count_over_time(m_total[1y:1ms]))",
            (0, 0, 0),
            "execution",
            "at most 2700000",
        ),
    ] {
        let (message, error_type) = fails(query, range, &limits);
        assert!(message.contains(words), "{shows}: {message}");
        assert_eq!(error_type, kind, "{shows}");
    }
}

#[test]
fn stats_count_what_was_read_and_held() {
    let text = "sum(m_total)";
    let query = Query::range(crate::parse(text).unwrap(), text, 0, 1_000_000, 10_000);
    let stats = run(&storage(), &query, &Limits::default()).unwrap().stats;
    assert_eq!((stats.series, stats.samples_read), (300, 300 * 101));
    assert!(stats.peak_points < 2_000, "a sum holds its groups, not its series: {}", stats.peak_points);
}
