//! What Prometheus' pages ask about scraping and Alertmanagers. Weir is sent its metrics and routes alerts
//! itself, so the lists are empty; what they are asked with is checked all the same.

use axum::response::Response;
use serde_json::json;

use crate::error::ApiError;
use crate::json::success;
use crate::router::Asked;

/// `/api/v1/targets`: any `state` is taken; one that is none of Prometheus' gives nothing there, too.
pub(crate) fn targets(asked: &Asked) -> Response {
    let state = asked.params.get("state").unwrap_or("any").to_lowercase();
    let mut found = json!({ "activeTargets": [], "droppedTargets": [] });
    if ["any", "dropped"].contains(&state.as_str()) {
        found["droppedTargetCounts"] = json!({});
    }
    success(&found)
}

/// `/api/v1/targets/metadata`
pub(crate) fn metadata(asked: &Asked) -> Result<Response, ApiError> {
    asked.params.selectors("match_target")?;
    asked.params.whole("limit")?;
    Ok(success(&json!([])))
}

/// `/api/v1/scrape_pools`
pub(crate) fn pools() -> Response {
    success(&json!({ "scrapePools": [] }))
}

/// `/api/v1/alertmanagers`
pub(crate) fn alertmanagers() -> Response {
    success(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}

/// `/api/v1/notifications`
pub(crate) fn notifications() -> Response {
    success(&json!([]))
}
