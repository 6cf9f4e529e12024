//! Start timestamps: since when a sample has been counting. They tell resets that values do not show, and where a
//! counter was at zero, so that nothing has to be guessed towards the start of a window.
//!
//! Source: Prometheus' feature `use-start-timestamps`.

use std::sync::Arc;

use weir_model::Samples;

use super::column::Column;
use super::error::QueryError;
use super::histogram_rate::{self, HistogramContext};
use super::notes::Note;
use super::rate::{RangeContext, stretch, stretch_from};
use super::window::{self, Window};

/// Whether the counter began anew between two neighbours, given by their timestamps.
pub(crate) fn reset(samples: &Samples, before: i64, now: i64) -> bool {
    if samples.starts.is_empty() {
        return false;
    }
    let (start_before, start) = (samples.start_of(before), samples.start_of(now));
    // Unknown, after the sample itself, or at it, which OpenTelemetry writes for "unknown".
    if start == 0 || start >= now || start < before {
        return false;
    }
    // One that starts at its neighbour is a delta, if the neighbour has a start that makes sense; else it is a
    // cumulative one whose start is unknown.
    start > before || (start_before != 0 && start_before < before)
}

/// Whether a sample started before its neighbour without having started with it.
fn overlaps(samples: &Samples, before: i64, now: i64) -> bool {
    let start = samples.start_of(now);
    start != 0 && start < before && start != samples.start_of(before)
}

fn note_overlaps(samples: &Samples, times: &mut dyn Iterator<Item = i64>, context: &mut RangeContext<'_>) {
    let Some(mut before) = times.next() else { return };
    for now in times {
        if overlaps(samples, before, now) {
            let metric = context.metric.to_owned();
            context.notes.add(Note::StartOverlaps { metric }, context.position);
            return;
        }
        before = now;
    }
}

/// `rate` and `increase` of a series that has start timestamps.
pub(crate) fn rate(
    samples: &Samples,
    divisor: f64,
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    let (grid, spec, ledger) = (context.grid, context.spec, context.ledger);
    window::each(samples, grid, spec, ledger, |w| {
        match (w.vs.is_empty(), w.hs.is_empty()) {
            (false, true) => {
                if let Some(rate) = of_floats(samples, w, context) {
                    out.floats[w.step] = rate / divisor;
                }
            }
            (true, false) => {
                if let Some(mut rate) = of_histograms(samples, w, context) {
                    rate.divide(divisor);
                    out.set_histogram(w.step, Arc::new(rate));
                }
            }
            _ => {
                let metric = context.metric.to_owned();
                context.notes.add(Note::MixedFloatsHistograms { metric }, context.position);
            }
        }
        Ok(())
    })
}

/// Where the counter was at zero within the window, ahead of its first sample.
fn zero_within(samples: &Samples, w: &Window<'_>, first: i64) -> Option<i64> {
    let start = samples.start_of(first);
    (start != 0 && start > w.start && start < first).then_some(start)
}

fn of_floats(samples: &Samples, w: &Window<'_>, context: &mut RangeContext<'_>) -> Option<f64> {
    let n = w.vs.len();
    let (first, last) = (w.ts[0], w.ts[n - 1]);
    let mut change = w.vs[n - 1] - w.vs[0];
    note_overlaps(samples, &mut w.ts.iter().copied(), context);
    for (times, values) in w.ts.windows(2).zip(w.vs.windows(2)) {
        if values[1] < values[0] || reset(samples, times[0], times[1]) {
            change += values[0];
        }
    }
    if let Some(zero) = zero_within(samples, w, first) {
        return Some((change + w.vs[0]) * stretch_from(zero, first, last, n, w.end));
    }
    let to_zero = (change > 0.0 && w.vs[0] >= 0.0).then(|| w.vs[0] / change);
    (n >= 2).then(|| change * stretch(first, last, n, (w.start, w.end), to_zero))
}

fn of_histograms(
    samples: &Samples,
    w: &Window<'_>,
    context: &mut RangeContext<'_>,
) -> Option<weir_model::Histogram> {
    let n = w.hs.len();
    let ((first, earliest), (last, _)) = (w.hs.first()?, w.hs.last()?);
    note_overlaps(samples, &mut w.hs.iter().map(|(t, _)| *t), context);
    let mut notes =
        HistogramContext { notes: context.notes, metric: context.metric, position: context.position };
    let anew = |before, now| reset(samples, before, now);
    let change = if n >= 2 { Some(histogram_rate::change(w.hs, true, anew, &mut notes)?) } else { None };
    if let Some(zero) = zero_within(samples, w, *first) {
        let mut change = match change {
            None => (**earliest).clone(),
            Some(mut change) => {
                let met = change.add(earliest);
                notes.settle(met, "addition")?;
                change
            }
        };
        change.scale(stretch_from(zero, *first, *last, n, w.end));
        return Some(change);
    }
    let mut change = change?;
    let to_zero = (change.count > 0.0 && earliest.count >= 0.0).then(|| earliest.count / change.count);
    change.scale(stretch(*first, *last, n, (w.start, w.end), to_zero));
    Some(change)
}

/// `resets` of a series that has start timestamps.
pub(crate) fn resets(
    samples: &Samples,
    context: &RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    window::each(samples, context.grid, context.spec, context.ledger, |w| {
        let floats = w.ts.iter().zip(w.vs).map(|(t, x)| (*t, Ok(*x)));
        let histograms = w.hs.iter().map(|(t, h)| (*t, Err(h)));
        let mut all: Vec<(i64, Result<f64, &Arc<weir_model::Histogram>>)> =
            floats.chain(histograms).collect();
        all.sort_by_key(|(t, _)| *t);
        let fell = |pair: &&[(i64, Result<f64, &Arc<weir_model::Histogram>>)]| {
            reset(samples, pair[0].0, pair[1].0)
                || match (&pair[0].1, &pair[1].1) {
                    (Ok(a), Ok(b)) => b < a,
                    (Err(a), Err(b)) => b.is_reset_after(a),
                    _ => true,
                }
        };
        out.floats[w.step] = all.windows(2).filter(fell).count() as f64;
        Ok(())
    })
}
