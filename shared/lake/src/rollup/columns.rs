//! Samples to intervals, and intervals to one column of samples per aggregate and back.
//!
//! What follows from the rest is not stored: a first sample that is also the last one, a minimum or maximum that is
//! the first or last value, a sum that is last value times count, zeros, and the distribution of values that lie
//! within one bucket's width. A series that stands still, or has one sample an interval, costs one column. Running
//! totals have neither squares nor distributions.

use std::sync::Arc;

use weir_model::{
    Aggregate, Histogram, Interval, Intervals, STALE_NAN, Samples, Temporality, Tier, UniqueSet,
    is_stale_nan, kahan_add,
};

use crate::merge;

/// What a tier keeps of one series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rolled {
    /// Its floats, ascending.
    pub intervals: Vec<Interval>,
    /// Staleness markers that end an interval, and the last histogram and set of each interval.
    pub last: Samples,
    /// What the histograms and sets of each interval add up to, at the interval's end.
    pub sums: Samples,
    /// The distribution of the floats of each interval, at its end; none of running totals, and by the minute.
    pub distributions: Vec<(i64, Arc<Histogram>)>,
    is_total: bool,
}

impl Rolled {
    /// Rolls up samples, which may be running totals.
    pub(crate) fn of(samples: &Samples, tier: Tier, is_total: bool) -> Self {
        let mut rolled = Self { is_total, ..Self::default() };
        intervals(&samples.timestamps, &samples.values, tier, &mut rolled.intervals);
        rolled.add_others(samples, tier);
        rolled
    }

    /// The same samples in a coarser tier.
    pub(crate) fn coarser(&self, samples: &Samples, tier: Tier) -> Self {
        let (intervals, is_total) = (coarsen(&self.intervals, tier), self.is_total);
        let mut rolled = Self { intervals, is_total, ..Self::default() };
        if self.distributions.is_empty() && !is_total {
            distributions(&samples.timestamps, &samples.values, tier, &mut rolled.distributions);
        }
        for (at, distribution) in &self.distributions {
            add_to(&mut rolled.distributions, tier.interval_end(*at), distribution, Histogram::add_values);
        }
        rolled.add_others(samples, tier);
        rolled
    }

    fn add_others(&mut self, samples: &Samples, tier: Tier) {
        for (at, histogram) in &samples.histograms {
            if is_stale_nan(histogram.sum) {
                continue;
            }
            let end_ms = tier.interval_end(*at);
            match self.last.histograms.last_mut() {
                Some(last) if tier.interval_end(last.0) == end_ms => *last = (*at, Arc::clone(histogram)),
                _ => self.last.histograms.push((*at, Arc::clone(histogram))),
            }
            add_to(&mut self.sums.histograms, end_ms, histogram, add_histograms);
        }
        for (at, set) in &samples.sets {
            let end_ms = tier.interval_end(*at);
            match self.last.sets.last_mut() {
                Some(last) if tier.interval_end(last.0) == end_ms => *last = (*at, Arc::clone(set)),
                _ => self.last.sets.push((*at, Arc::clone(set))),
            }
            add_to(&mut self.sums.sets, end_ms, set, UniqueSet::merge);
        }
        self.add_markers(samples, tier);
    }

    /// Keeps the markers that nothing follows within their interval.
    fn add_markers(&mut self, samples: &Samples, tier: Tier) {
        let floats = samples.timestamps.iter().zip(&samples.values).filter(|(_, v)| is_stale_nan(**v));
        let histograms = samples.histograms.iter().filter(|(_, h)| is_stale_nan(h.sum));
        let mut markers: Vec<i64> = floats.map(|(t, _)| *t).chain(histograms.map(|(t, _)| *t)).collect();
        if markers.is_empty() {
            return;
        }
        markers.sort_unstable();
        let next_of = |times: &mut dyn Iterator<Item = i64>| times.next().unwrap_or(i64::MAX);
        for at in markers {
            let float = samples.timestamps.partition_point(|t| *t <= at);
            let histogram = samples.histograms.partition_point(|s| s.0 <= at);
            let set = samples.sets.partition_point(|s| s.0 <= at);
            let next = next_of(&mut samples.timestamps[float..].iter().copied())
                .min(next_of(&mut samples.histograms[histogram..].iter().map(|s| s.0)))
                .min(next_of(&mut samples.sets[set..].iter().map(|s| s.0)));
            if next > tier.interval_end(at) {
                self.last.timestamps.push(at);
                self.last.values.push(STALE_NAN);
            }
        }
    }

