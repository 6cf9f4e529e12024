//! The accumulators of `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev` and `stdvar`: one value per step.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, HistogramSum, kahan_add};

use super::column::{ABSENT, Column, is_absent};
use super::float::Mean;
use super::histogram_rate::{HistogramContext, HistogramMean};
use super::notes::{Note, Notes};
use crate::ast::{AggregateOp, Position};

/// What a group has seen so far, step by step.
pub(crate) struct Accumulator {
    op: AggregateOp,
    floats: Floats,
    /// Empty until a histogram comes, then one place per step.
    histograms: Vec<Option<Box<Histograms>>>,
    steps: usize,
}

enum Floats {
    Sum { sum: Vec<f64>, lost: Vec<f64> },
    Mean(Vec<Option<Mean>>),
    Extreme(Vec<f64>),
    Count(Vec<f64>),
    Spread(Vec<Spread>),
}

/// Welford's running variance.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

/// Histograms of one step.
struct Histograms {
    total: Total,
    reset: bool,
    not_reset: bool,
    /// Exponential and custom buckets met: there is no result.
    incompatible: bool,
}

enum Total {
    Sum(HistogramSum),
    Mean(HistogramMean),
}

impl Accumulator {
    pub(crate) fn new(op: AggregateOp, steps: usize) -> Self {
        let floats = match op {
            AggregateOp::Sum => Floats::Sum { sum: vec![ABSENT; steps], lost: vec![0.0; steps] },
            AggregateOp::Avg => Floats::Mean(vec![None; steps]),
            AggregateOp::Min | AggregateOp::Max => Floats::Extreme(vec![ABSENT; steps]),
            AggregateOp::Stddev | AggregateOp::Stdvar => Floats::Spread(vec![Spread::default(); steps]),
            _ => Floats::Count(vec![0.0; steps]),
        };
        Self { op, floats, histograms: Vec::new(), steps }
    }

    /// Memory of the floats of a group, in bytes.
    pub(crate) fn bytes(op: AggregateOp, steps: usize) -> usize {
        let a_step = match op {
            AggregateOp::Sum => 2 * size_of::<f64>(),
            AggregateOp::Avg => size_of::<Option<Mean>>(),
            AggregateOp::Stddev | AggregateOp::Stdvar => size_of::<Spread>(),
            _ => size_of::<f64>(),
        };
        steps.saturating_mul(a_step).saturating_add(size_of::<Self>())
    }

    /// Takes in a series.
    pub(crate) fn add(&mut self, column: &Column, position: Position, metric: &str, notes: &mut Notes) {
        let present = column.floats.iter().copied().enumerate().filter(|(_, x)| !is_absent(*x));
        match &mut self.floats {
            Floats::Sum { sum, lost } => {
                for ((sum, lost), x) in sum.iter_mut().zip(lost).zip(&column.floats) {
                    add_exactly(sum, lost, *x, 0.0);
                }
            }
            Floats::Mean(means) => {
                for (step, x) in present {
                    match &mut means[step] {
                        Some(mean) => mean.add(x),
                        empty => *empty = Some(Mean::of(x)),
                    }
                }
            }
            Floats::Extreme(best) => {
                let max = self.op == AggregateOp::Max;
                present.for_each(|(step, x)| best[step] = extreme(max, best[step], x));
            }
            Floats::Count(counts) => {
                for (step, count) in counts.iter_mut().enumerate() {
                    *count += f64::from(u8::from(column.is_present(step)));
                }
                return;
            }
            Floats::Spread(spreads) => present.for_each(|(step, x)| spreads[step].add(x)),
        }
        if column.has_histograms() {
            self.add_histograms(column, HistogramContext { notes, metric, position });
        }
    }

