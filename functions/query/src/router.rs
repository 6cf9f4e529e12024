//! The routes of the query API and what every handler shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use weir_lake::Lake;
use weir_model::TenantId;
use weir_platform::{Clock, Telemetry};

use crate::error::{ApiError, Kind};
use crate::params::Params;
use crate::{discovery, evaluate, metrics, status};

/// Bounds of the function.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Longest time a query may take; a request may ask for less.
    pub timeout: Duration,
    /// Most samples one query may read.
    pub max_samples: usize,
    /// Most series one query may touch, and a discovery request may list.
    pub max_series: usize,
    /// Queries evaluated at once; further ones wait for their turn within their timeout.
    pub max_concurrent: usize,
    /// Largest form body in bytes.
    pub max_form_bytes: usize,
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_samples: 50_000_000,
            max_series: 500_000,
            max_concurrent: 20,
            max_form_bytes: 1 << 20,
            lookback: Duration::from_secs(300),
        }
    }
}

/// The function over its ports.
#[derive(Clone)]
pub struct Query(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) lake: Arc<Lake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) options: QueryOptions,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) started_ms: i64,
}

impl Query {
    /// Wires the function.
    #[must_use]
    pub fn new(
        lake: Arc<Lake>,
        clock: Arc<dyn Clock>,
        telemetry: Arc<Telemetry>,
        options: QueryOptions,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(options.max_concurrent.max(1)));
        let started_ms = clock.now_ms();
        Self(Arc::new(Inner { lake, clock, telemetry, options, turns, started_ms }))
    }
}

/// The function's routes.
pub fn router(query: Query) -> Router {
    let both = || get(answer).merge(post(answer));
    Router::new()
        .route("/api/v1/query", both())
        .route("/api/v1/query_range", both())
        .route("/api/v1/series", both())
        .route("/api/v1/labels", both())
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/metadata", get(answer))
        .route("/api/v1/format_query", both())
        .route("/api/v1/status/{topic}", get(answer))
        .route("/api/v1/internal/metrics/query", both())
        .route("/api/v1/internal/metrics/labels", get(answer))
        .route("/api/v1/internal/metrics/series", get(answer))
        .with_state(query)
}

/// A request that has been read: whose it is and what it asks.
pub(crate) struct Asked {
    pub(crate) tenant: TenantId,
    pub(crate) params: Params,
}

impl Asked {
    async fn read(query: &Query, request: Request<Body>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let tenant = tenant(&parts.headers)?;
        let raw = if parts.method == Method::POST {
            form(query, &parts.headers, body, parts.uri.query()).await?
        } else {
            Bytes::copy_from_slice(parts.uri.query().unwrap_or("").as_bytes())
        };
        Ok(Self { tenant, params: Params::decode(&raw)? })
    }
}

/// Form body and query string together, as Prometheus takes them.
async fn form(
    query: &Query,
    headers: &HeaderMap,
    body: Body,
    in_url: Option<&str>,
) -> Result<Bytes, ApiError> {
    let limit = query.0.options.max_form_bytes;
    let body = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| ApiError::bad_data(format!("the form has more than {limit} bytes, or ended early")))?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if !body.is_empty() && !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(ApiError::bad_data(format!(
            "content type {kind:?}: send parameters as application/x-www-form-urlencoded"
        )));
    }
    Ok(match in_url {
        Some(in_url) if !in_url.is_empty() => [body.as_ref(), b"&", in_url.as_bytes()].concat().into(),
        _ => body,
    })
}

fn tenant(headers: &HeaderMap) -> Result<TenantId, ApiError> {
    let Some(value) = headers.get("x-scope-orgid") else { return Ok(TenantId::default()) };
    let name = value.to_str().map_err(|_| ApiError::bad_data("the X-Scope-OrgID header is not ASCII"))?;
    TenantId::new(name).map_err(|error| ApiError::bad_data(format!("X-Scope-OrgID: {error}")))
}

async fn label_values(
    State(query): State<Query>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response {
    let started = Instant::now();
    let done = match Asked::read(&query, request).await {
        Ok(asked) => discovery::label_values(&query, &asked, &name).await,
        Err(error) => Err(error),
    };
    finish(&query, "/api/v1/label/{name}/values", started, done)
}

async fn answer(State(query): State<Query>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let path = request.uri().path().to_owned();
    let done = match Asked::read(&query, request).await {
        Ok(asked) => dispatch(&query, &path, asked).await,
        Err(error) => Err(error),
    };
    finish(&query, &path, started, done)
}

async fn dispatch(query: &Query, path: &str, asked: Asked) -> Result<Response, ApiError> {
    match path.trim_start_matches("/api/v1/") {
        "query" => evaluate::instant(query, &asked).await,
        "query_range" => evaluate::range(query, &asked).await,
        // The module specification has one path for both: with a range it is a range query.
        "internal/metrics/query" if asked.params.get("start").is_some() => {
            evaluate::range(query, &asked).await
        }
        "internal/metrics/query" => evaluate::instant(query, &asked).await,
        "series" | "internal/metrics/series" => discovery::series(query, &asked).await,
        "labels" | "internal/metrics/labels" => discovery::labels(query, &asked).await,
        "metadata" => discovery::metadata(query, &asked).await,
        "format_query" => evaluate::format(&asked),
        other => status::topic(query, other),
    }
}

fn finish(query: &Query, path: &str, started: Instant, done: Result<Response, ApiError>) -> Response {
    let outcome = done.as_ref().map_or_else(ApiError::name, |_| "success");
    let telemetry = &query.0.telemetry;
    telemetry.add(&metrics::REQUESTS, &[("route", path), ("outcome", outcome)], 1.0);
    telemetry.add(&metrics::SECONDS, &[("route", path)], started.elapsed().as_secs_f64());
    done.unwrap_or_else(IntoResponse::into_response)
}

/// A finished JSON body.
pub(crate) fn json_response(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A route that later work will fill.
pub(crate) fn not_built(what: &str) -> ApiError {
    ApiError::new(Kind::NotFound, format!("{what} is not built yet"))
}
