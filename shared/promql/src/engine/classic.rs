//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`, of classic buckets and of native
//! histograms side by side.

use std::sync::Arc;

use hashbrown::HashMap;
use weir_model::{BUCKET_LABEL, Histogram, Labels, LabelsBuilder, NanEffect, ShortFloat};

use super::buckets::{self, Bucket, Correction};
use super::column::{Column, Scalars, Series, is_absent};
use super::error::QueryError;
use super::grid::Grid;
use super::labels::Output;
use super::limits::Ledger;
use super::notes::{Forced, Note, Notes};
use crate::ast::Position;

/// A distribution: the series of its classic buckets by ascending bound, or of its native histogram, or both.
struct Distribution<'s> {
    /// Without the bucket's label.
    labels: Labels,
    buckets: Vec<(f64, &'s Series)>,
    native: Option<&'s Series>,
}

/// Finds the distributions among series.
fn distributions<'s>(series: &'s [Series], position: Position, notes: &mut Notes) -> Vec<Distribution<'s>> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut all: Vec<Distribution<'s>> = Vec::new();
    let mut place = |labels: Labels| -> usize {
        *places.entry(labels.clone()).or_insert_with(|| {
            all.push(Distribution { labels, buckets: Vec::new(), native: None });
            all.len() - 1
        })
    };
    let mut found: Vec<(usize, Option<f64>, &'s Series)> = Vec::with_capacity(series.len());
    for one in series {
        if one.column.has_histograms() {
            found.push((place(one.labels.clone()), None, one));
        }
        if one.column.floats.iter().all(|x| is_absent(*x)) {
            continue;
        }
        let text = one.labels.get(BUCKET_LABEL).unwrap_or("");
        match text.parse::<f64>() {
            Ok(bound) => found.push((place(one.labels.without(BUCKET_LABEL)), Some(bound), one)),
            Err(_) => {
                let (metric, label) = (one.labels.metric_name().to_owned(), text.to_owned());
                notes.add(Note::BadBucketLabel { metric, label }, position);
            }
        }
    }
    for (place, bound, one) in found {
        match bound {
            Some(bound) => all[place].buckets.push((bound, one)),
            None => all[place].native = Some(one),
        }
    }
    for distribution in &mut all {
        distribution.buckets.sort_by(|(a, _), (b, _)| super::float::nan_first(*a, *b));
    }
    all
}

impl Distribution<'_> {
    /// Gives the classic buckets or the native histogram of each step to `f`. Where both are there, neither
    /// is evaluated, with a remark.
    fn each(
        &self,
        grid: &Grid,
        position: Position,
        notes: &mut Notes,
        mut f: impl FnMut(usize, Shape<'_>, &mut Notes) -> f64,
    ) -> Column {
        let mut column = Column::absent(grid.steps);
        let mut present: Vec<Bucket> = Vec::with_capacity(self.buckets.len());
        for step in 0..grid.steps {
            present.clear();
            let counts =
                self.buckets.iter().map(|(upper, s)| Bucket { upper: *upper, count: s.column.floats[step] });
            present.extend(counts.filter(|b| !is_absent(b.count)));
            let native = self.native.and_then(|s| s.column.histogram(step));
            column.floats[step] = match (native, present.is_empty()) {
                (None, true) => continue,
                (Some(_), false) => {
                    let metric = self.labels.metric_name().to_owned();
                    notes.add(Note::MixedClassicNative { metric }, position);
                    continue;
                }
                (Some(native), true) => f(step, Shape::Native(native), notes),
                (None, false) => f(step, Shape::Classic(&mut present), notes),
            };
        }
        column
    }

    /// A quantile at each step.
    fn quantile(&self, q: &Scalars, grid: &Grid, position: Position, notes: &mut Notes) -> Column {
        let metric = self.labels.metric_name();
        self.each(grid, position, notes, |step, shape, notes| match shape {
            Shape::Native(histogram) => {
                let (value, effect) = histogram.quantile(q.get(step));
                let metric = metric.to_owned();
                match effect {
                    NanEffect::None => {}
                    NanEffect::Skewed => notes.add(Note::QuantileNanSkew { metric }, position),
                    NanEffect::Undefined => notes.add(Note::QuantileNanResult { metric }, position),
                }
                value
            }
            Shape::Classic(buckets) => {
                let (value, correction) = buckets::quantile(q.get(step), buckets);
                if let Some(Correction { lowest, highest, most }) = correction {
                    let at = grid.at(step);
                    let forced = Forced { first_ms: at, last_ms: at, lowest, highest, most, samples: 1 };
                    notes.add_forced(metric, position, forced);
                }
                value
            }
        })
    }
}

/// What a distribution has at a step.
enum Shape<'b> {
    Native(&'b Arc<Histogram>),
    Classic(&'b mut Vec<Bucket>),
}

/// `histogram_quantile`
pub(crate) fn quantile(
    series: &[Series],
    q: &Scalars,
    grid: &Grid,
    position: Position,
    ledger: &Ledger,
    notes: &mut Notes,
) -> Result<Vec<Series>, QueryError> {
    let mut result = Vec::new();
    for distribution in distributions(series, position, notes) {
        ledger.check()?;
        let column = distribution.quantile(q, grid, position, notes);
        result.push(Series { labels: distribution.labels, drop_name: true, column });
    }
    result.retain(|s| s.column.any_present());
    Ok(result)
}

/// `histogram_quantiles`: several quantiles, each told by a label.
pub(crate) fn quantiles(
    series: &[Series],
    label: &str,
    quantiles: &[Scalars],
    grid: &Grid,
    position: Position,
    ledger: &Ledger,
    notes: &mut Notes,
) -> Result<Vec<Series>, QueryError> {
    let distributions = distributions(series, position, notes);
    let mut output = Output::default();
    for q in quantiles {
        for distribution in &distributions {
            ledger.check()?;
            let column = distribution.quantile(q, grid, position, notes);
            for step in (0..grid.steps).filter(|s| column.is_present(*s)) {
                let mut builder = LabelsBuilder::from_labels(&distribution.labels);
                builder.set(label, &quantile_label(q.get(step)));
                let target = output.column(&builder.build(), true, grid.steps);
                if target.is_present(step) {
                    return Err(super::error::same_labelset());
                }
                target.floats[step] = column.floats[step];
            }
        }
    }
    Ok(output.into_series())
}

/// A number as OpenMetrics writes it: `1.0`, `0.5`, `+Inf`.
fn quantile_label(q: f64) -> String {
    let text = ShortFloat(q).to_string();
    let whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if whole { text + ".0" } else { text }
}

/// `histogram_fraction`
pub(crate) fn fraction(
    series: &[Series],
    (lower, upper): &(Scalars, Scalars),
    grid: &Grid,
    position: Position,
    ledger: &Ledger,
    notes: &mut Notes,
) -> Result<Vec<Series>, QueryError> {
    let mut result = Vec::new();
    for distribution in distributions(series, position, notes) {
        ledger.check()?;
        let metric = distribution.labels.metric_name().to_owned();
        let column = distribution.each(grid, position, notes, |step, shape, notes| match shape {
            Shape::Native(histogram) => {
                let (value, effect) = histogram.fraction(lower.get(step), upper.get(step));
                if effect != NanEffect::None {
                    notes.add(Note::FractionNans { metric: metric.clone() }, position);
                }
                value
            }
            Shape::Classic(buckets) => buckets::fraction(lower.get(step), upper.get(step), buckets),
        });
        result.push(Series { labels: distribution.labels, drop_name: true, column });
    }
    result.retain(|s| s.column.any_present());
    Ok(result)
}
