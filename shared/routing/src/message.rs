//! What a notification says: Alertmanager's webhook JSON, version 4, and the fields that texts name.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use weir_model::{Labels, LabelsBuilder, Moment};

use crate::alert::{Alert, Status};

/// What a notification says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    /// Who hears.
    pub receiver: &'a str,
    /// Firing while any of the alerts is.
    pub status: Status,
    /// Those told of.
    pub alerts: Vec<Told<'a>>,
    /// Labels that make the group.
    #[serde(serialize_with = "object")]
    pub group_labels: Labels,
    /// Labels that all the alerts have.
    #[serde(serialize_with = "object")]
    pub common_labels: Labels,
    /// Annotations that all the alerts have.
    #[serde(serialize_with = "object")]
    pub common_annotations: Labels,
    /// Where a person reaches this Weir.
    #[serde(rename = "externalURL")]
    pub external_url: &'a str,
    version: &'static str,
    /// The group.
    pub group_key: &'a str,
    /// Alerts of the group that are not told of.
    pub truncated_alerts: usize,
}

/// An alert within a message.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told<'a> {
    /// Whether it fires.
    pub status: Status,
    #[serde(serialize_with = "object")]
    labels: &'a Labels,
    #[serde(serialize_with = "object")]
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// What a message is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Who hears.
    pub receiver: &'a str,
    /// The group.
    pub group_key: &'a str,
    /// Labels that make the group.
    pub group_labels: &'a Labels,
    /// Where a person reaches this Weir.
    pub external_url: &'a str,
    /// Most alerts told of; zero for all.
    pub max_alerts: usize,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl<'a> Message<'a> {
    /// The message about alerts, in their order.
    #[must_use]
    pub fn new(about: About<'a>, alerts: &[&'a Alert]) -> Self {
        let told = match about.max_alerts {
            0 => alerts,
            most => &alerts[..most.min(alerts.len())],
        };
        let alerts_told: Vec<_> = told.iter().map(|alert| Told::new(alert, about.at_ms)).collect();
        let firing = alerts_told.iter().any(|alert| alert.status == Status::Firing);
        Self {
            receiver: about.receiver,
            status: if firing { Status::Firing } else { Status::Resolved },
            group_labels: about.group_labels.clone(),
            common_labels: common(told.iter().map(|alert| &alert.labels)),
            common_annotations: common(told.iter().map(|alert| &alert.annotations)),
            external_url: about.external_url,
            version: "4",
            group_key: about.group_key,
            truncated_alerts: alerts.len() - told.len(),
            alerts: alerts_told,
        }
    }

    /// How many of the alerts fire.
    #[must_use]
    pub fn firing(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.status == Status::Firing).count()
    }

    /// The JSON that Alertmanager posts to webhooks.
    #[must_use]
    pub fn json(&self) -> String {
        // Maps have text keys and there are no floats: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<'a> Told<'a> {
    fn new(alert: &'a Alert, at_ms: i64) -> Self {
        let status = alert.status(at_ms);
        let ends_at = match (status, alert.ends_ms) {
            (Status::Resolved, Some(ends_ms)) => rfc3339_ms(ends_ms),
            // Go's zero time: no end is known.
            _ => "0001-01-01T00:00:00Z".to_owned(),
        };
        Self {
            status,
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: rfc3339_ms(alert.starts_ms),
            ends_at,
            generator_url: &alert.generator_url,
            fingerprint: format!("{:016x}", alert.fingerprint()),
        }
    }
}

/// A time in RFC 3339, to the millisecond where it has some.
#[must_use]
pub fn rfc3339_ms(at_ms: i64) -> String {
    let second = Moment::from_unix(at_ms.div_euclid(1000)).to_string();
    match at_ms.rem_euclid(1000) {
        0 => second,
        ms => {
            let fraction = format!("{ms:03}");
            format!("{}.{}Z", second.trim_end_matches('Z'), fraction.trim_end_matches('0'))
        }
    }
}

/// The milliseconds since the Unix epoch that RFC 3339 names, of any zone; `None` for anything else.
#[must_use]
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Pairs that all of the label sets hold.
fn common<'a>(mut all: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut shared = LabelsBuilder::from_labels(&all.next().cloned().unwrap_or_else(Labels::empty));
    for labels in all {
        let gone: Vec<String> = shared
            .clone()
            .build()
            .iter()
            .filter(|(name, value)| labels.get(name) != Some(value))
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in &gone {
            shared.remove(name);
        }
    }
    shared.build()
}

fn object<S: Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (name, value) in labels.iter() {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
