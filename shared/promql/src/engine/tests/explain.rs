//! What is told about an evaluation: the plan, the samples of each step, repeated expressions, memory.

use super::{loaded, run};
use crate::memory::MemoryStorage;
use crate::{Answer, Explained, Limits, Query};

fn storage() -> MemoryStorage {
    let lines: Vec<String> =
        (0..20).map(|i| format!("m_total{{i=\"{i}\", g=\"{}\"}} {i}+1x100", i % 3)).collect();
    loaded(&format!("{}\nh {{{{schema:0 count:3 sum:2 buckets:[1 2]}}}}x100", lines.join("\n")))
}

fn told(text: &str, stats: bool, explain: bool) -> Answer {
    let query = Query::range(crate::parse(text).unwrap(), text, 300_000, 600_000, 60_000);
    run(&storage(), &Query { stats, explain, ..query }, &Limits::default()).unwrap()
}

/// The plan as lines: depth, kind, text, series, samples, steps.
fn lines(node: &Explained, depth: usize, into: &mut Vec<String>) {
    let Explained { kind, expr, series, samples_read, steps, .. } = node;
    into.push(format!("{depth} {kind} `{expr}` {series} {samples_read} {steps}"));
    node.children.iter().for_each(|child| lines(child, depth + 1, into));
}

#[test]
fn the_plan_says_what_each_part_took() {
    let answer = told("sum by (g) (rate(m_total[1m])) / 2 > scalar(m_total{i=\"1\"} @ 0)", false, true);
    let mut got = Vec::new();
    lines(answer.explain.as_ref().unwrap(), 0, &mut got);
    // From 240.001 s to 600 s a sample each ten seconds.
    let want = [
        "0 operator with scalar `sum by (g) (rate(m_total[1m])) / 2 > scalar(m_total{i=\"1\"} @ 0)` 0 0 6",
        "1 operator with scalar `sum by (g) (rate(m_total[1m])) / 2` 3 0 6",
        "2 aggregation `sum by (g) (rate(m_total[1m]))` 3 0 6",
        "3 function of windows `rate(m_total[1m])` 20 0 6",
        "4 range selector `m_total[1m]` 20 720 0",
        "2 number `2` 0 0 0",
        "1 scalar of vector `scalar(m_total{i=\"1\"} @ 0)` 1 0 1",
        "2 instant selector `m_total{i=\"1\"} @ 0` 1 1 1",
    ];
    assert_eq!(got, want);
    assert!(told("m_total", false, false).explain.is_none());
}

#[test]
fn each_step_counts_the_samples_that_it_looks_at() {
    for (text, want) in [
        ("m_total", 20),
        ("sum(rate(m_total[1m]))", 20 * 6),
        ("m_total + m_total", 40),
        ("m_total @ 300", 20),
        ("sum(rate(m_total[1m] @ 300))", 20 * 6),
        ("max_over_time(m_total{i=\"1\"}[2m:30s])", 4),
        ("1", 0),
        // 168 bytes and 8 for each span and bucket, 16 a sample.
        ("h", (168 + 3 * 8 + 8) / 16),
    ] {
        let answer = told(text, true, false);
        assert_eq!(answer.stats.samples_per_step, vec![want; 6], "{text}");
    }
    assert!(told("m_total", false, false).stats.samples_per_step.is_empty());
}

#[test]
fn what_stands_in_a_query_twice_is_read_once() {
    let once = told("sum(rate(m_total[1m]))", false, false).stats.samples_read;
    for text in [
        "sum(rate(m_total[1m])) / sum(rate(m_total[1m]))",
        "sum(rate(m_total[1m])) / (1 + sum(rate(m_total[1m])))",
        "rate(m_total[1m]) / on(i) group_left() rate(m_total[1m])",
        "topk(3, rate(m_total[1m])) or bottomk(3, rate(m_total[1m]))",
    ] {
        assert_eq!(told(text, false, false).stats.samples_read, once, "{text}");
    }
    let answer = told("sum(rate(m_total[1m])) - sum(rate(m_total[1m]))", false, true);
    let plan = answer.explain.unwrap();
    assert!(plan.children.iter().all(|child| child.repeated));
    assert!(plan.children[1].children[0].children[0].storage.as_ref().unwrap().shared);
}
