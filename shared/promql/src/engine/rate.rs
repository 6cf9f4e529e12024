//! `rate`, `increase`, `delta`, `irate` and `idelta` of floats.
//!
//! Source: Prometheus' documentation and its behaviour. The slope between the first and the last sample of a
//! window is carried on to the window's edges if the samples come close to them, else by half the average
//! distance of samples; and for counters not below their zero.

use std::sync::Arc;

use weir_model::{Samples, Temporality};

use super::column::Column;
use super::error::QueryError;
use super::float;
use super::grid::Grid;
use super::histogram_rate::{self, HistogramContext};
use super::limits::Ledger;
use super::notes::{Note, Notes};
use super::plan::RangeFunction;
use super::starts;
use super::window::{self, Spec, Window};
use crate::ast::{Position, WindowEdges};

/// What range functions need besides the samples.
pub(crate) struct RangeContext<'c> {
    pub(crate) grid: &'c Grid,
    pub(crate) spec: &'c Spec,
    pub(crate) ledger: &'c Ledger,
    pub(crate) notes: &'c mut Notes,
    /// The metric's name, for annotations.
    pub(crate) metric: &'c str,
    /// Where the range vector stands.
    pub(crate) position: Position,
}

/// Which of the extrapolating functions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extrapolation {
    /// Falls are resets.
    pub(crate) counter: bool,
    /// Per second rather than over the window.
    pub(crate) per_second: bool,
}

impl Extrapolation {
    pub(crate) fn of(function: RangeFunction) -> Self {
        Self { counter: function != RangeFunction::Delta, per_second: function == RangeFunction::Rate }
    }
}

