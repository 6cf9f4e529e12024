//! From YAML to a configuration: everything that Alertmanager checks when it loads one.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::Spanned;
use weir_model::{MatchOp, Matcher};
use weir_promql::parse_duration_ms;
use weir_rules::{Problem, is_label_name};

use super::raw::{RawConfig, RawInhibitRule, RawRoute, Text};
use super::route::{GroupBy, Route};
use super::{Config, InhibitRule, MAX_ENTRIES, TimeInterval, parse_matchers, receivers};

/// Stands in `group_by` for all labels.
const ALL_LABELS: &str = "...";
const SECOND: i64 = 1000;

/// Checks a configuration, or tells all its problems.
pub(super) fn check(raw: RawConfig, text: &str) -> Result<Config, Vec<Problem>> {
    let mut checker = Checker::default();
    for template in &raw.templates {
        checker.say(template, "template files are not built: write the text where it is used");
    }
    let resolve_timeout = raw.global.as_ref().and_then(|global| global.resolve_timeout.as_ref());
    let resolve_timeout_ms = checker.duration("resolve_timeout", resolve_timeout).unwrap_or(300 * SECOND);
    let mut receivers = BTreeMap::new();
    for raw in &raw.receivers {
        match receivers::check(raw) {
            Err(problems) => checker.problems.extend(problems),
            Ok(receiver) => {
                if let Some(first) = receivers.insert(receiver.name.clone(), receiver) {
                    checker.say(raw, format!("receiver {:?} is not unique", first.name));
                }
            }
        }
    }
    // A receiver that is refused is named by routes all the same, which needs no second message.
    let names = raw.receivers.iter().filter_map(|raw| raw.value.name.as_ref());
    checker.receivers = names.map(|name| name.value.clone()).collect();
    let time_intervals = checker.time_intervals(&raw);
    let inhibit_rules = raw.inhibit_rules.iter().map(|raw| checker.inhibit_rule(raw)).collect();
    for (what, count) in [
        ("receivers", raw.receivers.len()),
        ("inhibit_rules", raw.inhibit_rules.len()),
        ("time_intervals", raw.time_intervals.len() + raw.mute_time_intervals.len()),
    ] {
        if count > MAX_ENTRIES {
            checker.problems.push(whole(format!("{count} {what}, at most {MAX_ENTRIES}")));
        }
    }
    let route = checker.root(raw.route.as_ref());
    match route {
        Some(route) if checker.problems.is_empty() => {
            let original = text.to_owned();
            Ok(Config { resolve_timeout_ms, route, inhibit_rules, receivers, time_intervals, original })
        }
        _ => {
            checker.problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(checker.problems)
        }
    }
}

fn whole(message: impl Into<String>) -> Problem {
    Problem { line: 0, column: 0, message: message.into() }
}

#[derive(Default)]
struct Checker {
    problems: Vec<Problem>,
    receivers: BTreeSet<String>,
    intervals: BTreeSet<String>,
    routes: usize,
}

