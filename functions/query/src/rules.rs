//! Rules and alerts as the functions that evaluate them left them.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Map, Value, json};
use weir_model::{Labels, Matcher, TenantId};
use weir_rules::{Alert, AlertState, Explainer, Group, GroupState, Health, MAX_EXPLAINED, Rule, RuleState};

use crate::error::{ApiError, Kind};
use crate::feedback;
use crate::json::{success, success_with_warnings};
use crate::router::{Asked, Query};

/// Which rules are asked for.
struct Wanted<'a> {
    asked: &'a Asked,
    /// `alert` or `record`, if only those.
    kind: Option<String>,
    /// Leaves the alerts of alerting rules out.
    without_alerts: bool,
    /// Each a selector that a rule's labels may fit.
    selectors: Vec<Vec<Matcher>>,
    /// Groups of a page.
    group_limit: Option<i64>,
    /// The group that a page begins with, if it is not the first.
    next_token: Option<String>,
}

impl<'a> Wanted<'a> {
    fn read(asked: &'a Asked) -> Result<Self, ApiError> {
        let params = &asked.params;
        let selectors = params.selectors("match[]")?;
        let invalid =
            |name: &str, reason: String| ApiError::bad_data(format!("invalid parameter {name:?}: {reason}"));
        let kind = params.get("type").map(str::to_lowercase);
        if let Some(kind) = kind.as_deref().filter(|kind| !["alert", "record"].contains(kind)) {
            return Err(invalid("type", format!("not supported value {kind:?}")));
        }
        let without_alerts = match params.get("exclude_alerts").map(str::to_lowercase).as_deref() {
            None | Some("0" | "f" | "false") => false,
            Some("1" | "t" | "true") => true,
            Some(text) => {
                return Err(invalid("exclude_alerts", format!("{text:?} is neither true nor false")));
            }
        };
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
        Ok(Self { asked, kind, without_alerts, selectors, group_limit, next_token })
    }

    /// True when no value of the parameter is given, or this one.
    fn names(&self, parameter: &str, name: &str) -> bool {
        let mut given = self.asked.params.all(parameter).peekable();
        given.peek().is_none() || given.any(|value| value == name)
    }

    fn wants(&self, rule: &Rule) -> bool {
        let kind = if rule.alert.is_some() { "alert" } else { "record" };
        let labels = rule.label_texts();
        let value = |name: &str| labels.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| *value);
        let fits = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.matches(value(m.name())));
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.names("rule_name[]", &rule.name)
            && (self.selectors.is_empty() || self.selectors.iter().any(fits))
    }
}

/// `/api/v1/rules`
pub(crate) async fn rules(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = Wanted::read(asked)?;
    let mut groups = Vec::new();
    let mut next = None;
    let mut reached = wanted.next_token.is_none();
    for (group, state) in states(query, asked).await? {
        let token = token(&group);
        reached |= wanted.next_token.as_ref() == Some(&token);
        if !reached || !wanted.names("file[]", &group.file) || !wanted.names("rule_group[]", &group.name) {
            continue;
        }
        if wanted.group_limit.is_some_and(|limit| groups.len() as i64 >= limit) {
            next = Some(token);
            break;
        }
        let rules = group.rules.iter().zip(&state.rules).filter(|(rule, _)| wanted.wants(rule));
        let rules: Vec<Value> =
            rules.map(|(rule, own)| tell_rule(rule, own, &state, wanted.without_alerts)).collect();
        // A group without a rule that is asked for is not told, but one that has none at all is.
        if rules.is_empty() && !group.rules.is_empty() {
            continue;
        }
        groups.push(json!({
            "name": group.name,
            "file": &*group.file,
            "rules": rules,
            "interval": group.interval_ms.unwrap_or(weir_rules::Settings::default().interval_ms) as f64 / 1000.0,
            "limit": group.limit,
            "evaluationTime": state.took_us as f64 / 1e6,
            "lastEvaluation": time(state.evaluated_ms),
        }));
    }
    if !reached {
        let token = wanted.next_token.unwrap_or_default();
        return Err(ApiError::bad_data(format!(
            "invalid parameter \"group_next_token\": invalid group_next_token '{token}'. were rule groups changed?"
        )));
    }
    let mut data = json!({ "groups": groups });
    if let Some(next) = next {
        data["groupNextToken"] = Value::String(next);
    }
    Ok(success(&data))
}

