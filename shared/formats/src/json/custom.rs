//! Custom metrics: typed metrics with labels, alone or in a document with a common time and source.
//!
//! ```json
//! {"custom_metrics": {"timestamp": "2025-07-26T10:30:00Z", "source": "prediction-service", "metrics": [
//!   {"name": "predictions_total", "type": "counter", "value": 1247, "labels": {"symbol": "AAPL"}}]}}
//! ```
//!
//! A metric has a `name`, a `type` (`metric_type` also; a gauge without one), a `value`, `labels` (an
//! object, or `tags` as a list of `key:value` texts) and perhaps a `timestamp`. By type:
//!
//! - `counter`: a state that only grows; a change when the metric says `"temporality": "delta"` or has
//!   its labels as a list of `tags`, for then it is a StatsD call put off.
//! - `gauge`, `untyped`: a state.
//! - `histogram` with `buckets` (upper bound to cumulative count), `sum`, `count`: the classic series
//!   `_bucket` with `le`, `_sum` and `_count`; a missing `+Inf` bucket is filled from `count`.
//! - `histogram` with a `value` or a list of `values`, `timer`, `distribution`: observations, which
//!   become a native histogram of the change.
//! - `summary`: `quantiles` (quantile to value), `sum`, `count`.
//! - `set`: a member, or a list of members, as `value`, `values` or `members`.
//!
//! Names follow the rule of Prometheus names (what is no letter, digit or underscore becomes an
//! underscore). A document's `source`, `service_name`, `instance_id` and `device_id` become labels of
//! those names unless the metric has them. `unit` and `help` (`description`) become metadata of the
//! family. `metrics` may also be an object of name to metric, or to a bare number:
//! `{"device_id": "sensor-17", "metrics": {"temperature": {"value": 21.5, "unit": "Celsius"}}}`.

use bumpalo::Bump;
use weir_model::{Metadata, MetricKind};

use super::series::{LabelSet, Located, Place, Writer, finite, scalar_text, value};
use super::tape::Node;
use super::{at, time};
use crate::outcome::{FormatError, Problem, RejectKind, quote};
use crate::sink::Sink;

/// Members of a document that say where its metrics come from; each becomes a label.
pub(super) const ORIGINS: [&str; 4] = ["source", "service_name", "instance_id", "device_id"];

/// What a document says for all its metrics.
#[derive(Default)]
pub(super) struct Common<'t, 'a> {
    own_ms: Option<i64>,
    origins: [Option<&'t str>; ORIGINS.len()],
    labels: Option<Node<'t, 'a>>,
}

/// Reads a document with `metrics`.
pub(super) fn document<'t>(
    node: Node<'t, '_>,
    place: &Place<'_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) -> Result<(), FormatError> {
    let metrics = node.get("metrics");
    let inside = place.member("metrics");
    let len = match metrics {
        Some(metrics) if metrics.is_object() => metrics.members().count(),
        Some(metrics) if metrics.list().is_some() => metrics.list().map_or(0, Iterator::count),
        other => {
            let found = other.map_or("nothing".to_owned(), Node::describe);
            sink.reject(1, inside, Problem::syntax(format!("expected a list of metrics, found {found}")));
            return Ok(());
        }
    };
    let mut common = Common {
        own_ms: None,
        origins: ORIGINS.map(|name| node.get(name).and_then(|origin| scalar_text(origin, arena))),
        labels: node.get("labels"),
    };
    match node.get("timestamp").map(time).transpose() {
        Ok(own_ms) => common.own_ms = own_ms,
        Err(problem) => {
            sink.reject(len.max(1) as u64, place.member("timestamp"), problem);
            return Ok(());
        }
    }
    for (index, element) in metrics.and_then(Node::list).into_iter().flatten().enumerate() {
        metric(element, None, &common, &inside.index(index), arena, sink);
        sink.check_size()?;
    }
    for (name, element) in metrics.into_iter().flat_map(Node::members) {
        // A name from the body is quoted and cut, since places are told.
        let short = quote(name);
        metric(element, Some(name), &common, &inside.member(&short), arena, sink);
        sink.check_size()?;
    }
    Ok(())
}

/// Reads one metric; what is wrong with it is rejected at its place.
///
/// `name` is given when it does not stand in the metric itself.
pub(super) fn metric<'t>(
    node: Node<'t, '_>,
    name: Option<&'t str>,
    common: &Common<'t, '_>,
    place: &Place<'_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) {
    if let Err((member, problem)) = read(node, name, common, arena, sink) {
        let (told, problem) =
            if member.is_empty() { at(place, problem) } else { at(&place.member(member), problem) };
        sink.reject(1, told, problem);
    }
}

