//! The routes of the ingest function.

use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use weir_api::{Function, Route};
use weir_formats::encoding;
use weir_model::RecordKey;

use crate::accept::{Ingest, IngestError, Outcome};
use crate::dialect::{BodyForm, Dialect};
use crate::request::Incoming;
use crate::{metrics, reply};

/// The function's routes. They never answer 5xx for what a sender did wrong.
pub fn router(ingest: Ingest) -> Router {
    weir_api::router(Function::Ingest, move |route: &'static Route, request| {
        let ingest = ingest.clone();
        async move {
            match Dialect::of_route(route.id) {
                Some(dialect) => answer(&ingest, dialect, request).await,
                None if route.id == "internal_health" => health(&ingest).into_response(),
                None => weir_api::nothing_here(request).await,
            }
        }
    })
}

/// Health as the module specification wants it: answers while the function can take requests.
fn health(ingest: &Ingest) -> Json<serde_json::Value> {
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
    let form = BodyForm { content_type: incoming.content_type(), query: &incoming.query };
    let parsed = ingest.parse(&incoming.tenant, dialect, form, &body)?;
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