    fn add_histograms(&mut self, column: &Column, mut context: HistogramContext<'_>) {
        let op = self.op;
        if !matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
            context.add(|_| Note::HistogramIgnoredInAggregation { operator: op.name() });
            return;
        }
        if self.histograms.is_empty() {
            self.histograms.resize_with(self.steps, || None);
        }
        for (slot, histogram) in self.histograms.iter_mut().zip(&column.histograms) {
            let Some(histogram) = histogram else { continue };
            match slot {
                None => *slot = Some(Box::new(Histograms::new(histogram, op))),
                Some(known) => known.add(histogram, &mut context),
            }
        }
    }

    /// Takes in another accumulator of the same group and operator.
    pub(crate) fn merge(&mut self, other: Self, position: Position, notes: &mut Notes) {
        match (&mut self.floats, other.floats) {
            (Floats::Sum { sum, lost }, Floats::Sum { sum: other, lost: more }) => {
                for ((sum, lost), (x, more)) in sum.iter_mut().zip(lost).zip(other.into_iter().zip(more)) {
                    add_exactly(sum, lost, x, more);
                }
            }
            (Floats::Mean(means), Floats::Mean(others)) => {
                for (mean, other) in means.iter_mut().zip(others) {
                    match (mean.as_mut(), other) {
                        (Some(mean), Some(other)) => mean.merge(other),
                        (None, Some(_)) => *mean = other,
                        (_, None) => {}
                    }
                }
            }
            (Floats::Extreme(best), Floats::Extreme(others)) => {
                let max = self.op == AggregateOp::Max;
                for (best, x) in best.iter_mut().zip(others).filter(|(_, x)| !is_absent(*x)) {
                    *best = extreme(max, *best, x);
                }
            }
            (Floats::Count(counts), Floats::Count(others)) => {
                counts.iter_mut().zip(others).for_each(|(count, more)| *count += more);
            }
            (Floats::Spread(spreads), Floats::Spread(others)) => {
                spreads.iter_mut().zip(others).for_each(|(spread, other)| spread.merge(other));
            }
            // Accumulators of one aggregation have one operator.
            _ => {}
        }
        if self.histograms.is_empty() {
            self.histograms = other.histograms;
            return;
        }
        let mut context = HistogramContext { notes, metric: "", position };
        for (slot, other) in self.histograms.iter_mut().zip(other.histograms) {
            match (slot.as_mut(), other) {
                (Some(known), Some(other)) => known.merge(&other, &mut context),
                (None, Some(other)) => *slot = Some(other),
                (_, None) => {}
            }
        }
    }

    /// The result at each step.
    pub(crate) fn finish(self, position: Position, notes: &mut Notes) -> Column {
        let op = self.op;
        let floats: Vec<f64> = match self.floats {
            Floats::Sum { sum, lost } => {
                let total = |(sum, lost): (f64, f64)| if is_absent(sum) { sum } else { sum + lost };
                sum.into_iter().zip(lost).map(total).collect()
            }
            Floats::Mean(means) => means.into_iter().map(|m| m.map_or(ABSENT, |m| m.mean())).collect(),
            Floats::Extreme(best) => best,
            Floats::Count(counts) => {
                let shown = |n: f64| if op == AggregateOp::Group { 1.0 } else { n };
                counts.into_iter().map(|n| if n == 0.0 { ABSENT } else { shown(n) }).collect()
            }
            Floats::Spread(spreads) => spreads.into_iter().map(|s| s.finish(op)).collect(),
        };
        let mut column = Column { floats, histograms: Vec::new() };
        for (step, histograms) in self.histograms.into_iter().enumerate() {
            let Some(histograms) = histograms else { continue };
            if !is_absent(column.floats[step]) {
                notes.add(Note::MixedFloatsHistogramsAggregation, position);
                column.floats[step] = ABSENT;
                continue;
            }
            if let Some(total) = histograms.finish(position, notes) {
                column.set_histogram(step, Arc::new(total));
            }
        }
        column
    }
}

/// Adds a number and what rounding lost of it to a compensated sum; either may be absent.
#[inline]
fn add_exactly(sum: &mut f64, lost: &mut f64, x: f64, more: f64) {
    if is_absent(x) {
        return;
    }
    if is_absent(*sum) {
        (*sum, *lost) = (x, more);
    } else {
        (*sum, *lost) = kahan_add(x, *sum, *lost);
        *lost += more;
    }
}

