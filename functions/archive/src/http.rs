//! The function's HTTP side: retention policies, told and changed; erasures in a file of their own.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_api::{Admitted, Function, Route};
use weir_lake::{LakeError, RetentionChange};
use weir_model::{Moment, TenantId};

use crate::handler::Archive;
use crate::policy_file::{MAX_BYTES, parse_policy, policy_form};

/// Changes that an answer lists unless it is asked for more.
const DEFAULT_LISTED: usize = 20;
/// Most changes that an answer lists.
const MAX_LISTED: usize = 100;
/// Longest name of who changes a policy, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// A refused request.
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }
}

impl From<LakeError> for Refused {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Refused { reason } => return Self::bad_data(reason),
            LakeError::Frozen { reason: message, .. } => {
                return Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable", message };
            }
            LakeError::Limit { .. } => {
                let (status, message) = (StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
                return Self { status, kind: "execution", message };
            }
            _ => {}
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a request to the archive function failed");
        let message = "the lake could not answer; try again, and see the log".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable", message }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": self.kind, "error": self.message });
        (self.status, Json(body)).into_response()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Parameters {
    tenant: Option<String>,
    pub(crate) number: Option<String>,
    by: Option<String>,
    limit: Option<String>,
}

impl Parameters {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Refused> {
        serde_urlencoded::from_str(uri.query().unwrap_or(""))
            .map_err(|error| Refused::bad_data(format!("the parameters cannot be read: {error}")))
    }

    pub(crate) fn tenant(&self) -> Result<Option<TenantId>, Refused> {
        let name = self.tenant.as_deref().filter(|name| !name.is_empty());
        let invalid = |error| Refused::bad_data(format!("invalid parameter \"tenant\": {error}"));
        name.map(|name| TenantId::new(name).map_err(invalid)).transpose()
    }

    /// Who asks, and how the gate knows: the one is said, the other sure.
    pub(crate) fn by(&self, admitted: Option<&Admitted>) -> Result<String, Refused> {
        let how = admitted.map_or("the API", |admitted| admitted.name());
        let Some(name) = self.by.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(how.to_owned());
        };
        if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(Refused::bad_data(format!(
                "invalid parameter \"by\": a name of up to {MAX_NAME_BYTES} bytes without control characters, not {} bytes",
                name.len()
            )));
        }
        Ok(format!("{name} ({how})"))
    }

    fn limit(&self) -> Result<usize, Refused> {
        let Some(text) = self.limit.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(DEFAULT_LISTED);
        };
        match text.parse::<usize>() {
            Ok(limit) if limit > 0 => Ok(limit.min(MAX_LISTED)),
            _ => Err(Refused::bad_data(format!(
                "invalid parameter \"limit\": {text:?} is no number from 1 on"
            ))),
        }
    }
}

impl Archive {
    /// The function's routes.
    pub fn router(self) -> Router {
        weir_api::router(Function::Archive, move |route: &'static Route, request| {
            let archive = self.clone();
            async move {
                let done = match route.id {
                    "admin_set_retention" => archive.change(request).await,
                    "admin_erase" => archive.erase(request).await,
                    "admin_erasures" => archive.tell_erasures(request.uri().clone()).await,
                    _ => archive.tell(request.uri().clone()).await,
                };
                done.unwrap_or_else(IntoResponse::into_response)
            }
        })
    }

    async fn tell(&self, uri: Uri) -> Result<Response, Refused> {
        let parameters = Parameters::of(&uri)?;
        let (tenant, limit) = (parameters.tenant()?, parameters.limit()?);
        let mut scope = tenant;
        let mut history = self.lake.retention_history(scope.as_ref(), limit).await?;
        let own = scope.is_some() && !history.is_empty();
        if history.is_empty() && scope.take().is_some() {
            history = self.lake.retention_history(None, limit).await?;
        }
        let mut retention =
            json!({ "own": own, "history": history.iter().rev().map(told).collect::<Vec<_>>() });
        if let Some(newest) = history.last() {
            retention["policy"] = policy_form(&newest.policy);
        }
        Ok(Json(json!({ "status": "success", "retention": retention })).into_response())
    }

    async fn change(&self, request: Request<Body>) -> Result<Response, Refused> {
        let parameters = Parameters::of(request.uri())?;
        let tenant = parameters.tenant()?;
        let by = parameters.by(request.extensions().get::<Admitted>())?;
        if let (None, Some(file)) = (&tenant, &self.policy_file) {
            return Err(Refused {
                status: StatusCode::CONFLICT,
                kind: "conflict",
                message: format!(
                    "the policy of all tenants is the one in {file}: change that, or start without --retention"
                ),
            });
        }
        let body = axum::body::to_bytes(request.into_body(), MAX_BYTES).await.map_err(|_| Refused {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            kind: "too_large",
            message: format!("the policy has more than {MAX_BYTES} bytes, or ended early"),
        })?;
        let text = std::str::from_utf8(&body)
            .map_err(|error| Refused::bad_data(format!("the policy is not UTF-8: {error}")))?;
        let policy = parse_policy(text).map_err(|error| Refused::bad_data(error.to_string()))?;
        let before = self.lake.retention_history(tenant.as_ref(), 1).await?.pop();
        let change = self.lake.set_retention(tenant.as_ref(), &policy, &by).await?;
        let changed = before.is_none_or(|before| before.number != change.number);
        if changed {
            let tenant = tenant.as_ref().map_or("all without one of their own", TenantId::as_str);
            tracing::info!(tenant, version = change.number, by, "retention policy changed");
        }
        let mut update = told(&change);
        update["changed"] = changed.into();
        if let Some(previous) = &change.before {
            update["previous_policy"] = policy_form(previous);
        }
        Ok(Json(json!({ "status": "success", "retention_update": update })).into_response())
    }
}

fn told(change: &RetentionChange) -> Value {
    json!({
        "version": change.number,
        "tenant": change.tenant,
        "changed_at": Moment::from_unix(change.changed_ms.div_euclid(1000)).to_string(),
        "changed_by": change.by,
        "policy": policy_form(&change.policy),
    })
}
