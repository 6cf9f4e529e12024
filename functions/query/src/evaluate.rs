//! Instant and range queries: parameters in, the engine's answer out in Prometheus' JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::response::Response;
use serde_json::json;
use weir_promql::{Answer, Limits, QueryError, SampleValue, Stats, Value};

use crate::error::{ApiError, Kind};
use crate::json::{put_histogram_point, put_labels, put_point, put_string, put_time};
use crate::metrics;
use crate::router::{Asked, Query, json_response};
use crate::storage::TenantStorage;

/// Series times steps up to which a query is evaluated on the thread that serves it.
const SMALL_POINTS: usize = 1_000;

/// `/api/v1/query`
pub(crate) async fn instant(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let at_ms = asked.params.time("time")?.unwrap_or_else(|| query.0.clock.now_ms());
    let limit = asked.params.limit("limit")?;
    let text = asked.params.required("query")?;
    let expr = parse(text)?;
    run(query, asked, weir_promql::Query::instant(expr, text, at_ms), limit).await
}

/// `/api/v1/query_range`
pub(crate) async fn range(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let missing =
        |name: &str| ApiError::bad_data(format!("invalid parameter {name:?}: it is missing or empty"));
    let params = &asked.params;
    let start_ms = params.time("start")?.ok_or_else(|| missing("start"))?;
    let end_ms = params.time("end")?.ok_or_else(|| missing("end"))?;
    let step_ms = params.duration("step")?.ok_or_else(|| missing("step"))?;
    if end_ms < start_ms {
        return Err(ApiError::bad_data(
            "invalid parameter \"end\": end timestamp must not be before start time",
        ));
    }
    let most = Limits::default().max_points_per_series as i64;
    if (end_ms - start_ms) / step_ms > most {
        return Err(ApiError::bad_data(format!(
            "exceeded maximum resolution of {most} points per timeseries. Try decreasing the query resolution (?step=XX)"
        )));
    }
    let limit = params.limit("limit")?;
    let text = params.required("query")?;
    let expr = parse(text)?;
    run(query, asked, weir_promql::Query::range(expr, text, start_ms, end_ms, step_ms), limit).await
}

pub(crate) fn parse(text: &str) -> Result<weir_promql::ast::Expr, ApiError> {
    weir_promql::parse(text)
        .map_err(|error| ApiError::bad_data(format!("invalid parameter \"query\": {error}")))
}

/// Tells the evaluation to stop when the request's future is dropped, as it is when the client goes away.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn run(
    query: &Query,
    asked: &Asked,
    mut question: weir_promql::Query,
    limit: Option<usize>,
) -> Result<Response, ApiError> {
    let inner = &query.0;
    let options = &inner.options;
    let asked_timeout =
        asked.params.duration("timeout")?.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let timeout = asked_timeout.map_or(options.timeout, |timeout| timeout.min(options.timeout));
    let lookback = i64::try_from(options.lookback.as_millis()).unwrap_or(i64::MAX);
    question.lookback_ms = asked.params.duration("lookback_delta")?.unwrap_or(lookback);
    let steps =
        if question.step_ms > 0 { (question.end_ms - question.start_ms) / question.step_ms + 1 } else { 1 };
    let steps = usize::try_from(steps).unwrap_or(usize::MAX);
    let plain = !question.expr.has_subquery();
    let deadline = Instant::now() + timeout;
    let timed_out = || ApiError::new(Kind::Timeout, "query timed out in expression evaluation");
    // A turn is waited for within the query's own time, so that a queue cannot grow without end.
    let turn = tokio::time::timeout_at(deadline.into(), inner.turns.clone().acquire_owned());
    let Ok(Ok(_turn)) = turn.await else {
        return Err(ApiError::new(Kind::Timeout, "query timed out in query queue"));
    };
    let cancel = Arc::new(AtomicBool::new(false));
    let _cancel = CancelOnDrop(cancel.clone());
    let limits = Limits {
        max_samples: options.max_samples as u64,
        max_series: options.max_series,
        deadline: Some(deadline),
        cancel: Some(cancel),
        ..Limits::default()
    };
    let storage = TenantStorage {
        lake: inner.lake.clone(),
        tenant: asked.tenant.clone(),
        // Neither answers nor samples are cached, so `nocache=1` has nothing to go around but the indexes of
        // immutable objects, which only `nocache=all` reads from the bucket again.
        bypass_cache: asked.params.get("nocache") == Some("all"),
    };
    let prepared =
        tokio::time::timeout_at(deadline.into(), weir_promql::prepare(&storage, &question, &limits))
            .await
            .map_err(|_| timed_out())?
            .map_err(query_error)?;
    // Handing work to another thread costs more than evaluating a few series over a few steps.
    let small = plain && prepared.series_count().saturating_mul(steps) <= SMALL_POINTS;
    let with_stats = asked.params.get("stats").is_some();
    let work = move || {
        let answer = weir_promql::evaluate_prepared(&prepared)?;
        Ok((encode(&answer, limit, with_stats), answer.stats))
    };
    let done: Result<(Vec<u8>, Stats), QueryError> = if small {
        work()
    } else {
        // CPU work of some length: off the threads that serve requests.
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a query's thread ended early");
            ApiError::new(Kind::Internal, "the query could not be evaluated; see the log")
        })?
    };
    let (body, stats) = done.map_err(query_error)?;
    inner.telemetry.add(&metrics::SAMPLES, &[], stats.samples_read as f64);
    Ok(json_response(body))
}

