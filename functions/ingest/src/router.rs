//! The routes of the ingest function.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use weir_formats::encoding;
use weir_model::RecordKey;

use crate::accept::{Ingest, IngestError, Outcome};
use crate::dialect::Dialect;
use crate::request::Incoming;
use crate::{metrics, reply};

/// The function's routes. They never answer 5xx for what a sender did wrong.
pub fn router(ingest: Ingest) -> Router {
    Router::new()
        .route("/api/v1/write", post(remote_write))
        .route("/api/v1/push", post(remote_write))
        .route("/api/v1/import/{dialect}", post(import))
        .route("/api/v1/internal/metrics/health", get(health))
        .route("/api/v1/internal/metrics/{dialect}", post(import))
        .with_state(ingest)
}

async fn remote_write(State(ingest): State<Ingest>, request: Request<Body>) -> Response {
    answer(&ingest, Dialect::RemoteWrite, request).await
}

async fn import(State(ingest): State<Ingest>, Path(name): Path<String>, request: Request<Body>) -> Response {
    match Dialect::of_path(&name) {
        Some(dialect) => answer(&ingest, dialect, request).await,
        None => {
            let error = format!("there is no import format {name:?}; use prometheus, statsd, json or batch");
            let body = json!({ "status": "error", "errorType": "not_found", "error": error });
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    }
}

/// Health as the module specification wants it: answers while the function can take requests.
async fn health(State(ingest): State<Ingest>) -> Json<serde_json::Value> {
    Json(
        json!({ "status": "healthy", "service": "weir", "version": env!("CARGO_PKG_VERSION"), "time_ms": ingest.now_ms() }),
    )
}

async fn answer(ingest: &Ingest, dialect: Dialect, request: Request<Body>) -> Response {
    let response = match take(ingest, dialect, request).await {
        Ok(outcome) => reply::outcome(dialect, &outcome),
        Err(error) => {
            if let IngestError::Unavailable(source) = &error {
                tracing::error!(
                    error = source as &dyn std::error::Error,
                    "samples could not be made durable"
                );
            }
            reply::refusal(dialect, &error)
        }
    };
    let status = response.status();
    let labels = [("dialect", dialect.name()), ("status", status.as_str())];
    ingest.telemetry().add(&metrics::REQUESTS, &labels, 1.0);
    response
}

async fn take(ingest: &Ingest, dialect: Dialect, request: Request<Body>) -> Result<Outcome, IngestError> {
    let incoming = Incoming::read(ingest, request).await?;
    // Before the body is looked at: a sender of another format should hear that, not that it is damaged.
    dialect.check_content_type(incoming.content_type())?;
    ingest.telemetry().add(&metrics::BYTES, &[("dialect", dialect.name())], incoming.body.len() as f64);
    // Remote write is always snappy, whether or not the sender says so.
    let encoding = match (dialect, incoming.content_encoding()) {
        (Dialect::RemoteWrite, "") => "snappy",
        (_, encoding) => encoding,
    };
    let limits = &ingest.options().limits;
    let body =
        encoding::decompress(&incoming.body, encoding, limits).map_err(weir_formats::FormatError::from)?;
    let parsed = ingest.parse(&incoming.tenant, dialect, incoming.content_type(), &body)?;
    let key = match incoming.idempotency_key()? {
        Some(name) => Some(RecordKey::of(&incoming.tenant, name.as_bytes())),
        // Delta samples would count twice. The same body with the same timestamps is a retry; without
        // timestamps of its own it may as well be the next event, so then only a key can tell.
        None if parsed.own_timestamps && parsed.batch.has_delta_series() => {
            Some(RecordKey::of(&incoming.tenant, &body))
        }
        None => None,
    };
    drop(body);
    ingest.accept(&incoming.tenant, dialect, parsed, key).await
}
