//! API Gateway's part on this machine: the template's routes, each to its function.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, get};
use weir_platform::Telemetry;

use crate::template::Wiring;

/// One router over all functions; a path that the template does not name is a 404, as in the cloud.
pub(crate) fn router(
    wiring: &Wiring,
    functions: &HashMap<&str, Router>,
    telemetry: Arc<Telemetry>,
) -> Result<Router> {
    let mut paths: BTreeMap<String, MethodRouter> = BTreeMap::new();
    for route in &wiring.routes {
        let function = functions.get(route.function.as_str()).with_context(|| {
            format!("template.yaml routes {} to {}, which this build lacks", route.path, route.function)
        })?;
        let methods = paths.entry(route.path.replace("+}", "}").replace("{proxy", "{*proxy")).or_default();
        *methods = if route.method == "ANY" {
            std::mem::take(methods).fallback_service(function.clone())
        } else {
            let filter = method(&route.method)
                .with_context(|| format!("template.yaml: unknown method {}", route.method))?;
            std::mem::take(methods).on_service(filter, function.clone())
        };
    }
    let mut router = Router::new()
        .route("/-/healthy", get(|| async { "Weir is healthy.\n" }))
        .route("/-/ready", get(|| async { "Weir is ready.\n" }))
        .route("/health", get(|| async { "OK" }))
        .route("/metrics", get(move || own_metrics(telemetry.clone())));
    for (path, methods) in paths {
        router = router.route(&path, methods);
    }
    Ok(router.fallback(unknown))
}

fn method(name: &str) -> Option<MethodFilter> {
    Some(match name {
        // HEAD goes where GET goes.
        "GET" => MethodFilter::GET.or(MethodFilter::HEAD),
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "DELETE" => MethodFilter::DELETE,
        "OPTIONS" => MethodFilter::OPTIONS,
        "PATCH" => MethodFilter::PATCH,
        _ => return None,
    })
}

async fn own_metrics(telemetry: Arc<Telemetry>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry.to_text())
}

async fn unknown(uri: axum::http::Uri) -> impl IntoResponse {
    let body = serde_json::json!({
        "status": "error",
        "errorType": "not_found",
        "error": format!("there is nothing at {}; the README lists every path", uri.path()),
    });
    (StatusCode::NOT_FOUND, axum::Json(body))
}
