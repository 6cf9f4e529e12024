//! Changes, sums and means of native histograms over a window, with their annotations.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, HistogramSum, IncompatibleBuckets, Reconciled};

use super::notes::{Note, Notes};
use crate::ast::Position;

/// Where annotations about histograms go.
pub(crate) struct HistogramContext<'c> {
    pub(crate) notes: &'c mut Notes,
    pub(crate) metric: &'c str,
    pub(crate) position: Position,
}

type Sample = (i64, Arc<Histogram>);

impl HistogramContext<'_> {
    pub(crate) fn add(&mut self, note: impl FnOnce(String) -> Note) {
        self.notes.add(note(self.metric.to_owned()), self.position);
    }

    fn incompatible(&mut self) {
        self.add(|metric| Note::MixedExponentialCustom { metric });
    }

    /// Notes what an operation had to bend; `None` when it was impossible.
    pub(crate) fn settle(
        &mut self,
        met: Result<Reconciled, IncompatibleBuckets>,
        operation: &'static str,
    ) -> Option<()> {
        match met {
            Ok(reconciled) => {
                if reconciled.bounds {
                    self.add(|_| Note::MismatchedCustomBuckets { operation });
                }
                Some(())
            }
            Err(_) => {
                self.incompatible();
                None
            }
        }
    }
}

/// What a histogram changed by from the first sample to the last, resets of a counter added back in; `anew` tells
/// by the timestamps of neighbours that there was one, whatever the buckets say.
pub(crate) fn change(
    samples: &[Sample],
    counter: bool,
    anew: impl Fn(i64, i64) -> bool,
    context: &mut HistogramContext<'_>,
) -> Option<Histogram> {
    let [(first_at, first), rest @ ..] = samples else { return None };
    let ([(second_at, second), ..], [.., (_, last)]) = (rest, rest) else { return None };
    let gauge = CounterResetHint::Gauge;
    let is_gauge = |h: &Arc<Histogram>| h.counter_reset_hint == gauge;
    if counter && samples.iter().any(|(_, h)| is_gauge(h)) {
        context.add(|metric| Note::NativeNotCounter { metric });
    }
    if !counter && (!is_gauge(first) || !is_gauge(last)) {
        context.add(|metric| Note::NativeNotGauge { metric });
    }
    // After a reset the first sample plays no part, whatever its layout.
    let empty;
    let mut previous: &Histogram = first;
    if counter && (anew(*first_at, *second_at) || second.is_reset_after(first)) {
        empty = Histogram {
            schema: second.schema,
            custom_values: second.custom_values.clone(),
            ..Histogram::default()
        };
        previous = &empty;
    }
    let custom = previous.has_custom_buckets();
    let considered = if counter { rest } else { &rest[rest.len() - 1..] };
    if considered.iter().any(|(_, h)| h.has_custom_buckets() != custom) {
        context.incompatible();
        return None;
    }
    let coarsest = considered.iter().map(|(_, h)| h.schema).min()?.min(previous.schema);
    let mut result = (**last).clone();
    result.reduce_resolution(coarsest);
    let met = result.subtract(previous);
    context.settle(met, "subtraction")?;
    if counter {
        let mut previous_at = *first_at;
        for (at, current) in rest {
            if anew(previous_at, *at) || current.is_reset_after(previous) {
                let met = result.add(previous);
                context.settle(met, "addition")?;
            }
            (previous_at, previous) = (*at, current);
        }
    }
    result.counter_reset_hint = gauge;
    result.compact();
    Some(result)
}

/// The change between the last two samples, per second for `irate`.
pub(crate) fn last_two(
    before: &Sample,
    now: &Sample,
    per_second: bool,
    delta: bool,
    context: &mut HistogramContext<'_>,
) -> Option<Histogram> {
    let gauge = CounterResetHint::Gauge;
    let gauges = [before, now].map(|(_, h)| h.counter_reset_hint == gauge);
    if per_second && !delta && gauges.contains(&true) {
        context.add(|metric| Note::NativeNotCounter { metric });
    }
    if !per_second && gauges.contains(&false) {
        context.add(|metric| Note::NativeNotGauge { metric });
    }
    let mut result = (*now.1).clone();
    if !delta && (!per_second || !now.1.is_reset_after(&before.1)) {
        let met = result.subtract(&before.1);
        context.settle(met, "subtraction")?;
    }
    result.counter_reset_hint = gauge;
    result.compact();
    if per_second {
        result.divide((now.0 - before.0) as f64 / 1000.0);
    }
    Some(result)
}

/// Notes hints that contradict each other among histograms that were aggregated.
fn note_collision(samples: &[Sample], context: &mut HistogramContext<'_>) {
    let has = |hint| samples.iter().any(|(_, h)| h.counter_reset_hint == hint);
    if has(CounterResetHint::Reset) && has(CounterResetHint::NotReset) {
        context.add(|_| Note::CounterResetCollision { operation: "aggregation" });
    }
}

/// The sum of all samples.
pub(crate) fn sum(samples: &[Sample], context: &mut HistogramContext<'_>) -> Option<Histogram> {
    let ((_, first), rest) = samples.split_first()?;
    let mut sum = HistogramSum::new(first);
    for (_, histogram) in rest {
        let met = sum.add(histogram);
        context.settle(met, "aggregation")?;
    }
    note_collision(samples, context);
    Some(sum.total())
}

/// A running mean of histograms that updates the mean itself once the sum would overflow.
#[derive(Debug, Clone)]
pub(crate) struct HistogramMean {
    sum: HistogramSum,
    count: f64,
    overflown: bool,
}

impl HistogramMean {
    pub(crate) fn new(first: &Histogram) -> Self {
        Self { sum: HistogramSum::new(first), count: 1.0, overflown: false }
    }

    pub(crate) fn add(&mut self, histogram: &Histogram) -> Result<Reconciled, IncompatibleBuckets> {
        self.add_weighted(histogram, 1.0)
    }

    /// Takes in a mean of `weight` histograms, given as their sum.
    fn add_weighted(&mut self, sum: &Histogram, weight: f64) -> Result<Reconciled, IncompatibleBuckets> {
        let before = self.count;
        self.count += weight;
        if !self.overflown {
            if !self.sum.may_overflow_with(sum) {
                return self.sum.add(sum);
            }
            let mut trial = self.sum.clone();
            let met = trial.add(sum)?;
            if !trial.has_overflow() {
                self.sum = trial;
                return Ok(met);
            }
            self.overflown = true;
            self.sum.divide(before);
        }
        self.sum.scale(before / self.count);
        let mut part = sum.clone();
        part.divide(self.count);
        self.sum.add(&part)
    }

    /// Takes in another mean.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<Reconciled, IncompatibleBuckets> {
        let mut sum = other.sum.total();
        if other.overflown {
            sum.scale(other.count);
        }
        self.add_weighted(&sum, other.count)
    }

    pub(crate) fn mean(&self) -> Histogram {
        let mut sum = self.sum.clone();
        if !self.overflown {
            sum.divide(self.count);
        }
        sum.total()
    }
}

/// The mean of all samples.
pub(crate) fn mean(samples: &[Sample], context: &mut HistogramContext<'_>) -> Option<Histogram> {
    let ((_, first), rest) = samples.split_first()?;
    let mut mean = HistogramMean::new(first);
    for (_, histogram) in rest {
        let met = mean.add(histogram);
        context.settle(met, "aggregation")?;
    }
    note_collision(samples, context);
    Some(mean.mean())
}
