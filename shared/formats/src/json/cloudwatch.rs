//! CloudWatch's `PutMetricData`: entries of `MetricData`, alone, in a list, or under their namespace.
//!
//! ```json
//! {"Namespace": "CustomApp/Metrics", "MetricData": [{"MetricName": "response_time_p95", "Value": 182.5,
//!   "Unit": "Milliseconds", "Timestamp": "2025-07-26T10:30:00Z", "Dimensions": [{"Name": "Service", "Value": "api"}]}]}
//! ```
//!
//! - The name is `MetricName` as it stands, case and all (`CPUUtilization`), under the rule of
//!   Prometheus names: what was sent is what one asks for. The namespace becomes the label `Namespace`
//!   rather than a part of the name, dimensions become labels (a list of `Name` and `Value`, or an object).
//! - `Value` is a gauge. `Values` with `Counts` are observations, which become a native histogram of
//!   the change. `StatisticValues` become the delta series `_count` and `_sum` and the gauges `_min` and `_max`.
//! - `Unit` becomes the family's unit in lower case (`None` is none). It is no label: a default unit
//!   filled in by an SDK would split a series in two. Values are not converted.
//! - `StorageResolution` is passed by: every sample is kept.

use bumpalo::Bump;
use weir_model::{Metadata, MetricKind};

use super::series::{LabelSet, Located, Place, Writer, finite, scalar_text, value};
use super::tape::Node;
use super::{at, time};
use crate::outcome::{FormatError, Problem, RejectKind};
use crate::sink::Sink;

/// Reads `{"Namespace": ..., "MetricData": [...]}`.
pub(super) fn document<'t>(
    node: Node<'t, '_>,
    place: &Place<'_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) -> Result<(), FormatError> {
    let namespace = node.get("Namespace").and_then(Node::text);
    let list = place.member("MetricData");
    let data = node.get("MetricData");
    let Some(entries) = data.and_then(Node::list) else {
        let found = data.map_or("nothing".to_owned(), Node::describe);
        sink.reject(1, list, Problem::syntax(format!("expected a list of entries, found {found}")));
        return Ok(());
    };
    for (index, element) in entries.enumerate() {
        entry(element, namespace, &list.index(index), arena, sink);
        sink.check_size()?;
    }
    Ok(())
}

/// Reads one entry; what is wrong with it is rejected at its place.
pub(super) fn entry<'t>(
    node: Node<'t, '_>,
    namespace: Option<&'t str>,
    place: &Place<'_>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) {
    if let Err((member, problem)) = read(node, namespace, arena, sink) {
        let (told, problem) =
            if member.is_empty() { at(place, problem) } else { at(&place.member(member), problem) };
        sink.reject(1, told, problem);
    }
}

fn read<'t>(
    node: Node<'t, '_>,
    namespace: Option<&'t str>,
    arena: &'t Bump,
    sink: &mut Sink<'_>,
) -> Result<(), Located> {
    let named = node.get("MetricName");
    let name = named.and_then(Node::text).filter(|name| !name.is_empty()).ok_or_else(|| {
        let found = named.map_or("nothing".to_owned(), Node::describe);
        ("MetricName", Problem::new(RejectKind::Labels, format!("expected a metric name, found {found}")))
    })?;
    let own_ms = node.get("Timestamp").map(time).transpose().map_err(|problem| ("Timestamp", problem))?;
    let mut labels = LabelSet::named(name, arena);
    if let Some(namespace) = node.get("Namespace").and_then(Node::text).or(namespace) {
        labels.set("Namespace", namespace, arena).map_err(|problem| ("Namespace", problem))?;
    }
    if let Some(given) = node.get("Dimensions") {
        dimensions(given, &mut labels, sink.limits.labels, arena)
            .map_err(|problem| ("Dimensions", problem))?;
    }
    let unit = node.get("Unit").and_then(Node::text).unwrap_or_default();
    if !unit.is_empty() && unit != "None" {
        let entry = Metadata {
            family: labels.name().to_owned(),
            kind: if node.get("Value").is_some() { MetricKind::Gauge } else { MetricKind::Unknown },
            unit: unit.to_ascii_lowercase(),
            help: String::new(),
        };
        sink.metadata(entry).map_err(|problem| ("Unit", problem))?;
    }
    let mut writer = Writer { labels: &labels, own_ms, arena, sink };
    if let Some(values) = node.get("Values") {
        let observed = weighted(values, node.get("Counts"))?;
        return writer.distribution("", &observed).map_err(|problem| ("Values", problem));
    }
    if let Some(statistics) = node.get("StatisticValues") {
        return statistic_values(statistics, &mut writer).map_err(|problem| ("StatisticValues", problem));
    }
    let value = value(node.get("Value")).map_err(|problem| ("Value", problem))?;
    writer.float("", None, MetricKind::Gauge, value).map_err(|problem| ("", problem))
}

