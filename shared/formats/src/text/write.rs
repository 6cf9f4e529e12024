//! Writes OpenMetrics 1.0, for exports: every sample with its own timestamp.

use weir_model::{Labels, LabelsRef, METRIC_NAME, MetricKind, Samples, Temporality, is_stale_nan};

/// A series that OpenMetrics has no form for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{labels} {what}, which OpenMetrics cannot carry: export it as jsonl, csv or parquet, or select other series"
)]
pub struct NotInText {
    /// The series.
    pub labels: Labels,
    /// What of it has no form.
    pub what: &'static str,
}

/// Writes series in the order of their names, so that each family stands in one place.
///
/// Gauges, and counters whose name ends in `_total`, keep their type; all else is `unknown`, since a family
/// of histogram or summary would have to be complete. Staleness markers have no form and are left out.
#[derive(Debug, Default)]
pub struct Writer {
    family: Option<String>,
    line: Vec<u8>,
}

impl Writer {
    /// Appends a series.
    ///
    /// # Errors
    /// [`NotInText`] for deltas, native histograms and sets; nothing of the series is written then.
    pub fn series(
        &mut self,
        out: &mut Vec<u8>,
        labels: LabelsRef<'_>,
        kind: MetricKind,
        temporality: Temporality,
        samples: &Samples,
    ) -> Result<(), NotInText> {
        let what = match () {
            () if temporality == Temporality::Delta => "holds changes instead of totals",
            () if !samples.histograms.is_empty() => "holds native histograms",
            () if !samples.sets.is_empty() => "holds sets of unique members",
            () => "",
        };
        if !what.is_empty() {
            return Err(NotInText { labels: labels.to_labels(), what });
        }
        let name = labels.metric_name();
        let (family, kind) = match (name.strip_suffix("_total"), kind) {
            (Some(family), MetricKind::Counter) => (family, "counter"),
            (_, MetricKind::Gauge) => (name, "gauge"),
            _ => (name, "unknown"),
        };
        if self.family.as_deref() != Some(family) {
            out.extend_from_slice(b"# TYPE ");
            if is_legacy(family) {
                out.extend_from_slice(family.as_bytes());
            } else {
                quoted(out, family);
            }
            out.push(b' ');
            out.extend_from_slice(kind.as_bytes());
            out.push(b'\n');
            self.family = Some(family.to_owned());
        }
        self.head(labels);
        for (at, value) in samples.timestamps.iter().zip(&samples.values) {
            if is_stale_nan(*value) {
                continue;
            }
            out.extend_from_slice(&self.line);
            let value = match *value {
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                value => value.to_string(),
            };
            let (sign, size) = (if *at < 0 { "-" } else { "" }, at.unsigned_abs());
            let line = format!(" {value} {sign}{}.{:03}\n", size / 1000, size % 1000);
            out.extend_from_slice(line.as_bytes());
        }
        Ok(())
    }

    /// Appends the end of the page.
    pub fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"# EOF\n");
    }

    /// Name and labels of a line.
    fn head(&mut self, labels: LabelsRef<'_>) {
        let name = labels.metric_name();
        self.line.clear();
        let mut parts = 0;
        if is_legacy(name) {
            self.line.extend_from_slice(name.as_bytes());
        } else if !name.is_empty() {
            self.line.push(b'{');
            quoted(&mut self.line, name);
            parts += 1;
        }
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            self.line.push(if parts == 0 { b'{' } else { b',' });
            if is_legacy(name) && !name.contains(':') {
                self.line.extend_from_slice(name.as_bytes());
            } else {
                quoted(&mut self.line, name);
            }
            self.line.push(b'=');
            quoted(&mut self.line, value);
            parts += 1;
        }
        if parts > 0 {
            self.line.push(b'}');
        }
    }
}

/// True for a name that needs no quotes.
fn is_legacy(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':'))
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