fn read<'t>(
    node: Node<'t, '_>,
    name: Option<&'t str>,
    common: &Common<'t, '_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) -> Result<(), Located> {
    let bare = name.is_some() && node.bare_number().is_some();
    if !node.is_object() && !bare {
        return Err(("", Problem::syntax(format!("expected a metric, found {}", node.describe()))));
    }
    let named = node.get_any(&["name", "metric"]);
    let name = name.or(named.and_then(Node::text)).filter(|name| !name.is_empty()).ok_or_else(|| {
        let found = named.map_or("nothing".to_owned(), Node::describe);
        ("name", Problem::new(RejectKind::Labels, format!("expected a metric name, found {found}")))
    })?;
    let own_ms = match node.get("timestamp") {
        Some(own) => Some(time(own).map_err(|problem| ("timestamp", problem))?),
        None => common.own_ms,
    };
    let mut labels = LabelSet::named(name, arena);
    let most = sink.limits.labels;
    let mut deferred = false;
    if let Some(all) = common.labels {
        labels.read(all, most, arena).map_err(|problem| ("labels", problem))?;
    }
    for member in ["labels", "tags"] {
        if let Some(own) = node.get(member) {
            labels.read(own, most, arena).map_err(|problem| (member, problem))?;
            deferred |= member == "tags" && own.list().is_some();
        }
    }
    for (name, origin) in ORIGINS.into_iter().zip(common.origins) {
        if let Some(origin) = origin.filter(|_| !labels.has(name)) {
            labels.set(name, origin, arena).map_err(|problem| (name, problem))?;
        }
    }
    let word = node.get_any(&["type", "metric_type"]);
    let kind = match word {
        None => "gauge",
        Some(word) => word.text().unwrap_or_default(),
    };
    declare(node, &labels, kind, sink)?;
    let writer = Writer { labels: &labels, own_ms, arena, sink };
    match kind.to_ascii_lowercase().as_str() {
        "counter" | "count" => counter(node, deferred, writer),
        _ if bare => state(Some(node), MetricKind::Gauge, writer),
        "gauge" => state(node.get("value"), MetricKind::Gauge, writer),
        "untyped" | "unknown" => state(node.get("value"), MetricKind::Unknown, writer),
        "histogram" if node.get("buckets").is_some() => classic_histogram(node, writer),
        "histogram" | "timer" | "timing" | "distribution" => observations(node, writer),
        "summary" => summary(node, writer),
        "set" => set(node, writer),
        _ => Err((
            "type",
            Problem::new(
                RejectKind::Type,
                format!(
                    "metric type {} is none of counter, gauge, histogram, summary, timer, distribution, set, untyped",
                    word.map_or_else(String::new, Node::describe)
                ),
            ),
        )),
    }
}

/// Passes unit and help on as metadata.
fn declare(
    node: Node<'_, '_>,
    labels: &LabelSet<'_>,
    word: &str,
    sink: &mut Sink<'_>,
) -> Result<(), Located> {
    let text = |names: &[&str]| node.get_any(names).and_then(Node::text).unwrap_or_default().to_owned();
    let entry = Metadata {
        family: labels.name().to_owned(),
        kind: MetricKind::from_name(word).unwrap_or_default(),
        unit: text(&["unit"]),
        help: text(&["help", "description"]),
    };
    if entry.unit.is_empty() && entry.help.is_empty() {
        return Ok(());
    }
    sink.metadata(entry).map_err(|problem| ("help", problem))
}

fn counter(node: Node<'_, '_>, deferred: bool, mut writer: Writer<'_, '_, '_>) -> Result<(), Located> {
    let value = value(node.get("value")).map_err(|problem| ("value", problem))?;
    let temporality = node.get("temporality");
    let delta = match temporality.map(|word| word.text().unwrap_or_default()) {
        Some("delta") => true,
        Some("cumulative") => false,
        None => deferred,
        Some(_) => {
            let found = temporality.map_or_else(String::new, Node::describe);
            return Err((
                "temporality",
                Problem::new(
                    RejectKind::Type,
                    format!("temporality {found} is neither delta nor cumulative"),
                ),
            ));
        }
    };
    let result = if delta {
        writer.delta("", MetricKind::Counter, value)
    } else {
        writer.float("", None, MetricKind::Counter, value)
    };
    result.map_err(|problem| ("", problem))
}

fn state(
    given: Option<Node<'_, '_>>,
    kind: MetricKind,
    mut writer: Writer<'_, '_, '_>,
) -> Result<(), Located> {
    let value = value(given).map_err(|problem| ("value", problem))?;
    writer.float("", None, kind, value).map_err(|problem| ("", problem))
}

