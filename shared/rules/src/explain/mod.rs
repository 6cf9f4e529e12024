//! What an alert says beyond its labels: what was measured against what, since when, where to see it, how
//! urgent it is and why, what else is wrong, what it means to the business, and what to do.

mod condition;
mod correlate;
mod guide;
mod link;
mod priority;
#[cfg(test)]
mod tests;

use serde::Serialize;
use weir_model::{Labels, Moment};

use crate::evaluate::{Alert, AlertState};
use crate::feedback::{FalsePositive, Learned};
use crate::file::Rule;
use crate::template::rfc3339;
pub use condition::Condition;
pub(crate) use condition::{Found, constant, sides};
pub use correlate::Correlated;
use correlate::Neighbourhood;
pub use guide::{Guide, ImpactLevel};
use priority::Facts;
pub use priority::{Level, Part, Priority};

/// Most alerts that are explained at a time; a storm of more is beyond reading, and they are told as they are.
pub const MAX_EXPLAINED: usize = 1000;
/// Most actions told of an alert.
const MAX_ACTIONS: usize = 20;
/// Most correlated alerts named in an annotation.
const MAX_NAMED: usize = 5;

/// What an alert says. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Which firing of which alert this is: a hash of its labels and when it became active.
    pub id: String,
    /// What was compared with what; nothing for a rule without a comparison at its top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The value when the condition held last.
    pub value: String,
    /// Since when the condition holds.
    pub since: String,
    /// How long that is.
    pub active_seconds: i64,
    /// Where the curve can be seen.
    pub plot_url: String,
    /// How urgent it is and why.
    pub priority: Priority,
    /// How likely it is a false positive, learned from feedback on earlier ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_positive: Option<FalsePositive>,
    /// Other alerts that likely belong to it, the strongest first.
    pub correlated: Vec<Correlated>,
    /// What it likely means to the business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<BusinessImpact>,
    /// What to do, in order.
    pub actions: Vec<String>,
    /// Where it is written how to handle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook_url: Option<String>,
    /// When it happens.
    pub time: TimeContext,
}

/// What an alert likely means to the business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusinessImpact {
    /// How much it matters.
    pub level: ImpactLevel,
    /// In words; may be empty.
    pub text: String,
}

/// The hours in which an alert is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeContext {
    /// Whether people work; nothing where the guide does not say when they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_hours: Option<bool>,
    /// Saturday or Sunday, in UTC.
    pub weekend: bool,
    /// The hour of the day, in UTC.
    pub hour: i64,
}

/// Explains active alerts, each among all the others.
pub struct Explainer<'a> {
    guide: &'a Guide,
    external_url: &'a str,
    neighbourhood: Neighbourhood<'a>,
    learned: Option<&'a Learned>,
    at_ms: i64,
}

/// Which firing of which alert this is, in every process alike: 16 hexadecimal digits of its labels' hash, a
/// dash, and when it became active in milliseconds.
#[must_use]
pub fn identity(alert: &Alert) -> String {
    firing_id(&alert.labels, alert.active_at_ms)
}

/// The [`identity`] of an alert of these labels that became active then.
#[must_use]
pub fn firing_id(labels: &Labels, active_at_ms: i64) -> String {
    format!("{:016x}-{active_at_ms}", xxhash_rust::xxh3::xxh3_64(labels.as_bytes()))
}

impl<'a> Explainer<'a> {
    /// Explains as of `at_ms`, among `alerts`: all of a tenant, of which the resolved ones are left out.
    #[must_use]
    pub fn new(
        guide: &'a Guide,
        external_url: &'a str,
        alerts: impl Iterator<Item = &'a Alert>,
        at_ms: i64,
    ) -> Self {
        Self { guide, external_url, neighbourhood: Neighbourhood::new(alerts), learned: None, at_ms }
    }

    /// Also says how likely an alert is a false positive, given what verdicts have taught.
    #[must_use]
    pub fn having_learned(self, learned: &'a Learned) -> Self {
        Self { learned: Some(learned), ..self }
    }

