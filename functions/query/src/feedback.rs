//! Verdicts on alerts, and what was learned from them.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use weir_model::TenantId;
use weir_platform::Bucket;
use weir_rules::{
    Alert, Explained, Explainer, Feedback, FeedbackError, FeedbackLog, Learned, RuleLibrary, Verdict,
    identity,
};

use crate::error::{ApiError, Kind};
use crate::json::success;
use crate::metrics;
use crate::router::Query;
use crate::rules::states_at;

/// Largest body in bytes.
const MAX_BODY_BYTES: usize = 32 << 10;
/// Longest name and comment, in characters.
const MAX_BY: usize = 200;
const MAX_COMMENT: usize = 4000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    verdict: Verdict,
    by: Option<String>,
    comment: Option<String>,
}

/// `POST /api/v1/alerts/{id}/feedback`
pub(crate) async fn answer(
    query: &Query,
    tenant: &TenantId,
    id: &str,
    body: Body,
) -> Result<Response, ApiError> {
    let said = read(body).await?;
    let Some((library, bucket)) = query.0.rules.get() else { return Err(unknown(id)) };
    let log = FeedbackLog::new(bucket.clone());
    let now_ms = query.0.clock.now_ms();
    let (alert, explained) = find(query, library, tenant, id, now_ms).await?;
    if alert.fired_at_ms.is_none() {
        let message = format!("alert {id} is pending; only what has fired is a true or a false positive");
        return Err(ApiError::new(Kind::Conflict, message));
    }
    let feedback = Feedback {
        by: said.by,
        comment: said.comment,
        ..Learned::feedback(&alert, &explained, said.verdict, now_ms)
    };
    let (learned, counted) = log.add(tenant, feedback).await.map_err(failed)?;
    if counted {
        query.0.telemetry.add(&metrics::FEEDBACK, &[("verdict", &said.verdict.to_string())], 1.0);
    }
    let false_positive = learned.false_positive(&alert, &explained);
    Ok(success(
        &json!({ "id": id, "verdict": said.verdict, "counted": counted, "falsePositive": false_positive }),
    ))
}

/// What a tenant's verdicts have taught.
pub(crate) async fn learned(bucket: &Arc<dyn Bucket>, tenant: &TenantId) -> Result<Learned, ApiError> {
    FeedbackLog::new(bucket.clone()).learned(tenant).await.map_err(failed)
}

async fn read(body: Body) -> Result<Said, ApiError> {
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        ApiError::bad_data(format!("the body has more than {MAX_BODY_BYTES} bytes, or ended early"))
    })?;
    let said: Said = serde_json::from_slice(&body).map_err(|error| {
        ApiError::bad_data(format!(
            "the body is no feedback: {error}; expected such as {{\"verdict\": \"false_positive\"}}"
        ))
    })?;
    for (name, text, most) in [("by", &said.by, MAX_BY), ("comment", &said.comment, MAX_COMMENT)] {
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > most {
            return Err(ApiError::bad_data(format!("{name} has {length} characters, at most {most}")));
        }
    }
    Ok(said)
}

/// The firing of that id: as it is now, or as it was when it had just fired, as far back as states are kept.
async fn find(
    query: &Query,
    library: &RuleLibrary,
    tenant: &TenantId,
    id: &str,
    now_ms: i64,
) -> Result<(Alert, Explained), ApiError> {
    let began = id.split_once('-').and_then(|(_, began)| began.parse::<i64>().ok());
    let began_ms = began.filter(|began| (0..=now_ms).contains(began)).ok_or_else(|| unknown(id))?;
    let mut at_ms = now_ms;
    // Of an alert that is over, its rule says when it had fired.
    for _ in 0..3 {
        let states = states_at(query, tenant, at_ms).await?;
        let mut rules = states.iter().flat_map(|(group, state)| {
            group.rules.iter().zip(&state.rules).map(move |(rule, own)| (group, rule, own))
        });
        let found = rules.find_map(|(group, rule, own)| {
            own.alerts.values().find(|alert| identity(alert) == id).map(|alert| (group, rule, alert))
        });
        match found {
            None if at_ms == now_ms => at_ms = began_ms,
            None => break,
            Some((group, rule, alert)) => {
                let hold_ms = rule.alert.as_ref().map_or(0, |alerting| alerting.for_ms);
                let interval_ms = group.interval_ms.unwrap_or(library.settings().interval_ms);
                let fired_ms = began_ms.saturating_add(hold_ms).saturating_add(interval_ms);
                if at_ms == began_ms && alert.fired_at_ms.is_none() && fired_ms < now_ms {
                    at_ms = fired_ms;
                    continue;
                }
                let all = states.iter().flat_map(|(_, state)| &state.rules).flat_map(|r| r.alerts.values());
                let explainer = Explainer::new(library.guide(), &library.settings().external_url, all, at_ms);
                return Ok((alert.clone(), explainer.explain(rule, alert)));
            }
        }
    }
    Err(unknown(id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::new(
        Kind::NotFound,
        format!(
            "no alert {id:?} has fired within a day; weir.id of /api/v1/alerts names those that are active"
        ),
    )
}

fn failed(error: FeedbackError) -> ApiError {
    match error {
        FeedbackError::Judged { .. } => ApiError::new(Kind::Conflict, error.to_string()),
        FeedbackError::Busy => ApiError::new(Kind::Unavailable, error.to_string()),
        FeedbackError::Bucket(_) | FeedbackError::Damaged { .. } => {
            tracing::error!(error = &error as &dyn std::error::Error, "feedback is not at hand");
            ApiError::new(Kind::Unavailable, "feedback cannot be read or stored; try again, and see the log")
        }
    }
}
