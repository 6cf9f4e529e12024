//! Alertmanager's API, version 2: what Grafana and amtool ask of alerts and silences.

mod silences;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use serde_json::{Map, Value, json};
use weir_model::{Labels, Matcher};
use weir_routing::{
    Alert, Config, Silence, SilenceStore, Silences, Standing, all_match, parse_matchers, rfc3339_ms,
    standings,
};

pub(crate) use silences::{create, expire, one, silences};

use crate::error::{ApiError, Kind};
use crate::router::{Asked, Query, json_response};
use crate::rules::states_at;

/// Where alerts go, as far as this function tells of it.
pub(crate) struct Routing {
    config: Arc<Config>,
    /// Silences that a file names.
    windows: Vec<Silence>,
    store: SilenceStore,
}

impl Routing {
    pub(crate) fn new(config: Arc<Config>, windows: Vec<Silence>, store: SilenceStore) -> Self {
        Self { config, windows, store }
    }

    async fn silences(&self, asked: &Asked) -> Result<Silences, ApiError> {
        let mut silences = self.store.read(&asked.tenant).await.map_err(|error| unavailable(&error))?;
        self.windows.iter().for_each(|window| silences.put(window.clone()));
        Ok(silences)
    }
}

fn routing(query: &Query) -> Result<&Routing, ApiError> {
    let missing = || ApiError::new(Kind::NotFound, "alerts are not routed here");
    query.0.routing.get().ok_or_else(missing)
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> ApiError {
    tracing::error!(error, "silences cannot be read or written");
    ApiError::new(Kind::Unavailable, "silences cannot be read or written; try again, and see the log")
}

fn reply(value: &Value) -> Response {
    json_response(value.to_string().into_bytes())
}

fn object(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The matchers of the parameter `filter`, all of which must match.
fn filter(asked: &Asked) -> Result<Vec<Matcher>, ApiError> {
    let mut all = Vec::new();
    for text in asked.params.all("filter") {
        all.extend(
            parse_matchers(text)
                .map_err(|reason| ApiError::bad_data(format!("invalid parameter \"filter\": {reason}")))?,
        );
    }
    Ok(all)
}

/// `/api/v2/status`
pub(crate) fn status(query: &Query) -> Result<Response, ApiError> {
    let routing = routing(query)?;
    Ok(reply(&json!({
        "cluster": { "status": "disabled", "peers": [] },
        "config": { "original": routing.config.original },
        "uptime": rfc3339_ms(query.0.started_ms),
        "versionInfo": {
            "branch": "", "buildDate": "", "buildUser": "", "goVersion": "", "revision": "",
            "version": env!("CARGO_PKG_VERSION"),
        },
    })))
}

/// `/api/v2/receivers`
pub(crate) fn receivers(query: &Query) -> Result<Response, ApiError> {
    let names = routing(query)?.config.receivers.keys();
    Ok(reply(&names.map(|name| json!({ "name": name })).collect()))
}

/// Which alerts are asked for.
struct Wanted {
    matchers: Vec<Matcher>,
    receiver: Option<regex::Regex>,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

impl Wanted {
    fn read(asked: &Asked) -> Result<Self, ApiError> {
        let flag = |name: &str| match asked.params.get(name) {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(text) => Err(ApiError::bad_data(format!(
                "invalid parameter {name:?}: {text:?} is neither true nor false"
            ))),
        };
        flag("unprocessed")?;
        let pattern = asked.params.get("receiver").map(|text| regex::Regex::new(&format!("^(?:{text})$")));
        let receiver = pattern.transpose();
        Ok(Self {
            matchers: filter(asked)?,
            receiver: receiver
                .map_err(|error| ApiError::bad_data(format!("invalid parameter \"receiver\": {error}")))?,
            active: flag("active")?,
            silenced: flag("silenced")?,
            inhibited: flag("inhibited")?,
        })
    }

    fn wants(&self, standing: &Standing<'_>) -> bool {
        let heard = |name: &str| self.receiver.as_ref().is_none_or(|pattern| pattern.is_match(name));
        all_match(&self.matchers, &standing.alert.labels)
            && standing.routes.iter().any(|route| heard(&route.receiver))
            && (self.active || standing.is_suppressed())
            && (self.silenced || standing.silenced_by.is_empty())
            && (self.inhibited || standing.inhibited_by.is_none())
    }
}

async fn firing(query: &Query, asked: &Asked, at_ms: i64) -> Result<Vec<Alert>, ApiError> {
    let states = states_at(query, &asked.tenant, at_ms).await?;
    let all = states.iter().flat_map(|(_, state)| &state.rules).flat_map(|rule| rule.alerts.values());
    let mut alerts: Vec<_> = all.filter_map(|alert| Alert::of_rule(alert, "")).collect();
    alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(alerts)
}

/// `/api/v2/alerts`
pub(crate) async fn alerts(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = Wanted::read(asked)?;
    let routing = routing(query)?;
    let at_ms = query.0.clock.now_ms();
    let (alerts, silences) = (firing(query, asked, at_ms).await?, routing.silences(asked).await?);
    let standings = standings(&routing.config, &alerts, &silences, at_ms);
    let told = standings.iter().filter(|standing| wanted.wants(standing));
    Ok(reply(&told.map(|standing| tell(standing, &routing.config, at_ms)).collect()))
}

/// `/api/v2/alerts/groups`
pub(crate) async fn groups(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = Wanted::read(asked)?;
    let routing = routing(query)?;
    let at_ms = query.0.clock.now_ms();
    let (alerts, silences) = (firing(query, asked, at_ms).await?, routing.silences(asked).await?);
    let mut groups: BTreeMap<(Labels, &str, usize), Vec<Value>> = BTreeMap::new();
    let standings = standings(&routing.config, &alerts, &silences, at_ms);
    for standing in standings.iter().filter(|standing| wanted.wants(standing)) {
        for route in &standing.routes {
            let key = (route.group_labels(&standing.alert.labels), route.receiver.as_str(), route.index);
            groups.entry(key).or_default().push(tell(standing, &routing.config, at_ms));
        }
    }
    let told = groups.into_iter().map(|((labels, receiver, _), alerts)| {
        json!({ "labels": object(&labels), "receiver": { "name": receiver }, "alerts": alerts })
    });
    Ok(reply(&told.collect()))
}

fn tell(standing: &Standing<'_>, config: &Config, at_ms: i64) -> Value {
    let alert = standing.alert;
    let mut receivers: Vec<_> = standing.routes.iter().map(|route| route.receiver.as_str()).collect();
    receivers.sort_unstable();
    let inhibited_by: Vec<_> =
        standing.inhibited_by.iter().map(|alert| format!("{:016x}", alert.fingerprint())).collect();
    json!({
        "labels": object(&alert.labels),
        "annotations": object(&alert.annotations),
        "startsAt": rfc3339_ms(alert.starts_ms),
        // Alertmanager tells when it would give an alert up that nobody speaks of any more.
        "endsAt": rfc3339_ms(at_ms.saturating_add(config.resolve_timeout_ms)),
        "updatedAt": rfc3339_ms(at_ms),
        "generatorURL": alert.generator_url,
        "fingerprint": format!("{:016x}", alert.fingerprint()),
        "receivers": receivers.iter().map(|name| json!({ "name": name })).collect::<Value>(),
        "status": {
            "state": if standing.is_suppressed() { "suppressed" } else { "active" },
            "silencedBy": standing.silenced_by,
            "inhibitedBy": inhibited_by,
        },
    })
}
