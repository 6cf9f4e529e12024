//! A real Prometheus scrapes its node exporter and itself, remote-writes here, and is asked the same
//! questions: the answers must agree to 1e-9.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::process::Command;
use std::time::Duration;

use weir_tests::peers::{self, start, wait_until};
use weir_tests::{Weir, answers, http, weir};

/// Instant and range queries over what a node exporter and a Prometheus say about themselves.
const QUERIES: &[&str] = &[
    // selectors
    "up",
    "node_load1",
    r#"node_cpu_seconds_total{mode="idle"}"#,
    r#"node_cpu_seconds_total{mode!="idle",cpu="0"}"#,
    r#"node_cpu_seconds_total{mode=~"user|system"}"#,
    r#"node_cpu_seconds_total{mode!~"i.*"}"#,
    r#"{__name__=~"node_memory_Mem.*"}"#,
    "node_load1 offset 10s",
    "node_memory_MemFree_bytes @ AT",
    "no_such_metric",
    // rates
    "rate(node_cpu_seconds_total[20s])",
    "irate(node_cpu_seconds_total[20s])",
    "increase(prometheus_http_requests_total[30s])",
    "delta(node_memory_MemFree_bytes[20s])",
    "idelta(node_memory_MemFree_bytes[20s])",
    "deriv(node_memory_MemFree_bytes[20s])",
    "predict_linear(node_memory_MemFree_bytes[20s], 60)",
    "changes(node_memory_MemFree_bytes[30s])",
    "resets(node_cpu_seconds_total[30s])",
    // over time
    "avg_over_time(node_load1[30s])",
    "min_over_time(node_memory_MemFree_bytes[30s])",
    "max_over_time(node_memory_MemFree_bytes[30s])",
    "sum_over_time(up[30s])",
    "count_over_time(up[30s])",
    "stddev_over_time(node_memory_MemFree_bytes[30s])",
    "stdvar_over_time(node_load1[30s])",
    "quantile_over_time(0.7, node_memory_MemFree_bytes[30s])",
    "last_over_time(node_load1[30s])",
    "present_over_time(node_load1[30s])",
    "absent_over_time(no_such_metric[30s])",
    // aggregations
    "sum by (mode) (rate(node_cpu_seconds_total[20s]))",
    "avg without (cpu) (node_cpu_seconds_total)",
    "max(node_cpu_seconds_total)",
    "min by (cpu) (node_cpu_seconds_total)",
    "count by (__name__) ({job=~\".+\"})",
    "stddev(node_cpu_seconds_total)",
    "topk(3, node_cpu_seconds_total)",
    "bottomk(2, node_memory_MemTotal_bytes)",
    "quantile(0.9, node_cpu_seconds_total)",
    "count_values(\"value\", up)",
    "group by (job) (up)",
    // operators
    "node_memory_MemFree_bytes / node_memory_MemTotal_bytes * 100",
    "node_memory_MemFree_bytes > bool 1",
    "node_cpu_seconds_total > 1",
    "-node_load1 ^ 2 % 3",
    "rate(node_cpu_seconds_total[20s]) / on(instance, cpu) group_left sum by (instance, cpu) (rate(node_cpu_seconds_total[20s]))",
    "node_load1 and on(instance) node_load5",
    "node_load1 or node_load5",
    "node_cpu_seconds_total unless ignoring(mode) node_cpu_seconds_total{mode=\"idle\"}",
    "sum(up) by (job) == 1",
    // subqueries, histograms, labels, the rest
    "max_over_time(rate(node_cpu_seconds_total{mode=\"user\"}[10s])[30s:5s])",
    "avg_over_time((node_load1 * 2)[20s:2s])",
    "histogram_quantile(0.9, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[30s])))",
    "histogram_quantile(0.5, prometheus_http_request_duration_seconds_bucket)",
    "label_replace(up, \"port\", \"$1\", \"instance\", \".*:(.*)\")",
    "label_join(up, \"both\", \"-\", \"job\", \"instance\")",
    "sort_desc(node_cpu_seconds_total)",
    "clamp(node_load1, 0.1, 0.2)",
    "clamp_min(node_load1, 1)",
    "round(node_load1, 0.1)",
    "abs(-node_load1) + ceil(node_load5) - floor(node_load15)",
    "sqrt(node_load1) + exp(node_load5) + ln(node_memory_MemFree_bytes)",
    "hour() + minute() * 0 + day_of_week(timestamp(up))",
    "absent(no_such_metric{a=\"b\"})",
    "scalar(sum(up)) + vector(1)",
    "time() - timestamp(node_load1)",
    "sgn(deriv(node_load1[20s]))",
];

