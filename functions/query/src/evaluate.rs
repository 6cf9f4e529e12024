//! Instant and range queries: parameters in, what the engine and the result cache answer out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::response::Response;
use serde_json::json;
use weir_platform::Telemetry;
use weir_promql::{Answer, Limits, Prepared, QueryError, StorageError, Value};
use weir_reader::{TenantStorage, Tiers};

use crate::answer::{self, Shape};
use crate::cache::{Plan, ResultCache};
use crate::error::{ApiError, Kind};
use crate::metrics;
use crate::router::{Asked, Inner, Query, json_response};

/// Series times steps up to which a query is evaluated on the thread that serves it.
const SMALL_POINTS: usize = 1_000;

/// The header that says what an answer was read from.
const TIER_HEADER: &str = "weir-tier";

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
    let params = &asked.params;
    let asked_timeout =
        params.duration("timeout")?.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let timeout = asked_timeout.map_or(options.timeout, |timeout| timeout.min(options.timeout));
    let lookback = i64::try_from(options.lookback.as_millis()).unwrap_or(i64::MAX);
    question.lookback_ms = params.duration("lookback_delta")?.unwrap_or(lookback);
    question.stats = params.get("stats").is_some();
    question.explain = params.get("explain") == Some("1");
    let started = Instant::now();
    let deadline = started + timeout;
    // A turn is waited for within the query's own time, so that a queue cannot grow without end.
    let turn = tokio::time::timeout_at(deadline.into(), inner.turns.clone().acquire_owned());
    let Ok(Ok(turn)) = turn.await else {
        return Err(ApiError::new(Kind::Timeout, "query timed out in query queue"));
    };
    let queued = started.elapsed();
    let cancel = Arc::new(AtomicBool::new(false));
    let _cancel = CancelOnDrop(cancel.clone());
    let limits = Limits {
        max_samples: options.max_samples as u64,
        max_series: options.max_series,
        max_bytes: options.max_bytes,
        deadline: Some(deadline),
        cancel: Some(cancel),
        ..Limits::default()
    };
    let fetching = tokio::time::timeout_at(deadline.into(), Work::fetch(inner, asked, question, &limits));
    let timed_out = |_| ApiError::new(Kind::Timeout, "query timed out in expression evaluation");
    let work = fetching.await.map_err(timed_out)??;
    let shape = Shape { limit, ..Shape::default() };
    let all_stats = params.get("stats") == Some("all");
    let telemetry = inner.telemetry.clone();
    let cache = inner.results.clone();
    let small = work.is_small();
    let tier = work.tier();
    let work = move || {
        // The turn ends with the work, which may outlast a client that has gone.
        let _turn = turn;
        work.finish(shape, queued, all_stats, cache.as_deref(), &telemetry)
    };
    let done: Result<Vec<u8>, QueryError> = if small {
        work()
    } else {
        // CPU work of some length: off the threads that serve requests.
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a query's thread ended early");
            ApiError::new(Kind::Internal, "the query could not be evaluated; see the log")
        })?
    };
    let mut response = json_response(done.map_err(query_error)?);
    if let Some(tier) = tier {
        response.headers_mut().insert(TIER_HEADER, HeaderValue::from_static(tier));
    }
    Ok(response)
}

/// A query with all that its answer is made of: what is to be evaluated, and what is known of it already.
struct Work {
    question: weir_promql::Query,
    /// How the result cache answers, if it may.
    plan: Option<Plan>,
    /// The question, or the parts of it that are not in the cache.
    parts: Vec<Prepared>,
}

impl Work {
    async fn fetch(
        inner: &Inner,
        asked: &Asked,
        question: weir_promql::Query,
        limits: &Limits,
    ) -> Result<Self, ApiError> {
        let around = asked.params.get("nocache");
        let tiers = Tiers::parse(asked.params.get("tier")).map_err(ApiError::bad_data)?;
        let storage = TenantStorage {
            lake: inner.lake.clone(),
            tenant: asked.tenant.clone(),
            bypass_cache: around == Some("all"),
            tiers,
        };
        // Figures of each step are those of a whole evaluation.
        let cache =
            inner.results.as_ref().filter(|_| around.is_none() && !question.stats && tiers == Tiers::Any);
        let plan = match cache {
            Some(cache) => cache.plan(&inner.lake, &asked.tenant, &question).await?,
            None => None,
        };
        let whole = [(question.start_ms, question.end_ms)];
        let missing = plan.as_ref().map_or(&whole[..], |plan| &plan.missing);
        let mut parts = Vec::with_capacity(missing.len());
        for (start_ms, end_ms) in missing {
            let part = weir_promql::Query { start_ms: *start_ms, end_ms: *end_ms, ..question.clone() };
            parts.push(weir_promql::prepare(&storage, &part, limits).await.map_err(query_error)?);
        }
        Ok(Self { question, plan, parts })
    }

