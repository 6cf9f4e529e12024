//! The deployed template on an emulated cloud: real functions, real payloads, permission checks on, faults
//! between the functions and AWS; every acknowledged sample is in the lake, once.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use weir_tests::cloud::{Cloud, Deployed};
use weir_tests::{http, peers};

const STACK: &str = "weir";
/// Samples of one request.
const LINES: usize = 2_000;

fn now_s() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

const API_KEY: &str = "the-key-of-this-test";
const ADMIN_KEY: &str = "the-admin-key-of-this-test";

/// Deploys with the keys of this test and what else is given.
fn deploy(cloud: &Cloud, stack: &str, parameters: &[&str]) -> Deployed {
    let keys = [format!("ApiKey={API_KEY}"), format!("AdminKey={ADMIN_KEY}")];
    let keys = keys.iter().map(String::as_str);
    cloud.deploy(stack, &keys.chain(parameters.iter().copied()).collect::<Vec<_>>())
}

/// Asks with the API's key.
fn get(url: &str) -> anyhow::Result<http::Reply> {
    http::get(url, &[("authorization", &format!("Bearer {API_KEY}"))])
}

/// Posts until the answer is not one that asks to be sent again, as senders do.
fn send(deployed: &Deployed, path: &str, key: &str, body: &str) -> Value {
    let started = Instant::now();
    loop {
        let bearer = format!("Bearer {}", if path.contains("/admin/") { ADMIN_KEY } else { API_KEY });
        let headers = [("content-type", "text/plain"), ("idempotency-key", key), ("authorization", &bearer)];
        let reply = http::post(&format!("{}{path}", deployed.api), &headers, body.as_bytes());
        match reply {
            Ok(reply) if reply.status == 200 => return reply.json(),
            Ok(reply) if reply.status < 500 => panic!("{path}: {} {}", reply.status, reply.text()),
            _ => assert!(started.elapsed() < Duration::from_secs(120), "{path} is refused for ever"),
        }
    }
}

