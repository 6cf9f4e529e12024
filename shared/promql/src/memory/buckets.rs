//! Turns classic histograms (`_bucket`, `_count`, `_sum` series) into native ones with custom buckets.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_model::{
    BUCKET_LABEL, Histogram, Labels, LabelsBuilder, METRIC_NAME, SCHEMA_CUSTOM_BUCKETS, Samples, Span,
};

use super::NotationError;

/// What is known of one histogram at one time.
#[derive(Default)]
struct Parts {
    /// Bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

enum Role {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms that the classic ones among `series` amount to.
pub(super) fn native_from_classic(
    series: &[(Labels, Samples)],
) -> Result<Vec<(Labels, Samples)>, NotationError> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for (labels, samples) in series {
        let Some((base, role)) = role(labels) else { continue };
        let times = found.entry(base).or_default();
        for (at, value) in samples.timestamps.iter().zip(&samples.values) {
            let parts = times.entry(*at).or_default();
            match role {
                Role::Bucket(bound) => parts.buckets.push((bound, *value)),
                Role::Count => parts.count = Some(*value),
                Role::Sum => parts.sum = *value,
            }
        }
    }
    let mut out = Vec::with_capacity(found.len());
    for (labels, times) in found {
        let mut samples = Samples::default();
        for (at, parts) in times {
            let histogram = parts
                .build()
                .map_err(|reason| NotationError::Buckets { name: labels.to_string(), reason })?;
            samples.histograms.push((at, Arc::new(histogram)));
        }
        out.push((labels, samples));
    }
    Ok(out)
}

/// The labels of the histogram that a series is a part of, and which part.
fn role(labels: &Labels) -> Option<(Labels, Role)> {
    let name = labels.metric_name();
    let (base, role) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound: f64 = labels.get(BUCKET_LABEL)?.parse().ok()?;
        (base, Role::Bucket(bound).not_nan()?)
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Role::Count)
    } else {
        (name.strip_suffix("_sum")?, Role::Sum)
    };
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.set(METRIC_NAME, base).remove(BUCKET_LABEL);
    Some((builder.build(), role))
}

impl Role {
    fn not_nan(self) -> Option<Self> {
        match self {
            Self::Bucket(bound) if bound.is_nan() => None,
            other => Some(other),
        }
    }
}

impl Parts {
    fn build(mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|later, first| later.0 == first.0);
        let highest = self.buckets.last().map(|(_, count)| *count);
        let count = self.count.or(highest).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut counts = Vec::with_capacity(self.buckets.len());
        for (bound, cumulative) in &self.buckets {
            if cumulative.is_nan() || *cumulative < before {
                return Err(format!("bucket {bound} counts {cumulative}, less than {before} below it"));
            }
            counts.push(cumulative - before);
            before = *cumulative;
        }
        if before != count {
            return Err(format!("count {count} differs from {before} in the last bucket"));
        }
        let mut histogram = Histogram {
            schema: SCHEMA_CUSTOM_BUCKETS,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values: self.buckets.iter().map(|(b, _)| *b).filter(|b| *b != f64::INFINITY).collect(),
            ..Histogram::default()
        };
        histogram.compact();
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_block;
    use super::*;

    #[test]
    fn a_classic_histogram_becomes_a_native_one() {
        let block = "h_bucket{le=\"1\"} 2\nh_bucket{le=\"5\"} 2\nh_bucket{le=\"+Inf\"} 7\nh_sum 21\nh_count 7\nother 1";
        let native = native_from_classic(&parse_block(1000, block).unwrap()).unwrap();
        assert_eq!(native.len(), 1);
        assert_eq!(native[0].0.to_string(), "h");
        let histogram = &native[0].1.histograms[0].1;
        histogram.validate().unwrap();
        assert_eq!((histogram.count, histogram.sum), (7.0, 21.0));
        assert_eq!(histogram.custom_values, [1.0, 5.0]);
        assert_eq!(histogram.positive().collect::<Vec<_>>(), [(0, 2.0), (2, 5.0)]);
    }

    #[test]
    fn counts_that_shrink_are_refused() {
        let block = "h_bucket{le=\"1\"} 2\nh_bucket{le=\"5\"} 1";
        assert!(native_from_classic(&parse_block(1000, block).unwrap()).is_err());
    }
}
