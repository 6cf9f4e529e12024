//! `anchored` and `smoothed` windows: a sample at each edge, taken from before it or interpolated.
//!
//! Source: Prometheus' documentation of extended range selectors. Nothing is extrapolated: `anchored` takes the
//! last sample at or before the window's start for the one at its start, and the last sample of the window for
//! the one at its end; `smoothed` puts both on the line through the samples around the edge.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, Samples};

use super::column::Column;
use super::error::QueryError;
use super::histogram_rate::HistogramContext;
use super::instant::{interpolate, interpolate_histograms};
use super::notes::Note;
use super::rate::{Extrapolation, RangeContext};
use super::window::{self, Window};
use crate::ast::WindowEdges;

/// First and last sample that matter, of a window that reaches beyond its edges; `None` without any inside.
fn ends(times: impl Fn(usize) -> i64, len: usize, w: &Window<'_>, smoothed: bool) -> Option<(usize, usize)> {
    let last_index = len.checked_sub(1)?;
    let count_until =
        |limit: usize, stop: &dyn Fn(i64) -> bool| (0..limit).find(|i| stop(times(*i))).unwrap_or(limit);
    let first = count_until(last_index, &|t| t > w.start).saturating_sub(1);
    let last = if smoothed { count_until(last_index, &|t| t >= w.end) } else { last_index };
    let nothing = times(last) <= w.start || (smoothed && times(first) > w.end);
    (!nothing).then_some((first, last))
}

/// Values at the two edges, and the indices of the samples strictly between them.
fn edges(w: &Window<'_>, smoothed: bool, counter: bool) -> Option<(f64, f64, std::ops::Range<usize>)> {
    let (mut first, last) = ends(|i| w.ts[i], w.ts.len(), w, smoothed)?;
    let sample = |i: usize| (w.ts[i], w.vs[i]);
    let left = if smoothed && w.ts[first] < w.start {
        interpolate(sample(first), sample(first + 1), w.start, counter)
    } else {
        w.vs[first]
    };
    let right = if smoothed && last > 0 && w.ts[last] > w.end {
        interpolate(sample(last - 1), sample(last), w.end, counter)
    } else {
        w.vs[last]
    };
    if w.ts[first] <= w.start {
        first += 1;
    }
    let past = if w.ts[last] >= w.end { last } else { last + 1 };
    Some((left, right, first..past.max(first)))
}

/// `rate`, `increase` and `delta` over extended windows.
pub(crate) fn rate(
    samples: &Samples,
    how: Extrapolation,
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    let (grid, spec, ledger) = (context.grid, context.spec, context.ledger);
    let smoothed = spec.edges == WindowEdges::Smoothed;
    let seconds = if how.per_second { spec.range as f64 / 1000.0 } else { 1.0 };
    window::each(samples, grid, spec, ledger, |w| {
        let mut notes =
            HistogramContext { notes: context.notes, metric: context.metric, position: context.position };
        match (w.vs.is_empty(), w.hs.is_empty()) {
            (false, false) => notes.add(|metric| Note::MixedFloatsHistograms { metric }),
            (true, _) => {
                if let Some(mut change) = histogram_change(w, smoothed, how.counter, &mut notes) {
                    change.divide(seconds);
                    change.counter_reset_hint = CounterResetHint::Gauge;
                    change.compact();
                    out.set_histogram(w.step, Arc::new(change));
                }
            }
            (false, true) => {
                if let Some((left, right, between)) = edges(w, smoothed, how.counter) {
                    let mut change = right - left;
                    if how.counter {
                        change += falls(left, right, &w.vs[between]);
                    }
                    out.floats[w.step] = change / seconds;
                }
            }
        }
        Ok(())
    })
}

/// What a counter had reached before each of its resets.
fn falls(left: f64, right: f64, between: &[f64]) -> f64 {
    let mut previous = left;
    let mut lost = 0.0;
    for x in between.iter().copied().chain([right]) {
        if x < previous {
            lost += previous;
        }
        previous = x;
    }
    lost
}