impl Checker {
    fn say<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        self.problems.push(Problem::at(at.referenced, message));
    }

    fn duration(&mut self, field: &str, text: Option<&Text>) -> Option<i64> {
        let text = text?;
        let ms = if text.value == "0" { Some(0) } else { parse_duration_ms(&text.value) };
        if ms.is_none() {
            let message = format!("{field} {:?} is no duration; write for instance 30s or 1h30m", text.value);
            self.say(text, message);
        }
        ms
    }

    fn time_intervals(&mut self, raw: &RawConfig) -> BTreeMap<String, Vec<TimeInterval>> {
        let mut all = BTreeMap::new();
        for raw in raw.time_intervals.iter().chain(&raw.mute_time_intervals) {
            let name = raw.value.name.value.clone();
            if name.is_empty() {
                self.say(raw, "time interval without a name");
            }
            if !self.intervals.insert(name.clone()) {
                self.say(raw, format!("time interval {name:?} is not unique"));
            }
            let mut intervals = Vec::new();
            for raw in &raw.value.time_intervals {
                match TimeInterval::check(raw) {
                    Ok(interval) => intervals.push(interval),
                    Err(problem) => self.problems.push(problem),
                }
            }
            all.insert(name, intervals);
        }
        all
    }

    fn matchers(
        &mut self,
        equal: &BTreeMap<String, Text>,
        regex: &BTreeMap<String, Text>,
        texts: &[Text],
    ) -> Vec<Matcher> {
        let mut all = Vec::new();
        for (op, texts) in [(MatchOp::Equal, equal), (MatchOp::Regex, regex)] {
            for (name, text) in texts {
                if !is_label_name(name) {
                    self.say(text, format!("{name:?} is no label name"));
                }
                // Alertmanager anchors these itself, which shows in the keys of groups.
                let value = match op {
                    MatchOp::Regex => format!("^(?:{})$", text.value),
                    _ => text.value.clone(),
                };
                match Matcher::new(name, op, &value) {
                    Ok(matcher) => all.push(matcher),
                    Err(error) => self.say(text, error.to_string()),
                }
            }
        }
        for text in texts {
            match parse_matchers(&text.value) {
                Ok(matchers) => all.extend(matchers),
                Err(message) => self.say(text, message),
            }
        }
        all
    }

    fn inhibit_rule(&mut self, raw: &Spanned<RawInhibitRule>) -> InhibitRule {
        let rule = &raw.value;
        let source = self.matchers(&rule.source_match, &rule.source_match_re, &rule.source_matchers);
        let target = self.matchers(&rule.target_match, &rule.target_match_re, &rule.target_matchers);
        InhibitRule { source, target, equal: rule.equal.iter().map(|name| name.value.clone()).collect() }
    }

    fn root(&mut self, raw: Option<&Spanned<RawRoute>>) -> Option<Route> {
        let Some(raw) = raw else {
            self.problems.push(whole("no route: a configuration needs one with a receiver"));
            return None;
        };
        let value = &raw.value;
        if value.receiver.as_ref().is_none_or(|name| name.value.is_empty()) {
            self.say(raw, "the root route must name a receiver");
        }
        if !value.equal.is_empty() || !value.regex.is_empty() || !value.matchers.is_empty() {
            self.say(raw, "the root route must not have matchers: it takes every alert");
        }
        if !value.mute_time_intervals.is_empty() || !value.active_time_intervals.is_empty() {
            self.say(raw, "the root route must not have time intervals");
        }
        if value.continues.as_ref().is_some_and(|given| given.value) {
            self.say(raw, "the root route cannot have continue");
        }
        // What Alertmanager takes where nothing is written.
        let defaults = Route {
            index: 0,
            key: String::new(),
            receiver: String::new(),
            matchers: Vec::new(),
            continues: false,
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait_ms: 30 * SECOND,
            group_interval_ms: 300 * SECOND,
            repeat_interval_ms: 4 * 3600 * SECOND,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            routes: Vec::new(),
        };
        Some(self.route(raw, &defaults, None))
    }

    fn route(&mut self, raw: &Spanned<RawRoute>, above: &Route, parent: Option<&str>) -> Route {
        let value = &raw.value;
        let index = self.routes;
        self.routes += 1;
        if self.routes == MAX_ENTRIES + 1 {
            self.say(raw, format!("more than {MAX_ENTRIES} routes"));
        }
        let receiver = match &value.receiver {
            Some(name) if !name.value.is_empty() => {
                if !self.receivers.contains(&name.value) {
                    self.say(name, format!("undefined receiver {:?} used in route", name.value));
                }
                name.value.clone()
            }
            _ => above.receiver.clone(),
        };
        for name in value.mute_time_intervals.iter().chain(&value.active_time_intervals) {
            if !self.intervals.contains(&name.value) {
                self.say(name, format!("undefined time interval {:?} used in route", name.value));
            }
        }
        let mut matchers = self.matchers(&value.equal, &value.regex, &value.matchers);
        // Keys of groups hold matchers in this order.
        matchers
            .sort_by(|a, b| (a.name(), a.value(), a.op() as u8).cmp(&(b.name(), b.value(), b.op() as u8)));
        let mut timing = |field, text: &Option<Text>, inherited, least| {
            let ms = self.duration(field, text.as_ref());
            if let (Some(ms), Some(text)) = (ms, text)
                && ms < least
            {
                self.say(text, format!("{field} cannot be zero"));
            }
            ms.unwrap_or(inherited)
        };
        let names = |texts: &[Text]| texts.iter().map(|text| text.value.clone()).collect();
        let mut route = Route {
            index,
            key: Route::key_below(parent, &matchers),
            receiver,
            matchers,
            continues: value.continues.as_ref().is_some_and(|given| given.value),
            group_wait_ms: timing("group_wait", &value.group_wait, above.group_wait_ms, 0),
            group_interval_ms: timing("group_interval", &value.group_interval, above.group_interval_ms, 1),
            repeat_interval_ms: timing(
                "repeat_interval",
                &value.repeat_interval,
                above.repeat_interval_ms,
                1,
            ),
            // An empty list says nothing, as none does.
            group_by: match &value.group_by {
                Some(names) if !names.is_empty() => self.group_by(names),
                _ => above.group_by.clone(),
            },
            mute_time_intervals: names(&value.mute_time_intervals),
            active_time_intervals: names(&value.active_time_intervals),
            routes: Vec::new(),
        };
        let routes = value.routes.iter().map(|raw| self.route(raw, &route, Some(&route.key))).collect();
        route.routes = routes;
        route
    }

    fn group_by(&mut self, names: &[Text]) -> GroupBy {
        let mut labels = BTreeSet::new();
        for name in names {
            if name.value == ALL_LABELS {
                if names.len() > 1 {
                    self.say(name, "group_by holds '...' (all labels) and other labels at the same time");
                }
                return GroupBy::All;
            }
            if !is_label_name(&name.value) {
                self.say(name, format!("{:?} in group_by is no label name", name.value));
            }
            if !labels.insert(name.value.clone()) {
                self.say(name, format!("label {:?} is repeated in group_by", name.value));
            }
        }
        GroupBy::Labels(labels)
    }
}
