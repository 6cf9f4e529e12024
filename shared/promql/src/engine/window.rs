//! Range vectors: the samples of one series within the window of each step, found by sliding along.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, Samples, is_stale_nan};

use super::error::QueryError;
use super::grid::Grid;
use super::limits::Ledger;
use super::plan::Select;
use crate::ast::WindowEdges;

/// Where the window of a step lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// Its width in milliseconds.
    pub(crate) range: i64,
    pub(crate) offset: i64,
    pub(crate) at: Option<i64>,
    pub(crate) edges: WindowEdges,
    /// How far beyond the edges samples count that stand in for one at the edge.
    pub(crate) lookback: i64,
    /// True when nothing looks at the buckets of histograms.
    pub(crate) totals_only: bool,
}

impl Spec {
    /// The windows of a range selector.
    pub(crate) fn of(select: &Select) -> Self {
        let Select { range, offset, at, edges, lookback, totals_only, .. } = *select;
        Self { range, offset, at, edges, lookback, totals_only }
    }
}

/// The samples of one step, without staleness markers, at least one of them.
pub(crate) struct Window<'s> {
    /// Timestamps of the floats.
    pub(crate) ts: &'s [i64],
    /// The floats.
    pub(crate) vs: &'s [f64],
    /// The histograms.
    pub(crate) hs: &'s [(i64, Arc<Histogram>)],
    /// The place of the first float among those of the series.
    pub(crate) first: usize,
    /// The window is open at its start ...
    pub(crate) start: i64,
    /// ... and closed at its end.
    pub(crate) end: i64,
    /// The step.
    pub(crate) step: usize,
}

/// Removes staleness markers, which no range function sees.
pub(crate) fn drop_stale(samples: &mut Samples) {
    if samples.values.iter().any(|x| is_stale_nan(*x)) {
        let mut kept = 0;
        for i in 0..samples.values.len() {
            if !is_stale_nan(samples.values[i]) {
                samples.values[kept] = samples.values[i];
                samples.timestamps[kept] = samples.timestamps[i];
                kept += 1;
            }
        }
        samples.values.truncate(kept);
        samples.timestamps.truncate(kept);
    }
    samples.histograms.retain(|(_, h)| !is_stale_nan(h.sum));
}

/// Leaves of histograms only count and sum, once their hints say what the buckets would have shown.
pub(crate) fn keep_totals(samples: &mut Samples) {
    let mut previous: Option<Arc<Histogram>> = None;
    for (_, histogram) in &mut samples.histograms {
        let mut hint = histogram.counter_reset_hint;
        if let (CounterResetHint::Unknown, Some(previous)) = (hint, &previous) {
            let reset = histogram.is_reset_after(previous);
            hint = if reset { CounterResetHint::Reset } else { CounterResetHint::NotReset };
        }
        let totals = Histogram {
            counter_reset_hint: hint,
            schema: histogram.schema,
            count: histogram.count,
            sum: histogram.sum,
            ..Histogram::default()
        };
        let stale = is_stale_nan(histogram.sum);
        let whole = std::mem::replace(histogram, Arc::new(totals));
        if !stale {
            previous = Some(whole);
        }
    }
}

/// Counts the members of sets, so that their series can be used like floats.
pub(crate) fn count_sets(samples: &mut Samples) {
    if samples.sets.is_empty() {
        return;
    }
    let counted = samples.sets.drain(..).map(|(t, set)| (t, set.count()));
    let floats = samples.timestamps.drain(..).zip(samples.values.drain(..));
    let mut all: Vec<(i64, f64)> = counted.chain(floats).collect();
    all.sort_by_key(|(t, _)| *t);
    all.dedup_by_key(|(t, _)| *t);
    (samples.timestamps, samples.values) = all.into_iter().unzip();
}

/// Calls `f` for each step whose window holds anything, in order.
pub(crate) fn each(
    samples: &Samples,
    grid: &Grid,
    spec: &Spec,
    ledger: &Ledger,
    mut f: impl FnMut(&Window<'_>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    /// Samples visited between two looks at the clock.
    const CHECK_EVERY: usize = 1 << 18;
    let (before, after) = match spec.edges {
        WindowEdges::Plain => (0, 0),
        WindowEdges::Anchored => (spec.lookback, 0),
        WindowEdges::Smoothed => (spec.lookback, spec.lookback),
    };
    let (ts, vs, hs) = (&samples.timestamps[..], &samples.values[..], &samples.histograms[..]);
    let (mut lo, mut hi, mut hlo, mut hhi, mut visited) = (0, 0, 0, 0, 0);
    for step in 0..grid.steps {
        let end = spec.at.unwrap_or_else(|| grid.at(step)).saturating_sub(spec.offset);
        let start = end.saturating_sub(spec.range);
        let (oldest, newest) = (start.saturating_sub(before), end.saturating_add(after));
        while hi < ts.len() && ts[hi] <= newest {
            hi += 1;
        }
        while lo < hi && ts[lo] <= oldest {
            lo += 1;
        }
        while hhi < hs.len() && hs[hhi].0 <= newest {
            hhi += 1;
        }
        while hlo < hhi && hs[hlo].0 <= oldest {
            hlo += 1;
        }
        if lo == hi && hlo == hhi {
            continue;
        }
        visited += hi - lo + 64 * (hhi - hlo);
        if visited > CHECK_EVERY {
            visited = 0;
            ledger.check()?;
        }
        f(&Window { ts: &ts[lo..hi], vs: &vs[lo..hi], hs: &hs[hlo..hhi], first: lo, start, end, step })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::limits::Limits;
    use weir_model::STALE_NAN;

    #[test]
    fn windows_are_open_at_their_start_and_closed_at_their_end() {
        let samples = Samples {
            timestamps: vec![0, 10, 20, 30, 40],
            values: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            ..Samples::default()
        };
        let spec = Spec {
            range: 20,
            offset: 0,
            at: None,
            edges: WindowEdges::Plain,
            lookback: 0,
            totals_only: false,
        };
        let mut seen = Vec::new();
        let ledger = Ledger::new(Limits::default());
        each(&samples, &Grid::new(0, 80, 20), &spec, &ledger, |w| {
            seen.push((w.step, w.vs.to_vec()));
            Ok(())
        })
        .unwrap();
        let want = [(0, vec![0.0]), (1, vec![1.0, 2.0]), (2, vec![3.0, 4.0])];
        assert_eq!(seen, want);
    }

    #[test]
    fn staleness_markers_are_dropped() {
        let mut samples = Samples {
            timestamps: vec![1, 2, 3],
            values: vec![1.0, STALE_NAN, f64::NAN],
            ..Samples::default()
        };
        drop_stale(&mut samples);
        assert_eq!(samples.timestamps, [1, 3]);
        assert!(samples.values[1].is_nan());
    }
}