/// The larger or smaller of two numbers, of which the first may be absent; anything beats NaN.
#[inline]
fn extreme(max: bool, best: f64, x: f64) -> f64 {
    // The absent value is a NaN too.
    if best.is_nan() || (max && x > best) || (!max && x < best) { x } else { best }
}

impl Spread {
    fn add(&mut self, x: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = x;
            self.squares = if x.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = x - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (x - self.mean);
    }

    /// Source: T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing
    /// sample variances", 1979.
    fn merge(&mut self, other: Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.mean += delta * other.count / count;
        self.count = count;
    }

    fn finish(self, op: AggregateOp) -> f64 {
        match op {
            _ if self.count == 0.0 => ABSENT,
            AggregateOp::Stddev => (self.squares / self.count).sqrt(),
            _ => self.squares / self.count,
        }
    }
}

impl Histograms {
    fn new(first: &Histogram, op: AggregateOp) -> Self {
        let total = match op {
            AggregateOp::Avg => Total::Mean(HistogramMean::new(first)),
            _ => Total::Sum(HistogramSum::new(first)),
        };
        let mut new = Self { total, reset: false, not_reset: false, incompatible: false };
        new.see(first);
        new
    }

    fn see(&mut self, histogram: &Histogram) {
        self.reset |= histogram.counter_reset_hint == CounterResetHint::Reset;
        self.not_reset |= histogram.counter_reset_hint == CounterResetHint::NotReset;
    }

    fn add(&mut self, histogram: &Histogram, context: &mut HistogramContext<'_>) {
        if self.incompatible {
            return;
        }
        self.see(histogram);
        let met = match &mut self.total {
            Total::Sum(sum) => sum.add(histogram),
            Total::Mean(mean) => mean.add(histogram),
        };
        self.incompatible = context.settle(met, "aggregation").is_none();
    }

    fn merge(&mut self, other: &Self, context: &mut HistogramContext<'_>) {
        self.reset |= other.reset;
        self.not_reset |= other.not_reset;
        self.incompatible |= other.incompatible;
        if self.incompatible {
            return;
        }
        let met = match (&mut self.total, &other.total) {
            (Total::Sum(sum), Total::Sum(other)) => sum.add(&other.total()),
            (Total::Mean(mean), Total::Mean(other)) => mean.merge(other),
            // Accumulators of one aggregation have one operator.
            _ => return,
        };
        self.incompatible = context.settle(met, "aggregation").is_none();
    }

    fn finish(self, position: Position, notes: &mut Notes) -> Option<Histogram> {
        if self.reset && self.not_reset {
            notes.add(Note::CounterResetCollision { operation: "aggregation" }, position);
        }
        if self.incompatible {
            return None;
        }
        let mut total = match self.total {
            Total::Sum(sum) => sum.total(),
            Total::Mean(mean) => mean.mean(),
        };
        total.compact();
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(floats: &[f64]) -> Column {
        Column { floats: floats.to_vec(), histograms: Vec::new() }
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let rows = [
            [1.0, ABSENT, 3.0],
            [2.0, 5.0, f64::NAN],
            [4.0, ABSENT, 1.0],
            [1e10, 7.0, -3.0],
            [0.5, ABSENT, 2.0],
        ];
        for (op, _) in AggregateOp::ALL.iter().take(8) {
            let mut notes = Notes::default();
            let at = Position::default();
            let mut whole = Accumulator::new(*op, 3);
            rows.iter().for_each(|r| whole.add(&column(r), at, "m", &mut notes));
            let mut left = Accumulator::new(*op, 3);
            rows[..2].iter().for_each(|r| left.add(&column(r), at, "m", &mut notes));
            let mut right = Accumulator::new(*op, 3);
            rows[2..].iter().for_each(|r| right.add(&column(r), at, "m", &mut notes));
            left.merge(right, at, &mut notes);
            let (whole, parts) = (whole.finish(at, &mut notes), left.finish(at, &mut notes));
            for (a, b) in whole.floats.iter().zip(&parts.floats) {
                let same = (a - b).abs() <= 1e-12 * a.abs() || a.is_nan() && b.is_nan();
                assert!(same, "{op:?} {a} {b}");
            }
        }
    }
}