    /// Replaces `into` by the column of an aggregate.
    pub(crate) fn column(&self, aggregate: Aggregate, into: &mut Samples) {
        into.clear();
        if aggregate == Aggregate::Distribution {
            let told = self.intervals.iter().map(Interval::tells_distribution);
            let untold = self.distributions.iter().zip(told).filter(|(_, told)| !told);
            into.histograms.extend(untold.map(|(distribution, _)| distribution.clone()));
            return;
        }
        if self.is_total && !aggregate.is_of_totals() {
            return;
        }
        for interval in &self.intervals {
            if let Some((at, value)) = stored(interval, aggregate) {
                into.timestamps.push(at);
                into.values.push(value);
            }
        }
        let mut others = match aggregate {
            Aggregate::Last => self.last.clone(),
            Aggregate::Sum => self.sums.clone(),
            _ => return,
        };
        // At one timestamp there is one value; the rule of cumulative series keeps the histogram.
        merge::join(into, &mut others, Temporality::Cumulative);
    }
}

/// Adds to the entry of that interval, which is the last one, or begins it.
fn add_to<T: Clone>(sums: &mut Vec<(i64, Arc<T>)>, end_ms: i64, value: &Arc<T>, add: fn(&mut T, &T)) {
    match sums.last_mut() {
        Some((end, sum)) if *end == end_ms => add(Arc::make_mut(sum), value),
        _ => sums.push((end_ms, Arc::clone(value))),
    }
}

fn add_histograms(sum: &mut Histogram, value: &Histogram) {
    if sum.add(value).is_err() {
        // Custom and exponential buckets have no common layout: the later one has to stand for both.
        sum.clone_from(value);
    }
}

/// Appends the intervals of floats, which ascend by time.
pub(crate) fn intervals(timestamps: &[i64], values: &[f64], tier: Tier, into: &mut Vec<Interval>) {
    into.extend(
        by_interval(timestamps, values, tier).filter_map(|(end_ms, ts, vs)| interval(end_ms, ts, vs)),
    );
}

/// Appends the distributions of those intervals.
pub(crate) fn distributions(
    timestamps: &[i64],
    values: &[f64],
    tier: Tier,
    into: &mut Vec<(i64, Arc<Histogram>)>,
) {
    for (end_ms, _, values) in by_interval(timestamps, values, tier) {
        let mut real = values.iter().copied().filter(|value| !is_stale_nan(*value)).peekable();
        if real.peek().is_some() {
            into.push((end_ms, Arc::new(Histogram::of_values(real))));
        }
    }
}

/// The floats of each interval, with its end.
fn by_interval<'s>(
    timestamps: &'s [i64],
    values: &'s [f64],
    tier: Tier,
) -> impl Iterator<Item = (i64, &'s [i64], &'s [f64])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let end_ms = tier.interval_end(*timestamps.get(at)?);
        let length = timestamps[at..].iter().take_while(|t| **t <= end_ms).count().max(1);
        let own = at..at + length;
        at = own.end;
        Some((end_ms, &timestamps[own.clone()], &values[own]))
    })
}

fn interval(end_ms: i64, timestamps: &[i64], values: &[f64]) -> Option<Interval> {
    let real = || timestamps.iter().zip(values).filter(|(_, v)| !is_stale_nan(**v));
    let (first_ms, first) = real().next()?;
    let mut all = Interval::of(end_ms, *first_ms, *first);
    let (mut sum, mut lost) = (*first, 0.0);
    for (at, value) in real().skip(1) {
        (sum, lost) = kahan_add(*value, sum, lost);
        if *value < all.min || all.min.is_nan() {
            all.min = *value;
        }
        if *value > all.max || all.max.is_nan() {
            all.max = *value;
        }
        if *value < all.last {
            all.resets += all.last;
        }
        (all.last_ms, all.last) = (*at, *value);
        all.count += 1;
    }
    if all.count > 1 {
        all.sum = if sum.is_infinite() { sum } else { sum + lost };
        let mean = all.sum / all.count as f64;
        all.squares = real().map(|(_, v)| (v - mean) * (v - mean)).sum();
        settle(&mut all);
    }
    Some(all)
}

/// Sums of equal values exactly as they are derived.
fn settle(interval: &mut Interval) {
    if interval.min.to_bits() == interval.max.to_bits() && interval.sum.is_finite() {
        interval.sum = interval.count as f64 * interval.last;
        interval.squares = 0.0;
    }
}

/// Joins the intervals of a finer tier.
pub(crate) fn coarsen(finer: &[Interval], tier: Tier) -> Vec<Interval> {
    let mut coarse: Vec<Interval> = Vec::new();
    for interval in finer {
        let end_ms = tier.interval_end(interval.end_ms);
        let later = Interval { end_ms, ..*interval };
        match coarse.last_mut() {
            Some(last) if last.end_ms == end_ms => last.join(&later),
            _ => coarse.push(later),
        }
    }
    coarse.iter_mut().for_each(settle);
    coarse
}

