//! From evaluated series to the answer's value.

use std::sync::Arc;
use std::time::Instant;

use weir_model::{Samples, is_stale_nan};

use super::column::Series;
use super::error::QueryError;
use super::eval::{Evaluator, is_scalar};
use super::extended::raw_floats;
use super::grid::Grid;
use super::labels;
use super::limits::Weight;
use super::plan::{Kind, Node, Select};
use super::query::{InstantSample, Query, RangeSeries, SampleValue, Value};
use super::window::{self, Spec};
use crate::ast::WindowEdges;

/// Evaluates the root of a plan.
pub(crate) fn value<'e>(
    evaluator: &mut Evaluator<'e>,
    root: &'e Node,
    query: &Query,
    grid: &Grid,
) -> Result<Value, QueryError> {
    let timestamp_ms = query.start_ms;
    match &root.kind {
        Kind::Text(text) => return Ok(Value::String { timestamp_ms, text: text.clone() }),
        Kind::Range(select) => return raw(evaluator, root, select, grid),
        Kind::Subquery(plan) => {
            let series = evaluator.inner_series(plan)?.take();
            let series = labels::drop_names(series)?;
            return Ok(Value::Matrix(matrix(evaluator, series, &plan.grid)));
        }
        _ if is_scalar(root) && query.step_ms == 0 => {
            let value = evaluator.scalars(root, grid)?.get(0);
            return Ok(Value::Scalar { timestamp_ms, value });
        }
        _ => {}
    }
    let series = labels::drop_names(evaluator.series(root, grid)?.take())?;
    if query.step_ms > 0 {
        return Ok(Value::Matrix(matrix(evaluator, series, grid)));
    }
    let sample = |series: Series| {
        let value = match series.column.histogram(0) {
            Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
            None => SampleValue::Float(series.column.floats[0]),
        };
        InstantSample { labels: series.labels, timestamp_ms, value }
    };
    Ok(Value::Vector(series.into_iter().filter(|s| s.column.is_present(0)).map(sample).collect()))
}

/// Series with their timestamps, ascending by labels.
fn matrix(evaluator: &mut Evaluator<'_>, series: Vec<Series>, grid: &Grid) -> Vec<RangeSeries> {
    let mut all: Vec<RangeSeries> = series
        .into_iter()
        .map(|series| {
            let column = series.column;
            let histogram = |step| column.histogram(step).map(|h| (grid.at(step), Arc::clone(h)));
            let histograms = (0..column.histograms.len()).filter_map(histogram).collect();
            let present = column.floats.iter().enumerate().filter(|(_, x)| !is_stale_nan(**x));
            let floats = present.map(|(step, x)| (grid.at(step), *x)).collect();
            RangeSeries { labels: series.labels, floats, histograms }
        })
        .filter(|series| !series.floats.is_empty() || !series.histograms.is_empty())
        .collect();
    sort(evaluator, &mut all);
    all
}

fn sort(evaluator: &mut Evaluator<'_>, series: &mut [RangeSeries]) {
    let started = Instant::now();
    series.sort_by(|a, b| labels::compare(&a.labels, &b.labels));
    evaluator.sorting += started.elapsed();
}

/// A range selector that stands alone: its samples as they are stored.
fn raw<'e>(
    evaluator: &mut Evaluator<'e>,
    root: &'e Node,
    select: &Select,
    grid: &Grid,
) -> Result<Value, QueryError> {
    let set = evaluator.set(select)?;
    let meter = evaluator.stage(root, None);
    let (spec, edges) = (Spec::of(select), select.edges);
    let (mut reader, mut samples) = (set.reader(), Samples::default());
    let mut all = Vec::new();
    for (index, series) in set.series().iter().enumerate() {
        evaluator.ledger.check()?;
        let started = meter.start();
        samples.clear();
        reader.read(index, &mut samples)?;
        meter.read(started, samples.len());
        evaluator.ledger.read(samples.len())?;
        window::drop_stale(&mut samples);
        window::count_sets(&mut samples);
        // A pair of timestamp and value each.
        evaluator.ledger.hold(Weight { points: samples.len(), bytes: 16 * samples.len() })?;
        if edges != WindowEdges::Plain && !samples.histograms.is_empty() {
            let modifier = if edges == WindowEdges::Anchored { "anchored" } else { "smoothed" };
            return Err(QueryError::Execution(format!(
                "{modifier} modifier is not supported with histograms"
            )));
        }
        window::each(&samples, &grid.first(), &spec, evaluator.ledger, |w| {
            let floats = match edges {
                WindowEdges::Plain => w.ts.iter().copied().zip(w.vs.iter().copied()).collect(),
                _ => raw_floats(w, edges == WindowEdges::Smoothed),
            };
            meter.touch_window(w);
            if !floats.is_empty() || !w.hs.is_empty() {
                all.push(RangeSeries { labels: series.labels.clone(), floats, histograms: w.hs.to_vec() });
            }
            Ok(())
        })?;
    }
    sort(evaluator, &mut all);
    Ok(Value::Matrix(all))
}
