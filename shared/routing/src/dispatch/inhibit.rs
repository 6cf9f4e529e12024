//! Inhibition: alerts that fire keep others quiet.

use std::collections::HashMap;

use weir_model::Labels;

use crate::alert::{Alert, Status};
use crate::config::{InhibitRule, all_match};

/// The alerts that inhibit at one moment, by rule and by the labels that both sides share.
pub(crate) struct Inhibitor<'a> {
    rules: Vec<(&'a InhibitRule, Sources<'a>)>,
}

type Sources<'a> = HashMap<Vec<&'a str>, Vec<&'a Alert>>;

fn shared<'a>(rule: &InhibitRule, labels: &'a Labels) -> Vec<&'a str> {
    rule.equal.iter().map(|name| labels.get(name).unwrap_or_default()).collect()
}

impl<'a> Inhibitor<'a> {
    pub(crate) fn new(rules: &'a [InhibitRule], alerts: &'a [Alert], at_ms: i64) -> Self {
        let with_sources = |rule: &'a InhibitRule| {
            let mut sources = Sources::new();
            let firing = alerts.iter().filter(|alert| alert.status(at_ms) == Status::Firing);
            for alert in firing.filter(|alert| all_match(&rule.source, &alert.labels)) {
                sources.entry(shared(rule, &alert.labels)).or_default().push(alert);
            }
            (rule, sources)
        };
        Self { rules: rules.iter().map(with_sources).collect() }
    }

    /// The alert that keeps one with these labels quiet.
    pub(crate) fn inhibited_by(&self, labels: &Labels) -> Option<&'a Alert> {
        self.rules.iter().find_map(|(rule, sources)| {
            if !all_match(&rule.target, labels) {
                return None;
            }
            // An alert that is both source and target is not inhibited by another one of that kind, nor by itself.
            let both = all_match(&rule.source, labels);
            let sources = sources.get(&shared(rule, labels))?;
            sources.iter().find(|source| !(both && all_match(&rule.target, &source.labels))).copied()
        })
    }
}
