//! Silences: listed, created, changed and expired.

use axum::body::Body;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use weir_model::Labels;
use weir_routing::{Silence, SilenceError, SilenceMatcher, all_match, parse_rfc3339_ms, rfc3339_ms};

use super::{filter, reply, routing, unavailable};
use crate::error::{ApiError, Kind};
use crate::router::{Asked, Query};

/// Largest body in bytes.
const MAX_BODY_BYTES: usize = 128 << 10;

/// A silence as it is sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    id: Option<String>,
    matchers: Vec<SilenceMatcher>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
}

/// `GET /api/v2/silences`
pub(crate) async fn silences(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let matchers = filter(asked)?;
    let silences = routing(query)?.silences(asked).await?;
    let at_ms = query.0.clock.now_ms();
    // A silence is looked at as if its matchers were labels.
    let fits = |silence: &&Silence| {
        let pairs = silence.matchers.iter().filter(|m| !m.name.is_empty());
        all_match(&matchers, &Labels::from_pairs(pairs.map(|m| (&m.name, &m.value))))
    };
    Ok(reply(&silences.iter().filter(fits).map(|silence| tell(silence, at_ms)).collect()))
}

/// `GET /api/v2/silence/{id}`
pub(crate) async fn one(query: &Query, asked: &Asked, id: &str) -> Result<Response, ApiError> {
    let silences = routing(query)?.silences(asked).await?;
    let silence = silences.get(id).ok_or_else(|| refused(SilenceError::NotFound(id.to_owned())))?;
    Ok(reply(&tell(silence, query.0.clock.now_ms())))
}

/// `POST /api/v2/silences`
pub(crate) async fn create(query: &Query, asked: &Asked, body: Body) -> Result<Response, ApiError> {
    let wanted = read(body).await?;
    let routing = routing(query)?;
    let changed =
        routing.silences(asked).await?.set(wanted, query.0.clock.now_ms(), &new_id()?).map_err(refused)?;
    for silence in &changed {
        routing.store.keep(&asked.tenant, silence).await.map_err(|error| unavailable(&error))?;
    }
    Ok(reply(&json!({ "silenceID": changed.last().map(|silence| &silence.id) })))
}

/// `DELETE /api/v2/silence/{id}`
pub(crate) async fn expire(query: &Query, asked: &Asked, id: &str) -> Result<Response, ApiError> {
    let routing = routing(query)?;
    if routing.windows.iter().any(|window| window.id == id) {
        let message = format!("silence {id} is a maintenance window; take it out of its file");
        return Err(ApiError::new(Kind::Conflict, message));
    }
    let silences = routing.silences(asked).await?;
    if let Some(silence) = silences.expire(id, query.0.clock.now_ms()).map_err(refused)? {
        routing.store.keep(&asked.tenant, &silence).await.map_err(|error| unavailable(&error))?;
    }
    Ok(reply(&json!({})))
}

async fn read(body: Body) -> Result<Silence, ApiError> {
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        ApiError::bad_data(format!("the body has more than {MAX_BODY_BYTES} bytes, or ended early"))
    })?;
    let posted: Posted = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_data(format!("the body is no silence: {error}")))?;
    let time = |name: &str, text: &str| {
        let refusal = || {
            ApiError::bad_data(format!("{name} {text:?} is no time; write for instance 2026-12-01T22:00:00Z"))
        };
        parse_rfc3339_ms(text).ok_or_else(refusal)
    };
    Ok(Silence {
        id: posted.id.unwrap_or_default(),
        matchers: posted.matchers,
        starts_ms: time("startsAt", &posted.starts_at)?,
        ends_ms: time("endsAt", &posted.ends_at)?,
        updated_ms: 0,
        created_by: posted.created_by,
        comment: posted.comment,
    })
}

/// A random UUID, version 4.
fn new_id() -> Result<String, ApiError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| ApiError::internal(format!("no randomness: {error}")))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

fn refused(error: SilenceError) -> ApiError {
    let kind = match error {
        SilenceError::NotFound(_) => Kind::NotFound,
        SilenceError::Invalid(_) => Kind::BadData,
        SilenceError::TooMany => Kind::Conflict,
    };
    ApiError::new(kind, error.to_string())
}

fn tell(silence: &Silence, at_ms: i64) -> Value {
    json!({
        "id": silence.id,
        "status": { "state": silence.state(at_ms) },
        "updatedAt": rfc3339_ms(silence.updated_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": rfc3339_ms(silence.starts_ms),
        "endsAt": rfc3339_ms(silence.ends_ms),
        "matchers": silence.matchers,
    })
}
