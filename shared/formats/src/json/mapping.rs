//! A declared mapping of events: which metrics an event of a type becomes, and their tags.
//!
//! ```yaml
//! ranges:
//!   amount: [{below: 10, is: micro}, {below: 100, is: small}, {is: large}]
//! events:
//!   payment_attempt:
//!     tags:
//!       currency: {field: currency}
//!       amount_range: {field: amount, range: amount}
//!       country: {field: sender_country, default: unknown}
//!     metrics:
//!       - {count: business.payment.attempts}
//!       - {distribution: business.payment.amount, field: amount}
//!       - {set: business.payment.unique_senders, field: sender_id}
//!       - {gauge: business.pool.active, field: pool.active, when: {field: operation, equals: query}}
//! ```
//!
//! A field is looked for in the event itself, then in its `data`, `metrics` and `labels`; a dot goes into an
//! object. A metric whose field the event does not have, or whose condition does not hold, is left out. Types
//! that the mapping does not name become what [`super::event`] says.

use std::collections::BTreeMap;

use bumpalo::Bump;
use serde::Deserialize;
use weir_model::MetricKind;

use super::series::{LabelSet, Located, Writer, finite, scalar_text};
use super::tape::Node;
use crate::outcome::{Problem, RejectKind};
use crate::sink::Sink;

/// Which metrics events become, by their types.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventMapping {
    /// Ranges of numbers, by name; ascending, the last one without an end.
    #[serde(default)]
    ranges: BTreeMap<String, Vec<Range>>,
    /// Tags of every mapped event.
    #[serde(default)]
    tags: BTreeMap<String, Tag>,
    /// By type of event.
    #[serde(default)]
    events: BTreeMap<String, Mapped>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    /// The range ends before this number.
    below: Option<f64>,
    /// Its name.
    is: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapped {
    #[serde(default)]
    tags: BTreeMap<String, Tag>,
    metrics: Vec<Metric>,
}

/// Where a tag's value comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    /// The field that tells it.
    field: Option<String>,
    /// The value without that field; without a default there is no tag then.
    default: Option<String>,
    /// The name of the range that the field's number lies in.
    range: Option<String>,
    /// A condition, whose outcome is `yes` or `no`.
    when: Option<Condition>,
    #[serde(default = "yes")]
    yes: String,
    #[serde(default = "no")]
    no: String,
    /// The value itself.
    value: Option<String>,
}

fn yes() -> String {
    "true".to_owned()
}

fn no() -> String {
    "false".to_owned()
}

/// What must hold; without any of the comparisons the field must be there and be neither false, zero nor empty.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    field: String,
    /// The field's text.
    equals: Option<String>,
    /// The least number.
    at_least: Option<f64>,
    /// Turns the outcome around.
    #[serde(default)]
    not: bool,
}

/// A metric: exactly one of `count`, `gauge`, `distribution` and `set` names it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    count: Option<String>,
    gauge: Option<String>,
    distribution: Option<String>,
    set: Option<String>,
    /// The field that its value is; a count may do without and is one then.
    field: Option<String>,
    /// Instead of a field, for gauges: one while this holds, else zero.
    test: Option<Condition>,
    /// Only events for which this holds.
    when: Option<Condition>,
    /// Tags beyond those of the event.
    #[serde(default)]
    tags: BTreeMap<String, Tag>,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Count,
    Gauge,
    Distribution,
    Set,
}

impl Metric {
    fn form(&self) -> Option<(Form, &str)> {
        let named = [
            (Form::Count, &self.count),
            (Form::Gauge, &self.gauge),
            (Form::Distribution, &self.distribution),
            (Form::Set, &self.set),
        ];
        let mut named = named.into_iter().filter_map(|(form, name)| Some((form, name.as_deref()?)));
        named.next().filter(|_| named.next().is_none())
    }
}

