//! Native histograms: Prometheus' sparse exponential (and custom-bucket) distributions.
//!
//! Source: the Prometheus native histogram specification. Standard schemas -4..=8: bucket `i` holds
//! observations in (base^(i-1), base^i] with base = 2^(2^-schema); the zero bucket holds magnitudes up
//! to the zero threshold. Schema -53: bucket `i` ends at `custom_values[i]`, the last at +Inf.
//! Counts are floats throughout; integer histograms are exact up to 2^53.

mod arithmetic;
mod buckets;
mod codec;
mod display;
mod distribution;
mod kahan;
mod quantile;
mod reset;
mod sum;
mod trim;
mod values;

pub use arithmetic::{IncompatibleBuckets, Reconciled};
pub use buckets::{Bucket, BucketSide};
pub use codec::HistogramError;
pub use display::ShortFloat;
pub use distribution::DistributionBuilder;
pub use kahan::kahan_add;
pub use quantile::NanEffect;
pub use sum::HistogramSum;
pub use trim::Keep;
pub(crate) use values::SCHEMA as VALUES_SCHEMA;

/// The coarsest standard schema.
pub const SCHEMA_MIN: i32 = -4;
/// The finest standard schema.
pub const SCHEMA_MAX: i32 = 8;
/// The schema of histograms whose bounds are listed in `custom_values`.
pub const SCHEMA_CUSTOM_BUCKETS: i32 = -53;

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Gap to the span before in buckets; for the first span the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// What is known about a counter reset before this sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterResetHint {
    /// Nothing: compare with the sample before.
    #[default]
    Unknown,
    /// A reset happened.
    Reset,
    /// None happened.
    NotReset,
    /// Not a counter.
    Gauge,
}

/// One native histogram with float counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// What is known about a reset before this sample.
    pub counter_reset_hint: CounterResetHint,
    /// Resolution: -4..=8, or [`SCHEMA_CUSTOM_BUCKETS`].
    pub schema: i32,
    /// Half-width of the zero bucket, in the unit of the observations.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Counts of the positive buckets (absolute, not deltas), as many as the spans' lengths add up to.
    pub positive_buckets: Vec<f64>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the negative buckets.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, ascending, without +Inf; empty for standard schemas.
    pub custom_values: Vec<f64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counter_reset_hint: CounterResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            positive_buckets: Vec::new(),
            negative_spans: Vec::new(),
            negative_buckets: Vec::new(),
            custom_values: Vec::new(),
        }
    }
}

impl Histogram {
    /// Most buckets (positive, negative and custom bounds together) of an accepted histogram.
    pub const MAX_BUCKETS: usize = 10_000;

    /// Index and count of each positive bucket, ascending.
    pub fn positive(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        indexed(&self.positive_spans, &self.positive_buckets)
    }

    /// Index and count of each negative bucket, ascending by index (away from zero).
    pub fn negative(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        indexed(&self.negative_spans, &self.negative_buckets)
    }

    /// Checks what every accepted histogram must hold.
    ///
    /// # Errors
    /// [`HistogramError::Invalid`] with the rule and the offending numbers.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let invalid = |reason: String| Err(HistogramError::Invalid(reason));
        let custom = self.schema == SCHEMA_CUSTOM_BUCKETS;
        if !custom && !(SCHEMA_MIN..=SCHEMA_MAX).contains(&self.schema) {
            return invalid(format!("schema {} is neither -4..8 nor -53", self.schema));
        }
        let sides = [
            ("positive", &self.positive_spans, &self.positive_buckets),
            ("negative", &self.negative_spans, &self.negative_buckets),
        ];
        let mut buckets = self.custom_values.len();
        for (side, spans, counts) in sides {
            let spanned: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
            if spanned != counts.len() as u64 {
                return invalid(format!(
                    "{side} spans cover {spanned} buckets, {} counts given",
                    counts.len()
                ));
            }
            if let Some(at) = spans.iter().skip(1).position(|s| s.offset < 0) {
                return invalid(format!(
                    "{side} span {} has negative offset {}",
                    at + 1,
                    spans[at + 1].offset
                ));
            }
            let last: i64 = spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
            if i32::try_from(last).is_err() {
                return invalid(format!("{side} spans reach bucket {last}"));
            }
            if let Some(bad) = counts.iter().find(|c| !zero_or_above(**c)) {
                return invalid(format!("{side} bucket count {bad} is not zero or above"));
            }
            buckets += counts.len() + spans.len();
        }
        if buckets > Self::MAX_BUCKETS {
            return invalid(format!("{buckets} buckets and spans, at most {}", Self::MAX_BUCKETS));
        }
        if !zero_or_above(self.zero_count) || !zero_or_above(self.zero_threshold) {
            return invalid(format!(
                "zero bucket of width {} with count {}",
                self.zero_threshold, self.zero_count
            ));
        }
        if !zero_or_above(self.count) && !crate::is_stale_nan(self.sum) {
            return invalid(format!("count {} is not zero or above", self.count));
        }
        if custom {
            if !self.negative_buckets.is_empty() || self.zero_count != 0.0 {
                return invalid("custom buckets have no negative and no zero bucket".to_owned());
            }
            if !self.custom_values.windows(2).all(|w| w[0] < w[1])
                || self.custom_values.iter().any(|v| !v.is_finite())
            {
                return invalid("custom bounds must be finite and ascending".to_owned());
            }
            if self.positive().last().is_some_and(|(i, _)| i < 0 || i as usize > self.custom_values.len()) {
                return invalid(format!(
                    "a bucket lies beyond the {} custom bounds",
                    self.custom_values.len()
                ));
            }
        } else if !self.custom_values.is_empty() {
            return invalid(format!("custom bounds given for schema {}", self.schema));
        }
        Ok(())
    }
}

/// Stated positively, so that NaN fails it.
fn zero_or_above(number: f64) -> bool {
    number >= 0.0
}

fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0i32;
    let indices = spans.iter().flat_map(move |span| {
        let first = next.wrapping_add(span.offset);
        next = first.wrapping_add_unsigned(span.length);
        (0..span.length).map(move |i| first.wrapping_add_unsigned(i))
    });
    indices.zip(counts.iter().copied())
}
