//! Remote-write bodies out, for tests and load generators.

use std::collections::HashMap;

use weir_model::{CounterResetHint, Histogram, Metadata, MetricKind, Span};

/// Names and values of labels, in the order to send them.
pub type Pairs = Vec<(String, String)>;

/// One time series to encode; labels go out in the order given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimeSeries {
    /// Names and values, `__name__` included.
    pub labels: Pairs,
    /// Timestamps in milliseconds, and values.
    pub samples: Vec<(i64, f64)>,
    /// Timestamps in milliseconds, and histograms.
    pub histograms: Vec<(i64, Histogram)>,
    /// Timestamps in milliseconds, values and labels.
    pub exemplars: Vec<(i64, f64, Pairs)>,
    /// Type, help and unit; 2.0 only.
    pub kind: MetricKind,
    /// Help text; 2.0 only.
    pub help: String,
    /// Unit; 2.0 only.
    pub unit: String,
}

/// Appends a LEB128 varint.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    crate::canonical::put_varint(out, value);
}

fn put_tag(out: &mut Vec<u8>, field: u32, wire: u8) {
    put_varint(out, u64::from(field << 3) | u64::from(wire));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_tag(out, field, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_int(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        put_tag(out, field, 0);
        put_varint(out, value);
    }
}

fn put_sint(out: &mut Vec<u8>, field: u32, value: i64) {
    put_int(out, field, zigzag(value));
}

pub(crate) fn put_double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        put_tag(out, field, 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// A `prometheus.WriteRequest`.
#[must_use]
pub fn v1(series: &[TimeSeries], metadata: &[Metadata]) -> Vec<u8> {
    let mut out = Vec::new();
    for one in series {
        let mut message = Vec::new();
        put_labels(&mut message, &one.labels);
        for (timestamp_ms, value) in &one.samples {
            put_bytes(&mut message, 2, &sample(*timestamp_ms, *value));
        }
        for (timestamp_ms, value, labels) in &one.exemplars {
            let mut exemplar = Vec::new();
            put_labels(&mut exemplar, labels);
            put_double(&mut exemplar, 2, *value);
            put_int(&mut exemplar, 3, *timestamp_ms as u64);
            put_bytes(&mut message, 3, &exemplar);
        }
        for (timestamp_ms, histogram) in &one.histograms {
            put_bytes(&mut message, 4, &encode_histogram(*timestamp_ms, histogram));
        }
        put_bytes(&mut out, 1, &message);
    }
    for entry in metadata {
        let mut message = Vec::new();
        put_int(&mut message, 1, entry.kind as u64);
        put_bytes(&mut message, 2, entry.family.as_bytes());
        put_bytes(&mut message, 4, entry.help.as_bytes());
        put_bytes(&mut message, 5, entry.unit.as_bytes());
        put_bytes(&mut out, 3, &message);
    }
    out
}

/// An `io.prometheus.write.v2.Request`.
#[must_use]
pub fn v2(series: &[TimeSeries]) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.reference("");
    let mut body = Vec::new();
    for one in series {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, &symbols.references(&one.labels));
        for (timestamp_ms, value) in &one.samples {
            put_bytes(&mut message, 2, &sample(*timestamp_ms, *value));
        }
        for (timestamp_ms, histogram) in &one.histograms {
            put_bytes(&mut message, 3, &encode_histogram(*timestamp_ms, histogram));
        }
        for (timestamp_ms, value, labels) in &one.exemplars {
            let mut exemplar = Vec::new();
            put_bytes(&mut exemplar, 1, &symbols.references(labels));
            put_double(&mut exemplar, 2, *value);
            put_int(&mut exemplar, 3, *timestamp_ms as u64);
            put_bytes(&mut message, 4, &exemplar);
        }
        let mut metadata = Vec::new();
        put_int(&mut metadata, 1, one.kind as u64);
        put_int(&mut metadata, 3, symbols.reference(&one.help));
        put_int(&mut metadata, 4, symbols.reference(&one.unit));
        put_bytes(&mut message, 5, &metadata);
        put_bytes(&mut body, 5, &message);
    }
    let mut out = Vec::new();
    symbols.texts.iter().for_each(|text| put_bytes(&mut out, 4, text.as_bytes()));
    out.extend_from_slice(&body);
    out
}

#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    places: HashMap<String, u64>,
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u64;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }

    fn references(&mut self, labels: &[(String, String)]) -> Vec<u8> {
        let mut refs = Vec::new();
        for (name, value) in labels {
            put_varint(&mut refs, self.reference(name));
            put_varint(&mut refs, self.reference(value));
        }
        refs
    }
}

fn put_labels(out: &mut Vec<u8>, labels: &[(String, String)]) {
    for (name, value) in labels {
        let mut label = Vec::new();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(out, 1, &label);
    }
}

pub(crate) fn sample(timestamp_ms: i64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    put_double(&mut out, 1, value);
    put_int(&mut out, 2, timestamp_ms as u64);
    out
}

/// A `Histogram` message: with integers when every count is a whole number, else with floats.
pub(crate) fn encode_histogram(timestamp_ms: i64, histogram: &Histogram) -> Vec<u8> {
    let all = [histogram.count, histogram.zero_count];
    let mut counts = all.iter().chain(&histogram.positive_buckets).chain(&histogram.negative_buckets);
    // 2^53: beyond it a float no longer holds every whole number.
    let whole = counts.all(|count| count.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(count));
    let mut out = Vec::new();
    if whole {
        put_int(&mut out, 1, histogram.count as u64);
        put_int(&mut out, 6, histogram.zero_count as u64);
    } else {
        put_double(&mut out, 2, histogram.count);
        put_double(&mut out, 7, histogram.zero_count);
    }
    put_double(&mut out, 3, histogram.sum);
    put_sint(&mut out, 4, i64::from(histogram.schema));
    put_double(&mut out, 5, histogram.zero_threshold);
    put_side(&mut out, 8, &histogram.negative_spans, &histogram.negative_buckets, whole);
    put_side(&mut out, 11, &histogram.positive_spans, &histogram.positive_buckets, whole);
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    put_int(&mut out, 14, hint);
    put_int(&mut out, 15, timestamp_ms as u64);
    put_doubles(&mut out, 16, &histogram.custom_values);
    out
}

fn put_side(out: &mut Vec<u8>, first_field: u32, spans: &[Span], counts: &[f64], whole: bool) {
    for span in spans {
        let mut message = Vec::new();
        put_sint(&mut message, 1, i64::from(span.offset));
        put_int(&mut message, 2, u64::from(span.length));
        put_bytes(out, first_field, &message);
    }
    if !whole {
        put_doubles(out, first_field + 2, counts);
    } else if !counts.is_empty() {
        let mut deltas = Vec::new();
        let mut previous = 0;
        for count in counts {
            put_varint(&mut deltas, zigzag(*count as i64 - previous));
            previous = *count as i64;
        }
        put_bytes(out, first_field + 1, &deltas);
    }
}

fn put_doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if !values.is_empty() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        put_bytes(out, field, &bytes);
    }
}