/// The factor by which the change between the samples of a window is stretched to the whole window.
pub(crate) fn stretch(
    first: i64,
    last: i64,
    samples: usize,
    window: (i64, i64),
    to_zero: Option<f64>,
) -> f64 {
    let mut to_start = (first - window.0) as f64 / 1000.0;
    let mut to_end = (window.1 - last) as f64 / 1000.0;
    let sampled = (last - first) as f64 / 1000.0;
    let average = sampled / (samples - 1) as f64;
    // Up to a tenth more than the average distance counts as reaching the edge.
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if let Some(share) = to_zero {
        // The counter, running back, would reach zero before the window's start.
        let to_zero = sampled * share;
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    (sampled + to_start + to_end) / sampled
}

/// The factor when the counter is known to have been at zero at `zero`, ahead of the first sample.
pub(crate) fn stretch_from(zero: i64, first: i64, last: i64, samples: usize, end: i64) -> f64 {
    let mut to_end = (end - last) as f64 / 1000.0;
    let average = if samples > 1 { (last - first) as f64 / 1000.0 / (samples - 1) as f64 } else { 0.0 };
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    let sampled = (last - zero) as f64 / 1000.0;
    (sampled + to_end) / sampled
}

/// `rate`, `increase` and `delta`.
pub(crate) fn extrapolated(
    samples: &Samples,
    function: RangeFunction,
    scratch: &mut Vec<usize>,
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    if context.spec.edges != WindowEdges::Plain {
        return super::extended::rate(samples, Extrapolation::of(function), context, out);
    }
    let Extrapolation { counter, per_second } = Extrapolation::of(function);
    let seconds = context.spec.range as f64 / 1000.0;
    let divisor = if per_second { seconds } else { 1.0 };
    if counter && !samples.starts.is_empty() {
        return starts::rate(samples, divisor, context, out);
    }
    let resets = scratch;
    resets.clear();
    if counter {
        let falls = samples.values.windows(2).enumerate().filter(|(_, pair)| pair[1] < pair[0]);
        resets.extend(falls.map(|(i, _)| i));
    }
    let (mut reset_from, mut reset_to) = (0, 0);
    let (grid, spec, ledger) = (context.grid, context.spec, context.ledger);
    window::each(samples, grid, spec, ledger, |w| {
        if !w.hs.is_empty() {
            if let Some(histogram) = histogram_extrapolated(w, counter, divisor, context) {
                out.set_histogram(w.step, Arc::new(histogram));
            }
            return Ok(());
        }
        let n = w.vs.len();
        if n < 2 {
            return Ok(());
        }
        let mut change = w.vs[n - 1] - w.vs[0];
        if counter {
            // Falls from sample i to i + 1, both within the window.
            while reset_from < resets.len() && resets[reset_from] < w.first {
                reset_from += 1;
            }
            while reset_to < resets.len() && resets[reset_to] + 1 < w.first + n {
                reset_to += 1;
            }
            for fall in resets.get(reset_from..reset_to).unwrap_or_default() {
                change += samples.values[*fall];
            }
        }
        let to_zero = (counter && change > 0.0 && w.vs[0] >= 0.0).then(|| w.vs[0] / change);
        let factor = stretch(w.ts[0], w.ts[n - 1], n, (w.start, w.end), to_zero) / divisor;
        out.floats[w.step] = change * factor;
        Ok(())
    })
}

fn histogram_extrapolated(
    w: &Window<'_>,
    counter: bool,
    divisor: f64,
    context: &mut RangeContext<'_>,
) -> Option<weir_model::Histogram> {
    let mut notes =
        HistogramContext { notes: context.notes, metric: context.metric, position: context.position };
    if !w.vs.is_empty() {
        notes.add(|metric| Note::MixedFloatsHistograms { metric });
        return None;
    }
    let (first, last) = (w.hs.first()?, w.hs.last()?);
    if w.hs.len() < 2 {
        return None;
    }
    let mut change = histogram_rate::change(w.hs, counter, |_, _| false, &mut notes)?;
    let to_zero =
        (counter && change.count > 0.0 && first.1.count >= 0.0).then(|| first.1.count / change.count);
    change.scale(stretch(first.0, last.0, w.hs.len(), (w.start, w.end), to_zero) / divisor);
    Some(change)
}

/// `rate` and `increase` of a delta series: its samples are the increases.
pub(crate) fn summed(
    samples: &Samples,
    per_second: bool,
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    let divisor = if per_second { context.spec.range as f64 / 1000.0 } else { 1.0 };
    let (grid, spec, ledger) = (context.grid, context.spec, context.ledger);
    window::each(samples, grid, spec, ledger, |w| {
        let mut notes =
            HistogramContext { notes: context.notes, metric: context.metric, position: context.position };
        match (w.vs.is_empty(), w.hs.is_empty()) {
            (false, true) => out.floats[w.step] = float::sum(w.vs) / divisor,
            (true, false) => {
                if let Some(mut sum) = histogram_rate::sum(w.hs, &mut notes) {
                    sum.divide(divisor);
                    sum.counter_reset_hint = weir_model::CounterResetHint::Gauge;
                    sum.compact();
                    out.set_histogram(w.step, Arc::new(sum));
                }
            }
            _ => notes.add(|metric| Note::MixedFloatsHistograms { metric }),
        }
        Ok(())
    })
}

/// `irate` and `idelta`: from the last two samples.
pub(crate) fn last_two(
    samples: &Samples,
    per_second: bool,
    temporality: Temporality,
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    let delta = temporality == Temporality::Delta && per_second;
    let anew = |before, now| delta || (per_second && starts::reset(samples, before, now));
    let (grid, spec, ledger) = (context.grid, context.spec, context.ledger);
    window::each(samples, grid, spec, ledger, |w| {
        let (n, m) = (w.vs.len(), w.hs.len());
        if m == 0 {
            if n < 2 {
                return Ok(());
            }
            let (before, now) = (w.vs[n - 2], w.vs[n - 1]);
            // A counter that fell started from zero; a delta is the increase itself.
            let restarted = anew(w.ts[n - 2], w.ts[n - 1]) || (per_second && now < before);
            let change = if restarted { now } else { now - before };
            let gap = (w.ts[n - 1] - w.ts[n - 2]) as f64 / 1000.0;
            out.floats[w.step] = if per_second { change / gap } else { change };
            return Ok(());
        }
        let mut notes =
            HistogramContext { notes: context.notes, metric: context.metric, position: context.position };
        let last_two_are_histograms = m >= 2 && (n == 0 || w.ts[n - 1] < w.hs[m - 2].0);
        let last_two_are_floats = n >= 2 && w.hs[m - 1].0 < w.ts[n - 2];
        if last_two_are_floats {
            let (before, now) = (w.vs[n - 2], w.vs[n - 1]);
            let restarted = anew(w.ts[n - 2], w.ts[n - 1]) || (per_second && now < before);
            let change = if restarted { now } else { now - before };
            let gap = (w.ts[n - 1] - w.ts[n - 2]) as f64 / 1000.0;
            out.floats[w.step] = if per_second { change / gap } else { change };
        } else if last_two_are_histograms {
            let pair = (&w.hs[m - 2], &w.hs[m - 1]);
            let anew = anew(pair.0.0, pair.1.0);
            if let Some(histogram) = histogram_rate::last_two(pair.0, pair.1, per_second, anew, &mut notes) {
                out.set_histogram(w.step, Arc::new(histogram));
            }
        } else if n + m >= 2 {
            notes.add(|metric| Note::MixedFloatsHistograms { metric });
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::stretch;

    #[test]
    fn slopes_reach_the_edges_only_from_close_by() {
        // Samples every 10 s, a window of 60 s.
        let window = (0, 60_000);
        assert_eq!(stretch(5_000, 55_000, 6, window, None), 60.0 / 50.0);
        // 11 s from the start is the threshold, from which on only half an interval is added.
        assert_eq!(stretch(11_000, 51_000, 5, window, None), (40.0 + 5.0 + 9.0) / 40.0);
        assert_eq!(stretch(10_900, 50_900, 5, window, None), (40.0 + 10.9 + 9.1) / 40.0);
        // The counter was at a tenth of its growth: it began 4 s before the first sample.
        assert_eq!(stretch(10_000, 50_000, 5, window, Some(0.1)), (40.0 + 4.0 + 10.0) / 40.0);
    }
}
