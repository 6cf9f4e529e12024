//! Events: one thing that happened, with its duration, its numbers and its labels.
//!
//! ```json
//! {"event_metrics": {"timestamp": "2025-07-26T10:30:00Z", "event_type": "prediction_completed",
//!   "source_service": "ml-inference", "duration_ms": 156, "success": true,
//!   "metrics": {"prediction_confidence": 0.78, "model_version": "v2.1.3"}, "labels": {"symbol": "AAPL"}}}
//! ```
//!
//! An event becomes, under the rule of Prometheus names:
//!
//! - `<event_type>_total`, a delta counter of one;
//! - `<event_type>_duration_ms`, a distribution, when it has a duration;
//! - `<event_type>_<member>`, a gauge, for each number or boolean among its `metrics`.
//!
//! Every series has the event's labels, `source_service` and `success`, and what is text among its
//! `metrics` (a model's version, say). `event_id` and `context` hold ids of single requests: as labels
//! they would make a series a request, so they are passed by.

use bumpalo::Bump;
use weir_model::MetricKind;

use super::series::{LabelSet, Place, Writer, finite, value};
use super::tape::Node;
use super::{at, time};
use crate::outcome::{FormatError, Problem, RejectKind};
use crate::sink::Sink;

/// Reads an event, or a list of them; what is wrong with one is rejected at its place.
pub(super) fn document<'t>(
    node: Node<'t, '_>,
    place: &Place<'_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) -> Result<(), FormatError> {
    let Some(list) = node.list() else {
        event(node, place, arena, sink);
        return Ok(());
    };
    for (index, element) in list.enumerate() {
        event(element, &place.index(index), arena, sink);
        sink.check_size()?;
    }
    Ok(())
}

fn event<'t>(node: Node<'t, '_>, place: &Place<'_>, arena: &'t Bump, sink: &mut Sink<'_>) {
    if let Err((told, problem)) = read(node, place, arena, sink) {
        sink.reject(1, told, problem);
    }
}

fn read<'t>(
    node: Node<'t, '_>,
    place: &Place<'_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) -> Result<(), (String, Problem)> {
    let member = |name: &'static str| move |problem| at(&place.member(name), problem);
    if !node.is_object() {
        return Err(at(place, Problem::syntax(format!("expected an event, found {}", node.describe()))));
    }
    let named = node.get("event_type");
    let name = named.and_then(Node::text).filter(|name| !name.is_empty()).ok_or_else(|| {
        let found = named.map_or("nothing".to_owned(), Node::describe);
        let reason = format!("expected the name of an event, found {found}");
        member("event_type")(Problem::new(RejectKind::Labels, reason))
    })?;
    let own_ms = node.get("timestamp").map(time).transpose().map_err(member("timestamp"))?;
    if let Some(mapping) = sink.events
        && let Some(written) = mapping.write(node, name, own_ms, arena, sink)
    {
        return written.map_err(|(name, problem)| member(name)(problem));
    }
    let mut labels = LabelSet::named(name, arena);
    if let Some(given) = node.get("labels") {
        labels.read(given, sink.limits.labels, arena).map_err(member("labels"))?;
    }
    for name in ["source_service", "success"] {
        if let Some(given) = node.get(name) {
            labels.set_node(name, given, arena).map_err(member(name))?;
        }
    }
    let duration = match node.get("duration_ms") {
        Some(given) => Some(finite(Some(given)).map_err(member("duration_ms"))?),
        None => None,
    };
    let mut gauges = Vec::new();
    let metrics = node.get("metrics");
    if let Some(other) = metrics.filter(|metrics| !metrics.is_object()) {
        let reason = format!("expected an object of numbers, found {}", other.describe());
        return Err(member("metrics")(Problem::syntax(reason)));
    }
    let mut refused = Vec::new();
    for (name, given) in metrics.into_iter().flat_map(Node::members) {
        if given.is_null() {
            continue;
        }
        if let Some(text) = given.text() {
            labels.set(name, text, arena).map_err(member("metrics"))?;
        } else if given.bare_number().is_some() || given.bool().is_some() {
            let suffix = arena.alloc_str(&format!("_{name}"));
            gauges.push((
                crate::names::metric_name(suffix, arena),
                value(Some(given)).map_err(member("metrics"))?,
            ));
        } else {
            let reason = format!("expected a number, a boolean or a text, found {}", given.describe());
            refused.push((name, Problem::new(RejectKind::Value, reason)));
        }
    }
    let mut writer = Writer { labels: &labels, own_ms, arena, sink };
    // The first decides for all: the others have the same labels and time.
    writer.delta("_total", MetricKind::Counter, 1.0).map_err(|problem| at(place, problem))?;
    if let Some(duration) = duration {
        writer.distribution("_duration_ms", &[(duration, 1.0)]).map_err(member("duration_ms"))?;
    }
    for (suffix, number) in gauges {
        writer.float(suffix, None, MetricKind::Gauge, number).map_err(member("metrics"))?;
    }
    for (name, problem) in refused {
        let short = crate::outcome::quote(name);
        sink.reject(1, format_args!("{}[{short}]", place.member("metrics")), problem);
    }
    Ok(())
}
