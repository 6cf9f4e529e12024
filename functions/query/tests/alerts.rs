//! Alerts as their API tells them, over rules evaluated for real and a bucket in memory.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;
use weir_lake::{Lake, LakeOptions};
use weir_model::TenantId;
use weir_platform::{Bucket, ManualClock, MemoryBucket, NewRecord, Placed, Stream, StreamError, Telemetry};
use weir_promql::Storage;
use weir_promql::memory::MemoryStorage;
use weir_query::{Query, QueryOptions, router};
use weir_rules::{Guide, Job, RuleFile, RuleLibrary, Runner, RunnerPorts, Settings};

/// 2026-11-21T10:00:00Z.
const NOW_MS: i64 = 1_795_255_200_000;
const RULES: &str = "groups:
- name: g
  rules:
  - alert: PaymentsFail
    expr: label_replace(vector(12.5), \"shop\", \"eu\", \"\", \"\") > 5
    labels: { severity: critical }
    annotations: { runbook_url: https://wiki/pay }
  - alert: BankDown
    expr: label_replace(vector(0), \"shop\", \"eu\", \"\", \"\") == 0
  - alert: Waiting
    expr: vector(1) > 0
    for: 1h
  - alert: Over
    expr: vector(1) > 0 and on () (vector(time()) < 1795255200 - 7000)
    for: 2m
  - alert: Quiet
    expr: vector(0) > 5
";

/// Takes records and forgets them.
struct Nowhere;

#[async_trait]
impl Stream for Nowhere {
    async fn put(&self, _: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
        Ok(Vec::new())
    }
}

/// The API at ten o'clock, rules having been evaluated at these minutes before.
async fn api_after(minutes_before: &[i64]) -> Router {
    api_of(RULES, minutes_before).await
}

/// The same with these rules.
async fn api_of(rules: &str, minutes_before: &[i64]) -> Router {
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let bucket: Arc<dyn Bucket> = Arc::new(MemoryBucket::new());
    let lake = Lake::open(bucket.clone(), clock.clone(), LakeOptions::default()).await.unwrap();
    let telemetry = Arc::new(Telemetry::default());
    let settings = Settings { external_url: "http://weir".to_owned(), ..Settings::default() };
    let guide = "impacts: [{ match: { alertname: PaymentsFail }, level: high, says: nobody can pay }]";
    let files = vec![RuleFile::parse("r.yml", rules).unwrap()];
    let library = RuleLibrary::new(files, settings, bucket.clone(), telemetry.clone());
    let library = Arc::new(library.guided_by(Guide::parse(guide).unwrap()));
    let ports = RunnerPorts {
        tenants: Arc::new(|_: &TenantId| Arc::new(MemoryStorage::new()) as Arc<dyn Storage>),
        bucket: bucket.clone(),
        stream: Arc::new(Nowhere),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
    };
    let runner = Runner::new(library.clone(), Job::Alert, ports);
    for before in minutes_before {
        runner.run(NOW_MS - before * 60_000, false).await.unwrap().remove(0).1.unwrap();
    }
    let query = Query::new(lake, clock, telemetry, QueryOptions::default());
    query.show_rules(library, bucket);
    router(query)
}

/// Status and body of feedback.
async fn feedback(api: &Router, id: &str, body: &str) -> (u16, Value) {
    let request =
        Request::post(format!("/api/v1/alerts/{id}/feedback")).body(Body::from(body.to_owned())).unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn answer(api: &Router) -> Value {
    let request = Request::get("/api/v1/alerts").body(Body::empty()).unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn alerts(api: &Router) -> Vec<Value> {
    answer(api).await["data"]["alerts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn of_a_storm_of_alerts_all_are_told_and_a_thousand_explained() {
    let mut rules = "groups: [{ name: g, rules: [".to_owned();
    for n in 0..1_002 {
        rules += &format!("{{ alert: A{n}, expr: vector({n}) >= 0 }},");
    }
    let answer = answer(&api_of(&(rules + "]}]"), &[1]).await).await;
    let alerts = answer["data"]["alerts"].as_array().unwrap();
    let explained = alerts.iter().filter(|alert| alert["weir"].is_object()).count();
    assert_eq!((alerts.len(), explained), (1_002, 1_000));
    assert!(answer["warnings"][0].as_str().unwrap().starts_with("1002 alerts are active"), "{answer}");
}

#[tokio::test]
async fn an_active_alert_says_what_it_is_about() {
    let alerts = alerts(&api_after(&[1]).await).await;
    let names: Vec<_> = alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap()).collect();
    assert_eq!(names, ["PaymentsFail", "BankDown", "Waiting"]);
    // What Prometheus tells stays as it is there.
    assert_eq!(alerts[0]["value"], "1.25e+01");
    assert_eq!(alerts[0]["activeAt"], "2026-11-21T09:59:00Z");
    let weir = &alerts[0]["weir"];
    assert_eq!(weir["value"], "12.5");
    assert_eq!(weir["condition"]["comparison"], ">");
    assert_eq!(weir["condition"]["threshold"], 5.0);
    assert_eq!(weir["condition"]["timesPast"], 2.5);
    assert_eq!(weir["priority"]["level"], "CRITICAL");
    assert_eq!(weir["impact"]["text"], "nobody can pay");
    assert_eq!(weir["runbookUrl"], "https://wiki/pay");
    assert_eq!(weir["correlated"][0]["alertname"], "BankDown");
    assert!(
        weir["plotUrl"].as_str().unwrap().starts_with("http://weir/api/v1/query_range?query=label_replace")
    );
}

#[tokio::test]
async fn feedback_counts_once_for_each_firing_and_is_told_with_the_alert() {
    let api = api_after(&[1]).await;
    let told = alerts(&api).await;
    let id = |index: usize| told[index]["weir"]["id"].as_str().unwrap().to_owned();
    assert_eq!(told[0]["weir"]["falsePositive"]["probability"], 0.25);
    assert_eq!(told[0]["weir"]["falsePositive"]["basis"], "prior");
    let body = r#"{"verdict": "false_positive", "by": "anna", "comment": "a load test"}"#;
    for counted in [true, false] {
        let (status, answer) = feedback(&api, &id(0), body).await;
        assert_eq!((status, &answer["data"]["counted"]), (200, &Value::Bool(counted)), "{answer}");
        assert_eq!(answer["data"]["falsePositive"]["verdicts"], 1);
    }
    let (status, answer) = feedback(&api, &id(0), r#"{"verdict": "true_positive"}"#).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("judged false_positive before"), "{answer}");
    let told = alerts(&api).await;
    assert_eq!(told[0]["weir"]["falsePositive"]["verdict"], "false_positive");
    assert_eq!(told[1]["weir"]["falsePositive"]["verdict"], Value::Null);
}

#[tokio::test]
async fn feedback_that_says_nothing_or_means_no_firing_is_refused() {
    let api = api_after(&[1]).await;
    let told = alerts(&api).await;
    let (firing, waiting) =
        (told[0]["weir"]["id"].as_str().unwrap(), told[2]["weir"]["id"].as_str().unwrap());
    let good = r#"{"verdict": "true_positive"}"#;
    let long = format!(r#"{{"verdict": "true_positive", "by": "{}"}}"#, "x".repeat(201));
    let larger = format!(r#"{{"verdict": "true_positive", "comment": "{}"}}"#, "x".repeat(40_000));
    for (id, body, want, says) in [
        (firing, "", 400, "is no feedback"),
        (firing, r#"{"verdict": "maybe"}"#, 400, "maybe"),
        (firing, r#"{"verdict": "true_positive", "why": "x"}"#, 400, "unknown field `why`"),
        (firing, &long, 400, "by has 201 characters, at most 200"),
        (firing, &larger, 400, "more than 32768 bytes"),
        ("x", good, 404, "no alert"),
        ("0123456789abcdef-1795255140000", good, 404, "no alert"),
        ("0123456789abcdef-9223372036854775807", good, 404, "no alert"),
        (waiting, good, 409, "is pending"),
    ] {
        let (status, answer) = feedback(&api, id, body).await;
        assert_eq!(status, want, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{answer}");
    }
}

#[tokio::test]
async fn an_alert_that_is_over_is_judged_as_it_was() {
    // Two hours ago it was pending, fired two minutes later, and was forgotten long ago.
    let api = api_after(&[120, 119, 118, 117, 60, 40, 1]).await;
    let id = |name: &str| {
        let labels = weir_model::Labels::from_pairs([("alertname", name)]);
        let alert_id = weir_rules::firing_id(&labels, NOW_MS - 120 * 60_000);
        assert_eq!(alert_id.len(), 16 + 1 + 13);
        alert_id
    };
    assert!(!alerts(&api).await.iter().any(|alert| alert["labels"]["alertname"] == "Over"));
    let (status, answer) = feedback(&api, &id("Over"), r#"{"verdict": "true_positive"}"#).await;
    assert_eq!((status, &answer["data"]["counted"]), (200, &Value::Bool(true)), "{answer}");
}
