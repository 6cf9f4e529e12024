//! Detection of counter resets between two native histograms.

use super::arithmetic::common_bounds;
use super::{BucketSide, CounterResetHint, Histogram};

impl Histogram {
    /// True when a counter was reset between `previous` and this histogram: the hint says so, or without a
    /// definite hint some count fell, a populated bucket vanished, the resolution rose or the zero bucket
    /// narrowed. The sum plays no part, since observations may be negative.
    #[must_use]
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_buckets() != previous.has_custom_buckets() {
            return true;
        }
        if self.has_custom_buckets() {
            if self.custom_values != previous.custom_values {
                let bounds = common_bounds(&self.custom_values, &previous.custom_values);
                let (now, before) = (self.mapped_to(&bounds), previous.mapped_to(&bounds));
                return now.iter().zip(before).any(|(now, before)| *now < before);
            }
            return fell(self.positive(), previous.positive());
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_within(self.zero_threshold);
        // A populated bucket of the previous histogram that the wider zero bucket cuts cannot have been
        // carried over.
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        [BucketSide::Positive, BucketSide::Negative]
            .into_iter()
            .any(|side| fell(self.at_layout_of(self, side), previous.at_layout_of(self, side)))
    }
}

/// True when a bucket of `before` holds more than the same bucket of `now`.
fn fell(now: impl Iterator<Item = (i32, f64)>, before: impl Iterator<Item = (i32, f64)>) -> bool {
    let mut now = now.peekable();
    for (index, count) in before {
        while now.next_if(|(i, _)| *i < index).is_some() {}
        let fallen = match now.peek() {
            Some((i, current)) if *i == index => *current < count,
            _ => count != 0.0,
        };
        if fallen {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn of(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn resets_show_in_counts_buckets_resolution_and_hint() {
        let hinted = |hint, h: Histogram| Histogram { counter_reset_hint: hint, ..h };
        let zero = |threshold, count| Histogram {
            zero_threshold: threshold,
            zero_count: count,
            count,
            ..Histogram::default()
        };
        let base = of(0, 0, &[1.0, 2.0]);
        for (shows, before, now, want) in [
            ("growth", base.clone(), of(0, 0, &[1.0, 3.0]), false),
            ("a fallen count", base.clone(), of(0, 0, &[1.0, 1.0]), true),
            ("a moved observation", base.clone(), of(0, 0, &[3.0, 1.0]), true),
            ("a vanished bucket", base.clone(), of(0, 0, &[9.0]), true),
            ("a vanished empty bucket", of(0, 0, &[1.0, 0.0]), of(0, 0, &[9.0]), false),
            ("higher resolution", base.clone(), of(1, 0, &[9.0, 9.0, 9.0, 9.0]), true),
            ("lower resolution", of(1, 1, &[1.0, 1.0, 1.0]), of(0, 1, &[2.0, 1.0]), false),
            ("lower resolution and less", of(1, 1, &[1.0, 1.0, 1.0]), of(0, 1, &[1.0, 9.0]), true),
            ("a wider zero bucket", of(0, 0, &[1.0]), zero(1.0, 1.0), false),
            ("a zero bucket that cuts", of(0, 0, &[1.0]), zero(0.7, 9.0), true),
            ("a narrower zero bucket", zero(1.0, 1.0), zero(0.5, 9.0), true),
            ("a hint against", base.clone(), hinted(CounterResetHint::NotReset, of(0, 0, &[0.0])), false),
            ("a hint for", base.clone(), hinted(CounterResetHint::Reset, of(0, 0, &[9.0, 9.0])), true),
        ] {
            assert_eq!(now.is_reset_after(&before), want, "{shows}");
        }
    }
}