fn query_error(error: QueryError) -> ApiError {
    let kind = match &error {
        QueryError::BadData(_) => Kind::BadData,
        QueryError::Execution(_) => Kind::Execution,
        QueryError::Timeout => Kind::Timeout,
        QueryError::Canceled => Kind::Canceled,
        QueryError::Storage(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, "storage failed under a query");
            Kind::Unavailable
        }
        QueryError::Internal(_) => {
            tracing::error!(%error, "the engine broke its own rules");
            Kind::Internal
        }
    };
    ApiError::new(kind, error.to_string())
}

/// Writes the answer; `limit` cuts the number of series, as in Prometheus.
fn encode(answer: &Answer, limit: Option<usize>, with_stats: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut truncated = false;
    let limit = limit.unwrap_or(usize::MAX);
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"resultType\":");
    match &answer.value {
        Value::Scalar { timestamp_ms, value } => {
            out.extend_from_slice(b"\"scalar\",\"result\":");
            put_point(&mut out, *timestamp_ms, *value);
        }
        Value::String { timestamp_ms, text } => {
            out.extend_from_slice(b"\"string\",\"result\":[");
            put_time(&mut out, *timestamp_ms);
            out.push(b',');
            put_string(&mut out, text);
            out.push(b']');
        }
        Value::Vector(samples) => {
            truncated = samples.len() > limit;
            out.extend_from_slice(b"\"vector\",\"result\":");
            put_list(&mut out, samples.iter().take(limit), |out, sample| {
                out.extend_from_slice(b"{\"metric\":");
                put_labels(out, &sample.labels);
                match &sample.value {
                    SampleValue::Float(value) => {
                        out.extend_from_slice(b",\"value\":");
                        put_point(out, sample.timestamp_ms, *value);
                    }
                    SampleValue::Histogram(histogram) => {
                        out.extend_from_slice(b",\"histogram\":");
                        put_histogram_point(out, sample.timestamp_ms, histogram);
                    }
                }
                out.push(b'}');
            });
        }
        Value::Matrix(series) => {
            truncated = series.len() > limit;
            out.extend_from_slice(b"\"matrix\",\"result\":");
            put_list(&mut out, series.iter().take(limit), |out, series| {
                out.extend_from_slice(b"{\"metric\":");
                put_labels(out, &series.labels);
                if !series.floats.is_empty() {
                    out.extend_from_slice(b",\"values\":");
                    put_list(out, series.floats.iter(), |out, (at, value)| put_point(out, *at, *value));
                }
                if !series.histograms.is_empty() {
                    out.extend_from_slice(b",\"histograms\":");
                    put_list(out, series.histograms.iter(), |out, (at, h)| put_histogram_point(out, *at, h));
                }
                out.push(b'}');
            });
        }
    }
    if with_stats {
        let Stats { series, samples_read, peak_points } = answer.stats;
        let stats = json!({ "samples": { "totalQueryableSamples": samples_read, "peakSamples": peak_points }, "series": series });
        out.extend_from_slice(b",\"stats\":");
        out.extend_from_slice(stats.to_string().as_bytes());
    }
    out.push(b'}');
    let cut = truncated.then(|| "results truncated due to limit".to_owned());
    for (name, notes) in [
        ("warnings", answer.warnings.iter().chain(&cut).collect::<Vec<_>>()),
        ("infos", answer.infos.iter().collect()),
    ] {
        if !notes.is_empty() {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            put_list(&mut out, notes.into_iter(), |out, note| put_string(out, note));
        }
    }
    out.push(b'}');
    out
}

fn put_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(out, item);
    }
    out.push(b']');
}
