//! Answers in the sender's own terms: status, headers, and a body that says what happened.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use weir_formats::Accepted;

use crate::accept::{IngestError, Outcome};
use crate::dialect::Dialect;

/// Answers an accepted (or partly accepted) body.
///
/// Anything refused makes it a 400 although the rest is durable: remote write 2.0 demands that, and a
/// sender of any dialect should notice. Sending the same again would only repeat what is known.
pub(crate) fn outcome(dialect: Dialect, outcome: &Outcome) -> Response {
    let Outcome { accepted, rejections, ignored } = outcome;
    let mut response = if rejections.is_empty() {
        if dialect.answers_without_body() {
            StatusCode::NO_CONTENT.into_response()
        } else {
            let body = json!({ "status": "success", "accepted": counts(accepted), "rejected": 0, "ignored": ignored });
            (StatusCode::OK, Json(body)).into_response()
        }
    } else {
        let reasons: serde_json::Map<_, _> =
            rejections.by_kind().map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
        let first: Vec<_> = rejections
            .first
            .iter()
            .map(|r| json!({ "place": r.place, "reason": r.reason, "kind": r.kind.name() }))
            .collect();
        let any = accepted.samples + accepted.histograms > 0;
        let rest = if any { "the rest accepted" } else { "nothing accepted" };
        let told = rejections.first.first().map(ToString::to_string).unwrap_or_default();
        let body = json!({
            "status": "error",
            "errorType": "bad_data",
            "error": format!("{} rejected, {rest}; first: {told}", rejections.total),
            "accepted": counts(accepted),
            "rejected": rejections.total,
            "reasons": reasons,
            "first": first,
            "ignored": ignored,
        });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    written(dialect, &mut response, accepted);
    response
}

/// Answers a body of which nothing was accepted.
pub(crate) fn refusal(dialect: Dialect, error: &IngestError) -> Response {
    let (status, kind) = match error {
        IngestError::Format(format) => {
            let status = StatusCode::from_u16(format.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
            (status, "bad_data")
        }
        IngestError::Header(_) => (StatusCode::BAD_REQUEST, "bad_data"),
        IngestError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        // 503 rather than 429: Prometheus drops samples answered with 429 unless told otherwise.
        IngestError::Busy { .. } | IngestError::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    };
    let body = json!({ "status": "error", "errorType": kind, "error": error.to_string(), "accepted": counts(&Accepted::default()) });
    let mut response = (status, Json(body)).into_response();
    let retry_after = match error {
        IngestError::Busy { retry_after, .. } => Some(retry_after.as_secs().max(1)),
        IngestError::Unavailable(_) => Some(5),
        _ => None,
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    written(dialect, &mut response, &Accepted::default());
    response
}

fn counts(accepted: &Accepted) -> serde_json::Value {
    json!({
        "samples": accepted.samples,
        "histograms": accepted.histograms,
        "exemplars": accepted.exemplars,
        "metadata": accepted.metadata,
    })
}

/// The response headers that remote write 2.0 wants on every answer, failures included.
fn written(dialect: Dialect, response: &mut Response, accepted: &Accepted) {
    if dialect != Dialect::RemoteWrite {
        return;
    }
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", accepted.samples),
        ("x-prometheus-remote-write-histograms-written", accepted.histograms),
        ("x-prometheus-remote-write-exemplars-written", accepted.exemplars),
    ] {
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
}
