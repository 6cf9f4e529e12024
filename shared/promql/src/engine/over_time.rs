//! The functions `…_over_time`, `changes`, `resets`, `deriv` and their like.

use std::sync::Arc;

use weir_model::{Histogram, Samples, UniqueSet, kahan_add};

use super::column::{Column, Scalars};
use super::error::QueryError;
use super::extended::anchored_from;
use super::float;
use super::histogram_rate::{self, HistogramContext};
use super::notes::Note;
use super::plan::RangeFunction;
use super::rate::RangeContext;
use super::window::{self, Window};
use crate::ast::WindowEdges;

/// A value at a step.
enum Out {
    Nothing,
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// Evaluates one of these functions over the windows of a series.
pub(crate) fn fill(
    samples: &Samples,
    function: RangeFunction,
    args: &[Scalars],
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    use RangeFunction as F;
    let arg = |index: usize, step: usize| args.get(index).map_or(f64::NAN, |a| a.get(step));
    let grid = context.grid;
    match function {
        F::Sum => windows(samples, context, out, |w, c| by_kind(w, c, float::sum, histogram_rate::sum)),
        F::Avg => windows(samples, context, out, |w, c| by_kind(w, c, float::mean, histogram_rate::mean)),
        F::Count => windows(samples, context, out, |w, _| Ok(Out::Float((w.vs.len() + w.hs.len()) as f64))),
        F::Present => windows(samples, context, out, |_, _| Ok(Out::Float(1.0))),
        F::Last => windows(samples, context, out, |w, _| Ok(last(w))),
        F::First => windows(samples, context, out, |w, _| Ok(first(w))),
        F::Min => floats(samples, context, out, |w| extreme(w.vs, |x, least| x < least).1),
        F::Max => floats(samples, context, out, |w| extreme(w.vs, |x, most| x > most).1),
        F::TsOfMin => {
            floats(samples, context, out, |w| seconds(w.ts[extreme(w.vs, |x, least| x <= least).0]))
        }
        F::TsOfMax => floats(samples, context, out, |w| seconds(w.ts[extreme(w.vs, |x, most| x >= most).0])),
        F::TsOfFirst => windows(samples, context, out, |w, _| {
            let times = [w.ts.first().copied(), w.hs.first().map(|h| h.0)];
            Ok(times.into_iter().flatten().min().map_or(Out::Nothing, |t| Out::Float(seconds(t))))
        }),
        F::TsOfLast => windows(samples, context, out, |w, _| {
            let times = [w.ts.last().copied(), w.hs.last().map(|h| h.0)];
            Ok(times.into_iter().flatten().max().map_or(Out::Nothing, |t| Out::Float(seconds(t))))
        }),
        F::Stdvar => floats(samples, context, out, |w| float::variance(w.vs)),
        F::Stddev => floats(samples, context, out, |w| float::variance(w.vs).sqrt()),
        F::Quantile => {
            let mut sorted = Vec::new();
            floats(samples, context, out, |w| {
                sorted.clear();
                sorted.extend_from_slice(w.vs);
                float::quantile(arg(0, w.step), &mut sorted)
            })
        }
        F::Mad => {
            let mut sorted = Vec::new();
            floats(samples, context, out, |w| deviation(w.vs, &mut sorted))
        }
        F::Changes => windows(samples, context, out, |w, c| {
            Ok(transitions(w, c, |a, b| a != b && !(a.is_nan() && b.is_nan()), |a, b| !a.same_data(b)))
        }),
        F::Resets if !samples.starts.is_empty() && context.spec.edges == WindowEdges::Plain => {
            super::starts::resets(samples, context, out)
        }
        F::Resets => windows(samples, context, out, |w, c| {
            Ok(transitions(w, c, |a, b| b < a, |a, b| b.is_reset_after(a)))
        }),
        F::Deriv => two_floats(samples, context, out, |w| regression(w, w.ts[0]).0),
        F::PredictLinear => two_floats(samples, context, out, |w| {
            let (slope, now) = regression(w, grid.at(w.step));
            slope * arg(0, w.step) + now
        }),
        F::DoubleExponentialSmoothing => {
            check_factors(args)?;
            two_floats(samples, context, out, |w| smoothed(w.vs, arg(0, w.step), arg(1, w.step)))
        }
        F::Distinct => distinct(samples, context, out),
        F::Statistic(statistic) => windows(samples, context, out, |w, context| {
            // One window may take milliseconds, so the clock is looked at in each.
            context.ledger.check()?;
            if w.vs.is_empty() {
                return Ok(Out::Nothing);
            }
            note_ignored(w, context);
            Ok(statistic.of(w, arg(0, w.step))?.map_or(Out::Nothing, Out::Float))
        }),
        F::Rate | F::Increase | F::Delta | F::Irate | F::Idelta => {
            Err(QueryError::Internal(format!("{function:?} is not evaluated here")))
        }
    }
}

fn windows(
    samples: &Samples,
    context: &mut RangeContext<'_>,
    out: &mut Column,
    mut f: impl FnMut(&Window<'_>, &mut RangeContext<'_>) -> Result<Out, QueryError>,
) -> Result<(), QueryError> {
    let (grid, spec, ledger) = (context.grid, context.spec, context.ledger);
    window::each(samples, grid, spec, ledger, |w| {
        match f(w, context)? {
            Out::Nothing => {}
            Out::Float(x) => out.floats[w.step] = x,
            Out::Histogram(h) => out.set_histogram(w.step, h),
        }
        Ok(())
    })
}

/// Functions of floats; histograms beside them are ignored, with a remark.
fn floats(
    samples: &Samples,
    context: &mut RangeContext<'_>,
    out: &mut Column,
    mut f: impl FnMut(&Window<'_>) -> f64,
) -> Result<(), QueryError> {
    windows(samples, context, out, |w, context| {
        if w.vs.is_empty() {
            return Ok(Out::Nothing);
        }
        note_ignored(w, context);
        Ok(Out::Float(f(w)))
    })
}

/// Functions that need at least two floats.
fn two_floats(
    samples: &Samples,
    context: &mut RangeContext<'_>,
    out: &mut Column,
    mut f: impl FnMut(&Window<'_>) -> f64,
) -> Result<(), QueryError> {
    windows(samples, context, out, |w, context| {
        if w.vs.is_empty() {
            return Ok(Out::Nothing);
        }
        note_ignored(w, context);
        Ok(if w.vs.len() < 2 { Out::Nothing } else { Out::Float(f(w)) })
    })
}

fn note_ignored(w: &Window<'_>, context: &mut RangeContext<'_>) {
    if !w.hs.is_empty() {
        let metric = context.metric.to_owned();
        context.notes.add(Note::HistogramIgnoredInMixedRange { metric }, context.position);
    }
}

type OfHistograms = fn(&[(i64, Arc<Histogram>)], &mut HistogramContext<'_>) -> Option<Histogram>;

/// Sums and means: of floats or of histograms, never of both.
fn by_kind(
    w: &Window<'_>,
    context: &mut RangeContext<'_>,
    of_floats: fn(&[f64]) -> f64,
    of_histograms: OfHistograms,
) -> Result<Out, QueryError> {
    if w.hs.is_empty() {
        return Ok(Out::Float(of_floats(w.vs)));
    }
    let mut notes =
        HistogramContext { notes: context.notes, metric: context.metric, position: context.position };
    if !w.vs.is_empty() {
        notes.add(|metric| Note::MixedFloatsHistograms { metric });
        return Ok(Out::Nothing);
    }
    Ok(of_histograms(w.hs, &mut notes).map_or(Out::Nothing, |h| Out::Histogram(Arc::new(h))))
}

fn last(w: &Window<'_>) -> Out {
    match (w.ts.last(), w.hs.last()) {
        (Some(t), Some((other, h))) if other >= t => Out::Histogram(Arc::clone(h)),
        (None, Some((_, h))) => Out::Histogram(Arc::clone(h)),
        _ => w.vs.last().map_or(Out::Nothing, |x| Out::Float(*x)),
    }
}

fn first(w: &Window<'_>) -> Out {
    match (w.ts.first(), w.hs.first()) {
        (Some(t), Some((other, h))) if other <= t => Out::Histogram(Arc::clone(h)),
        (None, Some((_, h))) => Out::Histogram(Arc::clone(h)),
        _ => w.vs.first().map_or(Out::Nothing, |x| Out::Float(*x)),
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Place and value of the last sample that beats those before it; anything beats NaN.
fn extreme(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> (usize, f64) {
    let mut best = (0, values[0]);
    for (i, x) in values.iter().enumerate() {
        if beats(*x, best.1) || best.1.is_nan() {
            best = (i, *x);
        }
    }
    best
}

/// The median distance from the median.
fn deviation(values: &[f64], sorted: &mut Vec<f64>) -> f64 {
    if values.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    sorted.clear();
    sorted.extend_from_slice(values);
    let median = float::quantile(0.5, sorted);
    sorted.iter_mut().for_each(|x| *x = (*x - median).abs());
    float::quantile(0.5, sorted)
}

/// How often neighbouring samples differ in the given sense; a float next to a histogram always does.
fn transitions(
    w: &Window<'_>,
    context: &RangeContext<'_>,
    floats_differ: impl Fn(f64, f64) -> bool,
    histograms_differ: impl Fn(&Histogram, &Histogram) -> bool,
) -> Out {
    let (mut i, mut j) = (0, 0);
    if context.spec.edges == WindowEdges::Anchored {
        match anchored_from(w) {
            Some(from) => (i, j) = from,
            None => return Out::Nothing,
        }
    }
    if w.hs.len() == j {
        let pairs = w.vs[i..].windows(2);
        return Out::Float(pairs.filter(|pair| floats_differ(pair[0], pair[1])).count() as f64);
    }
    let mut count = 0;
    let mut previous: Option<Result<f64, &Histogram>> = None;
    while i < w.vs.len() || j < w.hs.len() {
        let float_next = match (w.ts.get(i), w.hs.get(j)) {
            (Some(t), Some((other, _))) => t <= other,
            (float, _) => float.is_some(),
        };
        let current: Result<f64, &Histogram> = if float_next { Ok(w.vs[i]) } else { Err(&w.hs[j].1) };
        if float_next {
            i += 1;
        } else {
            j += 1;
        }
        let differ = match (previous, current) {
            (None, _) => false,
            (Some(Ok(a)), Ok(b)) => floats_differ(a, b),
            (Some(Err(a)), Err(b)) => histograms_differ(a, b),
            _ => true,
        };
        count += usize::from(differ);
        previous = Some(current);
    }
    Out::Float(count as f64)
}

/// Least squares: the slope per second, and the value at the time `origin`.
fn regression(w: &Window<'_>, origin: i64) -> (f64, f64) {
    let first = w.vs[0];
    if w.vs.iter().all(|y| *y == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let mut sums = [(0.0, 0.0); 4];
    for (t, y) in w.ts.iter().zip(w.vs) {
        let x = (t - origin) as f64 / 1e3;
        for (sum, term) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            *sum = kahan_add(term, sum.0, sum.1);
        }
    }
    let n = w.vs.len() as f64;
    let [x, y, xy, xx] = sums.map(|(sum, lost)| sum + lost);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

fn check_factors(args: &[Scalars]) -> Result<(), QueryError> {
    for (name, short, factor) in [("smoothing", "sf", args.first()), ("trend", "tf", args.get(1))] {
        let values = factor.map_or(&[][..], Scalars::values);
        if let Some(bad) = values.iter().find(|x| **x <= 0.0 || **x >= 1.0) {
            return Err(QueryError::Execution(format!(
                "invalid {name} factor. Expected: 0 < {short} < 1, got: {bad:.6}"
            )));
        }
    }
    Ok(())
}

/// Holt's double exponential smoothing: the level after the last sample.
fn smoothed(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    let mut level = values[0];
    let mut previous_level = 0.0;
    let mut trend = values[1] - values[0];
    for (i, x) in values.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (level - previous_level) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * x + (1.0 - smoothing) * (level + trend);
        (previous_level, level) = (level, next);
    }
    level
}

/// How many distinct members the sets of a window have together.
fn distinct(samples: &Samples, context: &RangeContext<'_>, out: &mut Column) -> Result<(), QueryError> {
    let sets = &samples.sets;
    let (mut lo, mut hi) = (0, 0);
    let mut known: Option<(usize, usize, f64)> = None;
    for step in 0..context.grid.steps {
        let end =
            context.spec.at.unwrap_or_else(|| context.grid.at(step)).saturating_sub(context.spec.offset);
        let start = end.saturating_sub(context.spec.range);
        while hi < sets.len() && sets[hi].0 <= end {
            hi += 1;
        }
        while lo < hi && sets[lo].0 <= start {
            lo += 1;
        }
        if lo == hi {
            continue;
        }
        let count = match known {
            Some((a, b, count)) if (a, b) == (lo, hi) => count,
            _ => {
                // Merging sketches costs tens of microseconds each, so look at the clock every time.
                context.ledger.check()?;
                let mut union = UniqueSet::new();
                sets[lo..hi].iter().for_each(|(_, set)| union.merge(set));
                union.count()
            }
        };
        known = Some((lo, hi, count));
        out.floats[step] = count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_beats_nan() {
        assert_eq!(extreme(&[f64::NAN, 2.0, 1.0, 3.0], |x, most| x > most), (3, 3.0));
        assert_eq!(extreme(&[1.0, f64::NAN, 1.0], |x, most| x >= most), (2, 1.0));
    }

    #[test]
    fn smoothing_follows_a_line_exactly() {
        let line: Vec<f64> = (0..10).map(|x| f64::from(x) * 2.0 + 1.0).collect();
        assert!((smoothed(&line, 0.3, 0.6) - 19.0).abs() < 1e-9);
    }
}
