//! What a query over frozen samples answers, and what rollups answer all the same.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use tower::ServiceExt;
use weir_lake::{ArchiveRule, CompactMode, Incoming, Lake, LakeOptions, RetentionPolicy, RollupWish};
use weir_model::{Batch, FloatSample, Labels, MetricKind, Record, Temporality, TenantId};
use weir_platform::{Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId, StorageClass, Telemetry};
use weir_query::{Query, QueryOptions, router};

/// 2026-11-21T00:00:00Z.
const BASE_MS: i64 = 1_795_219_200_000;
const DAY_MS: i64 = 86_400_000;

/// Status, `Retry-After` and body of an answer.
async fn ask(router: &axum::Router, uri: &str) -> (u16, Option<String>, Value) {
    let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, retry, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_query_over_frozen_samples_says_when_to_ask_again_and_rollups_answer_at_once() {
    let clock = Arc::new(ManualClock::new(BASE_MS + 3 * DAY_MS));
    let bucket = Arc::new(MemoryBucket::new());
    let options = LakeOptions { cold_bytes: 0, ..LakeOptions::default() };
    let lake = Lake::open(bucket.clone(), clock.clone(), options).await.unwrap();
    let archive = ArchiveRule { after_ms: Some(DAY_MS), storage_class: StorageClass::Glacier };
    let policy = RetentionPolicy { archive, ..RetentionPolicy::default() };
    lake.set_retention(None, &policy, "test").await.unwrap();
    let mut batch = Batch::new();
    let labels = Labels::from_pairs([("__name__", "m")]);
    let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
    for minute in 0..1_440 {
        let timestamp_ms = BASE_MS + minute * 60_000;
        batch.floats.push(FloatSample { series, timestamp_ms, value: minute as f64 });
    }
    let record = Record { tenant: TenantId::default(), key: None, received_ms: clock.now_ms(), batch };
    let payload = record.encode().unwrap().into();
    let incoming = Incoming { sequence: SequenceNumber::from(1u128), payload, record };
    lake.append(ShardId(0), vec![incoming]).await.unwrap();
    lake.compact(CompactMode::Full).await.unwrap();
    lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
    let archived = lake.archive(clock.now_ms(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(archived.merged, 1, "{archived:?}");
    let query = Query::new(lake, clock, Arc::new(Telemetry::default()), QueryOptions::default());
    let router = router(query);

    let (noon, span) = (BASE_MS / 1000 + 43_200, "start=1795219200&end=1795305600&step=3600");
    let samples = format!("/api/v1/query?query=quantile_over_time(0.5,m[1h])&time={noon}");
    for _ in 0..2 {
        let (status, retry, body) = ask(&router, &samples).await;
        assert_eq!((status, retry.as_deref()), (503, Some("18000")), "{body}");
        assert_eq!((&body["status"], &body["errorType"]), (&"error".into(), &"unavailable".into()));
        let message = body["error"].as_str().unwrap();
        assert!(
            message.contains("samples of 2026-11-21 are frozen in the storage class GLACIER"),
            "{message}"
        );
    }
    let (status, _, body) =
        ask(&router, &format!("/api/v1/query_range?query=sum(avg_over_time(m[1h]))&{span}")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["data"]["result"][0]["values"].as_array().unwrap().len(), 25, "{body}");
    let (status, _, body) = ask(&router, &format!("/api/v1/label/__name__/values?{span}")).await;
    assert_eq!((status, &body["data"][0]), (200, &"m".into()), "{body}");

    assert_eq!(bucket.thaw().len(), 1, "it was asked for once");
    let (status, _, body) = ask(&router, &samples).await;
    assert_eq!((status, &body["data"]["result"][0]["value"][1]), (200, &"690.5".into()), "{body}");
}
