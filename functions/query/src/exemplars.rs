//! Exemplars of the series that a query selects.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use weir_lake::ExemplarSeries;

use crate::error::ApiError;
use crate::evaluate::parse;
use crate::json::{put_labels, put_time, put_value};
use crate::params::{MAX_TIME_MS, MIN_TIME_MS};
use crate::router::{Asked, Query, json_response};

/// Most exemplars of one answer: as many as Prometheus keeps by default.
const MAX_EXEMPLARS: usize = 100_000;
/// Most selectors of one expression.
const MAX_SELECTORS: usize = 100;

/// `/api/v1/query_exemplars`
pub(crate) async fn answer(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let params = &asked.params;
    let start_ms = params.time("start")?.unwrap_or(MIN_TIME_MS);
    let end_ms = params.time("end")?.unwrap_or(MAX_TIME_MS);
    if end_ms < start_ms {
        return Err(ApiError::bad_data(
            "invalid parameter \"end\": end timestamp must not be before start timestamp",
        ));
    }
    let expr = parse(params.required("query")?)?;
    let selectors: Vec<_> = expr.selectors().into_iter().map(|s| s.matchers.clone()).collect();
    if selectors.len() > MAX_SELECTORS {
        let found = selectors.len();
        return Err(ApiError::bad_data(format!(
            "invalid parameter \"query\": {found} selectors, at most {MAX_SELECTORS}"
        )));
    }
    if selectors.is_empty() {
        // As Prometheus has it: no content.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let lake = &query.0.lake;
    let mut found = lake.exemplars(&asked.tenant, &selectors, start_ms, end_ms, MAX_EXEMPLARS).await?;
    // Prometheus' order: pair by pair.
    found.sort_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
    Ok(json_response(json(&found)))
}

fn json(found: &[ExemplarSeries]) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":[".to_vec();
    for (index, series) in found.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"seriesLabels\":" } else { b"{\"seriesLabels\":" });
        put_labels(&mut out, &series.labels);
        out.extend_from_slice(b",\"exemplars\":[");
        for (index, exemplar) in series.exemplars.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{\"labels\":" } else { b"{\"labels\":" });
            put_labels(&mut out, &exemplar.labels);
            out.extend_from_slice(b",\"value\":");
            put_value(&mut out, exemplar.value);
            out.extend_from_slice(b",\"timestamp\":");
            put_time(&mut out, exemplar.timestamp_ms);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use weir_lake::StoredExemplar;
    use weir_model::Labels;

    use super::*;

    #[test]
    fn exemplars_are_written_as_prometheus_writes_them() {
        let labels = Labels::from_pairs([("trace_id", "a\"b")]);
        let exemplar = |timestamp_ms, value| StoredExemplar { timestamp_ms, value, labels: labels.clone() };
        let series = ExemplarSeries {
            labels: Labels::from_pairs([("__name__", "m")]),
            exemplars: vec![exemplar(1_600_096_945_479, 6.0), exemplar(1_600_096_946_000, f64::INFINITY)],
        };
        assert_eq!(
            String::from_utf8(json(&[series])).unwrap(),
            r#"{"status":"success","data":[{"seriesLabels":{"__name__":"m"},"exemplars":[{"labels":{"trace_id":"a\"b"},"value":"6","timestamp":1600096945.479},{"labels":{"trace_id":"a\"b"},"value":"+Inf","timestamp":1600096946}]}]}"#
        );
        assert_eq!(json(&[]), b"{\"status\":\"success\",\"data\":[]}");
    }
}