fn classic_histogram<'t>(node: Node<'t, '_>, mut writer: Writer<'_, 't, '_>) -> Result<(), Located> {
    let Some(buckets) = node.get("buckets").filter(|buckets| buckets.is_object()) else {
        let found = node.get("buckets").map_or_else(String::new, Node::describe);
        return Err((
            "buckets",
            Problem::syntax(format!("expected an object of bound to count, found {found}")),
        ));
    };
    // Everything is judged before anything is written: half a histogram answers wrongly.
    let mut counts = Vec::new();
    let mut infinite = false;
    for (bound, count) in buckets.members() {
        let le = crate::number::float(bound).filter(|le| !le.is_nan()).ok_or_else(|| {
            (
                "buckets",
                Problem::new(RejectKind::Value, format!("bucket bound {} is not a number", quote(bound))),
            )
        })?;
        let bound = if le == f64::INFINITY { "+Inf" } else { bound };
        infinite |= le == f64::INFINITY;
        counts.push((bound, value(Some(count)).map_err(|problem| ("buckets", problem))?));
    }
    let sum = node.get("sum").map(|sum| value(Some(sum))).transpose().map_err(|problem| ("sum", problem))?;
    let count = node
        .get("count")
        .map(|count| value(Some(count)))
        .transpose()
        .map_err(|problem| ("count", problem))?;
    if let Some(count) = count
        && !infinite
    {
        counts.push(("+Inf", count));
    }
    let kind = MetricKind::Histogram;
    let mut write = || {
        for (bound, count) in &counts {
            writer.float("_bucket", Some((weir_model::BUCKET_LABEL, bound)), kind, *count)?;
        }
        if let Some(sum) = sum {
            writer.float("_sum", None, kind, sum)?;
        }
        if let Some(count) = count {
            writer.float("_count", None, kind, count)?;
        }
        Ok(())
    };
    write().map_err(|problem| ("", problem))
}

fn summary<'t>(node: Node<'t, '_>, mut writer: Writer<'_, 't, '_>) -> Result<(), Located> {
    let mut quantiles = Vec::new();
    if let Some(given) = node.get("quantiles") {
        for (quantile, number) in given.members() {
            if !crate::number::float(quantile).is_some_and(|q| (0.0..=1.0).contains(&q)) {
                return Err((
                    "quantiles",
                    Problem::new(
                        RejectKind::Value,
                        format!("quantile {} is not between 0 and 1", quote(quantile)),
                    ),
                ));
            }
            quantiles.push((quantile, value(Some(number)).map_err(|problem| ("quantiles", problem))?));
        }
    }
    let sum = node.get("sum").map(|sum| value(Some(sum))).transpose().map_err(|problem| ("sum", problem))?;
    let count = node
        .get("count")
        .map(|count| value(Some(count)))
        .transpose()
        .map_err(|problem| ("count", problem))?;
    if quantiles.is_empty() && sum.is_none() && count.is_none() {
        return Err((
            "quantiles",
            Problem::new(RejectKind::Value, "a summary without quantiles, sum and count"),
        ));
    }
    let kind = MetricKind::Summary;
    let mut write = || {
        for (quantile, number) in &quantiles {
            writer.float("", Some(("quantile", quantile)), kind, *number)?;
        }
        if let Some(sum) = sum {
            writer.float("_sum", None, kind, sum)?;
        }
        if let Some(count) = count {
            writer.float("_count", None, kind, count)?;
        }
        Ok(())
    };
    write().map_err(|problem| ("", problem))
}

fn observations(node: Node<'_, '_>, mut writer: Writer<'_, '_, '_>) -> Result<(), Located> {
    let mut observed = Vec::new();
    let many = node.get("values").or_else(|| node.get("value").filter(|value| value.list().is_some()));
    if let Some(list) = many.and_then(Node::list) {
        for one in list {
            observed.push((finite(Some(one)).map_err(|problem| ("values", problem))?, 1.0));
        }
    } else {
        observed.push((finite(node.get("value")).map_err(|problem| ("value", problem))?, 1.0));
    }
    if observed.is_empty() {
        return Err(("values", Problem::new(RejectKind::Value, "the list of values is empty")));
    }
    writer.distribution("", &observed).map_err(|problem| ("", problem))
}

fn set<'t>(node: Node<'t, '_>, mut writer: Writer<'_, 't, '_>) -> Result<(), Located> {
    let arena = writer.arena;
    let Some(given) = node.get_any(&["members", "values", "value"]) else {
        return Err(("value", Problem::new(RejectKind::Value, "the set has no members")));
    };
    let member = |one: Node<'t, '_>| {
        scalar_text(one, arena).ok_or_else(|| {
            ("value", Problem::new(RejectKind::Value, format!("member {} is not a text", one.describe())))
        })
    };
    let members = match given.list() {
        Some(list) => list.map(member).collect::<Result<Vec<_>, _>>()?,
        None => vec![member(given)?],
    };
    writer.set(&members).map_err(|problem| ("", problem))
}