impl EventMapping {
    /// Names of the metrics that events become, as they are declared.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        let metrics = self.events.values().flat_map(|mapped| &mapped.metrics);
        metrics.filter_map(|metric| metric.form().map(|(_, name)| name))
    }

    /// Says what is wrong with the mapping beyond its shape.
    ///
    /// # Errors
    /// The first problem, in words.
    pub fn check(&self) -> Result<(), String> {
        for (name, ranges) in &self.ranges {
            let ends: Vec<f64> = ranges.iter().map(|range| range.below.unwrap_or(f64::INFINITY)).collect();
            if ends.last() != Some(&f64::INFINITY) || !ends.is_sorted_by(|a, b| a < b) {
                return Err(format!("ranges of {name:?} must ascend, and the last one has no \"below\""));
            }
        }
        self.check_tags("every event", &self.tags)?;
        for (event, mapped) in &self.events {
            self.check_tags(event, &mapped.tags)?;
            for metric in &mapped.metrics {
                let Some((form, name)) = metric.form() else {
                    return Err(format!(
                        "a metric of event {event:?} needs one of count, gauge, distribution and set"
                    ));
                };
                let told = metric.field.is_some() || (form == Form::Gauge && metric.test.is_some());
                if !told && form != Form::Count {
                    return Err(format!("metric {name:?} of event {event:?} needs a field"));
                }
                self.check_tags(event, &metric.tags)?;
            }
        }
        Ok(())
    }

    fn check_tags(&self, event: &str, tags: &BTreeMap<String, Tag>) -> Result<(), String> {
        for (name, tag) in tags {
            let range_known = tag.range.as_ref().is_none_or(|range| self.ranges.contains_key(range));
            let sources = [tag.field.is_some(), tag.when.is_some(), tag.value.is_some()];
            if !range_known {
                return Err(format!("tag {name:?} of {event}: no ranges are called {:?}", tag.range));
            }
            if sources.iter().filter(|given| **given).count() != 1 {
                return Err(format!("tag {name:?} of {event} needs one of field, when and value"));
            }
        }
        Ok(())
    }

    /// Writes what an event becomes; `None` when its type is not mapped.
    pub(super) fn write<'t>(
        &self,
        event: Node<'t, '_>,
        name: &str,
        own_ms: Option<i64>,
        arena: &'t Bump,
        sink: &mut Sink<'_>,
    ) -> Option<Result<(), Located>> {
        let mapped = self.events.get(name)?;
        Some(self.write_metrics(mapped, event, own_ms, arena, sink))
    }

    fn write_metrics<'t>(
        &self,
        mapped: &Mapped,
        event: Node<'t, '_>,
        own_ms: Option<i64>,
        arena: &'t Bump,
        sink: &mut Sink<'_>,
    ) -> Result<(), Located> {
        for metric in &mapped.metrics {
            let Some((form, name)) = metric.form() else { continue };
            if metric.when.as_ref().is_some_and(|condition| !condition.holds(event, arena)) {
                continue;
            }
            let field = metric.field.as_deref().and_then(|field| find(event, field));
            if metric.field.is_some() && field.is_none() {
                continue;
            }
            let mut labels = LabelSet::named(arena.alloc_str(name), arena);
            for (tag_name, tag) in self.tags.iter().chain(&mapped.tags).chain(&metric.tags) {
                if let Some(value) = self.tag(tag, event, arena) {
                    let tag_name: &'t str = arena.alloc_str(tag_name);
                    labels.set(tag_name, value, arena).map_err(|problem| ("labels", problem))?;
                }
            }
            let mut writer = Writer { labels: &labels, own_ms, arena, sink };
            let number = || finite(field);
            let written = match form {
                Form::Count if metric.field.is_none() => writer.delta("", MetricKind::Counter, 1.0),
                Form::Count => number().and_then(|value| writer.delta("", MetricKind::Counter, value)),
                Form::Distribution => number().and_then(|value| writer.distribution("", &[(value, 1.0)])),
                Form::Gauge => {
                    let tested =
                        metric.test.as_ref().map(|test| f64::from(u8::from(test.holds(event, arena))));
                    tested
                        .map_or_else(number, Ok)
                        .and_then(|value| writer.float("", None, MetricKind::Gauge, value))
                }
                Form::Set => match field.and_then(|field| scalar_text(field, arena)) {
                    Some(member) => writer.set(&[member]),
                    None => Err(Problem::new(RejectKind::Value, format!("a member of {name} is no text"))),
                },
            };
            written.map_err(|problem| ("metrics", problem))?;
        }
        Ok(())
    }

    /// The value of a tag, if the event has one.
    fn tag<'t>(&self, tag: &Tag, event: Node<'t, '_>, arena: &'t Bump) -> Option<&'t str> {
        let own = |text: &str| -> &'t str { arena.alloc_str(text) };
        if let Some(value) = &tag.value {
            return Some(own(value));
        }
        if let Some(condition) = &tag.when {
            return Some(own(if condition.holds(event, arena) { &tag.yes } else { &tag.no }));
        }
        let found = tag.field.as_deref().and_then(|field| find(event, field));
        let told = found.and_then(|node| match &tag.range {
            None => scalar_text(node, arena),
            Some(name) => {
                let number = node.number()?;
                let ranges = self.ranges.get(name)?;
                ranges
                    .iter()
                    .find(|range| range.below.is_none_or(|end| number < end))
                    .map(|range| own(&range.is))
            }
        });
        told.or_else(|| tag.default.as_deref().map(own))
    }
}

impl Condition {
    fn holds(&self, event: Node<'_, '_>, arena: &Bump) -> bool {
        let found = find(event, &self.field);
        let holds = match (&self.equals, self.at_least) {
            (Some(want), _) => found.and_then(|node| scalar_text(node, arena)) == Some(want),
            (None, Some(least)) => found.and_then(Node::number).is_some_and(|number| number >= least),
            (None, None) => found.is_some_and(|node| {
                node.bool().unwrap_or(true) && node.text() != Some("") && node.bare_number() != Some(0.0)
            }),
        };
        holds != self.not
    }
}

/// A field of an event: in itself, or in its `data`, `metrics` or `labels`. Null is as good as absent.
fn find<'t, 'a>(event: Node<'t, 'a>, path: &str) -> Option<Node<'t, 'a>> {
    let within = |node: Node<'t, 'a>| {
        let whole = node.get(path);
        whole.or_else(|| path.split('.').try_fold(node, Node::get))
    };
    let places = ["data", "metrics", "labels"].into_iter().filter_map(|place| event.get(place));
    std::iter::once(event).chain(places).find_map(|node| within(node).filter(|found| !found.is_null()))
}
