//! Buckets one by one: their order, their bounds, and building them up again from index and count.

use super::{Histogram, SCHEMA_CUSTOM_BUCKETS, Span};

/// Where a bucket lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSide {
    /// Below zero; a higher index lies further from zero.
    Negative,
    /// Around zero.
    Zero,
    /// Above zero, or a custom bucket.
    Positive,
}

/// One bucket without its bounds, which cost an exponential to compute; see [`Histogram::bounds`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where it lies.
    pub side: BucketSide,
    /// Its index on that side; zero for the zero bucket.
    pub index: i32,
    /// Observations in it.
    pub count: f64,
}

impl Histogram {
    /// True when the bounds are listed rather than given by the schema.
    #[must_use]
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == SCHEMA_CUSTOM_BUCKETS
    }

    /// True when both hold the same data bit for bit, so that NaN equals itself; hints play no part, nor does
    /// how the spans are cut.
    #[must_use]
    pub fn same_data(&self, other: &Self) -> bool {
        let bits = |h: &Self| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
        let cell = |(index, count): (i32, f64)| (index, count.to_bits());
        self.schema == other.schema
            && bits(self) == bits(other)
            && self.custom_values == other.custom_values
            && self.positive().map(cell).eq(other.positive().map(cell))
            && self.negative().map(cell).eq(other.negative().map(cell))
    }

    /// All buckets by ascending value: negative ones, the zero bucket if it holds anything, positive ones.
    pub fn buckets_ascending(&self) -> impl Iterator<Item = Bucket> + '_ {
        let negative = indexed_backwards(&self.negative_spans, &self.negative_buckets);
        negative
            .map(|(index, count)| Bucket { side: BucketSide::Negative, index, count })
            .chain(self.zero_bucket())
            .chain(self.positive().map(|(index, count)| Bucket { side: BucketSide::Positive, index, count }))
    }

    /// All buckets by descending value.
    pub fn buckets_descending(&self) -> impl Iterator<Item = Bucket> + '_ {
        let positive = indexed_backwards(&self.positive_spans, &self.positive_buckets);
        positive
            .map(|(index, count)| Bucket { side: BucketSide::Positive, index, count })
            .chain(self.zero_bucket())
            .chain(self.negative().map(|(index, count)| Bucket { side: BucketSide::Negative, index, count }))
    }

    fn zero_bucket(&self) -> Option<Bucket> {
        (self.zero_count > 0.0).then_some(Bucket { side: BucketSide::Zero, index: 0, count: self.zero_count })
    }

    /// Lower and upper bound of a bucket of this histogram, as the schema gives them.
    #[must_use]
    pub fn raw_bounds(&self, side: BucketSide, index: i32) -> (f64, f64) {
        let bound = |i: i32| {
            if self.has_custom_buckets() {
                custom_bound(i, &self.custom_values)
            } else {
                exponential_bound(i, self.schema)
            }
        };
        match side {
            BucketSide::Zero => (-self.zero_threshold, self.zero_threshold),
            BucketSide::Positive => (bound(index.saturating_sub(1)), bound(index)),
            BucketSide::Negative => (-bound(index), -bound(index.saturating_sub(1))),
        }
    }

    /// Lower and upper bound of a bucket, cut at the zero bucket where they overlap with it.
    #[must_use]
    pub fn bounds(&self, bucket: &Bucket) -> (f64, f64) {
        let (mut lower, mut upper) = self.raw_bounds(bucket.side, bucket.index);
        let zero = self.zero_threshold;
        match bucket.side {
            BucketSide::Zero => {}
            BucketSide::Positive if lower > 0.0 && lower < zero => lower = zero,
            BucketSide::Negative if upper < 0.0 && upper > -zero => upper = -zero,
            _ => {}
        }
        (lower, upper)
    }
}

/// The upper bound of custom bucket `index`: -Inf before the first, +Inf after the last.
fn custom_bound(index: i32, bounds: &[f64]) -> f64 {
    match usize::try_from(index) {
        Ok(i) => bounds.get(i).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// The upper bound of positive bucket `index`: 2^(index / 2^schema). The last bucket of finite numbers
/// ends at the largest of them, so that the one after it holds the infinite observations.
#[must_use]
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    let (whole, fraction) = if schema <= 0 {
        (i64::from(index) << schema.unsigned_abs().min(31), 0.0)
    } else {
        let per_octave = 1i64 << schema.min(31);
        let index = i64::from(index);
        (index.div_euclid(per_octave), index.rem_euclid(per_octave) as f64 / per_octave as f64)
    };
    if whole == 1024 && fraction == 0.0 {
        return f64::MAX;
    }
    if whole > 1023 {
        return f64::INFINITY;
    }
    // In two steps, so that the result may be subnormal while the factors are not.
    let whole = whole.max(-1200) as i32;
    fraction.exp2() * 2f64.powi(whole / 2) * 2f64.powi(whole - whole / 2)
}

/// The index at a coarser schema of the bucket that holds bucket `index` of schema `from`.
#[inline]
pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    let shift = (from - to).clamp(0, 31);
    (index.wrapping_sub(1) >> shift) + 1
}