fn dimensions<'t>(
    given: Node<'t, '_>,
    labels: &mut LabelSet<'t>,
    most: usize,
    arena: &'t Bump,
) -> Result<(), Problem> {
    let Some(list) = given.list() else { return labels.read(given, most, arena) };
    for (index, dimension) in list.enumerate() {
        if index >= most {
            return Err(Problem::new(RejectKind::Labels, format!("more than {most} dimensions")));
        }
        let name = dimension.get("Name").and_then(Node::text);
        let value = dimension.get("Value").and_then(|value| scalar_text(value, arena));
        let (Some(name), Some(value)) = (name, value) else {
            return Err(Problem::new(
                RejectKind::Labels,
                format!("dimension {index} is no object of Name and Value"),
            ));
        };
        labels.set(name, value, arena)?;
    }
    Ok(())
}

/// Values with how often each was observed; once when nothing is said.
fn weighted(values: Node<'_, '_>, counts: Option<Node<'_, '_>>) -> Result<Vec<(f64, f64)>, Located> {
    let list = values.list().ok_or_else(|| {
        ("Values", Problem::syntax(format!("expected a list of numbers, found {}", values.describe())))
    })?;
    let values = list
        .map(|one| finite(Some(one)).map_err(|problem| ("Values", problem)))
        .collect::<Result<Vec<_>, _>>()?;
    let weights = match counts {
        None => vec![1.0; values.len()],
        Some(counts) => counts
            .list()
            .ok_or_else(|| {
                (
                    "Counts",
                    Problem::syntax(format!("expected a list of numbers, found {}", counts.describe())),
                )
            })?
            .map(|one| {
                finite(Some(one)).map_err(|problem| ("Counts", problem)).and_then(|count| {
                    if count > 0.0 {
                        return Ok(count);
                    }
                    Err((
                        "Counts",
                        Problem::new(RejectKind::Value, format!("count {count} is not above zero")),
                    ))
                })
            })
            .collect::<Result<Vec<_>, _>>()?,
    };
    if values.is_empty() || values.len() != weights.len() {
        let reason = format!("{} values with {} counts", values.len(), weights.len());
        return Err(("Values", Problem::new(RejectKind::Value, reason)));
    }
    Ok(values.into_iter().zip(weights).collect())
}

fn statistic_values(given: Node<'_, '_>, writer: &mut Writer<'_, '_, '_>) -> Result<(), Problem> {
    let number = |name: &str| {
        value(given.get(name))
            .map_err(|problem| Problem::new(problem.kind, format!("{name}: {}", problem.reason)))
    };
    let (count, sum) = (number("SampleCount")?, number("Sum")?);
    let (minimum, maximum) = (number("Minimum")?, number("Maximum")?);
    writer.delta("_count", MetricKind::Counter, count)?;
    // A sum of observations may fall, so it is no counter.
    writer.delta("_sum", MetricKind::Unknown, sum)?;
    writer.float("_min", None, MetricKind::Gauge, minimum)?;
    writer.float("_max", None, MetricKind::Gauge, maximum)
}
