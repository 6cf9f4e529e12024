//! The functions' routers under lambda_http: an API Gateway event in, a response out, the same code.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::sync::Arc;

use lambda_http::Request;
use serde_json::json;
use tower::ServiceExt;
use weir_ingest::{Ingest, IngestOptions};
use weir_lake::{Lake, LakeOptions};
use weir_platform::{LocalStream, LocalStreamOptions, MemoryBucket, SystemClock, Telemetry};
use weir_query::{Query, QueryOptions};
use weir_tests::body;

/// An API Gateway HTTP API event (payload format 2.0) as Lambda hands it over.
fn event(method: &str, path: &str, query: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Request {
    let headers: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let event = json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "api", "requestId": "id", "routeKey": format!("{method} {path}"), "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1_773_342_238_000_i64,
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" }
        },
        "body": body.map(body::base64),
        "isBase64Encoded": body.is_some(),
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// The files of events/ whose names begin so.
fn examples(begin: &str) -> Vec<(String, Request)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let examples = files.filter(|file| file.file_name().to_string_lossy().starts_with(begin)).map(|file| {
        let text = std::fs::read_to_string(file.path()).unwrap();
        (file.file_name().to_string_lossy().into_owned(), lambda_http::request::from_str(&text).unwrap())
    });
    examples.collect()
}

/// What `lambda_http::run` asks of a service, so that a router that stops fitting stops compiling.
async fn invoke(router: axum::Router, request: Request) -> (u16, String) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routers_answer_api_gateway_events() {
    let folder = tempfile::tempdir().unwrap();
    let stream = LocalStream::open(folder.path(), &LocalStreamOptions::default()).unwrap();
    let (clock, telemetry) = (Arc::new(SystemClock), Arc::new(Telemetry::default()));
    let ingest = weir_ingest::router(Ingest::new(
        Arc::new(stream.clone()),
        clock.clone(),
        telemetry.clone(),
        IngestOptions::default(),
    ));
    let text = body::compress("gzip", b"up 1\n");
    let headers = [("content-encoding", "gzip"), ("content-type", "text/plain")];
    let (status, answer) =
        invoke(ingest.clone(), event("POST", "/api/v1/import/prometheus", "", &headers, Some(&text))).await;
    assert_eq!((status, answer.contains("\"samples\":1")), (200, true), "{answer}");
    assert_eq!(stream.waiting().1, 1);
    let (status, answer) =
        invoke(ingest.clone(), event("POST", "/api/v1/import/prometheus", "", &[], Some(b"{"))).await;
    assert_eq!((status, answer.contains("line 1")), (400, true), "{answer}");
    for (name, event) in examples("ingest-") {
        let (status, answer) = invoke(ingest.clone(), event).await;
        assert_eq!(status, if name.contains("remote-write") { 204 } else { 200 }, "{name}: {answer}");
    }

    let bucket = Arc::new(MemoryBucket::new());
    let lake = Lake::open(bucket, clock.clone(), LakeOptions::default()).await.unwrap();
    let query = weir_query::router(Query::new(lake, clock, telemetry, QueryOptions::default()));
    let (status, answer) =
        invoke(query.clone(), event("GET", "/api/v1/query", "query=1%2B1&time=7", &[], None)).await;
    assert_eq!(
        (status, answer.as_str()),
        (200, r#"{"status":"success","data":{"resultType":"scalar","result":[7,"2"]}}"#)
    );
    for (name, event) in examples("query-") {
        let (status, answer) = invoke(query.clone(), event).await;
        assert_eq!((status, answer.contains("success")), (200, true), "{name}: {answer}");
    }
}
