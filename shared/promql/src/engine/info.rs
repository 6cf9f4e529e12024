//! `info()`: adds the labels of info metrics such as `target_info` to the series of the same target.
//!
//! Source: Prometheus' documentation of `info`. Series belong together when their `instance` and `job` agree;
//! of several info series of one metric the one with the newest sample counts.

use hashbrown::{HashMap, HashSet};
use weir_model::{Labels, LabelsBuilder, METRIC_NAME, Matcher};

use super::column::{Series, is_absent};
use super::error::QueryError;
use super::grid::Grid;
use super::labels::{Key, Output};

/// Labels that identify a target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Info series of one metric and one target.
type Candidates<'s> = Vec<&'s Series>;

/// Adds the data labels; `infos` hold the timestamps of their samples in milliseconds.
pub(crate) fn enrich(
    base: &[Series],
    infos: &[Series],
    names: &[Matcher],
    data: &[Matcher],
    grid: &Grid,
) -> Result<Vec<Series>, QueryError> {
    let key = Key::new(&IDENTIFYING.map(str::to_owned), true);
    let mut targets: HashMap<Labels, Vec<Candidates<'_>>> = HashMap::new();
    for info in infos {
        if info.column.has_histograms() {
            return Err(QueryError::Execution(format!(
                "this should be an info metric, with float samples: {}",
                info.labels
            )));
        }
        let metrics = targets.entry(key.of(&info.labels)).or_default();
        match metrics.iter_mut().find(|c| c[0].labels.metric_name() == info.labels.metric_name()) {
            Some(candidates) => candidates.push(info),
            None => metrics.push(vec![info]),
        }
    }
    let wanted: HashSet<&str> = data.iter().map(Matcher::name).collect();
    let optional = data.iter().all(Matcher::matches_absent);
    let mut output = Output::default();
    for series in base {
        let is_info = names.iter().all(|m| m.matches(series.labels.metric_name()));
        let target = key.of(&series.labels);
        let metrics = if is_info || target.is_empty() { None } else { targets.get(&target) };
        if is_info {
            output.add(series.clone())?;
            continue;
        }
        let mut known: HashMap<Vec<usize>, Labels> = HashMap::new();
        for step in (0..grid.steps).filter(|s| series.column.is_present(*s)) {
            // Which info series count at this step, one per metric.
            let mut chosen: Vec<&Series> = Vec::new();
            for candidates in metrics.into_iter().flatten() {
                chosen.extend(newest(candidates, step)?);
            }
            if chosen.is_empty() && !optional {
                continue;
            }
            let places = chosen.iter().map(|s| std::ptr::from_ref(*s) as usize).collect::<Vec<_>>();
            let labels = match known.get(&places) {
                Some(labels) => labels.clone(),
                None => {
                    let labels = enriched(&series.labels, &chosen, &wanted)?;
                    known.insert(places, labels.clone());
                    labels
                }
            };
            let column = output.column(&labels, series.drop_name, grid.steps);
            if column.is_present(step) {
                return Err(super::error::same_labelset());
            }
            column.copy_step(step, &series.column);
        }
    }
    Ok(output.into_series())
}

/// The info series with the newest sample at a step.
fn newest<'s>(candidates: &[&'s Series], step: usize) -> Result<Option<&'s Series>, QueryError> {
    let mut best: Option<(&Series, f64)> = None;
    for info in candidates {
        let time = info.column.floats[step];
        if is_absent(time) {
            continue;
        }
        match best {
            Some((known, newest)) if newest == time => {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {newest}, new {} @ {time}",
                    known.labels, info.labels
                )));
            }
            Some((_, newest)) if newest > time => {}
            _ => best = Some((info, time)),
        }
    }
    Ok(best.map(|(info, _)| info))
}

/// A label set with the wanted labels of info series; what it has already stays.
fn enriched(base: &Labels, infos: &[&Series], wanted: &HashSet<&str>) -> Result<Labels, QueryError> {
    let mut added: HashMap<&str, &str> = HashMap::new();
    for info in infos {
        for (name, value) in info.labels.iter() {
            if name == METRIC_NAME || (!wanted.is_empty() && !wanted.contains(name)) {
                continue;
            }
            if added.get(name).is_some_and(|known| *known != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut builder = LabelsBuilder::from_labels(base);
    for (name, value) in added {
        builder.set(name, value);
    }
    Ok(builder.build())
}
