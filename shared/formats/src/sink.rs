//! Where every parser puts what it found: the batch behind the checks that all formats share.

use std::fmt;

use weir_model::{
    Exemplar, FloatSample, Histogram, HistogramSample, Labels, LabelsRef, Metadata, MetricKind, SetSample,
    Temporality, UniqueSet,
};

use crate::canonical;
use crate::json::EventMapping;
use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};

/// Collects a request under its limits.
pub(crate) struct Sink<'l> {
    pub(crate) parsed: Parsed,
    pub(crate) limits: &'l Limits,
    /// Time of arrival, milliseconds since the Unix epoch.
    pub(crate) now_ms: i64,
    latest_ms: i64,
    /// Canonical labels of the series at hand; memory that all series share.
    labels: Vec<u8>,
    /// What events become, beyond the rule for all of them.
    pub(crate) events: Option<&'l EventMapping>,
    /// Put before each place; set while a document inside a document is read.
    scope: String,
}

impl<'l> Sink<'l> {
    pub(crate) fn new(now_ms: i64, limits: &'l Limits) -> Self {
        let latest_ms = limits.future_ms.map_or(Limits::MAX_TIMESTAMP_MS, |future| {
            now_ms.saturating_add(future).min(Limits::MAX_TIMESTAMP_MS)
        });
        Self {
            parsed: Parsed::default(),
            limits,
            now_ms,
            latest_ms,
            labels: Vec::with_capacity(1024),
            events: None,
            scope: String::new(),
        }
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

    /// Makes room for as many series and bytes of labels as a body of its size usually brings.
    pub(crate) fn reserve(&mut self, series: usize, label_bytes: usize) {
        let (series, label_bytes) =
            (series.min(self.limits.samples), label_bytes.min(self.limits.label_bytes));
        self.parsed.batch.reserve(series, label_bytes);
    }

    /// Checks label pairs, in any order, and adds them as a series.
    #[inline]
    pub(crate) fn series<'b>(
        &mut self,
        pairs: impl Iterator<Item = (&'b str, &'b str)> + Clone,
        kind: MetricKind,
        temporality: Temporality,
    ) -> Result<u32, Problem> {
        canonical::write(pairs, &mut self.labels, self.limits)?;
        let labels = LabelsRef::from_canonical(&self.labels);
        Ok(self.parsed.batch.push_series(labels, kind, temporality))
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
        let (most, most_bytes) = (self.limits.labels, self.limits.value_bytes);
        if pairs.len() > most || bytes > most_bytes || pairs.iter().any(|(n, _)| n.is_empty()) {
            return Err(Problem::new(
                RejectKind::Labels,
                format!(
                    "an exemplar has at most {most} labels of {most_bytes} bytes together, and no empty name"
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
        if self.parsed.rejections.total > limits.samples as u64 {
            return Err(self.mostly_wrong());
        }
        if batch.label_bytes() > limits.label_bytes {
            return Err(FormatError::too_large(format!(
                "the labels of the request take more than {} bytes: send it in pieces",
                limits.label_bytes
            )));
        }
        Ok(())
    }

    /// The refusal of a body that is no metrics at all: reading on would only cost time.
    #[cold]
    fn mostly_wrong(&self) -> FormatError {
        let first = self.parsed.rejections.first.first().map(ToString::to_string).unwrap_or_default();
        FormatError::bad(
            None,
            format!("more than {} entries are wrong; the first at {first}", self.limits.samples),
        )
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
