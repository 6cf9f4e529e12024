//! Exemplars over HTTP: what a real Prometheus scrapes and remote-writes here is answered as Prometheus
//! answers it, from hot segments, from blocks, and after a restart.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::peers::{self, start, wait_until};
use weir_tests::{Weir, http, weir};

/// Expressions with none, one and several selectors, some of which find the same series.
const QUERIES: &[&str] = &[
    "app_requests_total",
    "rate(app_latency_seconds_bucket[1m])",
    r#"histogram_quantile(0.9, sum by (le) (rate(app_latency_seconds_bucket{le!="+Inf"}[1m]))) > 0"#,
    r#"{job="app"}"#,
    "app_requests_total / ignoring(le) group_left app_latency_seconds_bucket + app_requests_total",
    "max_over_time(rate(app_requests_total[1m])[5m:1m])",
    "app_up",
    "no_such_metric",
    "1 + 2",
];

fn now_s() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

/// An application's metrics: new exemplars at the first scrapes, then the same ones again and again.
fn metrics(scrape: usize) -> String {
    let count = scrape.min(6);
    format!(
        "# TYPE app_requests counter\n\
         app_requests_total {count} # {{trace_id=\"r{count}\"}} {count}\n\
         # TYPE app_latency_seconds histogram\n\
         app_latency_seconds_bucket{{le=\"0.1\"}} {count} # {{trace_id=\"a{count}\",span=\"x\"}} 0.0{count} {:.3}\n\
         app_latency_seconds_bucket{{le=\"+Inf\"}} {} # {{}} 1e+20\n\
         app_latency_seconds_count {}\n\
         app_latency_seconds_sum 7\n\
         # TYPE app_up gauge\n\
         app_up 1\n\
         # EOF\n",
        START_S.with(|at| *at) + count as f64 / 8.0,
        count + 1,
        count + 1,
    )
}

thread_local! {
    static START_S: f64 = now_s().floor();
}

/// Serves the application's metrics as OpenMetrics for as long as the test runs.
fn serve(listener: TcpListener) {
    for (scrape, stream) in listener.incoming().enumerate() {
        let Ok(mut stream) = stream else { return };
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let body = metrics(scrape + 1);
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}

fn ask(url: &str, query: &str, range: &str) -> (u16, Value) {
    let path = format!("/api/v1/query_exemplars?query={}{range}", http::encode(query));
    let reply = http::get(&format!("{url}{path}"), &[]).unwrap();
    (reply.status, reply.json())
}

fn count(answer: &Value) -> usize {
    let series = answer["data"].as_array().into_iter().flatten();
    series.map(|series| series["exemplars"].as_array().unwrap().len()).sum()
}

#[test]
fn exemplars_are_answered_as_prometheus_answers_them() {
    let Some(prometheus) = peers::debian("prometheus", "prometheus") else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("weir");
    let mut weir = Weir::start(&data).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(listener));
    let config = folder.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs:\n\
             - {{ job_name: app, static_configs: [{{ targets: ['{app}'] }}] }}\n\
             remote_write:\n\
             - {{ url: '{}/api/v1/write', send_exemplars: true, queue_config: {{ batch_send_deadline: 1s }} }}\n",
            weir.url
        ),
    )
    .unwrap();
    let port = weir::free_port().unwrap();
    let prometheus_url = format!("http://127.0.0.1:{port}");
    let from_s = now_s() - 60.0;
    let peer = start(
        Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=error", "--enable-feature=exemplar-storage"]),
    );
    wait_until("Prometheus answers", 30, || {
        http::get(&format!("{prometheus_url}/-/ready"), &[]).is_ok_and(|reply| reply.status == 200)
    });
    // Six of each of the three series, however often they were scraped after that.
    wait_until("all exemplars are with Prometheus", 30, || {
        count(&ask(&prometheus_url, r#"{job="app"}"#, "").1) >= 13
    });
    std::thread::sleep(Duration::from_secs(3));
    let range = format!("&start={from_s}&end={}", now_s());
    let all = ask(&prometheus_url, r#"{job="app"}"#, &range);
    wait_until("Weir has as many", 20, || {
        count(&ask(&weir.url, r#"{job="app"}"#, &range).1) >= count(&all.1)
    });
    assert_eq!(ask(&weir.url, r#"{job="app"}"#, &range), all);
    let ranges = [range.clone(), String::new(), format!("&start={from_s}&end={}", now_s() - 5.0)];
    let asked = QUERIES.iter().flat_map(|query| ranges.iter().map(move |range| (*query, range.as_str())));
    let mut asked: Vec<_> = asked.collect();
    asked.extend([("app_up", "&start=2&end=1"), ("sum(", ""), ("app_up", "&start=x")]);
    let theirs: Vec<_> = asked.iter().map(|(query, range)| ask(&prometheus_url, query, range)).collect();
    drop(peer);
    for state in ["hot", "compacted", "restarted"] {
        for ((query, range), (status, theirs)) in asked.iter().zip(&theirs) {
            let (ours_status, ours) = ask(&weir.url, query, range);
            assert_eq!(ours_status, *status, "{state}: {query} {range}: {ours}");
            if *status < 300 {
                assert_eq!(ours, *theirs, "{state}: {query} {range}");
            } else {
                assert_eq!(ours["errorType"], theirs["errorType"], "{state}: {query} {range}");
            }
        }
        if state == "hot" {
            let reply = weir.post("/api/v1/admin/compact", &[], b"").unwrap().json();
            assert_eq!(reply["compacted"]["exemplars"].as_u64(), Some(count(&all.1) as u64), "{reply}");
        } else if state == "compacted" {
            weir.stop().unwrap();
            weir = Weir::start(&data).unwrap();
        }
    }
    weir::note(&format!("{} questions about {} exemplars", asked.len(), count(&all.1)));
}

#[test]
fn exemplars_of_an_openmetrics_body_are_found_by_its_tenant_alone() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let body = "# TYPE hits counter\nhits_total{path=\"/\"} 3 1700000000 # {trace_id=\"abc\"} 0.25 1699999999.5\n# EOF\n";
    let team = ("x-scope-orgid", "team");
    let headers = [team, ("content-type", "application/openmetrics-text; version=1.0.0")];
    let reply = weir.post("/api/v1/import/prometheus", &headers, body.as_bytes()).unwrap();
    assert!(reply.status < 300, "{}", reply.text());
    let wanted = json!({ "status": "success", "data": [{
        "seriesLabels": { "__name__": "hits_total", "path": "/" },
        "exemplars": [{ "labels": { "trace_id": "abc" }, "value": "0.25", "timestamp": 1_699_999_999.5 }],
    }] });
    let url = format!("{}/api/v1/query_exemplars", weir.url);
    let form = [team, ("content-type", "application/x-www-form-urlencoded")];
    wait_until("the exemplar is found", 10, || {
        let asked = http::post(&url, &form, b"query=rate(hits_total[5m])").unwrap();
        asked.json() == wanted
    });
    let reply = http::post(&url, &form[1..], b"query=hits_total").unwrap();
    assert_eq!(reply.json(), json!({ "status": "success", "data": [] }), "another tenant");
}
