//! From YAML to rules: everything that Prometheus checks when it loads a rule file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_saphyr::Spanned;
use weir_model::METRIC_NAME;
use weir_promql::ast::ValueType;
use weir_promql::{parse, parse_duration_ms};

use super::names::{is_label_name, is_metric_name};
use super::yaml::{RawFile, RawGroup, RawRule};
use super::{Alerting, Group, MAX_RULES, Rule, RuleFile};
use crate::template::Template;
use crate::yaml::Problem;

/// Checks a file and turns it into rules, or tells all its problems.
pub(super) fn check(name: &str, raw: RawFile) -> Result<RuleFile, Vec<Problem>> {
    let mut checker = Checker::default();
    let file: Arc<str> = name.into();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut groups = Vec::new();
    let mut rules = 0;
    for raw in raw.groups.unwrap_or_default() {
        let line = raw.referenced.line();
        let group_name = raw.value.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        if group_name.is_empty() {
            checker.say(&raw, "groupname must not be empty");
        } else if let Some(first) = seen.insert(group_name.clone(), line) {
            let message =
                format!("groupname {group_name:?} is repeated in the same file, first on line {first}");
            checker.say(&raw, message);
        }
        rules += raw.value.rules.as_ref().map_or(0, Vec::len);
        if rules > MAX_RULES {
            checker.say(&raw, format!("more than {MAX_RULES} rules in one file; split it"));
            break;
        }
        groups.push(checker.group(&file, group_name, raw.value));
    }
    if checker.problems.is_empty() {
        Ok(RuleFile { name: name.to_owned(), groups })
    } else {
        checker.problems.sort_by_key(|p| (p.line, p.column));
        Err(checker.problems)
    }
}