fn value(deployed: &Deployed, expr: &str) -> Option<f64> {
    let url = format!("{}/api/v1/query?query={}&time={}", deployed.api, http::encode(expr), now_s() + 60.0);
    let reply = get(&url).ok().filter(|reply| reply.status == 200)?;
    reply.json()["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

#[test]
fn every_acknowledged_sample_reaches_the_deployed_lake_once_although_calls_fail() {
    let Some(cloud) = Cloud::start() else { return };
    let deployed = deploy(&cloud, STACK, &[]);
    let _mapping = cloud.event_source();
    // Refused, done in part, and done with the reply lost: of each stream and bucket call some.
    let (_proxy, proxy) = cloud.faults(&json!([
        { "target": "PutRecords", "every": 5, "status": 400, "type": "ProvisionedThroughputExceededException" },
        { "target": "PutRecords", "every": 4, "partial": 1 },
        { "target": "PutRecords", "every": 7, "lose": true },
        { "target": "PUT /", "every": 3, "lose": true },
        { "target": "PUT /", "every": 5, "status": 503, "type": "SlowDown" },
        { "target": "PUT /", "every": 7, "status": 409, "type": "ConditionalRequestConflict" },
        { "target": "GET /", "every": 11, "status": 503, "type": "SlowDown" },
    ]), 0);
    cloud.point(STACK, "Ingest", &format!("AWS_ENDPOINT_URL_KINESIS={proxy}"));
    cloud.point(STACK, "Enrich", &format!("AWS_ENDPOINT_URL_S3={proxy}"));
    cloud.point(STACK, "Compact", &format!("AWS_ENDPOINT_URL_S3={proxy}"));

    let samples: usize =
        std::env::var("WEIR_CLOUD_SAMPLES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let rounds = samples.div_ceil(2 * LINES);
    let begin_ms = (now_s() * 1000.0) as i64;
    for round in 0..rounds {
        // Absolute values, which a repeat does not change, and counts, which it would double.
        let (mut gauges, mut counts) = (String::new(), String::new());
        for line in 0..LINES {
            writeln!(gauges, "load{{n=\"{line}\"}} {round} {}", begin_ms + round as i64).unwrap();
            writeln!(counts, "hits:1|c|#n:{}", line % 50).unwrap();
        }
        let answer = send(&deployed, "/api/v1/import/prometheus", &format!("g{round}"), &gauges);
        assert_eq!(answer["accepted"]["samples"], LINES);
        let answer = send(&deployed, "/api/v1/import/statsd", &format!("c{round}"), &counts);
        assert_eq!(answer["accepted"]["samples"], LINES);
    }
    let wanted = Some((rounds * LINES) as f64);
    let found = || {
        let ask = |expr| value(&deployed, expr);
        (ask("sum(count_over_time(load[1h]))"), ask("sum(sum_over_time(hits[1h]))"))
    };
    peers::wait_until("all samples are there", 120, || found() == (wanted, wanted));

    // The schedule's function by hand: hot segments become blocks, and the answers stay.
    let strange = |path: &str, headers: &[(&str, &str)]| {
        http::post(&format!("{}{path}", deployed.api), headers, b"{").unwrap().status
    };
    assert_eq!(strange("/api/v1/admin/compact", &[]), 401, "without the admin key");
    assert_eq!(strange("/api/v1/import/prometheus", &[]), 401, "without the API's key");
    let bearer = format!("Bearer {API_KEY}");
    assert_eq!(strange("/api/v1/admin/compact", &[("authorization", &bearer)]), 401, "by the API's key");
    assert_eq!(
        strange("/api/v1/import/prometheus", &[("authorization", &bearer)]),
        400,
        "what cannot be read"
    );
    send(&deployed, "/api/v1/admin/compact", "-", "");
    assert_eq!(found(), (wanted, wanted));
}

#[test]
fn without_a_stream_a_write_is_in_the_lake_when_it_is_acknowledged() {
    let Some(cloud) = Cloud::start() else { return };
    let deployed = deploy(&cloud, "direct", &["StreamMode=direct"]);
    for n in 1..=3 {
        send(&deployed, "/api/v1/import/statsd", &n.to_string(), "hits:2|c");
        send(&deployed, "/api/v1/import/statsd", &n.to_string(), "hits:2|c");
        peers::wait_until("the write shows", 20, || {
            value(&deployed, "sum(sum_over_time(hits[1h]))") == Some(f64::from(2 * n))
        });
    }
}

const SINKS: &str = "
sinks:
- { match: ['temperature{room!=\"attic\"}'], every: 60s }
- { metrics: [visits], every: 60s, to: [cloudwatch] }
- { metrics: [load], every: 60s, to: [timestream] }
";

#[test]
fn series_that_rules_choose_are_in_cloudwatch_too_and_no_others() {
    let Some(cloud) = Cloud::start() else { return };
    let namespace = format!("WeirSeries/{}", std::process::id());
    let parameters = ["Sinks=cloudwatch", &format!("SinkNamespace={namespace}")];
    let deployed = deploy(&cloud, "sinks", &parameters);
    cloud.put(&deployed.bucket, "config/sinks.yaml", SINKS);
    // Samples count from when the mapping has looked at the stream for the first time: until then others are sent.
    let found = |name: &str| {
        let metrics = cloud.statistics(&namespace);
        metrics.into_iter().find(|metric| metric["name"] == name)
    };
    let mut tries = 0;
    peers::wait_until("the mapping forwards", 60, || {
        tries += 1;
        send(&deployed, "/api/v1/import/statsd", &format!("t{tries}"), "visits:1|c|#probe:yes");
        found("visits").is_some()
    });
    let now_ms = (now_s() * 1000.0) as i64;
    let mut lines = String::new();
    for (at, value) in [(0, 20), (1, 22), (2, 24)] {
        for room in ["kitchen", "attic"] {
            writeln!(lines, "temperature{{room=\"{room}\"}} {value} {}", now_ms + at).unwrap();
        }
        writeln!(lines, "load {value} {}", now_ms + at).unwrap();
    }
    send(&deployed, "/api/v1/import/prometheus", "temperature", &lines);
    for n in 0..5 {
        send(&deployed, "/api/v1/import/statsd", &format!("v{n}"), "visits:3|c|#probe:no");
    }
    let total = |name: &str, label: &str, value: &str, statistic: &str| -> f64 {
        let metrics = cloud.statistics(&namespace);
        let metric = metrics.iter().find(|it| it["name"] == name && it["dimensions"][label] == value);
        let points = metric.and_then(|metric| metric["points"].as_array().cloned()).unwrap_or_default();
        points.iter().filter_map(|point| point[statistic].as_f64()).sum()
    };
    peers::wait_until("what was sent is there", 60, || total("visits", "probe", "no", "Sum") >= 15.0);
    peers::wait_until("gauges are there", 60, || {
        total("temperature", "room", "kitchen", "SampleCount") >= 3.0
    });
    assert_eq!(total("visits", "probe", "no", "Sum"), 15.0);
    assert_eq!(total("temperature", "room", "kitchen", "Sum"), 66.0);
    let names: Vec<_> = cloud.statistics(&namespace);
    let chosen = |metric: &Value| metric["name"] == "visits" || metric["dimensions"]["room"] == "kitchen";
    assert!(names.iter().all(chosen), "{names:?}");
    // The lake has all of it, chosen or not.
    peers::wait_until("the lake has them", 60, || value(&deployed, "count(temperature)") == Some(2.0));
}

const RULES: &str = r#"
groups:
- name: machines
  rules:
  - { alert: Down, expr: machine_up == 0, labels: { severity: critical }, annotations: { summary: "{{ $labels.n }} is down" } }
  - { alert: Slow, expr: machine_up == 0, labels: { severity: info } }
"#;

const ROUTING: &str = r#"
route: { receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 4h }
receivers:
- name: team
  sns_configs:
  - topic_arn: ${ALERT_TOPIC_ARN}
    attributes: { severity: "{{ .CommonLabels.severity }}" }
"#;

#[test]
fn an_alert_reaches_the_subscribers_whose_filter_it_passes_once_firing_and_once_resolved() {
    let Some(cloud) = Cloud::start() else { return };
    let deployed = deploy(&cloud, "alerting", &["StreamMode=direct"]);
    let name = format!("weir-oncall-{}", std::process::id());
    let queue = cloud.subscriber(&["subscribe", &name, r#"{"severity":["critical"]}"#, &deployed.alerts]);
    let queue = queue["queue"].as_str().unwrap().to_owned();
    cloud.put(&deployed.bucket, "config/rules/machines.yml", RULES);
    cloud.put(&deployed.bucket, "config/routing.yml", ROUTING);
    // Minutes to come, which the emulator's own schedule does not evaluate before this test does.
    let first_s = (now_s() as i64).div_euclid(60) * 60 + 120;
    let at_minute = |minute: i64, up: u8| {
        let at_s = first_s + minute * 60;
        let line = format!("machine_up{{n=\"a\"}} {up} {}\n", at_s * 1000 - 1);
        send(&deployed, "/api/v1/import/prometheus", &format!("m{minute}"), &line);
        peers::wait_until("the sample shows", 20, || {
            let url = format!("{}/api/v1/query?query=machine_up&time={at_s}", deployed.api);
            let reply = get(&url).unwrap().json();
            reply["data"]["result"][0]["value"][1].as_str() == Some(if up == 0 { "0" } else { "1" })
        });
        let event = json!(weir_rules::RuleEvent::scheduled(at_s * 1000));
        // A schedule may deliver an event twice.
        cloud.invoke("alerting", "Alert", &event);
        cloud.invoke("alerting", "Alert", &event);
    };
    for (minute, up) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)] {
        at_minute(minute, up);
    }
    let arrived = cloud.subscriber(&["drain", &queue]);
    let told: Vec<Value> = arrived
        .as_array()
        .unwrap()
        .iter()
        .map(|message| serde_json::from_str(message["Message"].as_str().unwrap()).unwrap())
        .collect();
    let said: Vec<_> =
        told.iter().map(|told| (&told["status"], &told["commonLabels"]["alertname"])).collect();
    assert_eq!(json!(said), json!([["firing", "Down"], ["resolved", "Down"]]));
    assert_eq!(told[0]["commonAnnotations"]["summary"], "a is down");
    let link = told[0]["alerts"][0]["generatorURL"].as_str().unwrap();
    assert!(link.starts_with("https://") && link.contains(".execute-api."), "{link}");
}
