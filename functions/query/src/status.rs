//! What this server is and holds.

use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use weir_model::Moment;

use crate::error::ApiError;
use crate::json::success;
use crate::router::{Asked, Query};

/// The Prometheus whose language and API this server speaks; Grafana enables features by it.
const COMPATIBLE_VERSION: &str = "3.8.0";
/// Most entries of a list of `status/tsdb`, as in Prometheus.
const MAX_RANKED: i64 = 10_000;

/// `/api/v1/status/buildinfo`
pub(crate) fn build_info() -> Response {
    success(&json!({
        "version": COMPATIBLE_VERSION,
        "revision": concat!("weir-", env!("CARGO_PKG_VERSION")),
        "branch": "weir",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Weir",
    }))
}

/// The settings of queries by name; those that Prometheus has, too, under its names.
fn settings(query: &Query) -> Vec<(&'static str, String)> {
    let options = &query.0.options;
    vec![
        ("query.lookback-delta", span(options.lookback)),
        ("query.max-concurrency", options.max_concurrent.to_string()),
        ("query.max-form-bytes", options.max_form_bytes.to_string()),
        ("query.max-samples", options.max_samples.to_string()),
        ("query.max-series", options.max_series.to_string()),
        ("query.timeout", span(options.timeout)),
    ]
}

/// A span as Prometheus writes it.
fn span(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// `/api/v1/status/flags`
pub(crate) fn flags(query: &Query) -> Response {
    let flags: serde_json::Map<String, Value> =
        settings(query).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    success(&flags)
}

/// `/api/v1/status/config`: there is no configuration file; the settings stand in for one.
pub(crate) fn config(query: &Query) -> Response {
    let lines = settings(query).into_iter().map(|(name, value)| format!("{name}: {value}\n"));
    success(&json!({ "yaml": lines.collect::<String>() }))
}

/// `/api/v1/status/runtimeinfo`: what of it means something here.
pub(crate) fn runtime_info(query: &Query) -> Response {
    success(&json!({
        "startTime": rfc3339(query.0.started_ms),
        "serverTime": rfc3339(query.0.clock.now_ms()),
        "reloadConfigSuccess": true,
        "corruptionCount": 0,
        "storageRetention": "unlimited",
    }))
}

/// `/api/v1/status/walreplay`: Weir answers only once it has caught up.
pub(crate) fn replay() -> Response {
    success(&json!({ "min": 0, "max": 0, "current": 0 }))
}

/// `/api/v1/status/tsdb`
pub(crate) async fn cardinality(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let limit = match asked.params.whole("limit")? {
        None => 10,
        Some(limit) if limit < 1 => {
            return Err(ApiError::bad_data(format!("limit must be a positive number, not {limit}")));
        }
        Some(limit) if limit > MAX_RANKED => {
            return Err(ApiError::bad_data(format!("limit must not exceed {MAX_RANKED}, got {limit}")));
        }
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let found = query.0.lake.cardinality(&asked.tenant, limit).await?;
    let ranked = |list: &[(String, u64)]| -> Value {
        list.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    // Without samples Prometheus gives the ends of time the wrong way round.
    let (min_ms, max_ms) = found.times_ms.unwrap_or((i64::MAX, i64::MIN));
    Ok(success(&json!({
        "headStats": {
            "numSeries": found.series,
            "numLabelPairs": found.label_pairs,
            "chunkCount": found.blocks,
            "minTime": min_ms,
            "maxTime": max_ms,
        },
        "seriesCountByMetricName": ranked(&found.by_metric),
        "labelValueCountByLabelName": ranked(&found.values_by_label),
        "memoryInBytesByLabelName": ranked(&found.bytes_by_label),
        "seriesCountByLabelValuePair": ranked(&found.by_pair),
    })))
}

/// An instant as RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(ms: i64) -> String {
    let seconds = Moment::from_unix(ms.div_euclid(1000)).to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_rfc_3339() {
        for (ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_435_781_451_781, "2015-07-01T20:10:51.781Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), want);
            assert_eq!(weir_formats::from_iso8601(want), Some(ms));
        }
    }

    #[test]
    fn spans_are_written_as_prometheus_writes_them() {
        for (ms, want) in [(300_000, "5m"), (30_000, "30s"), (250, "250ms")] {
            assert_eq!(span(Duration::from_millis(ms)), want);
        }
    }
}