fn histogram_change(
    w: &Window<'_>,
    smoothed: bool,
    counter: bool,
    context: &mut HistogramContext<'_>,
) -> Option<Histogram> {
    let hs = w.hs;
    let (first, last) = ends(|i| hs[i].0, hs.len(), w, smoothed)?;
    let gauge = CounterResetHint::Gauge;
    let custom = hs[first].1.has_custom_buckets();
    if hs[first..=last].iter().any(|(_, h)| h.has_custom_buckets() != custom) {
        context.add(|metric| Note::MixedExponentialCustom { metric });
        return None;
    }
    if counter && hs[first..=last].iter().any(|(_, h)| h.counter_reset_hint == gauge) {
        context.add(|metric| Note::NativeNotCounter { metric });
    }
    let mut interpolated = |a: usize, t: i64| match interpolate_histograms(&hs[a], &hs[a + 1], t, counter) {
        Ok((histogram, reconciled)) => {
            if reconciled {
                context.add(|_| Note::MismatchedCustomBuckets { operation: "subtraction" });
                context.add(|_| Note::MismatchedCustomBuckets { operation: "addition" });
            }
            Some(histogram)
        }
        Err(_) => {
            context.add(|metric| Note::MixedExponentialCustom { metric });
            None
        }
    };
    let inside_left = smoothed && hs[first].0 < w.start;
    let left = if inside_left { interpolated(first, w.start)? } else { (*hs[first].1).clone() };
    let right = if smoothed && last > 0 && hs[last].0 > w.end {
        interpolated(last - 1, w.end)?
    } else {
        (*hs[last].1).clone()
    };
    if !counter && (left.counter_reset_hint != gauge || right.counter_reset_hint != gauge) {
        context.add(|metric| Note::NativeNotGauge { metric });
    }
    let mut change = right.clone();
    let met = change.subtract(&left);
    context.settle(met, "subtraction")?;
    if !counter {
        return Some(change);
    }
    // A reset that the interpolation on the left went across is accounted for already.
    let mut from = first + 1;
    let mut previous = &left;
    if inside_left && hs[first + 1].1.is_reset_after(&hs[first].1) {
        previous = &hs[first + 1].1;
        from += 1;
    }
    if from > last {
        return Some(change);
    }
    let between = hs[from..last].iter().map(|(_, h)| &**h);
    for histogram in between.chain([&right]) {
        if histogram.is_reset_after(previous) {
            let met = change.add(previous);
            context.settle(met, "addition")?;
        }
        previous = histogram;
    }
    Some(change)
}

/// For `changes` and `resets`: from where on the floats and histograms of an anchored window count, the single
/// last sample at or before its start included; `None` when nothing lies inside.
pub(crate) fn anchored_from(w: &Window<'_>) -> Option<(usize, usize)> {
    let floats = w.ts.partition_point(|t| *t <= w.start);
    let histograms = w.hs.partition_point(|(t, _)| *t <= w.start);
    if floats >= w.ts.len() && histograms >= w.hs.len() {
        return None;
    }
    let float = floats.checked_sub(1).map(|i| w.ts[i]);
    let histogram = histograms.checked_sub(1).map(|i| w.hs[i].0);
    Some(match (float, histogram) {
        (None, None) => (0, 0),
        (Some(_), None) => (floats - 1, histograms),
        (Some(a), Some(b)) if a >= b => (floats - 1, histograms),
        _ => (floats, histograms - 1),
    })
}

/// The samples of an extended range selector that stands alone: the window's own, and one at each edge.
pub(crate) fn raw_floats(w: &Window<'_>, smoothed: bool) -> Vec<(i64, f64)> {
    let Some((left, right, between)) = edges(w, smoothed, false) else { return Vec::new() };
    let inner = between.map(|i| (w.ts[i], w.vs[i]));
    std::iter::once((w.start, left)).chain(inner).chain([(w.end, right)]).collect()
}
