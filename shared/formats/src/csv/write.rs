//! Writes CSV with a header.

use std::fmt::Write as _;

use weir_model::{LabelsRef, METRIC_NAME, MetricKind, Samples, Temporality, is_stale_nan};

use super::{LABEL_PREFIX, RESERVED};
use crate::series_lines::{self, HistogramForm};

/// Writes rows for a set of label names that is known from the start.
#[derive(Debug)]
pub struct Writer {
    labels: Vec<String>,
    /// A row as text, used again for each.
    line: Vec<u8>,
    field: String,
}

impl Writer {
    /// A writer whose columns are these labels; the metric's name has a column of its own.
    #[must_use]
    pub fn new<'a>(labels: impl Iterator<Item = &'a str>) -> Self {
        let mut labels: Vec<String> = labels.filter(|name| *name != METRIC_NAME).map(str::to_owned).collect();
        labels.sort_unstable();
        labels.dedup();
        Self { labels, line: Vec::new(), field: String::new() }
    }

    /// Appends the header.
    pub fn header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"metric");
        for name in &self.labels {
            out.push(b',');
            let trimmed = name.trim_start_matches('\u{feff}').trim();
            if RESERVED.contains(&trimmed) || trimmed.starts_with(LABEL_PREFIX) || trimmed != name {
                put(out, &format!("{LABEL_PREFIX}{name}"));
            } else {
                put(out, name);
            }
        }
        out.extend_from_slice(b",type,temporality,timestamp_ms,value,histogram,set\n");
    }

    /// Appends a series' samples, a row each. Timestamps are milliseconds since the Unix epoch.
    pub fn series(
        &mut self,
        out: &mut Vec<u8>,
        labels: LabelsRef<'_>,
        kind: MetricKind,
        temporality: Temporality,
        samples: &Samples,
    ) {
        self.line.clear();
        put(&mut self.line, labels.metric_name());
        for name in &self.labels {
            self.line.push(b',');
            put(&mut self.line, labels.get(name).unwrap_or_default());
        }
        self.line.push(b',');
        if kind != MetricKind::Unknown {
            put(&mut self.line, kind.name());
        }
        self.line.extend_from_slice(if temporality == Temporality::Delta { b",delta," } else { b",," });
        for (at, value) in samples.timestamps.iter().zip(&samples.values) {
            self.field.clear();
            // Writing to memory cannot fail.
            let _ = match *value {
                value if is_stale_nan(value) => write!(self.field, "StaleNaN"),
                f64::INFINITY => write!(self.field, "+Inf"),
                f64::NEG_INFINITY => write!(self.field, "-Inf"),
                value => write!(self.field, "{value}"),
            };
            self.row(out, *at, [true, false, false]);
        }
        for (at, histogram) in &samples.histograms {
            self.field = serde_json::to_string(&HistogramForm::from(&**histogram)).unwrap_or_default();
            self.row(out, *at, [false, true, false]);
        }
        for (at, set) in &samples.sets {
            self.field = series_lines::pack(set);
            self.row(out, *at, [false, false, true]);
        }
    }

    /// A row whose sample is `field`, in the one of the last three columns that is marked.
    fn row(&self, out: &mut Vec<u8>, at_ms: i64, place: [bool; 3]) {
        out.extend_from_slice(&self.line);
        out.extend_from_slice(at_ms.to_string().as_bytes());
        for here in place {
            out.push(b',');
            if here {
                put(out, &self.field);
            }
        }
        out.push(b'\n');
    }
}

/// A field, quoted where RFC 4180 wants it.
fn put(out: &mut Vec<u8>, field: &str) {
    if !field.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
