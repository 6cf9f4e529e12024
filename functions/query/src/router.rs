//! The routes of the query API and what every handler shares.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Method, Request, header};
use axum::response::{IntoResponse, Response};
use axum::{RequestPartsExt, Router};
use tokio::sync::Semaphore;
use weir_api::{Function, Route};
use weir_lake::Lake;
use weir_model::TenantId;
use weir_platform::{Bucket, Clock, Telemetry};
use weir_routing::{Config, Silence, SilenceStore};
use weir_rules::RuleLibrary;

use crate::cache::ResultCache;
use crate::error::{ApiError, Kind};
use crate::params::Params;
use crate::{
    admin, alertmanager, batch, discovery, evaluate, exemplars, export, federate, feedback, metrics,
    remote_read, rules, status, syntax, targets,
};

/// Bounds of the function.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Longest time a query may take; a request may ask for less.
    pub timeout: Duration,
    /// Most samples one query may read.
    pub max_samples: usize,
    /// Most series one query may touch, and a discovery request may list.
    pub max_series: usize,
    /// Most memory one query may take, in bytes, as estimated.
    pub max_bytes: u64,
    /// Memory for answers of range queries that may be asked for again, in bytes; 0 keeps none.
    pub result_cache_bytes: u64,
    /// Queries evaluated at once; further ones wait for their turn within their timeout.
    pub max_concurrent: usize,
    /// Largest form body in bytes.
    pub max_form_bytes: usize,
    /// Longest time an export may take.
    pub export_timeout: Duration,
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_samples: 50_000_000,
            max_series: 500_000,
            max_bytes: 1 << 30,
            result_cache_bytes: 64 << 20,
            max_concurrent: 20,
            max_form_bytes: 1 << 20,
            export_timeout: Duration::from_secs(3600),
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
    pub(crate) results: Option<Arc<ResultCache>>,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) started_ms: i64,
    /// Rules and where their state is, where rules are evaluated.
    pub(crate) rules: OnceLock<(Arc<RuleLibrary>, Arc<dyn Bucket>)>,
    /// Where alerts go, where rules are evaluated.
    pub(crate) routing: OnceLock<alertmanager::Routing>,
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
        let results = ResultCache::new(options.result_cache_bytes).map(Arc::new);
        let exports = Arc::new(Semaphore::new(export::MAX_CONCURRENT));
        let (started_ms, rules, routing) = (clock.now_ms(), OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner {
            lake,
            clock,
            telemetry,
            options,
            turns,
            exports,
            results,
            started_ms,
            rules,
            routing,
        }))
    }

    /// Lets the function tell of rules and alerts, whose state is in this bucket.
    pub fn show_rules(&self, library: Arc<RuleLibrary>, bucket: Arc<dyn Bucket>) {
        // Wiring happens once; a second set of rules would not be what is evaluated.
        let _ = self.0.rules.set((library, bucket));
    }

    /// Lets the function tell where alerts go, and change silences, which are in this bucket; those of a file of
    /// maintenance windows are shown beside them.
    pub fn show_routing(&self, config: Arc<Config>, windows: Vec<Silence>, bucket: Arc<dyn Bucket>) {
        let routing = alertmanager::Routing::new(config, windows, SilenceStore::new(bucket));
        let _ = self.0.routing.set(routing);
    }
}

/// The function's routes.
pub fn router(query: Query) -> Router {
    weir_api::router(Function::Query, move |route: &'static Route, request| {
        let query = query.clone();
        async move {
            let started = Instant::now();
            let done = answer(&query, route, request).await;
            query.0.count(route.path, started, &done);
            done.unwrap_or_else(IntoResponse::into_response)
        }
    })
}

impl Inner {
    /// Counts samples that were read for an answer.
    pub(crate) fn count_samples(&self, samples: usize) {
        self.telemetry.add(&metrics::SAMPLES, &[], samples as f64);
    }

    fn count(&self, path: &str, started: Instant, done: &Result<Response, ApiError>) {
        let outcome = done.as_ref().map_or_else(ApiError::name, |_| "success");
        self.telemetry.add(&metrics::REQUESTS, &[("route", path), ("outcome", outcome)], 1.0);
        self.telemetry.add(&metrics::SECONDS, &[("route", path)], started.elapsed().as_secs_f64());
    }
}

/// A request that has been read: whose it is and what it asks.
pub(crate) struct Asked {
    pub(crate) tenant: TenantId,
    pub(crate) params: Params,
}

