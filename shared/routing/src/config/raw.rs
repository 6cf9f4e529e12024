//! The YAML of an Alertmanager configuration as it is written, each value with its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::intervals::RawInterval;

pub(super) type Text = Spanned<String>;
type Texts = BTreeMap<String, Text>;
/// Something that is known and not built.
type Other = Option<Spanned<IgnoredAny>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) global: Option<RawGlobal>,
    pub(super) route: Option<Spanned<RawRoute>>,
    #[serde(default)]
    pub(super) inhibit_rules: Vec<Spanned<RawInhibitRule>>,
    #[serde(default)]
    pub(super) receivers: Vec<Spanned<RawReceiver>>,
    #[serde(default)]
    pub(super) time_intervals: Vec<Spanned<RawIntervals>>,
    /// The older name of `time_intervals`.
    #[serde(default)]
    pub(super) mute_time_intervals: Vec<Spanned<RawIntervals>>,
    #[serde(default)]
    pub(super) templates: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGlobal {
    pub(super) resolve_timeout: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub(super) receiver: Option<Text>,
    pub(super) group_by: Option<Vec<Text>>,
    #[serde(rename = "continue")]
    pub(super) continues: Option<Spanned<bool>>,
    #[serde(rename = "match", default)]
    pub(super) equal: Texts,
    #[serde(rename = "match_re", default)]
    pub(super) regex: Texts,
    #[serde(default)]
    pub(super) matchers: Vec<Text>,
    pub(super) group_wait: Option<Text>,
    pub(super) group_interval: Option<Text>,
    pub(super) repeat_interval: Option<Text>,
    #[serde(default)]
    pub(super) mute_time_intervals: Vec<Text>,
    #[serde(default)]
    pub(super) active_time_intervals: Vec<Text>,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<RawRoute>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInhibitRule {
    #[serde(default)]
    pub(super) source_match: Texts,
    #[serde(default)]
    pub(super) source_match_re: Texts,
    #[serde(default)]
    pub(super) source_matchers: Vec<Text>,
    #[serde(default)]
    pub(super) target_match: Texts,
    #[serde(default)]
    pub(super) target_match_re: Texts,
    #[serde(default)]
    pub(super) target_matchers: Vec<Text>,
    #[serde(default)]
    pub(super) equal: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIntervals {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) time_intervals: Vec<RawInterval>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSns {
    pub(super) send_resolved: Option<bool>,
    pub(super) topic_arn: Option<Text>,
    pub(super) subject: Option<Text>,
    pub(super) message: Option<Text>,
    #[serde(default)]
    pub(super) attributes: Texts,
    pub(super) target_arn: Other,
    pub(super) phone_number: Other,
    pub(super) api_url: Other,
    pub(super) sigv4: Other,
    pub(super) http_config: Other,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) send_resolved: Option<bool>,
    pub(super) url: Option<Text>,
    pub(super) max_alerts: Option<usize>,
    pub(super) secret_file: Option<Text>,
    pub(super) secret_env: Option<Text>,
    pub(super) url_file: Other,
    pub(super) http_config: Other,
    pub(super) timeout: Other,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReceiver {
    pub(super) name: Option<Text>,
    #[serde(default)]
    pub(super) sns_configs: Vec<Spanned<RawSns>>,
    #[serde(default)]
    pub(super) webhook_configs: Vec<Spanned<RawWebhook>>,
    discord_configs: Other,
    email_configs: Other,
    incidentio_configs: Other,
    jira_configs: Other,
    mattermost_configs: Other,
    msteams_configs: Other,
    msteamsv2_configs: Other,
    opsgenie_configs: Other,
    pagerduty_configs: Other,
    pushover_configs: Other,
    rocketchat_configs: Other,
    slack_configs: Other,
    telegram_configs: Other,
    victorops_configs: Other,
    webex_configs: Other,
    wechat_configs: Other,
}

/// Settings that are given and not built, with their places.
pub(super) type NotBuilt<'a> = Vec<(&'static str, &'a Spanned<IgnoredAny>)>;

fn given<'a>(all: impl IntoIterator<Item = (&'static str, &'a Other)>) -> NotBuilt<'a> {
    all.into_iter().filter_map(|(name, other)| Some((name, other.as_ref()?))).collect()
}

impl RawReceiver {
    pub(super) fn not_built(&self) -> NotBuilt<'_> {
        given([
            ("discord_configs", &self.discord_configs),
            ("email_configs", &self.email_configs),
            ("incidentio_configs", &self.incidentio_configs),
            ("jira_configs", &self.jira_configs),
            ("mattermost_configs", &self.mattermost_configs),
            ("msteams_configs", &self.msteams_configs),
            ("msteamsv2_configs", &self.msteamsv2_configs),
            ("opsgenie_configs", &self.opsgenie_configs),
            ("pagerduty_configs", &self.pagerduty_configs),
            ("pushover_configs", &self.pushover_configs),
            ("rocketchat_configs", &self.rocketchat_configs),
            ("slack_configs", &self.slack_configs),
            ("telegram_configs", &self.telegram_configs),
            ("victorops_configs", &self.victorops_configs),
            ("webex_configs", &self.webex_configs),
            ("wechat_configs", &self.wechat_configs),
        ])
    }
}

impl RawSns {
    pub(super) fn not_built(&self) -> NotBuilt<'_> {
        given([
            ("target_arn", &self.target_arn),
            ("phone_number", &self.phone_number),
            ("api_url", &self.api_url),
            ("sigv4", &self.sigv4),
            ("http_config", &self.http_config),
        ])
    }
}

impl RawWebhook {
    pub(super) fn not_built(&self) -> NotBuilt<'_> {
        given([("url_file", &self.url_file), ("http_config", &self.http_config), ("timeout", &self.timeout)])
    }
}
