//! What this server is: enough for clients that look before they ask.

use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;
use crate::router::{Query, not_built};

/// The Prometheus whose language and API this server speaks; Grafana enables features by it.
const COMPATIBLE_VERSION: &str = "3.8.0";

/// Answers `status/…`.
pub(crate) fn topic(query: &Query, path: &str) -> Result<Response, ApiError> {
    let data = match path {
        "status/buildinfo" => json!({
            "version": COMPATIBLE_VERSION,
            "revision": concat!("weir-", env!("CARGO_PKG_VERSION")),
            "branch": "weir",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "application": "Weir",
        }),
        "status/runtimeinfo" => json!({
            "startTime": query.0.started_ms as f64 / 1000.0,
            "storageRetention": "unlimited",
        }),
        other => return Err(not_built(&format!("/api/v1/{other}"))),
    };
    Ok(axum::Json(json!({ "status": "success", "data": data })).into_response())
}
