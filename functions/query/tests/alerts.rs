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

/// The API after one evaluation of the rules.
async fn api() -> Router {
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let bucket: Arc<dyn Bucket> = Arc::new(MemoryBucket::new());
    let lake = Lake::open(bucket.clone(), clock.clone(), LakeOptions::default()).await.unwrap();
    let telemetry = Arc::new(Telemetry::default());
    let settings = Settings { external_url: "http://weir".to_owned(), ..Settings::default() };
    let guide = "impacts: [{ match: { alertname: PaymentsFail }, level: high, says: nobody can pay }]";
    let files = vec![RuleFile::parse("r.yml", RULES).unwrap()];
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
    runner.run(NOW_MS - 60_000, false).await.unwrap().remove(0).1.unwrap();
    let query = Query::new(lake, clock, telemetry, QueryOptions::default());
    query.show_rules(library, bucket);
    router(query)
}

async fn alerts(api: &Router) -> Vec<Value> {
    let request = Request::get("/api/v1/alerts").body(Body::empty()).unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["data"]["alerts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_active_alert_says_what_it_is_about() {
    let alerts = alerts(&api().await).await;
    let names: Vec<_> = alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap()).collect();
    assert_eq!(names, ["PaymentsFail", "BankDown"]);
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