    /// True for what costs less than handing it to another thread: a few series over a few steps.
    fn is_small(&self) -> bool {
        let Self { question, plan, parts } = self;
        let steps = if question.step_ms > 0 {
            (question.end_ms - question.start_ms) / question.step_ms + 1
        } else {
            1
        };
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let series: usize = parts.iter().map(Prepared::series_count).sum();
        !question.expr.has_subquery()
            && plan.as_ref().is_none_or(|plan| plan.kept_steps() == 0)
            && series.saturating_mul(steps) <= SMALL_POINTS
    }

    /// What the answer is read from: the one resolution, `mixed` for several, `cache` for what was evaluated
    /// before; `None` when nothing is read at all. Of an answer that is kept in part, the rest counts.
    fn tier(&self) -> Option<&'static str> {
        if self.parts.is_empty() {
            return Some("cache");
        }
        let mut tiers = self.parts.iter().flat_map(Prepared::tiers);
        let first = tiers.next()?;
        Some(if tiers.all(|tier| tier == first) { first } else { "mixed" })
    }

    /// Evaluates, puts the answer together and writes it.
    fn finish(
        self,
        mut shape: Shape,
        queued: Duration,
        all_stats: bool,
        cache: Option<&ResultCache>,
        telemetry: &Telemetry,
    ) -> Result<Vec<u8>, QueryError> {
        let tier = self.tier();
        let Self { question, plan, parts } = self;
        let answers = parts.iter().map(weir_promql::evaluate_prepared).collect::<Result<Vec<_>, _>>()?;
        let read: u64 = answers.iter().map(|answer| answer.stats.samples_read).sum();
        telemetry.add(&metrics::SAMPLES, &[], read as f64);
        let kept_steps = plan.as_ref().map_or(0, Plan::kept_steps);
        if let Some(plan) = &plan {
            let steps = (question.end_ms - question.start_ms) / question.step_ms + 1;
            telemetry.add(&metrics::CACHED_STEPS, &[("from", "cache")], kept_steps as f64);
            telemetry.add(
                &metrics::CACHED_STEPS,
                &[("from", "evaluation")],
                steps as f64 - kept_steps as f64,
            );
            let whole = plan.missing.is_empty();
            telemetry.add(&metrics::CACHE, &[("hit", hit(kept_steps, whole))], 1.0);
        }
        if question.explain {
            let plans: Vec<_> = parts
                .iter()
                .zip(&answers)
                .filter_map(|(part, a)| Some((part, a.explain.as_ref()?)))
                .collect();
            let plans: Vec<_> = plans
                .into_iter()
                .map(|(part, plan)| {
                    let (start_ms, end_ms) = part.range();
                    json!({ "start": start_ms as f64 / 1e3, "end": end_ms as f64 / 1e3, "plan": answer::plan(plan) })
                })
                .collect();
            let cache = json!({ "used": plan.is_some(), "steps": kept_steps });
            shape.explain = Some(json!({ "cache": cache, "evaluated": plans }));
        }
        if question.stats
            && let Some(answer) = answers.first()
        {
            let grid = all_stats.then_some((question.start_ms, question.step_ms));
            let mut stats = answer::stats(answer, queued, grid);
            stats["tier"] = tier.into();
            shape.stats = Some(stats);
        }
        let answer = joined(plan.as_ref(), answers);
        let body = answer::encode(&answer, &shape);
        if let (Some(cache), Some(plan), Value::Matrix(series)) = (cache, plan, answer.value)
            && !plan.missing.is_empty()
            && answer.warnings.is_empty()
            && answer.infos.is_empty()
        {
            cache.keep(plan, series);
            telemetry.set(&metrics::CACHE_BYTES, &[], cache.bytes() as f64);
        }
        Ok(body)
    }
}

fn hit(kept_steps: u64, whole: bool) -> &'static str {
    match (kept_steps, whole) {
        (0, _) => "no",
        (_, true) => "whole",
        _ => "part",
    }
}

/// The answer of all parts and of what was kept.
fn joined(plan: Option<&Plan>, answers: Vec<Answer>) -> Answer {
    let mut whole =
        Answer { value: Value::Matrix(Vec::new()), warnings: vec![], infos: vec![], ..Answer::default() };
    let mut computed = Vec::with_capacity(answers.len());
    for answer in answers {
        whole.warnings.extend(answer.warnings);
        whole.infos.extend(answer.infos);
        match answer.value {
            Value::Matrix(series) if plan.is_some() => computed.push(series),
            value => whole.value = value,
        }
    }
    if let Some(plan) = plan {
        whole.value = Value::Matrix(plan.join(computed));
        for notes in [&mut whole.warnings, &mut whole.infos] {
            notes.sort_unstable();
            notes.dedup();
        }
    }
    whole
}

fn query_error(error: QueryError) -> ApiError {
    if let QueryError::Storage(StorageError::NotYet { reason, retry_after_s }) = error {
        return ApiError::not_yet(reason, retry_after_s);
    }
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
