//! Receivers: SNS topics and signed webhooks, each with what it hears.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_saphyr::Spanned;
use weir_rules::Problem;

use super::raw::{NotBuilt, RawReceiver, RawSns, RawWebhook, Text as RawText};
use super::text::Text;

/// Most attributes of an SNS message: SQS passes ten on, one of which is the notification's id.
const MAX_ATTRIBUTES: usize = 9;

/// Somebody who hears of alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// The name that routes know it by.
    pub name: String,
    /// Every way it hears.
    pub integrations: Vec<Integration>,
}

/// One way a receiver hears.
#[derive(Debug, Clone, PartialEq)]
pub struct Integration {
    /// Its place among those of its kind, from 0.
    pub index: usize,
    /// Whether it hears of alerts that are resolved.
    pub send_resolved: bool,
    /// How.
    pub channel: Channel,
}

/// Where an integration's notifications go.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// An SNS topic.
    Sns {
        /// `arn:aws:sns:REGION:ACCOUNT:NAME`, or `${NAME}` for an environment variable that holds it.
        topic_arn: String,
        /// The title; a mail's subject.
        subject: Text,
        /// The body; without one the JSON that webhooks get.
        message: Option<Text>,
        /// What subscribers filter by.
        attributes: BTreeMap<String, Text>,
    },
    /// A server that takes Alertmanager's JSON.
    Webhook {
        /// `http://…` or `https://…`.
        url: String,
        /// Most alerts told of; the rest is counted. Zero for all.
        max_alerts: usize,
        /// What signs requests.
        secret: Option<SecretSource>,
    },
}

/// Where the key that signs a webhook's requests comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The content of a file, without the line break at its end.
    File(PathBuf),
    /// An environment variable of the process.
    Environment(String),
}

/// The title where a configuration gives none.
const DEFAULT_SUBJECT: &str = "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }}";

impl Integration {
    /// `sns` or `webhook`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.channel {
            Channel::Sns { .. } => "sns",
            Channel::Webhook { .. } => "webhook",
        }
    }
}

pub(super) fn check(raw: &Spanned<RawReceiver>) -> Result<Receiver, Vec<Problem>> {
    let mut problems = refuse(&raw.value.not_built(), "use sns_configs or webhook_configs");
    let name = raw.value.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
    if name.is_empty() {
        problems.push(Problem::at(raw.referenced, "receiver without a name"));
    }
    let sns = raw.value.sns_configs.iter().enumerate().map(|(index, raw)| sns(index, raw));
    let webhooks = raw.value.webhook_configs.iter().enumerate().map(|(index, raw)| webhook(index, raw));
    let mut integrations = Vec::new();
    for integration in sns.chain(webhooks) {
        match integration {
            Ok(integration) => integrations.push(integration),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(Receiver { name, integrations }) } else { Err(problems) }
}

fn refuse(given: &NotBuilt<'_>, instead: &str) -> Vec<Problem> {
    let problem = |(name, at): &(&str, &Spanned<_>)| {
        Problem::at(at.referenced, format!("{name} is not built: {instead}"))
    };
    given.iter().map(problem).collect()
}

fn text(raw: &RawText, problems: &mut Vec<Problem>) -> Option<Text> {
    Text::parse(&raw.value).map_err(|message| problems.push(Problem::at(raw.referenced, message))).ok()
}

fn sns(index: usize, raw: &Spanned<RawSns>) -> Result<Integration, Vec<Problem>> {
    let mut problems = refuse(
        &raw.value.not_built(),
        "topic_arn alone says where to, the function's role says who publishes",
    );
    let value = &raw.value;
    let topic_arn = value.topic_arn.as_ref().map(|arn| arn.value.clone()).unwrap_or_default();
    let variable = topic_arn.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let is_arn =
        topic_arn.split(':').count() == 6 && topic_arn.starts_with("arn:") && !topic_arn.ends_with(':');
    if !is_arn && !variable.is_some_and(weir_rules::is_label_name) {
        let place = value.topic_arn.as_ref().map_or(raw.referenced, |arn| arn.referenced);
        let message = format!(
            "topic_arn {topic_arn:?} names no topic: write arn:aws:sns:REGION:ACCOUNT:NAME, or ${{NAME}} for an environment variable"
        );
        problems.push(Problem::at(place, message));
    }
    let subject = match &value.subject {
        Some(subject) => text(subject, &mut problems),
        None => Text::parse(DEFAULT_SUBJECT).ok(),
    };
    let message = value.message.as_ref().and_then(|message| text(message, &mut problems));
    if value.attributes.len() > MAX_ATTRIBUTES {
        let message = format!("{} attributes, at most {MAX_ATTRIBUTES}", value.attributes.len());
        problems.push(Problem::at(raw.referenced, message));
    }
    let mut attributes = BTreeMap::new();
    for (name, raw) in &value.attributes {
        if let Some(text) = text(raw, &mut problems) {
            attributes.insert(name.clone(), text);
        }
    }
    let Some(subject) = subject.filter(|_| problems.is_empty()) else { return Err(problems) };
    let channel = Channel::Sns { topic_arn, subject, message, attributes };
    Ok(Integration { index, send_resolved: value.send_resolved.unwrap_or(true), channel })
}

fn webhook(index: usize, raw: &Spanned<RawWebhook>) -> Result<Integration, Vec<Problem>> {
    let mut problems =
        refuse(&raw.value.not_built(), "give url, and secret_file or secret_env for signed requests");
    let value = &raw.value;
    let url = value.url.as_ref().map(|url| url.value.clone()).unwrap_or_default();
    if !["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme)) {
        let place = value.url.as_ref().map_or(raw.referenced, |url| url.referenced);
        problems.push(Problem::at(place, format!("url {url:?} is no http:// or https:// address")));
    }
    let secret = match (&value.secret_file, &value.secret_env) {
        (Some(_), Some(second)) => {
            problems.push(Problem::at(second.referenced, "give secret_file or secret_env, not both"));
            None
        }
        (Some(file), None) => Some(SecretSource::File(PathBuf::from(&file.value))),
        (None, Some(name)) => Some(SecretSource::Environment(name.value.clone())),
        (None, None) => None,
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let channel = Channel::Webhook { url, max_alerts: value.max_alerts.unwrap_or(0), secret };
    Ok(Integration { index, send_resolved: value.send_resolved.unwrap_or(true), channel })
}
