//! A native histogram as a JSON object, field by field.

use serde::{Deserialize, Serialize};
use weir_model::{CounterResetHint, Histogram, Span};

use super::number::Number;

/// The fields of [`Histogram`]; spans are pairs of offset and length, counts are absolute.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HistogramForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    counter_reset_hint: Option<Hint>,
    schema: i32,
    count: Number,
    sum: Number,
    zero_threshold: Number,
    zero_count: Number,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    positive_spans: Vec<(i32, u32)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    positive_buckets: Vec<Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    negative_spans: Vec<(i32, u32)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    negative_buckets: Vec<Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    custom_values: Vec<Number>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hint {
    Reset,
    NotReset,
    Gauge,
}

impl From<&Histogram> for HistogramForm {
    fn from(histogram: &Histogram) -> Self {
        let spans = |spans: &[Span]| spans.iter().map(|span| (span.offset, span.length)).collect();
        let numbers = |values: &[f64]| values.iter().copied().map(Number).collect();
        Self {
            counter_reset_hint: match histogram.counter_reset_hint {
                CounterResetHint::Unknown => None,
                CounterResetHint::Reset => Some(Hint::Reset),
                CounterResetHint::NotReset => Some(Hint::NotReset),
                CounterResetHint::Gauge => Some(Hint::Gauge),
            },
            schema: histogram.schema,
            count: Number(histogram.count),
            sum: Number(histogram.sum),
            zero_threshold: Number(histogram.zero_threshold),
            zero_count: Number(histogram.zero_count),
            positive_spans: spans(&histogram.positive_spans),
            positive_buckets: numbers(&histogram.positive_buckets),
            negative_spans: spans(&histogram.negative_spans),
            negative_buckets: numbers(&histogram.negative_buckets),
            custom_values: numbers(&histogram.custom_values),
        }
    }
}

impl From<HistogramForm> for Histogram {
    fn from(form: HistogramForm) -> Self {
        let spans = |spans: Vec<(i32, u32)>| {
            spans.into_iter().map(|(offset, length)| Span { offset, length }).collect()
        };
        let numbers = |values: Vec<Number>| values.into_iter().map(|number| number.0).collect();
        Self {
            counter_reset_hint: match form.counter_reset_hint {
                None => CounterResetHint::Unknown,
                Some(Hint::Reset) => CounterResetHint::Reset,
                Some(Hint::NotReset) => CounterResetHint::NotReset,
                Some(Hint::Gauge) => CounterResetHint::Gauge,
            },
            schema: form.schema,
            zero_threshold: form.zero_threshold.0,
            zero_count: form.zero_count.0,
            count: form.count.0,
            sum: form.sum.0,
            positive_spans: spans(form.positive_spans),
            positive_buckets: numbers(form.positive_buckets),
            negative_spans: spans(form.negative_spans),
            negative_buckets: numbers(form.negative_buckets),
            custom_values: numbers(form.custom_values),
        }
    }
}
