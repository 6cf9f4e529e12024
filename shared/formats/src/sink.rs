//! Where every parser puts what it found: the batch behind the checks that all formats share.

use std::fmt;

use weir_model::{
    Exemplar, FloatSample, Histogram, HistogramSample, Labels, LabelsRef, METRIC_NAME, Metadata, MetricKind,
    SetSample, Temporality, UniqueSet,
};

use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};

/// Collects a request under its limits.
pub(crate) struct Sink<'l> {
    pub(crate) parsed: Parsed,
    pub(crate) limits: &'l Limits,
    /// Time of arrival, milliseconds since the Unix epoch.
    pub(crate) now_ms: i64,
    latest_ms: i64,
    /// Put before each place; set while a document inside a document is read.
    scope: String,
}

impl<'l> Sink<'l> {
    pub(crate) fn new(now_ms: i64, limits: &'l Limits) -> Self {
        let latest_ms = limits.future_ms.map_or(Limits::MAX_TIMESTAMP_MS, |future| {
            now_ms.saturating_add(future).min(Limits::MAX_TIMESTAMP_MS)
        });
        Self { parsed: Parsed::default(), limits, now_ms, latest_ms, scope: String::new() }
    }

    /// Sets what stands before each place and returns what stood there before.
    pub(crate) fn enter(&mut self, scope: String) -> String {
        std::mem::replace(&mut self.scope, scope)
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Refuses one entry that holds `samples` samples.
    pub(crate) fn reject(&mut self, samples: u64, place: impl fmt::Display, problem: Problem) {
        let scope = &self.scope;
        self.parsed.rejections.add(samples, problem.kind, || (format!("{scope}{place}"), problem.reason));
    }

    /// Checks `pairs` (which it sorts) and adds them as a series.
    pub(crate) fn series(
        &mut self,
        pairs: &mut [(&str, &str)],
        kind: MetricKind,
        temporality: Temporality,
    ) -> Result<u32, Problem> {
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
            if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
                return Err(Problem::new(
                    RejectKind::Labels,
                    format!("label {} stands twice", quote(twice[0].0)),
                ));
            }
        }
        self.check_labels(pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())), pairs.len())?;
        Ok(self.parsed.batch.push_series_pairs(pairs, kind, temporality))
    }

    /// Checks label pairs that are sorted and unique already against names, bounds and the metric's name.
    pub(crate) fn check_labels<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        len: usize,
    ) -> Result<(), Problem> {
        if len > self.limits.labels {
            return Err(Problem::new(
                RejectKind::Labels,
                format!("{len} labels, at most {}", self.limits.labels),
            ));
        }
        let mut named = false;
        for (name, value) in pairs {
            if name.is_empty() || name.len() > self.limits.name_bytes || value.len() > self.limits.value_bytes
            {
                return Err(self.label_problem(name, value));
            }
            named |= name == METRIC_NAME.as_bytes() && !value.is_empty();
            if name == METRIC_NAME.as_bytes() && value.len() > self.limits.name_bytes {
                return Err(self.label_problem(value, &[]));
            }
        }
        if named { Ok(()) } else { Err(Problem::new(RejectKind::Labels, "the series has no metric name")) }
    }

    #[cold]
    fn label_problem(&self, name: &[u8], value: &[u8]) -> Problem {
        let text = String::from_utf8_lossy(name);
        let reason = if name.is_empty() {
            "a label has an empty name".to_owned()
        } else if name.len() > self.limits.name_bytes {
            format!("name {} is longer than {} bytes", quote(&text), self.limits.name_bytes)
        } else {
            format!(
                "the value of label {} has {} bytes, at most {}",
                quote(&text),
                value.len(),
                self.limits.value_bytes
            )
        };
        Problem::new(RejectKind::Labels, reason)
    }

    /// Checks a timestamp against the bounds of all requests and of this one.
    #[inline]
    pub(crate) fn check_time(&self, timestamp_ms: i64) -> Result<(), Problem> {
        if (Limits::MIN_TIMESTAMP_MS..=self.latest_ms).contains(&timestamp_ms) {
            return Ok(());
        }
        Err(self.time_problem(timestamp_ms))
    }

    #[cold]
    fn time_problem(&self, timestamp_ms: i64) -> Problem {
        let reason = match self.limits.future_ms {
            Some(future) if timestamp_ms > self.now_ms => {
                format!(
                    "timestamp {timestamp_ms} lies more than {future} ms after its arrival at {}",
                    self.now_ms
                )
            }
            _ => format!("timestamp {timestamp_ms} ms lies outside the years 1 to 9999"),
        };
        Problem::new(RejectKind::Timestamp, reason)
    }

    #[inline]
    pub(crate) fn float(&mut self, series: u32, timestamp_ms: i64, value: f64) -> Result<(), Problem> {
        self.check_time(timestamp_ms)?;
        self.parsed.batch.floats.push(FloatSample { series, timestamp_ms, value });
        self.parsed.accepted.samples += 1;
        Ok(())
    }

    /// Adds a float that arrived as a change, which may or may not have had a timestamp of its own.
    pub(crate) fn delta(&mut self, series: u32, own_ms: Option<i64>, value: f64) -> Result<(), Problem> {
        self.float(series, own_ms.unwrap_or(self.now_ms), value)?;
        self.parsed.own_timestamps &= own_ms.is_some();
        Ok(())
    }

    /// Adds a native histogram; the caller counts it as accepted in its own units.
    pub(crate) fn histogram(
        &mut self,
        series: u32,
        timestamp_ms: i64,
        histogram: Histogram,
    ) -> Result<(), Problem> {
        self.check_time(timestamp_ms)?;
        histogram.validate().map_err(|error| Problem::new(RejectKind::Histogram, error.to_string()))?;
        self.parsed.batch.histograms.push(HistogramSample {
            series,
            timestamp_ms,
            histogram: histogram.into(),
        });
        Ok(())
    }

    /// Adds a set; the caller counts its members as accepted.
    pub(crate) fn set(&mut self, series: u32, timestamp_ms: i64, set: UniqueSet) -> Result<(), Problem> {
        self.check_time(timestamp_ms)?;
        self.parsed.batch.sets.push(SetSample { series, timestamp_ms, set: set.into() });
        Ok(())
    }

    /// Adds an exemplar with labels in any order.
    pub(crate) fn exemplar(
        &mut self,
        series: u32,
        timestamp_ms: i64,
        value: f64,
        pairs: &[(&str, &str)],
    ) -> Result<(), Problem> {
        self.check_time(timestamp_ms)?;
        let bytes: usize = pairs.iter().map(|(n, v)| n.len() + v.len()).sum();
        if bytes > self.limits.value_bytes || pairs.iter().any(|(n, _)| n.is_empty()) {
            return Err(Problem::new(
                RejectKind::Labels,
                format!(
                    "exemplar labels of {bytes} bytes, at most {} and no empty name",
                    self.limits.value_bytes
                ),
            ));
        }
        let labels = Labels::from_pairs(pairs.iter().copied());
        self.parsed.batch.exemplars.push(Exemplar { series, timestamp_ms, value, labels });
        self.parsed.accepted.exemplars += 1;
        Ok(())
    }

    pub(crate) fn metadata(&mut self, entry: Metadata) -> Result<(), Problem> {
        let limits = self.limits;
        if entry.family.is_empty() || entry.family.len() > limits.name_bytes {
            return Err(Problem::new(
                RejectKind::Labels,
                format!(
                    "metadata of family {}: a name has 1 to {} bytes",
                    quote(&entry.family),
                    limits.name_bytes
                ),
            ));
        }
        let longest = entry.help.len().max(entry.unit.len());
        if longest > limits.value_bytes {
            return Err(Problem::new(
                RejectKind::Labels,
                format!(
                    "metadata of {}: a text of {longest} bytes, at most {}",
                    quote(&entry.family),
                    limits.value_bytes
                ),
            ));
        }
        self.parsed.batch.metadata.push(entry);
        self.parsed.accepted.metadata += 1;
        Ok(())
    }

    /// Refuses the whole request once it passes a bound on all of it.
    #[inline]
    pub(crate) fn check_size(&self) -> Result<(), FormatError> {
        let (batch, limits) = (&self.parsed.batch, self.limits);
        let most = batch.sample_count().max(batch.series().len());
        if most.max(batch.exemplars.len()).max(batch.metadata.len()) > limits.samples {
            return Err(FormatError::too_large(format!(
                "the request holds more than {} samples: send it in pieces",
                limits.samples
            )));
        }
        if batch.label_bytes() > limits.label_bytes {
            return Err(FormatError::too_large(format!(
                "the labels of the request take more than {} bytes: send it in pieces",
                limits.label_bytes
            )));
        }
        Ok(())
    }

    /// Adds a series whose labels are canonical and checked already.
    #[inline]
    pub(crate) fn canonical_series(
        &mut self,
        labels: LabelsRef<'_>,
        kind: MetricKind,
        temporality: Temporality,
    ) -> u32 {
        self.parsed.batch.push_series(labels, kind, temporality)
    }
}