/// What is stored of an interval under an aggregate.
fn stored(interval: &Interval, aggregate: Aggregate) -> Option<(i64, f64)> {
    let count = interval.count as f64;
    let unless = |derived: f64, value: f64| {
        let same = derived.to_bits() == value.to_bits();
        (!same).then_some((interval.end_ms, value))
    };
    match aggregate {
        Aggregate::Last => Some((interval.last_ms, interval.last)),
        Aggregate::Count => unless(1.0, count),
        Aggregate::Sum => unless(count * interval.last, interval.sum),
        Aggregate::Min => unless(extremes(interval).0, interval.min),
        Aggregate::Max => unless(extremes(interval).1, interval.max),
        Aggregate::Squares => unless(0.0, interval.squares),
        Aggregate::First => (interval.count > 1).then_some((interval.first_ms, interval.first)),
        Aggregate::Resets => unless(0.0, interval.resets),
        // No float.
        Aggregate::Distribution => None,
    }
}

/// The lesser and the greater one of first and last value.
fn extremes(interval: &Interval) -> (f64, f64) {
    let (first, last) = (interval.first, interval.last);
    (
        if first < last || last.is_nan() { first } else { last },
        if first > last || last.is_nan() { first } else { last },
    )
}

/// Appends the intervals that columns say; what a column does not say is derived. The columns of
/// [`Aggregate::Last`] and [`Aggregate::Count`] must be there, and [`Aggregate::First`] beside a minimum or maximum.
pub(crate) fn from_columns(columns: &[(Aggregate, Samples)], tier: Tier, into: &mut Intervals) {
    use Aggregate as A;
    let of = |wanted| columns.iter().find(|(aggregate, _)| *aggregate == wanted).map(|(_, column)| column);
    let Some(last) = of(A::Last) else { return };
    let from = into.floats.len();
    for (at, value) in last.timestamps.iter().zip(&last.values) {
        if !is_stale_nan(*value) {
            into.floats.push(Interval::of(tier.interval_end(*at), *at, *value));
        }
    }
    let added = &mut into.floats[from..];
    // The count before the sum and the first sample before the extremes, which follow from them.
    for wanted in [A::Count, A::First, A::Sum, A::Min, A::Max, A::Squares, A::Resets] {
        let Some(column) = of(wanted) else { continue };
        let mut place = 0;
        for (at, value) in column.timestamps.iter().zip(&column.values) {
            let end_ms = tier.interval_end(*at);
            while added.get(place).is_some_and(|interval| interval.end_ms < end_ms) {
                place += 1;
            }
            let Some(interval) = added.get_mut(place).filter(|i| i.end_ms == end_ms) else { continue };
            match wanted {
                A::Last | A::Distribution => {}
                A::Count => {
                    interval.count = *value as u64;
                    interval.sum = *value * interval.last;
                }
                A::Sum => interval.sum = *value,
                A::Min => interval.min = *value,
                A::Max => interval.max = *value,
                A::Squares => interval.squares = *value,
                A::First => {
                    (interval.first_ms, interval.first) = (*at, *value);
                    (interval.min, interval.max) = extremes(interval);
                }
                A::Resets => interval.resets = *value,
            }
        }
    }
    if let Some(column) = of(A::Sum) {
        into.histograms.extend(column.histograms.iter().cloned());
        into.sets.extend(column.sets.iter().cloned());
    }
    if let Some(column) = of(A::Distribution) {
        into.distributions.extend(column.histograms.iter().cloned());
    }
}

