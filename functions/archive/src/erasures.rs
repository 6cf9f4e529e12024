//! Erasures over HTTP: requests, which are recorded before they are answered, and what became of them.

use axum::Json;
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_api::Admitted;
use weir_lake::{EraseWish, ErasureReport};
use weir_model::{Moment, TenantId};

use crate::handler::Archive;
use crate::http::{Parameters, Refused};

/// Longest request in bytes.
const MAX_BYTES: usize = 128 << 10;

/// The body of a request: what is erased stands here and not in the address, which logs keep.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    matcher: String,
    #[serde(default)]
    drop_unreadable: bool,
    #[serde(default)]
    dry_run: bool,
}

impl Archive {
    pub(crate) async fn erase(&self, request: Request<Body>) -> Result<Response, Refused> {
        let parameters = Parameters::of(request.uri())?;
        let tenant = parameters.tenant()?.unwrap_or_default();
        let by = parameters.by(request.extensions().get::<Admitted>())?;
        let body = axum::body::to_bytes(request.into_body(), MAX_BYTES).await.map_err(|_| Refused {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            kind: "too_large",
            message: format!("the request has more than {MAX_BYTES} bytes, or ended early"),
        })?;
        let wanted: Erase = serde_json::from_slice(&body)
            .map_err(|error| Refused::bad_data(format!("the body is no request to erase: {error}")))?;
        let selector = weir_promql::parse_selector(&wanted.matcher)
            .map_err(|error| Refused::bad_data(format!("invalid \"matcher\": {error}")))?;
        let wish =
            EraseWish { tenant, matchers: selector.matchers, by, drop_unreadable: wanted.drop_unreadable };
        if wanted.dry_run {
            let counts = self.lake.preview_erasure(&wish).await?;
            let answer = json!({ "status": "success", "erasures": [], "dry_run": counts });
            return Ok(Json(answer).into_response());
        }
        let report = self.lake.request_erasure(&wish).await?;
        tracing::info!(tenant = report.tenant, number = report.number, by = report.by, "erasure recorded");
        self.begin(report.number);
        let place = format!("/api/v1/admin/metrics/erase?tenant={}&number={}", report.tenant, report.number);
        Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], answer(&[report])).into_response())
    }

    pub(crate) async fn tell_erasures(&self, uri: Uri) -> Result<Response, Refused> {
        let parameters = Parameters::of(&uri)?;
        let tenant: TenantId = parameters.tenant()?.unwrap_or_default();
        let Some(text) = parameters.number.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(answer(&self.lake.erasures(&tenant).await?).into_response());
        };
        let number = text.parse().map_err(|_| {
            Refused::bad_data(format!("invalid parameter \"number\": {text:?} is no number from 1 on"))
        })?;
        match self.lake.erasure(&tenant, number).await? {
            Some(report) => Ok(answer(&[report]).into_response()),
            None => Err(Refused {
                status: StatusCode::NOT_FOUND,
                kind: "not_found",
                message: format!("tenant {tenant} has no erasure {number}"),
            }),
        }
    }
}

fn answer(reports: &[ErasureReport]) -> Json<Value> {
    let at = |ms: i64| Moment::from_unix(ms.div_euclid(1_000)).to_string();
    let told = |report: &ErasureReport| {
        let mut told = json!({
            "number": report.number,
            "tenant": report.tenant,
            "matchers": report.matchers,
            "by": report.by,
            "requested_at": at(report.requested_ms),
            "state": report.state,
            "watched_until": at(report.watched_until_ms),
            "counts": report.counts,
        });
        if report.frozen > 0 {
            told["frozen_blocks"] = report.frozen.into();
        }
        if let Some(done_ms) = report.done_ms {
            told["done_at"] = at(done_ms).into();
        }
        told
    };
    Json(json!({ "status": "success", "erasures": reports.iter().map(told).collect::<Vec<_>>() }))
}
