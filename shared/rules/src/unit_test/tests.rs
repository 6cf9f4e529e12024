//! Unit-test files pass where promtool passes them and fail where it fails them.

use super::UnitTestFile;
use crate::file::RuleFile;

const RULES: &str = "groups:
- name: g
  rules:
  - record: job:load:sum
    expr: sum by (job) (load)
  - alert: High
    expr: job:load:sum > 10
    for: 2m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.job }} at {{ $value }} in {{ $externalLabels.region }}'}
";

async fn run(tests: &str) -> Vec<String> {
    let file = match UnitTestFile::parse(tests) {
        Ok(file) => file,
        Err(problems) => {
            return problems.into_iter().map(|p| format!("{}:{}: {}", p.line, p.column, p.message)).collect();
        }
    };
    let rules = RuleFile::parse("rules.yml", RULES).unwrap();
    file.run(&[rules]).await.into_iter().map(|f| format!("line {}: {}", f.line, f.message)).collect()
}

const PASSES: &str = "rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  name: load
  external_labels: {region: eu}
  input_series:
  - series: 'load{job=\"a\", host=\"1\"}'
    values: '1+1x10'
  - series: 'load{job=\"a\", host=\"2\"}'
    values: 5x10
  alert_rule_test:
  - eval_time: 6m
    alertname: High
  - eval_time: 8m30s
    alertname: High
    exp_alerts:
    - exp_labels: {severity: page, job: a}
      exp_annotations: {summary: a at 14 in eu}
  promql_expr_test:
  - expr: job:load:sum
    eval_time: 5m
    exp_samples:
    - labels: 'job:load:sum{job=\"a\"}'
      value: 11
  - expr: count(ALERTS{alertstate=\"pending\"})
    eval_time: 6m
    exp_samples: [{labels: '{}', value: 1}]
  - expr: absent_metric
    eval_time: 7m
";

#[tokio::test]
async fn tests_that_hold_pass() {
    assert_eq!(run(PASSES).await, [""; 0]);
}

#[tokio::test]
async fn what_is_otherwise_is_shown() {
    let rows = [
        (
            "value: 11",
            "value: 12",
            "exp: job:load:sum{job=\"a\"} 12\n        got: job:load:sum{job=\"a\"} 11",
        ),
        ("job: a}", "job: b}", "alertname: High, time: 8m30s,"),
        ("eval_time: 6m\n    alertname", "eval_time: 9m\n    alertname", "exp: none"),
        ("expr: absent_metric", "expr: vector(3)", "exp: nil\n        got: {} 3"),
        ("region: eu", "region: us", "a at 14 in us"),
    ];
    for (from, to, want) in rows {
        assert!(PASSES.contains(from), "{from}");
        let failures = run(&PASSES.replace(from, to)).await.join("\n");
        assert!(failures.contains(want), "{to}: {failures}");
    }
}

#[tokio::test]
async fn malformed_tests_are_told_with_their_place() {
    let rows = [
        ("1+1x10", "1+1y10", "8:13: bad input series"),
        ("expr: absent_metric", "expr: sum(", "29:11: could not parse expression"),
        ("eval_time: 8m30s", "eval_time: later", "15:16: eval_time is not a valid duration"),
        ("eval_time: 8m30s", "eval_time: 99999y", "eval_time"),
        ("alertname: High\n  - eval", "alertnam: High\n  - eval", "unknown field"),
        ("'{}'", "'{} 1'", "hold more than labels"),
    ];
    for (from, to, want) in rows {
        assert!(PASSES.contains(from), "{from}");
        let problems = run(&PASSES.replace(from, to)).await.join("\n");
        assert!(problems.contains(want), "{to}: {problems}");
    }
}
