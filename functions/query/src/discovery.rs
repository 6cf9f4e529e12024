//! Which series, labels and metadata there are.

use std::collections::BTreeMap;

use axum::response::Response;
use serde_json::json;
use weir_model::Matcher;

use crate::error::ApiError;
use crate::json::{put_labels, put_string, success as success_envelope};
use crate::params::{MAX_TIME_MS, MIN_TIME_MS};
use crate::router::{Asked, Query, json_response};

struct Wanted {
    selectors: Vec<Vec<Matcher>>,
    start_ms: i64,
    end_ms: i64,
    /// What the caller asked for, or the server's bound.
    limit: usize,
}

impl Wanted {
    fn read(query: &Query, asked: &Asked) -> Result<Self, ApiError> {
        let params = &asked.params;
        let selectors = params.selectors("match[]")?;
        let start_ms = params.time("start")?.unwrap_or(MIN_TIME_MS);
        let end_ms = params.time("end")?.unwrap_or(MAX_TIME_MS);
        if end_ms < start_ms {
            return Err(ApiError::bad_data(
                "invalid parameter \"end\": end timestamp must not be before start time",
            ));
        }
        let bound = query.0.options.max_series;
        Ok(Self {
            selectors,
            start_ms,
            end_ms,
            limit: params.limit("limit")?.map_or(bound, |limit| limit.min(bound)),
        })
    }
}

/// One more than the limit is asked for, so that a cut can be told.
fn cut<T>(mut found: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let truncated = found.len() > limit;
    found.truncate(limit);
    (found, truncated)
}

fn success<T>(found: &[T], truncated: bool, mut put: impl FnMut(&mut Vec<u8>, &T)) -> Response {
    let mut out = Vec::with_capacity(64 + found.len() * 32);
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":[");
    for (index, item) in found.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(&mut out, item);
    }
    out.push(b']');
    if truncated {
        out.extend_from_slice(b",\"warnings\":[\"results truncated due to limit\"]");
    }
    out.push(b'}');
    json_response(out)
}

/// `/api/v1/series`
pub(crate) async fn series(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = Wanted::read(query, asked)?;
    if wanted.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let lake = &query.0.lake;
    let found = lake
        .series(&asked.tenant, &wanted.selectors, wanted.start_ms, wanted.end_ms, wanted.limit + 1)
        .await?;
    let (found, truncated) = cut(found, wanted.limit);
    Ok(success(&found, truncated, put_labels))
}

/// `/api/v1/labels`
pub(crate) async fn labels(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = Wanted::read(query, asked)?;
    let lake = &query.0.lake;
    let found = lake
        .label_names(&asked.tenant, &wanted.selectors, wanted.start_ms, wanted.end_ms, wanted.limit + 1)
        .await?;
    let (found, truncated) = cut(found, wanted.limit);
    Ok(success(&found, truncated, |out, name| put_string(out, name)))
}

/// `/api/v1/label/NAME/values`
pub(crate) async fn label_values(query: &Query, asked: &Asked, name: &str) -> Result<Response, ApiError> {
    let name = unescape(name);
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: it is empty"));
    }
    let wanted = Wanted::read(query, asked)?;
    let lake = &query.0.lake;
    let found = lake
        .label_values(
            &asked.tenant,
            &name,
            &wanted.selectors,
            wanted.start_ms,
            wanted.end_ms,
            wanted.limit + 1,
        )
        .await?;
    let (found, truncated) = cut(found, wanted.limit);
    Ok(success(&found, truncated, |out, value| put_string(out, value)))
}

/// Undoes the `U__` escaping by which clients put any UTF-8 name into a path: `_` doubled, any other
/// character outside a legacy name as `_` hex code point `_`.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let Some(end) = rest.find('_') else { return name.to_owned() };
        let Some(character) = u32::from_str_radix(&rest[..end], 16).ok().and_then(char::from_u32) else {
            return name.to_owned();
        };
        out.push(character);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

/// `/api/v1/metadata`. Unlike elsewhere a limit of zero gives nothing, and a negative one is none.
pub(crate) async fn metadata(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let params = &asked.params;
    let limit = params.whole("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let per_metric = params.whole("limit_per_metric")?.and_then(|limit| usize::try_from(limit).ok());
    let per_metric = per_metric.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let bound = query.0.options.max_series;
    let entries = query.0.lake.metadata(&asked.tenant, params.get("metric"), bound).await?;
    let mut families: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for entry in entries {
        if families.len() >= limit && !families.contains_key(&entry.family) {
            continue;
        }
        let told = families.entry(entry.family).or_default();
        if told.len() < per_metric {
            told.push(json!({ "type": entry.kind.name(), "help": entry.help, "unit": entry.unit }));
        }
    }
    Ok(success_envelope(&families))
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escaped_label_names_in_paths_are_undone() {
        for (escaped, want) in [
            ("job", "job"),
            ("U__service_2e_name", "service.name"),
            ("U__a__b", "a_b"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__open_2e", "U__open_2e"),
        ] {
            assert_eq!(unescape(escaped), want);
        }
    }
}
