//! Rules and alerts: the parameters are checked as Prometheus checks them, the lists are empty while no
//! rules are evaluated.

use axum::response::Response;
use serde_json::json;

use crate::error::ApiError;
use crate::json::success;
use crate::router::Asked;

/// Which rules are asked for.
#[derive(Debug)]
struct Wanted {
    /// Groups of a page.
    group_limit: Option<i64>,
    /// The group that a page begins with, if it is not the first.
    next_token: Option<String>,
}

impl Wanted {
    fn read(asked: &Asked) -> Result<Self, ApiError> {
        let params = &asked.params;
        params.selectors("match[]")?;
        let invalid =
            |name: &str, reason: String| ApiError::bad_data(format!("invalid parameter {name:?}: {reason}"));
        if let Some(kind) = params.get("type")
            && !["alert", "record"].contains(&kind.to_lowercase().as_str())
        {
            return Err(invalid("type", format!("not supported value {kind:?}")));
        }
        if let Some(text) = params.get("exclude_alerts")
            && !["1", "t", "true", "0", "f", "false"].contains(&text.to_lowercase().as_str())
        {
            return Err(invalid("exclude_alerts", format!("{text:?} is neither true nor false")));
        }
        let next_token = params.get("group_next_token").map(str::to_owned);
        let group_limit = match params.get("group_limit") {
            None if next_token.is_some() => {
                let reason = "group_limit needs to be present in order to paginate over the groups";
                return Err(invalid("group_next_token", reason.to_owned()));
            }
            None => None,
            Some(text) => match text.parse::<i32>() {
                Err(_) => {
                    return Err(invalid(
                        "group_limit",
                        format!("group_limit needs to be a valid number: {text:?}"),
                    ));
                }
                Ok(limit) if limit <= 0 => {
                    return Err(invalid("group_limit", "group_limit needs to be greater than 0".to_owned()));
                }
                Ok(limit) => Some(i64::from(limit)),
            },
        };
        Ok(Self { group_limit, next_token })
    }
}

/// `/api/v1/rules`
pub(crate) fn rules(asked: &Asked) -> Result<Response, ApiError> {
    let wanted = Wanted::read(asked)?;
    if let (Some(_), Some(token)) = (wanted.group_limit, &wanted.next_token) {
        return Err(ApiError::bad_data(format!(
            "invalid parameter \"group_next_token\": invalid group_next_token '{token}'. were rule groups changed?"
        )));
    }
    Ok(success(&json!({ "groups": [] })))
}

/// `/api/v1/alerts`
pub(crate) fn alerts() -> Response {
    success(&json!({ "alerts": [] }))
}