    /// What an alert of a rule says.
    #[must_use]
    pub fn explain(&self, rule: &Rule, alert: &Alert) -> Explained {
        // A resolved alert is told as it was when it ended.
        let at_ms = match alert.state {
            AlertState::Inactive => alert.resolved_at_ms.unwrap_or(self.at_ms),
            AlertState::Pending | AlertState::Firing => self.at_ms,
        };
        let mut condition = condition::condition(&rule.expr, alert.value);
        let told_score = number(alert, "anomaly_score").filter(|score| (0.0..=1.0).contains(score));
        let anomaly_score = condition.as_ref().and_then(|c| c.anomaly_score).or(told_score);
        if let Some(condition) = &mut condition {
            condition.anomaly_score = anomaly_score;
        }
        let (impact, advised) = self.impact(alert);
        let correlated = self.neighbourhood.of(alert);
        let active_ms = at_ms.saturating_sub(alert.active_at_ms).max(0);
        let time = self.time(at_ms);
        let priority = Priority::of(Facts {
            labels: &alert.labels,
            times_past: condition.as_ref().and_then(|c| c.times_past),
            anomaly_score,
            impact: impact.as_ref().map(|impact| impact.level),
            active_ms,
            business_hours: time.business_hours,
            correlated: correlated.len(),
        });
        let measured = condition.as_ref().map_or_else(|| rule.expr.to_string(), |c| c.measured.clone());
        let mut explained = Explained {
            id: identity(alert),
            value: alert.value.to_string(),
            since: rfc3339(alert.active_at_ms),
            active_seconds: active_ms / 1000,
            plot_url: link::plot_url(self.guide, self.external_url, &measured, alert.active_at_ms, at_ms),
            condition,
            priority,
            correlated,
            impact,
            actions: actions(&alert.annotations, advised),
            runbook_url: annotation(alert, &["runbook_url", "runbook"]).map(str::to_owned),
            time,
            false_positive: None,
        };
        explained.false_positive = self.learned.map(|learned| learned.false_positive(alert, &explained));
        explained
    }

    /// The impact and what the guide advises. The alert's own annotation and label come before the guide.
    fn impact(&self, alert: &Alert) -> (Option<BusinessImpact>, &[String]) {
        let declared = self.guide.impact(&alert.labels);
        let own_text = annotation(alert, &["business_impact", "impact"]);
        let own_level = alert.labels.get("business_impact").and_then(ImpactLevel::from_word);
        let level = own_level.or(declared.map(|impact| impact.level));
        // A text without a level is an impact that somebody thought worth writing down.
        let level = level.or(own_text.map(|_| ImpactLevel::Medium));
        let text = own_text.or(declared.map(|impact| impact.says.as_str())).unwrap_or_default();
        let impact = level.map(|level| BusinessImpact { level, text: text.to_owned() });
        (impact, declared.map_or(&[], |impact| &impact.actions))
    }

    fn time(&self, at_ms: i64) -> TimeContext {
        let Moment { weekday, hour, .. } = Moment::from_unix(at_ms.div_euclid(1000));
        TimeContext {
            business_hours: self.guide.in_business_hours(at_ms),
            weekend: weekday == 0 || weekday == 6,
            hour,
        }
    }
}

/// The first of these annotations that is there and not empty.
fn annotation<'a>(alert: &'a Alert, names: &[&str]) -> Option<&'a str> {
    names.iter().filter_map(|name| alert.annotations.get(name)).find(|text| !text.is_empty())
}

/// A number among the annotations or labels.
fn number(alert: &Alert, name: &str) -> Option<f64> {
    alert.annotations.get(name).or(alert.labels.get(name)).and_then(|text| text.trim().parse().ok())
}

/// The rule's own actions, a line each, and then what the guide advises.
fn actions(annotations: &Labels, advised: &[String]) -> Vec<String> {
    let own = ["recommended_actions", "actions", "action"].iter().find_map(|name| annotations.get(name));
    let own = own.unwrap_or_default().lines().map(|line| line.trim_start_matches(['-', '*', ' ']).trim());
    let mut all: Vec<String> = own.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    all.extend(advised.iter().cloned());
    all.truncate(MAX_ACTIONS);
    all
}

impl Explained {
    /// The condition in words: `load 120 > 80, 1.5 times past`.
    #[must_use]
    pub fn condition_text(&self) -> String {
        match &self.condition {
            None => format!("value {}", self.value),
            Some(c) => {
                let past = c.times_past.filter(|times| *times < 1000.0);
                let past = past.map_or(String::new(), |times| format!(" ({times:.2} times the limit)"));
                let past = if c.comparison.starts_with('<') {
                    past.replace("times the", "times under the")
                } else {
                    past
                };
                format!("{} is {}, limit {} {}{past}", c.measured, self.value, c.comparison, c.threshold_text)
            }
        }
    }

    /// What it says as annotations for notifications, each named `weir_…`, sorted by name. Empty ones are left
    /// out.
    #[must_use]
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        let reasons: Vec<String> =
            self.priority.parts.iter().map(|part| format!("{} (+{})", part.why, part.points)).collect();
        let named: Vec<&str> =
            self.correlated.iter().take(MAX_NAMED).map(|one| one.alertname.as_str()).collect();
        let impact = self.impact.as_ref().map_or("", |impact| impact.text.as_str());
        let doubt = self.false_positive.as_ref().map_or(String::new(), |f| format!("{:.2}", f.probability));
        let all = [
            ("weir_actions", self.actions.join("\n")),
            ("weir_condition", self.condition_text()),
            ("weir_correlated", named.join(", ")),
            ("weir_false_positive_probability", doubt),
            ("weir_id", self.id.clone()),
            ("weir_impact", impact.to_owned()),
            ("weir_plot_url", self.plot_url.clone()),
            ("weir_priority", self.priority.level.name().to_owned()),
            ("weir_priority_reasons", reasons.join(", ")),
            ("weir_since", self.since.clone()),
        ];
        all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }
}