fn answer(url: &str, path: &str) -> answers::Outcome {
    answers::read(&http::get(&format!("{url}{path}"), &[]).unwrap())
}

#[test]
fn prometheus_and_weir_give_the_same_answers() {
    let (Some(prometheus), Some(exporter)) = (
        peers::debian("prometheus", "prometheus"),
        peers::debian("prometheus-node-exporter", "prometheus-node-exporter"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(&folder.path().join("weir")).unwrap();
    let exporter_port = weir::free_port().unwrap();
    let _exporter =
        start(Command::new(exporter).arg(format!("--web.listen-address=127.0.0.1:{exporter_port}")));
    let port = weir::free_port().unwrap();
    let config = folder.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             scrape_configs:\n\
             - {{ job_name: node, static_configs: [{{ targets: ['127.0.0.1:{exporter_port}'] }}] }}\n\
             - {{ job_name: prometheus, static_configs: [{{ targets: ['127.0.0.1:{port}'] }}] }}\n\
             remote_write:\n\
             - {{ url: '{}/api/v1/write', queue_config: {{ batch_send_deadline: 1s }} }}\n",
            weir.url
        ),
    )
    .unwrap();
    let prometheus_url = format!("http://127.0.0.1:{port}");
    let _prometheus = start(
        Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error"),
    );
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let started = now();
    wait_until("both are up in Weir's eyes", 30, || {
        weir.query("sum(up)").is_ok_and(|result| result[0]["value"][1] == "2")
    });
    // One minute of scrapes, as a user would let it run.
    while now() < started + 62.0 {
        std::thread::sleep(Duration::from_millis(250));
    }
    // Ask about a moment that every sample has reached. Debian's 2.42 counts what lies exactly at a
    // range's start in, where 3.x (and Weir) leaves it out, so the moment is no multiple of a subquery's
    // step; and it extrapolates to a counter's birth differently, so no range reaches back to that.
    let end_s = (now() - 8.0).floor() + 0.417;
    wait_until("Weir has caught up", 30, || {
        weir.value_at("sum(count_over_time(up[10s]))", end_s).is_ok_and(|count| count >= Some(20.0))
    });

    let mut failures = Vec::new();
    let mut asked = 0;
    for query in QUERIES {
        let query = query.replace("AT", &format!("{}", end_s - 5.0));
        let encoded = http::encode(&query);
        let instant = format!("/api/v1/query?query={encoded}&time={end_s}");
        let range = format!("/api/v1/query_range?query={encoded}&start={}&end={end_s}&step=3", end_s - 12.0);
        for path in [instant, range] {
            asked += 1;
            match (answer(&prometheus_url, &path), answer(&weir.url, &path)) {
                (Ok(theirs), Ok(ours)) => {
                    let differences = answers::differences(&theirs, &ours, answers::Tolerance::STRICT);
                    if !differences.is_empty() {
                        failures.push(format!(
                            "{query}\n    {}",
                            differences[..differences.len().min(4)].join("\n    ")
                        ));
                    }
                }
                (theirs, ours) => {
                    failures.push(format!("{query}: {:?} there, {:?} here", theirs.err(), ours.err()));
                }
            }
        }
    }
    weir::note(&format!("{asked} queries asked of both, {} answers differ", failures.len()));
    assert!(failures.is_empty(), "{} of {asked} differ:\n{}", failures.len(), failures.join("\n"));
}