/// Appends a float.
#[cfg(test)]
pub(crate) fn push_float(samples: &mut Samples, at: i64, value: f64) {
    merge::push(samples, at, merge::Value::Float(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Samples> {
        let value = prop_oneof![
            4 => (-20i32..20).prop_map(|v| f64::from(v) / 10.0),
            1 => Just(f64::NAN),
            1 => Just(STALE_NAN),
            1 => Just(f64::INFINITY),
        ];
        prop::collection::btree_map(-200_000i64..200_000, value, 0..40).prop_map(|rows| {
            let mut samples = Samples::default();
            rows.into_iter().for_each(|(at, value)| push_float(&mut samples, at, value));
            samples
        })
    }

    fn same(a: &[Interval], b: &[Interval]) -> bool {
        // NaN is not equal to itself.
        format!("{a:?}") == format!("{b:?}")
    }

    fn columns_of(rolled: &Rolled) -> Vec<(Aggregate, Samples)> {
        let column = |aggregate| {
            let mut column = Samples::default();
            rolled.column(aggregate, &mut column);
            (aggregate, column)
        };
        Aggregate::ALL.into_iter().map(column).collect()
    }

    proptest! {
        #[test]
        fn columns_give_back_the_intervals(samples in samples()) {
            let rolled = Rolled::of(&samples, Tier::Minute, false);
            let mut back = Intervals::default();
            from_columns(&columns_of(&rolled), Tier::Minute, &mut back);
            prop_assert!(same(&back.floats, &rolled.intervals), "{back:?}\n{:?}", rolled.intervals);
        }

        #[test]
        fn distributions_of_hours_and_days_are_those_of_their_samples(samples in samples()) {
            // Of a day that begins in the middle of the samples.
            let hours = Rolled::of(&samples, Tier::Minute, false).coarser(&samples, Tier::Hour);
            let days = hours.coarser(&samples, Tier::Day);
            for (tier, rolled) in [(Tier::Hour, &hours), (Tier::Day, &days)] {
                let mut back = Intervals::default();
                from_columns(&columns_of(rolled), tier, &mut back);
                let mut told = 0;
                prop_assert_eq!(rolled.distributions.len(), rolled.intervals.len());
                for (interval, (end_ms, distribution)) in rolled.intervals.iter().zip(&rolled.distributions) {
                    prop_assert_eq!(interval.end_ms, *end_ms);
                    let own = samples.timestamps.iter().zip(&samples.values)
                        .filter(|(t, v)| tier.interval_end(**t) == *end_ms && !is_stale_nan(**v));
                    let want = Histogram::of_values(own.map(|(_, v)| *v));
                    prop_assert!(want.same_data(distribution), "{want:?}\n{distribution:?}");
                    let stored = back.distributions.iter().find(|(at, _)| at == end_ms);
                    prop_assert_eq!(stored.is_none(), interval.tells_distribution());
                    prop_assert!(stored.is_none_or(|(_, stored)| want.same_data(stored)));
                    told += usize::from(stored.is_none());
                }
                prop_assert_eq!(back.distributions.len() + told, rolled.intervals.len());
            }
        }

        #[test]
        fn intervals_say_what_the_samples_say(samples in samples()) {
            let rolled = Rolled::of(&samples, Tier::Minute, false);
            for interval in &rolled.intervals {
                let rows: Vec<(i64, f64)> = samples.timestamps.iter().copied().zip(samples.values.iter().copied())
                    .filter(|(t, v)| *t > interval.end_ms - 60_000 && *t <= interval.end_ms && !is_stale_nan(*v))
                    .collect();
                let values: Vec<f64> = rows.iter().map(|r| r.1).collect();
                prop_assert_eq!(interval.count as usize, rows.len());
                prop_assert_eq!((interval.first_ms, interval.last_ms), (rows[0].0, rows[rows.len() - 1].0));
                let resets: f64 = values.windows(2).filter(|w| w[1] < w[0]).map(|w| w[0]).sum();
                prop_assert!(interval.resets == resets || (interval.resets - resets).abs() < 1e-9);
                if values.iter().all(|v| v.is_finite()) {
                    let sum: f64 = values.iter().sum();
                    let mean = sum / values.len() as f64;
                    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                    prop_assert!((interval.sum - sum).abs() < 1e-9);
                    prop_assert!((interval.squares - squares).abs() < 1e-9);
                    prop_assert_eq!(interval.min, values.iter().copied().fold(f64::INFINITY, f64::min));
                    prop_assert_eq!(interval.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                }
            }
            let counted: u64 = rolled.intervals.iter().map(|i| i.count).sum();
            let real = samples.values.iter().filter(|v| !is_stale_nan(**v)).count();
            prop_assert_eq!(counted as usize, real);
        }
    }

    #[test]
    fn what_follows_is_not_stored() {
        let mut samples = Samples::default();
        for at in 1..=6 {
            push_float(&mut samples, at * 10_000, 0.1);
        }
        push_float(&mut samples, 70_000, 3.0);
        push_float(&mut samples, 80_000, STALE_NAN);
        let rolled = Rolled::of(&samples, Tier::Minute, false);
        let mut column = Samples::default();
        let mut lengths = Vec::new();
        for aggregate in Aggregate::ALL {
            rolled.column(aggregate, &mut column);
            lengths.push((aggregate.name(), column.len()));
        }
        let stored: Vec<_> = lengths.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(stored, [("last", 3), ("count", 1), ("first", 1)]);
    }

    #[test]
    fn of_a_rising_total_neither_extremes_nor_squares_nor_distributions_are_stored() {
        let mut samples = Samples::default();
        (1..=60).for_each(|at| push_float(&mut samples, at * 15_000, (at * at) as f64));
        for (is_total, want) in [
            (true, &["last", "count", "sum", "first"][..]),
            (false, &["last", "count", "sum", "squares", "first", "distribution"]),
        ] {
            let rolled = Rolled::of(&samples, Tier::Minute, is_total).coarser(&samples, Tier::Hour);
            let stored: Vec<_> =
                columns_of(&rolled).into_iter().filter(|c| !c.1.is_empty()).map(|c| c.0.name()).collect();
            assert_eq!(stored, want);
        }
    }
}
