//! Alerting rules as Datadog monitors, in the JSON of its API (`POST /api/v1/monitor`).

mod message;
mod query;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::file::{Rule, RuleFile};

/// Seconds that monitors wait for late samples.
const EVALUATION_DELAY_S: u32 = 60;

/// How rules become monitors.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of metrics there, by their names here; others stay as they are.
    pub names: BTreeMap<String, String>,
    /// Tags by which series are told apart where a rule does not aggregate them.
    pub by: Vec<String>,
    /// Who is told of critical alerts, such as `@pagerduty-critical`.
    pub notify_critical: String,
    /// Who is told of all others.
    pub notify: String,
    /// What `$externalURL` stands for in texts.
    pub external_url: String,
}

impl Options {
    fn metric(&self, name: &str) -> String {
        self.names.get(name).map_or_else(|| name.to_owned(), Clone::clone)
    }
}

/// A monitor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Monitor {
    /// Its name.
    pub name: String,
    /// `metric alert`; `query alert` where metrics are computed with.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its condition.
    pub query: String,
    /// What people are told, and who.
    pub message: String,
    /// `key:value`.
    pub tags: Vec<String>,
    /// 1 (highest) to 5, by severity.
    pub priority: u8,
    /// How it is evaluated.
    pub options: MonitorOptions,
}

/// How a monitor is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonitorOptions {
    /// What the value is compared with.
    pub thresholds: Thresholds,
    /// Whether changes of a critical monitor are told.
    pub notify_audit: bool,
    /// Whether a window that is not full yet waits.
    pub require_full_window: bool,
    /// Whether silence is an alert: as with rules, it is not.
    pub notify_no_data: bool,
    /// Seconds to wait for late samples.
    pub evaluation_delay: u32,
}

/// What the value of a monitor is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Thresholds {
    /// The number in its query.
    pub critical: f64,
}

/// Something that a monitor cannot say as its rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file and the line of the rule.
    pub place: String,
    /// The alert.
    pub alert: String,
    /// What, and whether the rule is left out for it.
    pub reason: String,
    /// True when there is no monitor of the rule.
    pub left_out: bool,
}

/// The alerting rules of a file as monitors, and what is lost. Recording rules have no counterpart and are not
/// told of.
#[must_use]
pub fn monitors(file: &RuleFile, options: &Options) -> (Vec<Monitor>, Vec<Loss>) {
    let (mut monitors, mut losses) = (Vec::new(), Vec::new());
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        let mut lose = |reason: String, left_out: bool| {
            let place = format!("{}:{}", file.name, rule.line);
            losses.push(Loss { place, alert: rule.name.clone(), reason, left_out });
        };
        match monitor(rule, options) {
            None => {}
            Some(Err(reason)) => lose(reason, true),
            Some(Ok((monitor, lost))) => {
                monitors.push(monitor);
                lost.into_iter().for_each(|reason| lose(reason, false));
            }
        }
    }
    (monitors, losses)
}

/// A rule as a monitor with what is lost, or why it has none; nothing for a recording rule.
fn monitor(rule: &Rule, options: &Options) -> Option<Result<(Monitor, Vec<String>), String>> {
    let alerting = rule.alert.as_ref()?;
    let query = match query::monitor_query(&rule.expr, alerting.for_ms, options) {
        Ok(query) => query,
        Err(reason) => return Some(Err(reason)),
    };
    let mut lost = Vec::new();
    if !query.holds {
        lost.push(format!(
            "for: {} s is lost; the monitor fires as soon as its window passes the threshold",
            alerting.for_ms / 1000
        ));
    }
    if alerting.keep_firing_for_ms > 0 {
        lost.push(format!("keep_firing_for: {} s is lost", alerting.keep_firing_for_ms / 1000));
    }
    let labels = rule.label_texts();
    let severity = labels.iter().find(|(name, _)| *name == "severity").map_or("", |(_, value)| value);
    let is_critical = severity == "critical";
    let mut tags: Vec<String> = Vec::new();
    for (name, value) in &labels {
        if value.contains("{{") {
            lost.push(format!("label {name}: {value:?} is a template; tags of monitors are fixed"));
        } else {
            tags.push(format!("{name}:{value}"));
        }
    }
    tags.push("source:metrics".to_owned());
    let message = message::message(rule, alerting, &query, is_critical, options, &mut lost);
    let monitor = Monitor {
        name: format!("Metric Alert: {}", message::title(&rule.name)),
        kind: if query.is_formula { "query alert" } else { "metric alert" },
        query: query.text,
        message,
        tags,
        priority: priority(severity),
        options: MonitorOptions {
            thresholds: Thresholds { critical: query.threshold },
            notify_audit: is_critical,
            require_full_window: true,
            notify_no_data: false,
            evaluation_delay: EVALUATION_DELAY_S,
        },
    };
    Some(Ok((monitor, lost)))
}

fn priority(severity: &str) -> u8 {
    match severity {
        "critical" | "page" => 1,
        "error" | "high" => 2,
        "info" | "low" | "none" => 5,
        _ => 3,
    }
}
