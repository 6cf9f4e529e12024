//! Instant selectors: at each step the last sample within the lookback, unless the series has ended.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, Samples, is_stale_nan};

use super::column::{ABSENT, Column};
use super::grid::Grid;
use super::plan::Select;

/// What a selector gives for the sample it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The sample.
    Value,
    /// The sample's timestamp in seconds.
    Timestamp,
    /// Since when the sample has been counting, in seconds; 0 when that is unknown.
    Start,
    /// Of a float the timestamp in milliseconds, which info series need to tell which is newer; histograms
    /// stay, since info series must not be any.
    Milliseconds,
}

/// Fills `out`, already of the grid's length, with what the selector finds at each step.
pub(crate) fn fill(samples: &Samples, grid: &Grid, select: &Select, output: Output, out: &mut Column) {
    if samples.histograms.is_empty() {
        fill_floats(samples, grid, select, output, &mut out.floats);
        return;
    }
    let (mut floats, mut histograms) = (0, 0);
    for step in 0..grid.steps {
        let now = select.at.unwrap_or_else(|| grid.at(step)).saturating_sub(select.offset);
        let oldest = now.saturating_sub(select.range);
        while samples.timestamps.get(floats).is_some_and(|t| *t <= now) {
            floats += 1;
        }
        while samples.histograms.get(histograms).is_some_and(|(t, _)| *t <= now) {
            histograms += 1;
        }
        let float = floats.checked_sub(1).map(|i| (samples.timestamps[i], samples.values[i]));
        let histogram = histograms.checked_sub(1).map(|i| &samples.histograms[i]);
        // Only the newest sample counts, even if it is a staleness marker.
        let newest = histogram.filter(|(t, _)| float.is_none_or(|(other, _)| other < *t));
        if let Some((t, h)) = newest {
            let alive = *t > oldest && !is_stale_nan(h.sum);
            match output {
                Output::Value | Output::Milliseconds if alive => out.set_histogram(step, Arc::clone(h)),
                _ if alive => out.floats[step] = time_value(samples, *t, output),
                _ => {}
            }
        } else if let Some((t, x)) = float.filter(|(t, x)| *t > oldest && !is_stale_nan(*x)) {
            out.floats[step] = if output == Output::Value { x } else { time_value(samples, t, output) };
        }
    }
}

/// The common case: floats only. A staleness marker is the absent value, so it needs no test of its own.
fn fill_floats(samples: &Samples, grid: &Grid, select: &Select, output: Output, out: &mut [f64]) {
    let (timestamps, values) = (&samples.timestamps[..], &samples.values[..]);
    let mut next = 0;
    for (step, slot) in out.iter_mut().enumerate() {
        let now = select.at.unwrap_or_else(|| grid.at(step)).saturating_sub(select.offset);
        while next < timestamps.len() && timestamps[next] <= now {
            next += 1;
        }
        let Some(last) = next.checked_sub(1) else { continue };
        if timestamps[last] <= now.saturating_sub(select.range) {
            continue;
        }
        *slot = match output {
            Output::Value => values[last],
            _ if is_stale_nan(values[last]) => ABSENT,
            _ => time_value(samples, timestamps[last], output),
        };
    }
}

fn time_value(samples: &Samples, timestamp_ms: i64, output: Output) -> f64 {
    match output {
        Output::Start => samples.start_of(timestamp_ms) as f64 / 1000.0,
        Output::Timestamp => timestamp_ms as f64 / 1000.0,
        _ => timestamp_ms as f64,
    }
}

/// What [`fill_smoothed`] met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SmoothedNotes {
    /// Floats and histograms near one step.
    pub(crate) mixed: bool,
    /// Custom and exponential buckets on the two sides of a step.
    pub(crate) incompatible: bool,
    /// Different custom bounds.
    pub(crate) reconciled: bool,
}

/// `smoothed`: between two samples the value on the line through them, after the last one that one.
pub(crate) fn fill_smoothed(
    samples: &Samples,
    grid: &Grid,
    select: &Select,
    out: &mut Column,
) -> SmoothedNotes {
    let mut notes = SmoothedNotes::default();
    let (ts, vs, hs) = (&samples.timestamps, &samples.values, &samples.histograms);
    for step in 0..grid.steps {
        let now = select.at.unwrap_or_else(|| grid.at(step)).saturating_sub(select.offset);
        let (from, to) = (now.saturating_sub(select.lookback), now.saturating_add(select.lookback));
        let (lo, hi) = (ts.partition_point(|t| *t <= from), ts.partition_point(|t| *t <= to));
        let (hlo, hhi) = (hs.partition_point(|h| h.0 <= from), hs.partition_point(|h| h.0 <= to));
        match (lo < hi, hlo < hhi) {
            (false, false) => {}
            (true, true) => notes.mixed = true,
            (true, false) => {
                let (ts, vs) = (&ts[lo..hi], &vs[lo..hi]);
                let next = ts.partition_point(|t| *t < now);
                if ts.get(next) == Some(&now) {
                    out.floats[step] = vs[next];
                } else if next > 0 && next < ts.len() {
                    let (a, b) = ((ts[next - 1], vs[next - 1]), (ts[next], vs[next]));
                    out.floats[step] = interpolate(a, b, now, false);
                } else if next > 0 {
                    out.floats[step] = vs[next - 1];
                }
            }
            (false, true) => {
                let hs = &hs[hlo..hhi];
                let next = hs.partition_point(|h| h.0 < now);
                if hs.get(next).is_some_and(|h| h.0 == now) {
                    out.set_histogram(step, Arc::clone(&hs[next].1));
                } else if next > 0 && next < hs.len() {
                    let (a, b) = (&hs[next - 1], &hs[next]);
                    let gauge = CounterResetHint::Gauge;
                    let counter = a.1.counter_reset_hint != gauge || b.1.counter_reset_hint != gauge;
                    let compatible = a.1.has_custom_buckets() == b.1.has_custom_buckets();
                    match interpolate_histograms(a, b, now, counter) {
                        Ok((histogram, reconciled)) if compatible => {
                            notes.reconciled |= reconciled;
                            out.set_histogram(step, Arc::new(histogram));
                        }
                        _ => notes.incompatible = true,
                    }
                } else if next > 0 {
                    let mut carried = (*hs[next - 1].1).clone();
                    carried.counter_reset_hint = CounterResetHint::Unknown;
                    out.set_histogram(step, Arc::new(carried));
                }
            }
        }
    }
    notes
}

/// The value at `t` on the line through two samples; a counter that fell starts from zero.
pub(crate) fn interpolate(a: (i64, f64), b: (i64, f64), t: i64, counter: bool) -> f64 {
    let from = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

/// The histogram at `t` on the line through two; also whether different custom bounds were cut down.
pub(crate) fn interpolate_histograms(
    a: &(i64, Arc<Histogram>),
    b: &(i64, Arc<Histogram>),
    t: i64,
    counter: bool,
) -> Result<(Histogram, bool), weir_model::IncompatibleBuckets> {
    if t == a.0 {
        return Ok(((*a.1).clone(), false));
    }
    let mut result = (*b.1).clone();
    if t == b.0 {
        return Ok((result, false));
    }
    let fraction = (t - a.0) as f64 / (b.0 - a.0) as f64;
    if counter && b.1.is_reset_after(&a.1) {
        result.scale(fraction);
        return Ok((result, false));
    }
    let mut reconciled = result.subtract(&a.1)?.bounds;
    result.scale(fraction);
    reconciled |= result.add(&a.1)?.bounds;
    Ok((result, reconciled))
}