/// `/api/v1/alerts`: as Prometheus tells them, and what each says beyond that under `weir`.
pub(crate) async fn alerts(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let Some((library, bucket)) = query.0.rules.get() else { return Ok(success(&json!({ "alerts": [] }))) };
    let states = states(query, asked).await?;
    let learned = feedback::learned(bucket, &asked.tenant).await?;
    let all = states.iter().flat_map(|(_, state)| &state.rules).flat_map(active);
    let external_url = &library.settings().external_url;
    let explainer = Explainer::new(library.guide(), external_url, all, query.0.clock.now_ms());
    let explainer = explainer.having_learned(&learned);
    let (mut alerts, mut count) = (Vec::new(), 0);
    for (group, state) in &states {
        for (rule, own) in group.rules.iter().zip(&state.rules) {
            alerts.extend(active(own).map(|alert| {
                let mut told = tell_alert(alert);
                count += 1;
                if count <= MAX_EXPLAINED {
                    told["weir"] = json!(explainer.explain(rule, alert));
                }
                told
            }));
        }
    }
    let warnings = (count > MAX_EXPLAINED)
        .then(|| format!("{count} alerts are active; what they mean is said of the first {MAX_EXPLAINED}"));
    Ok(success_with_warnings(&json!({ "alerts": alerts }), &Vec::from_iter(warnings)))
}

/// Every group with its state, in order of files and names.
async fn states(query: &Query, asked: &Asked) -> Result<Vec<(Arc<Group>, GroupState)>, ApiError> {
    states_at(query, &asked.tenant, query.0.clock.now_ms()).await
}

/// The same as it was at a time.
pub(crate) async fn states_at(
    query: &Query,
    tenant: &TenantId,
    at_ms: i64,
) -> Result<Vec<(Arc<Group>, GroupState)>, ApiError> {
    let Some((library, bucket)) = query.0.rules.get() else { return Ok(Vec::new()) };
    let unread = |error: &(dyn std::error::Error + 'static)| {
        tracing::error!(error, "rules or their state cannot be read");
        ApiError::new(Kind::Unavailable, "rules or their state cannot be read; see the log")
    };
    let books = library.books().await.map_err(|error| unread(&error))?;
    let Some(book) = books.get(tenant) else { return Ok(Vec::new()) };
    book.states(bucket, tenant, at_ms).await.map_err(|error| unread(&error))
}

/// What a page may begin with.
fn token(group: &Group) -> String {
    format!("{};{}", group.file, group.name)
}

/// Alerts that are not resolved.
fn active(state: &RuleState) -> impl Iterator<Item = &Alert> {
    state.alerts.values().filter(|alert| alert.state != AlertState::Inactive)
}

fn tell_rule(rule: &Rule, own: &RuleState, group: &GroupState, without_alerts: bool) -> Value {
    let templates = |all: &[(String, weir_rules::template::Template)]| -> Map<String, Value> {
        all.iter().map(|(name, template)| (name.clone(), template.source().into())).collect()
    };
    let health = match own.health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Err => "err",
    };
    let mut told = json!({
        "name": rule.name,
        "query": rule.expr.to_string(),
        "health": health,
        "evaluationTime": own.took_us as f64 / 1e6,
        "lastEvaluation": time(group.evaluated_ms),
        "type": if rule.alert.is_some() { "alerting" } else { "recording" },
    });
    if !own.last_error.is_empty() {
        told["lastError"] = own.last_error.as_str().into();
    }
    if let Some(alerting) = &rule.alert {
        let most = active(own).map(|alert| alert.state);
        let most = most.max_by_key(|state| *state == AlertState::Firing).unwrap_or(AlertState::Inactive);
        told["state"] = most.name().into();
        told["duration"] = json!(alerting.for_ms as f64 / 1000.0);
        told["keepFiringFor"] = json!(alerting.keep_firing_for_ms as f64 / 1000.0);
        told["labels"] = templates(&rule.labels).into();
        told["annotations"] = templates(&alerting.annotations).into();
        let alerts = if without_alerts { Vec::new() } else { active(own).map(tell_alert).collect() };
        told["alerts"] = alerts.into();
    } else if !rule.labels.is_empty() {
        told["labels"] = templates(&rule.labels).into();
    }
    told
}

fn tell_alert(alert: &Alert) -> Value {
    let pairs = |labels: &Labels| -> Map<String, Value> {
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    };
    let mut told = json!({
        "labels": pairs(&alert.labels),
        "annotations": pairs(&alert.annotations),
        "state": alert.state.name(),
        "activeAt": time(Some(alert.active_at_ms)),
        "value": weir_rules::template::scientific(alert.value),
    });
    if let Some(since) = alert.keep_firing_since_ms {
        told["keepFiringSince"] = time(Some(since)).into();
    }
    told
}

/// RFC 3339; what never was is Go's zero time, as in Prometheus.
fn time(ms: Option<i64>) -> String {
    ms.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), weir_rules::template::rfc3339)
}