/// Merges neighbours of equal index, as they arise from a coarser schema.
pub(super) fn coalesce(buckets: impl Iterator<Item = (i32, f64)>) -> impl Iterator<Item = (i32, f64)> {
    let mut buckets = buckets.peekable();
    std::iter::from_fn(move || {
        let (index, mut count) = buckets.next()?;
        while let Some((_, more)) = buckets.next_if(|(next, _)| *next == index) {
            count += more;
        }
        Some((index, count))
    })
}

fn indexed_backwards<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut end = spans.iter().fold(0i32, |at, s| at.wrapping_add(s.offset).wrapping_add_unsigned(s.length));
    let indices = spans.iter().rev().flat_map(move |span| {
        let last = end;
        end = last.wrapping_sub_unsigned(span.length).wrapping_sub(span.offset);
        (1..=span.length).map(move |i| last.wrapping_sub_unsigned(i))
    });
    indices.zip(counts.iter().rev().copied())
}

/// Collects buckets in ascending order of their index into spans and counts.
#[derive(Debug, Default)]
pub(super) struct SideBuilder {
    pub(super) spans: Vec<Span>,
    pub(super) counts: Vec<f64>,
    next: i32,
}

impl SideBuilder {
    pub(super) fn with_capacity(buckets: usize) -> Self {
        Self { spans: Vec::with_capacity(4), counts: Vec::with_capacity(buckets), next: 0 }
    }

    pub(super) fn push(&mut self, index: i32, count: f64) {
        match self.spans.last_mut() {
            Some(span) if index == self.next => span.length += 1,
            _ => self.spans.push(Span { offset: index.wrapping_sub(self.next), length: 1 }),
        }
        self.counts.push(count);
        self.next = index.wrapping_add(1);
    }
}

/// The union of two ascending runs of buckets; `both` says how counts meet, absent ones being zero.
pub(super) fn merge(
    a: impl Iterator<Item = (i32, f64)>,
    b: impl Iterator<Item = (i32, f64)>,
    capacity: usize,
    both: impl Fn(f64, f64) -> f64,
) -> SideBuilder {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    let mut out = SideBuilder::with_capacity(capacity);
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (Some((i, x)), Some((j, y))) if i == j => {
                out.push(i, both(x, y));
                a.next();
                b.next();
            }
            (Some((i, x)), other) if other.is_none_or(|(j, _)| i < j) => {
                out.push(i, x);
                a.next();
            }
            (_, Some((j, y))) => {
                out.push(j, both(0.0, y));
                b.next();
            }
            _ => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_the_schemas_base() {
        for (index, schema, want) in [
            (0, 0, 1.0),
            (3, 0, 8.0),
            (-3, 0, 0.125),
            (1, -1, 4.0),
            (2, 1, 2.0),
            (1, 1, std::f64::consts::SQRT_2),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (256, -2, f64::MAX),
            (-1074, 0, 5e-324),
            (-2000, 0, 0.0),
            (i32::MAX, -4, f64::INFINITY),
        ] {
            let bound = exponential_bound(index, schema);
            assert!((bound - want).abs() <= want * 1e-15 || bound == want, "{index} {schema}: {bound}");
        }
    }

    #[test]
    fn buckets_come_in_the_order_of_their_values() {
        let histogram = Histogram {
            zero_threshold: 0.5,
            zero_count: 3.0,
            positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 2.0, 4.0],
            negative_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 2, length: 1 }],
            negative_buckets: vec![5.0, 6.0],
            ..Histogram::default()
        };
        let bounds: Vec<_> = histogram.buckets_ascending().map(|b| histogram.bounds(&b)).collect();
        let want = [(-16.0, -8.0), (-2.0, -1.0), (-0.5, 0.5), (0.5, 1.0), (1.0, 2.0), (4.0, 8.0)];
        assert_eq!(bounds, want);
        let mut backwards: Vec<_> = histogram.buckets_descending().map(|b| histogram.bounds(&b)).collect();
        backwards.reverse();
        assert_eq!(backwards, want);
    }
}