async fn answer(query: &Query, route: &Route, request: Request<Body>) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers)?;
    // Some routes have bodies that are no forms.
    match route.id {
        "read" => return remote_read::answer(query, tenant, body).await,
        "internal_query_batch" => return batch::answer(query, tenant, body).await,
        "alert_feedback" => {
            let Path(id) = parts.extract::<Path<String>>().await.map_err(path_error)?;
            return feedback::answer(query, &tenant, &id, body).await;
        }
        "am_silence_create" => {
            let asked = &Asked { tenant, params: Params::decode(b"")? };
            return alertmanager::create(query, asked, body).await;
        }
        _ => {}
    }
    let raw = if parts.method == Method::POST {
        form(query, &parts.headers, body, parts.uri.query()).await?
    } else {
        Bytes::copy_from_slice(parts.uri.query().unwrap_or("").as_bytes())
    };
    let asked = &Asked { tenant, params: Params::decode(&raw)? };
    match route.id {
        "query" => evaluate::instant(query, asked).await,
        "query_range" => evaluate::range(query, asked).await,
        "query_exemplars" => exemplars::answer(query, asked).await,
        // The module specification has one path for both: with a range it is a range query.
        "internal_query" if asked.params.get("start").is_some() => evaluate::range(query, asked).await,
        "internal_query" => evaluate::instant(query, asked).await,
        "format_query" => syntax::format(asked),
        "parse_query" => syntax::tree(asked),
        "federate" => federate::answer(query, asked, &parts.headers).await,
        "series" | "internal_series" => discovery::series(query, asked).await,
        "labels" | "internal_labels" => discovery::labels(query, asked).await,
        "label_values" | "internal_label_values" => {
            let Path(name) = parts.extract::<Path<String>>().await.map_err(path_error)?;
            discovery::label_values(query, asked, &name).await
        }
        "metadata" => discovery::metadata(query, asked).await,
        "export" => export::export(query, asked, None).await,
        "export_format" => {
            let Path(format) = parts.extract::<Path<String>>().await.map_err(path_error)?;
            export::export(query, asked, Some(&format)).await
        }
        "export_file" => {
            let path = parts.extract::<Path<(String, String, String)>>().await.map_err(path_error)?;
            let Path((tenant, export, part)) = path;
            export::file(query, &tenant, &export, &part).await
        }
        "rules" => rules::rules(query, asked).await,
        "alerts" => rules::alerts(query, asked).await,
        "am_status" => alertmanager::status(query),
        "am_receivers" => alertmanager::receivers(query),
        "am_alerts" => alertmanager::alerts(query, asked).await,
        "am_groups" => alertmanager::groups(query, asked).await,
        "am_silences" => alertmanager::silences(query, asked).await,
        "am_silence" | "am_silence_expire" => {
            let Path(id) = parts.extract::<Path<String>>().await.map_err(path_error)?;
            match route.id {
                "am_silence" => alertmanager::one(query, asked, &id).await,
                _ => alertmanager::expire(query, asked, &id).await,
            }
        }
        "targets" => Ok(targets::targets(asked)),
        "targets_metadata" => targets::metadata(asked),
        "scrape_pools" => Ok(targets::pools()),
        "alertmanagers" => Ok(targets::alertmanagers()),
        "notifications" => Ok(targets::notifications()),
        "status_buildinfo" => Ok(status::build_info()),
        "status_config" => Ok(status::config(query)),
        "status_flags" => Ok(status::flags(query)),
        "status_runtimeinfo" => Ok(status::runtime_info(query)),
        "status_tsdb" => status::cardinality(query, asked).await,
        "status_walreplay" => Ok(status::replay()),
        "admin_statistics" => admin::statistics(query, asked).await,
        "admin_storage" => admin::storage(query, asked).await,
        "openapi" => Ok(json_response(weir_api::document().to_string().into_bytes())),
        "healthy" => Ok("Weir is healthy.\n".into_response()),
        "ready" => Ok("Weir is ready.\n".into_response()),
        "health" => Ok("OK".into_response()),
        other => Err(ApiError::new(Kind::NotFound, format!("{other} is not built yet"))),
    }
}

fn path_error(error: axum::extract::rejection::PathRejection) -> ApiError {
    ApiError::bad_data(format!("the path cannot be read: {error}"))
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

/// A finished JSON body.
pub(crate) fn json_response(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
