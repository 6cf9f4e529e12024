//! Functions of windows that are unions of intervals: what a rollup keeps of them says all that is needed.

use weir_model::{Interval, Intervals, Ranks, Temporality, kahan_add};

use super::column::{Column, Scalars};
use super::error::QueryError;
use super::grid::Grid;
use super::limits::Ledger;
use super::notes::Note;
use super::plan::RangeFunction;
use super::rate::{Extrapolation, RangeContext, stretch};
use super::window::Spec;

/// The intervals of one step, at least one of them.
pub(crate) struct Window<'s> {
    pub(crate) intervals: &'s [Interval],
    /// The window is open at its start ...
    start: i64,
    /// ... and closed at its end.
    end: i64,
    /// The step.
    pub(crate) step: usize,
}

/// Calls `f` for each step whose window holds anything, in order.
pub(crate) fn each(
    intervals: &[Interval],
    grid: &Grid,
    spec: &Spec,
    ledger: &Ledger,
    mut f: impl FnMut(&Window<'_>),
) -> Result<(), QueryError> {
    /// Intervals visited between two looks at the clock.
    const CHECK_EVERY: usize = 1 << 17;
    let (mut lo, mut hi, mut visited) = (0, 0, 0);
    for step in 0..grid.steps {
        let end = spec.at.unwrap_or_else(|| grid.at(step)).saturating_sub(spec.offset);
        let start = end.saturating_sub(spec.range);
        while intervals.get(hi).is_some_and(|interval| interval.end_ms <= end) {
            hi += 1;
        }
        while lo < hi && intervals[lo].end_ms <= start {
            lo += 1;
        }
        if lo == hi {
            continue;
        }
        visited += hi - lo;
        if visited > CHECK_EVERY {
            visited = 0;
            ledger.check()?;
        }
        f(&Window { intervals: &intervals[lo..hi], start, end, step });
    }
    Ok(())
}

/// `quantile_over_time`, from distributions.
pub(crate) fn quantiles(
    intervals: &Intervals,
    args: &[Scalars],
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    let (mut ranks, mut worst, mut missing) = (Ranks::default(), 0.0f64, None);
    each(&intervals.floats, context.grid, context.spec, context.ledger, |w| {
        ranks.clear();
        let from = w.intervals[0].end_ms;
        let mut rest = &intervals.distributions[intervals.distributions.partition_point(|d| d.0 < from)..];
        for interval in w.intervals {
            let skipped = rest.iter().take_while(|(end_ms, _)| *end_ms < interval.end_ms).count();
            rest = &rest[skipped..];
            let own = rest.first().filter(|(end_ms, _)| *end_ms == interval.end_ms);
            if let Err(error) = ranks.add(interval, own.map(|(_, distribution)| &**distribution)) {
                missing = Some(error);
                return;
            }
        }
        out.floats[w.step] = ranks.quantile(args.first().map_or(f64::NAN, |q| q.get(w.step)));
        worst = worst.max(ranks.relative_error());
    })?;
    if let Some(error) = missing {
        let metric = context.metric;
        return Err(QueryError::Execution(format!(
            "quantile_over_time of {metric:?}: {error}; roll its days up again, or ask with tier=raw"
        )));
    }
    if worst > 0.0 {
        context.notes.add(Note::QuantileOfRollup { error: worst.into() }, context.position);
    }
    Ok(())
}

/// Evaluates one of the functions that have [`RangeFunction::aggregates`].
pub(crate) fn fill(
    intervals: &[Interval],
    function: RangeFunction,
    temporality: Temporality,
    context: &RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    use RangeFunction as F;
    let of: fn(&Window<'_>) -> Option<f64> = match function {
        F::Sum => |w| Some(sum(w.intervals)),
        F::Avg => |w| Some(sum(w.intervals) / count(w.intervals)),
        F::Count => |w| Some(count(w.intervals)),
        F::Present => |_| Some(1.0),
        F::Min => |w| Some(extreme(w.intervals.iter().map(|i| i.min), |x, least| x < least)),
        F::Max => |w| Some(extreme(w.intervals.iter().map(|i| i.max), |x, most| x > most)),
        F::Last => |w| w.intervals.last().map(|i| i.last),
        F::First => |w| w.intervals.first().map(|i| i.first),
        F::TsOfLast => |w| w.intervals.last().map(|i| i.last_ms as f64 / 1000.0),
        F::TsOfFirst => |w| w.intervals.first().map(|i| i.first_ms as f64 / 1000.0),
        F::Stdvar => |w| Some(variance(w.intervals)),
        F::Stddev => |w| Some(variance(w.intervals).sqrt()),
        F::Rate if temporality == Temporality::Delta => {
            |w| Some(sum(w.intervals) / ((w.end - w.start) as f64 / 1000.0))
        }
        F::Increase if temporality == Temporality::Delta => |w| Some(sum(w.intervals)),
        F::Rate => |w| extrapolated(w, F::Rate),
        F::Increase => |w| extrapolated(w, F::Increase),
        F::Delta => |w| extrapolated(w, F::Delta),
        other => return Err(QueryError::Internal(format!("{other:?} does not follow from intervals"))),
    };
    each(intervals, context.grid, context.spec, context.ledger, |w| {
        if let Some(value) = of(w) {
            out.floats[w.step] = value;
        }
    })
}

fn count(intervals: &[Interval]) -> f64 {
    intervals.iter().map(|interval| interval.count).sum::<u64>() as f64
}

fn sum(intervals: &[Interval]) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for interval in intervals {
        (sum, lost) = kahan_add(interval.sum, sum, lost);
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

/// The value that beats all others; anything beats NaN.
fn extreme(values: impl Iterator<Item = f64>, beats: fn(f64, f64) -> bool) -> f64 {
    values.reduce(|best, x| if beats(x, best) || best.is_nan() { x } else { best }).unwrap_or(f64::NAN)
}

/// Source: Chan, Golub and LeVeque, as [`Interval::join`].
fn variance(intervals: &[Interval]) -> f64 {
    let mut joined: Option<Interval> = None;
    for interval in intervals {
        match &mut joined {
            Some(all) => all.join(interval),
            None => joined = Some(*interval),
        }
    }
    joined.map_or(f64::NAN, |all| all.squares / all.count as f64)
}

/// `rate`, `increase` and `delta`, extrapolated as those of samples are.
fn extrapolated(w: &Window<'_>, function: RangeFunction) -> Option<f64> {
    let Extrapolation { counter, per_second } = Extrapolation::of(function);
    let (first, last) = (w.intervals.first()?, w.intervals.last()?);
    let samples = count(w.intervals) as usize;
    if samples < 2 {
        return None;
    }
    let mut change = last.last - first.first;
    if counter {
        change += w.intervals.iter().map(|interval| interval.resets).sum::<f64>();
        for pair in w.intervals.windows(2).filter(|pair| pair[1].first < pair[0].last) {
            change += pair[0].last;
        }
    }
    let to_zero = (counter && change > 0.0 && first.first >= 0.0).then(|| first.first / change);
    let divisor = if per_second { (w.end - w.start) as f64 / 1000.0 } else { 1.0 };
    Some(change * (stretch(first.first_ms, last.last_ms, samples, (w.start, w.end), to_zero) / divisor))
}
