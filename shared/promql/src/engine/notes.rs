//! Annotations: what may be wrong with an answer or worth knowing about it, in Prometheus' words.

use std::collections::BTreeMap;

use weir_model::ShortFloat;

use crate::ast::Position;

/// One kind of remark; equal ones are made once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    InvalidQuantile(Bits),
    InvalidRatio(Bits, Bits),
    BadBucketLabel { metric: String, label: String },
    MixedFloatsHistograms { metric: String },
    MixedFloatsHistogramsAggregation,
    MixedClassicNative { metric: String },
    NativeNotCounter { metric: String },
    NativeNotGauge { metric: String },
    MixedExponentialCustom { metric: String },
    IncompatibleBucketLayout { operator: &'static str },
    SortInRangeQuery,
    PossibleNonCounter { metric: String },
    ForcedMonotonicity { metric: String },
    IncompatibleTypes { left: &'static str, operator: &'static str, right: &'static str },
    HistogramIgnoredInAggregation { operator: &'static str },
    HistogramIgnoredInMixedRange { metric: String },
    QuantileNanResult { metric: String },
    QuantileNanSkew { metric: String },
    FractionNans { metric: String },
    CounterResetCollision { operation: &'static str },
    MismatchedCustomBuckets { operation: &'static str },
    StartOverlaps { metric: String },
    QuantileOfRollup { error: Bits },
}

/// The bits of a float, so that notes can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bits(u64);

impl From<f64> for Bits {
    fn from(x: f64) -> Self {
        Self(x.to_bits())
    }
}

impl Bits {
    fn text(self) -> String {
        ShortFloat(f64::from_bits(self.0)).to_string()
    }
}

/// How far classic buckets had to be corrected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forced {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    pub(crate) most: f64,
    pub(crate) samples: u64,
}

impl Forced {
    fn join(&mut self, other: Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.lowest = self.lowest.min(other.lowest);
        self.highest = self.highest.max(other.highest);
        self.most = self.most.max(other.most);
        self.samples += other.samples;
    }
}

#[derive(Debug, Clone)]
struct Detail {
    position: Position,
    forced: Option<Forced>,
}

/// The remarks made so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(BTreeMap<Note, Detail>);

impl Notes {
    /// Most distinct remarks kept; a query over many metrics could make one for each.
    const MAX: usize = 1_000;

    pub(crate) fn add(&mut self, note: Note, position: Position) {
        self.insert(note, Detail { position, forced: None });
    }

    pub(crate) fn add_forced(&mut self, metric: &str, position: Position, forced: Forced) {
        let note = Note::ForcedMonotonicity { metric: metric.to_owned() };
        self.insert(note, Detail { position, forced: Some(forced) });
    }

    fn insert(&mut self, note: Note, detail: Detail) {
        if let Some(known) = self.0.get_mut(&note) {
            if detail.position.start < known.position.start {
                known.position = detail.position;
            }
            if let (Some(known), Some(more)) = (&mut known.forced, detail.forced) {
                known.join(more);
            }
        } else if self.0.len() < Self::MAX {
            self.0.insert(note, detail);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(note, detail)| self.insert(note, detail));
    }

    /// Warnings and infos as Prometheus' API shows them, with places in `query`.
    pub(crate) fn texts(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (note, detail) in &self.0 {
            let (is_warning, text) = note.text();
            let kind = if is_warning { "warning" } else { "info" };
            let mut line = format!("PromQL {kind}: {text}");
            if !query.is_empty() {
                if let Some(forced) = detail.forced {
                    line.push_str(&forced_text(&forced));
                }
                line.push_str(&place(query, detail.position));
            }
            if is_warning { &mut warnings } else { &mut infos }.push(line);
        }
        (warnings, infos)
    }
}

impl Note {
    /// Whether it is a warning, and its words.
    fn text(&self) -> (bool, String) {
        let named = |text: &str, metric: &str| {
            if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {metric:?}") }
        };
        match self {
            Self::InvalidQuantile(q) => {
                (true, format!("quantile value should be between 0 and 1, got {}", q.text()))
            }
            Self::InvalidRatio(got, to) => {
                let (got, to) = (got.text(), to.text());
                (true, format!("ratio value should be between -1 and 1, got {got}, capping to {to}"))
            }
            Self::BadBucketLabel { metric, label } => {
                let text = format!("bucket label \"le\" is missing or has a malformed value of {label:?}");
                (true, named(&text, metric))
            }
            Self::MixedFloatsHistograms { metric } => {
                (true, format!("encountered a mix of histograms and floats for metric name {metric:?}"))
            }
            Self::MixedFloatsHistogramsAggregation => {
                (true, "encountered a mix of histograms and floats for aggregation".to_owned())
            }
            Self::MixedClassicNative { metric } => {
                (true, named("vector contains a mix of classic and native histograms", metric))
            }
            Self::NativeNotCounter { metric } => {
                (true, format!("this native histogram metric is not a counter: {metric:?}"))
            }
            Self::NativeNotGauge { metric } => {
                (true, format!("this native histogram metric is not a gauge: {metric:?}"))
            }
            Self::MixedExponentialCustom { metric } => (
                true,
                format!(
                    "vector contains a mix of histograms with exponential and custom buckets schemas for \
                     metric name {metric:?}"
                ),
            ),
            Self::IncompatibleBucketLayout { operator } => {
                (true, format!("incompatible bucket layout encountered for binary operator {operator}"))
            }
            Self::SortInRangeQuery => (
                true,
                "sort is ineffective for range queries since results are always ordered by labels".to_owned(),
            ),
            Self::PossibleNonCounter { metric } => (
                false,
                format!(
                    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
                ),
            ),
            Self::ForcedMonotonicity { metric } => (
                false,
                named(
                    "input to histogram_quantile needed to be fixed for monotonicity (see \
                     https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                    metric,
                ),
            ),
            Self::IncompatibleTypes { left, operator, right } => (
                false,
                format!(
                    "incompatible sample types encountered for binary operator {operator:?}: {left} {operator} {right}"
                ),
            ),
            Self::HistogramIgnoredInAggregation { operator } => {
                (false, format!("ignored histogram in {operator} aggregation"))
            }
            Self::HistogramIgnoredInMixedRange { metric } => (
                false,
                format!(
                    "ignored histograms in a range containing both floats and histograms for metric name {metric:?}"
                ),
            ),
            Self::QuantileNanResult { metric } => {
                (false, named("input to histogram_quantile has NaN observations, result is NaN", metric))
            }
            Self::QuantileNanSkew { metric } => (
                false,
                named("input to histogram_quantile has NaN observations, result is skewed higher", metric),
            ),
            Self::FractionNans { metric } => (
                false,
                named(
                    "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                    metric,
                ),
            ),
            Self::CounterResetCollision { operation } => {
                (true, format!("conflicting counter resets during histogram {operation}"))
            }
            Self::StartOverlaps { metric } => (
                true,
                format!(
                    "sample has start time that overlaps with previous sample timestamp for metric {metric:?}"
                ),
            ),
            Self::QuantileOfRollup { error } => (
                false,
                format!(
                    "quantiles are of distributions that rollups keep; the values they lie between may be off by {} %",
                    ShortFloat((f64::from_bits(error.0) * 1000.0).ceil() / 10.0)
                ),
            ),
            Self::MismatchedCustomBuckets { operation } => {
                (false, format!("mismatched custom buckets were reconciled during {operation}"))
            }
        }
    }
}

fn forced_text(forced: &Forced) -> String {
    format!(
        ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
        ShortFloat(forced.lowest),
        ShortFloat(forced.highest),
        two_digits(forced.most),
        forced.samples,
        weir_model::Moment::from_unix(forced.first_ms.div_euclid(1000)),
        weir_model::Moment::from_unix(forced.last_ms.div_euclid(1000)),
    )
}

/// A number rounded to two significant digits, in short form.
fn two_digits(x: f64) -> ShortFloat {
    ShortFloat(format!("{x:.1e}").parse().unwrap_or(x))
}

/// Line and column of a position, both from one, columns in bytes.
fn place(query: &str, position: Position) -> String {
    let Some(before) = query.as_bytes().get(..position.start as usize) else {
        return " (invalid position)".to_owned();
    };
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    format!(" ({line}:{column})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_remarks_are_made_once_with_their_first_place() {
        let mut notes = Notes::default();
        let at = |start| Position { start, end: start + 1 };
        notes.add(Note::InvalidQuantile(1.5.into()), at(12));
        notes.add(Note::InvalidQuantile(1.5.into()), at(9));
        let (warnings, infos) = notes.texts("quantile(\n1.5, x)");
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"]);
        assert!(infos.is_empty());
    }
}
