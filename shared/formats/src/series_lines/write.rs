//! Writes lines of series.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_model::{LabelsRef, MetricKind, Samples, Temporality, UniqueSet};

use super::number::word;
use super::{HistogramForm, Number};

/// Appends a series and its samples as one line; nothing for a series without samples.
pub fn write(
    out: &mut Vec<u8>,
    labels: LabelsRef<'_>,
    kind: MetricKind,
    temporality: Temporality,
    samples: &Samples,
) {
    if samples.is_empty() {
        return;
    }
    out.extend_from_slice(b"{\"metric\":{");
    list(out, labels.iter(), |out, (name, value)| {
        json(out, name);
        out.push(b':');
        json(out, value);
    });
    out.push(b'}');
    if kind != MetricKind::Unknown {
        out.extend_from_slice(b",\"type\":");
        json(out, kind.name());
    }
    if temporality == Temporality::Delta {
        out.extend_from_slice(b",\"temporality\":\"delta\"");
    }
    if !samples.values.is_empty() {
        out.extend_from_slice(b",\"values\":[");
        list(out, samples.values.iter(), |out, value| number(out, *value));
        out.extend_from_slice(b"],\"timestamps\":[");
        list(out, samples.timestamps.iter(), json);
        out.push(b']');
    }
    if !samples.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":[");
        list(out, samples.histograms.iter(), |out, (at, histogram)| {
            out.extend_from_slice(b"{\"timestamp\":");
            json(out, at);
            out.extend_from_slice(b",\"histogram\":");
            json(out, &HistogramForm::from(&**histogram));
            out.push(b'}');
        });
        out.push(b']');
    }
    if !samples.sets.is_empty() {
        out.extend_from_slice(b",\"sets\":[");
        list(out, samples.sets.iter(), |out, (at, set)| {
            out.extend_from_slice(b"{\"timestamp\":");
            json(out, at);
            out.extend_from_slice(b",\"set\":");
            json(out, &pack(set));
            out.push(b'}');
        });
        out.push(b']');
    }
    out.extend_from_slice(b"}\n");
}

/// A set as text.
pub(crate) fn pack(set: &UniqueSet) -> String {
    STANDARD.encode(set.to_bytes())
}

/// A float: whole ones without a fraction, which takes less room and less time.
fn number(out: &mut Vec<u8>, value: f64) {
    // 2^53: every whole float below is a whole number to JSON readers, too. Negative zero is none.
    let whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    if whole && !(value == 0.0 && value.is_sign_negative()) {
        json(out, &(value as i64));
    } else if word(value).is_some() {
        json(out, &Number(value));
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

fn json(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put(out, item);
    }
}