#[derive(Default)]
struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn say<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        self.problems.push(Problem::at(at.referenced, message));
    }

    fn group(&mut self, file: &Arc<str>, name: String, raw: RawGroup) -> Group {
        let interval_ms = raw.interval.as_ref().and_then(|text| self.duration("interval", text));
        let query_offset_ms = raw.query_offset.as_ref().and_then(|text| self.duration("query_offset", text));
        let limit = raw.limit.as_ref().map_or(Some(0), |limit| usize::try_from(limit.value).ok());
        if let (None, Some(given)) = (limit, &raw.limit) {
            self.say(given, format!("limit {} is below zero", given.value));
        }
        let common = raw.labels.unwrap_or_default();
        self.label_names(&common);
        let rules = raw.rules.unwrap_or_default().into_iter();
        let rules = rules.filter_map(|raw| self.rule(&name, &common, raw)).collect();
        Group {
            file: Arc::clone(file),
            name,
            // Prometheus reads an interval of zero as none given.
            interval_ms: interval_ms.filter(|ms| *ms > 0),
            query_offset_ms: query_offset_ms.unwrap_or(0),
            limit: limit.unwrap_or(0),
            rules,
        }
    }

    fn rule(
        &mut self,
        group: &str,
        common: &BTreeMap<String, Spanned<String>>,
        raw: Spanned<RawRule>,
    ) -> Option<Rule> {
        let (line, before) = (raw.referenced.line(), self.problems.len());
        let (name, alerts) = match (&raw.value.record, &raw.value.alert) {
            (Some(record), Some(_)) if !record.value.is_empty() => {
                self.say(record, "only one of 'record' and 'alert' must be set");
                return None;
            }
            (_, Some(alert)) if !alert.value.is_empty() => (alert.clone(), true),
            (Some(record), _) if !record.value.is_empty() => (record.clone(), false),
            _ => {
                self.say(&raw, format!("one of 'record' or 'alert' must be set in group {group:?}"));
                return None;
            }
        };
        let rule = raw.value;
        let what = format!("{:?}", name.value);
        if !alerts {
            for (field, given) in [("for", &rule.hold), ("keep_firing_for", &rule.keep_firing_for)] {
                if let Some(given) = given {
                    self.say(given, format!("invalid field '{field}' in recording rule {what}"));
                }
            }
            if let Some((_, given)) = rule.annotations.as_ref().and_then(|all| all.first_key_value()) {
                self.say(given, format!("invalid field 'annotations' in recording rule {what}"));
            }
            if name.value.contains(['{', '}']) {
                let hint = "braces present in the recording rule name; should it be in expr?";
                self.say(&name, format!("{hint}: {}", name.value));
            } else if !is_metric_name(&name.value) {
                self.say(&name, format!("invalid recording rule name: {}", name.value));
            }
        }
        let expr = self.expr(&what, &name, rule.expr.as_ref());
        let mut labels = common.clone();
        let own = rule.labels.unwrap_or_default();
        self.label_names(&own);
        labels.extend(own);
        labels.retain(|_, value| alerts || !value.value.is_empty());
        let labels = labels.into_iter().filter_map(|(n, text)| self.template("label", n, &text)).collect();
        let alert = alerts.then(|| {
            let mut duration = |field, text: &Option<Spanned<String>>| {
                text.as_ref().and_then(|text| self.duration(field, text)).unwrap_or(0)
            };
            let (for_ms, keep_firing_for_ms) =
                (duration("for", &rule.hold), duration("keep_firing_for", &rule.keep_firing_for));
            let annotations = rule.annotations.unwrap_or_default();
            for (annotation, text) in annotations.iter().filter(|(n, _)| !is_label_name(n)) {
                self.say(text, format!("invalid annotation name: {annotation}"));
            }
            let annotations = annotations
                .into_iter()
                .filter_map(|(n, text)| self.template("annotation", n, &text))
                .collect();
            Alerting { for_ms, keep_firing_for_ms, annotations }
        });
        if self.problems.len() > before {
            return None;
        }
        let (expr, query) = expr?;
        Some(Rule { name: name.value, expr, query, labels, alert, line })
    }

    fn expr(
        &mut self,
        what: &str,
        name: &Spanned<String>,
        raw: Option<&Spanned<String>>,
    ) -> Option<(weir_promql::ast::Expr, String)> {
        let Some(raw) = raw.filter(|raw| !raw.value.trim().is_empty()) else {
            self.say(name, format!("field 'expr' must be set in rule {what}"));
            return None;
        };
        match parse(&raw.value) {
            Err(error) => {
                self.say(raw, format!("could not parse expression of {what}: {error}"));
                None
            }
            Ok(expr) if matches!(expr.value_type(), ValueType::Matrix | ValueType::String) => {
                let given = expr.value_type().documented();
                self.say(
                    raw,
                    format!("expression of {what} gives a {given}, a rule needs a vector or a scalar"),
                );
                None
            }
            Ok(expr) => Some((expr, raw.value.trim().to_owned())),
        }
    }

    fn label_names(&mut self, labels: &BTreeMap<String, Spanned<String>>) {
        for (name, value) in labels {
            if !is_label_name(name) || name == METRIC_NAME {
                self.say(value, format!("invalid label name: {name}"));
            }
        }
    }

    fn template(&mut self, what: &str, name: String, text: &Spanned<String>) -> Option<(String, Template)> {
        match Template::parse(&text.value) {
            Ok(template) => Some((name, template)),
            Err(error) => {
                self.say(text, format!("{what} {name:?}: {error}"));
                None
            }
        }
    }

    fn duration(&mut self, field: &str, text: &Spanned<String>) -> Option<i64> {
        // Prometheus takes a bare zero, and no other bare number.
        let ms = if text.value == "0" { Some(0) } else { parse_duration_ms(&text.value) };
        if ms.is_none() {
            self.say(
                text,
                format!(
                    "{field} is not a valid duration string: {:?}; write for instance 30s or 1h30m",
                    text.value
                ),
            );
        }
        ms
    }
}
