//! Rules translated to monitors, and what is said of those that cannot be.

use super::*;

fn rule_file(expr: &str, more: &str) -> RuleFile {
    let text = format!("groups:\n- name: g\n  rules:\n  - alert: an_alert\n    expr: '{expr}'\n{more}");
    RuleFile::parse("r.yml", &text).unwrap()
}

fn translated(expr: &str, more: &str, by: &[&str]) -> String {
    let names = [("pay_done", "pay.done")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let by = by.iter().map(|&tag| tag.to_owned()).collect();
    let options = Options { names: names.into(), by, ..Options::default() };
    let (monitors, losses) = monitors(&rule_file(expr, more), &options);
    match monitors.first() {
        Some(monitor) => monitor.query.clone(),
        None => format!("left out: {}", losses[0].reason),
    }
}

#[test]
fn conditions_become_queries_of_monitors() {
    for (expr, want) in [
        ("avg(avg_over_time(cpu[10m])) > 80", "avg(last_10m):avg:cpu{*} > 80"),
        ("sum(increase(pay_done[1h])) > 1000000", "sum(last_1h):sum:pay.done{*}.as_count() > 1000000"),
        ("10 < sum by (b, a) (rate(x[5m]))", "avg(last_5m):sum:x{*} by {a,b}.as_rate() > 10"),
        ("max(max_over_time(x{a=\"b\",c!=\"d\"}[1d])) >= 5", "max(last_1d):max:x{a:b,!c:d} >= 5"),
        ("histogram_quantile(0.95, sum(increase(x[5m]))) > 2000", "percentile(last_5m):p95:x{*} > 2000"),
        (
            "histogram_quantile(0.999, sum by (a) (rate(x[1w]))) > 2",
            "percentile(last_1w):p99.9:x{*} by {a} > 2",
        ),
        ("histogram_sum(sum(increase(x[90m]))) > 1", "sum(last_90m):sum:x{*}.as_count() > 1"),
        (
            "100 * (sum(increase(a{ok=~\"(?i:True)\"}[10m])) or vector(0)) / (sum(increase(a[10m])) > 0) < 95",
            "sum(last_10m):100 * default_zero(sum:a{ok:true}.as_count()) / sum:a{*}.as_count() < 95",
        ),
        (
            "sum(rate(a[5m])) / sum(rate(b[5m])) > 0.5",
            "sum(last_5m):sum:a{*}.as_count() / sum:b{*}.as_count() > 0.5",
        ),
        (
            "(sum(increase(a[5m])) - sum(increase(b[5m]))) * 2 > 0",
            "sum(last_5m):(sum:a{*}.as_count() - sum:b{*}.as_count()) * 2 > 0",
        ),
        (
            "sum(rate(a{m=~\"x|y\",n=\"z\",p!=\"q\"}[5m])) > 1",
            "avg(last_5m):sum:a{n:z AND NOT p:q AND m IN (x,y)}.as_rate() > 1",
        ),
        ("sum(rate(a{m=~\"api-.*\"}[5m])) > 1", "avg(last_5m):sum:a{m:api-*}.as_rate() > 1"),
        ("max by (host) (disk) > 90", "min(last_1m):max:disk{*} by {host} > 90"),
        ("max by (host) (disk) < 90", "max(last_1m):max:disk{*} by {host} < 90"),
        ("max(up) == 0", "min(last_1m):max:up{*} == 0"),
        // What has no counterpart says so.
        ("cpu > 80", "left out: cpu is judged series by series"),
        ("count(up == 0) > 3", "left out: count has no counterpart"),
        ("up", "left out: there is no comparison"),
        ("sum(x) > bool 3", "left out: there is no comparison"),
        ("sum(x) > 3 and sum(y) > 4", "left out: \"and\" between conditions"),
        ("sum(x) > sum(y)", "left out: the threshold sum(y) is no number"),
        ("sum(increase(x[5m])) / sum(increase(y[10m])) > 1", "left out: x and y look at different windows"),
        (
            "sum(increase(x[5m])) + sum(rate(y[5m])) > 1",
            "left out: x and y are aggregated over time differently",
        ),
        ("sum by (a) (x) / sum by (b) (y) > 1", "left out: x and y are grouped by different labels"),
        ("sum by (a) (x) / on (a) sum by (a) (y) > 1", "left out: \"/\" that matches series by labels"),
        ("max(avg_over_time(x[5m])) > 1", "left out: max over series of another aggregation"),
        ("sum without (a) (x) > 1", "left out: grouping without (a)"),
        ("sum(increase(x[90s])) > 1", "left out: a window of 90 s"),
        ("sum(increase(x[30d])) > 1", "left out: a window of 2592000 s"),
        ("sum(increase(x[5m] offset 1d)) > 1", "left out: offset"),
        ("sum(rate(x{a=~\"[45]..\"}[5m])) > 1", "left out: a=~\"[45]..\" has no counterpart"),
        ("sum(rate(x{a=\"\"}[5m])) > 1", "left out: a=\"\" has no counterpart"),
        ("histogram_quantile(0.9, sum by (le) (rate(x[5m]))) > 1", "left out: buckets by le"),
        ("anomaly_score(x[1w]) > 0.99", "left out: anomaly_score() has no counterpart"),
        ("sum(deriv(x[1h])) > 1", "left out: deriv() has no counterpart"),
        ("sum({a=\"b\"}) > 1", "left out: a selector without a metric"),
        ("1 > 0 * vector(1)", "left out: "),
    ] {
        let got = translated(expr, "", &[]);
        let fits = if want.starts_with("left out") { got.starts_with(want) } else { got == want };
        assert!(fits, "{expr}\n got {got}\nwant {want}");
    }
}

#[test]
fn series_that_stand_alone_are_grouped_as_asked() {
    for (expr, more, want) in [
        ("cpu > 80", "", "min(last_1m):avg:cpu{*} by {host} > 80"),
        ("cpu > 80", "    for: 15m\n", "min(last_15m):avg:cpu{*} by {host} > 80"),
        ("free < 5", "    for: 2h\n", "max(last_2h):avg:free{*} by {host} < 5"),
        ("max_over_time(cpu[5m]) > 80", "", "max(last_5m):max:cpu{*} by {host} > 80"),
        ("increase(errors[5m]) > 3", "", "sum(last_5m):sum:errors{*} by {host}.as_count() > 3"),
        ("free / (size > 0) < 0.05", "", "max(last_1m):avg:free{*} by {host} / avg:size{*} by {host} < 0.05"),
        ("up == 0", "    for: 5m\n", "left out: == that must hold for some time"),
    ] {
        assert_eq!(translated(expr, more, &["host"]), want, "{expr}");
    }
}

#[test]
fn what_a_monitor_cannot_say_is_told_with_its_line() {
    let more = "    for: 5m\n    keep_firing_for: 1h\n    labels: {team: \"{{ $labels.team }}\"}\n    annotations: {summary: \"{{ query \\\"up\\\" }}\"}\n";
    let (monitors, losses) = monitors(&rule_file("sum(increase(x[10m])) > 1", more), &Options::default());
    assert_eq!(monitors.len(), 1);
    assert!(losses.iter().all(|loss| loss.place == "r.yml:4" && loss.alert == "an_alert" && !loss.left_out));
    let reasons: Vec<&str> = losses.iter().map(|loss| loss.reason.split(' ').next().unwrap()).collect();
    assert_eq!(reasons, ["for:", "keep_firing_for:", "label", "annotation"]);
}

#[test]
fn the_alerts_of_the_metrics_strategy_become_its_monitors() {
    let shipped = crate::shipped().unwrap();
    let file = shipped.iter().find(|file| file.name == "alerts.yml").unwrap();
    let names = [
        ("business_payment_success_rate", "business.payment.success_rate"),
        ("k8s_pods_failed", "k8s.pods.failed"),
    ];
    let options = Options {
        names: names.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        notify_critical: "@pagerduty-critical".to_owned(),
        notify: "@slack-alerts".to_owned(),
        external_url: "https://wiki".to_owned(),
        ..Options::default()
    };
    let (monitors, losses) = monitors(file, &options);
    assert_eq!(losses, []);
    let queries: Vec<&str> = monitors.iter().map(|monitor| monitor.query.as_str()).collect();
    let want = [
        "sum(last_10m):100 * default_zero(sum:business.payment.success_rate{success:true}.as_count()) / sum:business.payment.success_rate{*}.as_count() < 95",
        "sum(last_1h):sum:business_payment_amount{*}.as_count() > 1000000",
        "sum(last_1h):sum:business_fraud_detections{*}.as_count() > 100",
        "percentile(last_5m):p95:api_requests_response_time{*} > 2000",
        "percentile(last_5m):p95:database_queries_execution_time{*} > 1000",
        "sum(last_10m):100 * default_zero(sum:cache_operations_hit_miss{result:hit}.as_count()) / sum:cache_operations_hit_miss{*}.as_count() < 80",
        "max(last_5m):max:k8s.pods.failed{*} > 5",
        "avg(last_10m):avg:aws_rds_cpu_utilization{*} by {instance} > 80",
    ];
    assert_eq!(queries, want);
    let first = serde_json::to_value(&monitors[0]).unwrap();
    let want = serde_json::json!({
        "name": "Metric Alert: Payment Success Rate Low",
        "type": "query alert",
        "query": want[0],
        "message": "@pagerduty-critical\n\nAlert: Payment Success Rate Low\n\nMetric: business.payment.success_rate\nThreshold: < 95\nWindow: 10m\nCurrent Value: {{value}}\n\n{{value}} % of the payments of ten minutes succeeded; the limit is 95 %\n\nRunbook: https://wiki/runbooks/payment_success_rate_low",
        "tags": ["category:business", "severity:critical", "source:metrics"],
        "priority": 1,
        "options": {
            "thresholds": { "critical": 95.0 },
            "notify_audit": true,
            "require_full_window": true,
            "notify_no_data": false,
            "evaluation_delay": 60,
        },
    });
    assert_eq!(first, want);
    // What Datadog's API documents of each member.
    for monitor in &monitors {
        let (window, rest) = monitor.query.split_once("):").unwrap();
        let (time, window) = window.split_once("(last_").unwrap();
        assert!(["avg", "sum", "max", "min", "percentile"].contains(&time), "{time}");
        assert!(window.trim_end_matches(['m', 'h', 'd', 'w']).parse::<u16>().is_ok(), "{window}");
        assert!(rest.ends_with(&monitor.options.thresholds.critical.to_string()), "{rest}");
        assert!((1..=5).contains(&monitor.priority) && !monitor.message.is_empty());
    }
}
