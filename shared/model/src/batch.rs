//! What one request brought: series and samples of one tenant, in flat columns without
//! an allocation per label.

use std::sync::Arc;

use crate::histogram::Histogram;
use crate::labels::{Labels, LabelsRef, put_label};
use crate::series::{MetricKind, SeriesId, Temporality};
use crate::set::UniqueSet;

/// One series of a batch; its labels lie in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSeries {
    /// Identity, hashed once when the series was added.
    pub id: SeriesId,
    /// Declared metric type.
    pub kind: MetricKind,
    /// Whether samples are states or changes.
    pub temporality: Temporality,
    labels_start: u32,
    labels_end: u32,
}

/// A float sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FloatSample {
    /// Place of the series in the batch.
    pub series: u32,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Any float; a staleness marker keeps its bits.
    pub value: f64,
}

/// A native histogram sample.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Place of the series in the batch.
    pub series: u32,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The distribution.
    pub histogram: Arc<Histogram>,
}

/// A set sample: members seen, of which only the distinct ones count.
#[derive(Debug, Clone, PartialEq)]
pub struct SetSample {
    /// Place of the series in the batch.
    pub series: u32,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The members.
    pub set: Arc<UniqueSet>,
}

/// An example behind a sample, with a label set of its own (a trace id, usually).
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Place of the series in the batch.
    pub series: u32,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The observed value.
    pub value: f64,
    /// The exemplar's own labels.
    pub labels: Labels,
}

/// What a sender declared about a metric family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the family, for histograms without `_bucket`, `_sum`, `_count`.
    pub family: String,
    /// Declared type.
    pub kind: MetricKind,
    /// Unit, or empty.
    pub unit: String,
    /// Help text, or empty.
    pub help: String,
}

/// Series and samples of one tenant as a request brought them.
///
/// A series may stand in it more than once (remote write sends one entry per sample); samples refer
/// to series by place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    label_bytes: Vec<u8>,
    series: Vec<BatchSeries>,
    /// Float samples in the order they came.
    pub floats: Vec<FloatSample>,
    /// Histogram samples in the order they came.
    pub histograms: Vec<HistogramSample>,
    /// Set samples in the order they came.
    pub sets: Vec<SetSample>,
    /// Exemplars in the order they came.
    pub exemplars: Vec<Exemplar>,
    /// Declarations about metric families.
    pub metadata: Vec<Metadata>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for `series` series with a float each, whose labels take `label_bytes` in all.
    pub fn reserve(&mut self, series: usize, label_bytes: usize) {
        self.label_bytes.reserve(label_bytes);
        self.series.reserve(series);
        self.floats.reserve(series);
    }

    /// Adds a series from canonical labels and returns its place.
    pub fn push_series(&mut self, labels: LabelsRef<'_>, kind: MetricKind, temporality: Temporality) -> u32 {
        let start = self.label_bytes.len();
        self.label_bytes.extend_from_slice(labels.as_bytes());
        self.close_series(start, kind, temporality)
    }

    /// Adds a series from label pairs and returns its place; the fast way for parsers.
    ///
    /// Pairs in ascending order of names are copied straight; others are sorted in place first. Pairs
    /// with an empty value are left out. The caller has refused repeated names (see
    /// [`Batch::repeated_name`], which needs the pairs sorted as this call leaves them).
    pub fn push_series_pairs(
        &mut self,
        pairs: &mut [(&str, &str)],
        kind: MetricKind,
        temporality: Temporality,
    ) -> u32 {
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_by(|a, b| a.0.cmp(b.0));
        }
        let start = self.label_bytes.len();
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            put_label(&mut self.label_bytes, name, value);
        }
        self.close_series(start, kind, temporality)
    }

    /// Sorts `pairs` by name and returns a name that stands in them twice, if any.
    pub fn repeated_name<'a>(pairs: &mut [(&'a str, &'a str)]) -> Option<&'a str> {
        if pairs.is_sorted_by(|a, b| a.0 < b.0) {
            return None;
        }
        pairs.sort_by(|a, b| a.0.cmp(b.0));
        pairs.windows(2).find(|w| w[0].0 == w[1].0).map(|w| w[0].0)
    }

    fn close_series(&mut self, start: usize, kind: MetricKind, temporality: Temporality) -> u32 {
        let id = SeriesId::of(LabelsRef::from_canonical(&self.label_bytes[start..]), temporality);
        let place = self.series.len() as u32;
        let labels_end = self.label_bytes.len() as u32;
        self.series.push(BatchSeries { id, kind, temporality, labels_start: start as u32, labels_end });
        place
    }

    /// The series in order of their places.
    #[must_use]
    pub fn series(&self) -> &[BatchSeries] {
        &self.series
    }

    /// Declares the metric type of the series at `place` anew, for formats that tell it after the labels.
    pub fn set_kind(&mut self, place: u32, kind: MetricKind) {
        if let Some(series) = self.series.get_mut(place as usize) {
            series.kind = kind;
        }
    }

    /// Takes back the series added last, for a parser that finds nothing to say about it.
    pub fn pop_series(&mut self) {
        if let Some(last) = self.series.pop() {
            self.label_bytes.truncate(last.labels_start as usize);
        }
    }

    /// Labels of one of this batch's series.
    #[must_use]
    pub fn labels(&self, series: &BatchSeries) -> LabelsRef<'_> {
        let range = series.labels_start as usize..series.labels_end as usize;
        LabelsRef::from_canonical(&self.label_bytes[range])
    }

    /// Labels of the series at `place`.
    ///
    /// # Panics
    /// When the batch has no such series; places come from this batch's own samples.
    #[must_use]
    pub fn labels_at(&self, place: u32) -> LabelsRef<'_> {
        self.labels(&self.series[place as usize])
    }

    /// Number of samples of all kinds (exemplars and metadata do not count).
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.floats.len() + self.histograms.len() + self.sets.len()
    }

    /// True when there is nothing worth a record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sample_count() == 0 && self.exemplars.is_empty() && self.metadata.is_empty()
    }

    /// Bytes that the labels take.
    #[must_use]
    pub fn label_bytes(&self) -> usize {
        self.label_bytes.len()
    }

    /// True when any series holds changes rather than states.
    #[must_use]
    pub fn has_delta_series(&self) -> bool {
        self.series.iter().any(|s| s.temporality == Temporality::Delta)
    }

    /// Appends everything of `other`.
    pub fn append(&mut self, other: &Self) {
        let label_shift = self.label_bytes.len() as u32;
        let shift = self.series.len() as u32;
        self.label_bytes.extend_from_slice(&other.label_bytes);
        self.series.extend(other.series.iter().map(|s| BatchSeries {
            labels_start: s.labels_start + label_shift,
            labels_end: s.labels_end + label_shift,
            ..*s
        }));
        self.floats.extend(other.floats.iter().map(|s| FloatSample { series: s.series + shift, ..*s }));
        self.histograms.extend(
            other.histograms.iter().map(|s| HistogramSample { series: s.series + shift, ..s.clone() }),
        );
        self.sets.extend(other.sets.iter().map(|s| SetSample { series: s.series + shift, ..s.clone() }));
        self.exemplars
            .extend(other.exemplars.iter().map(|s| Exemplar { series: s.series + shift, ..s.clone() }));
        self.metadata.extend(other.metadata.iter().cloned());
    }

    /// Cuts the batch in two of about as many series each; metadata stays in the first.
    ///
    /// A batch with a single series is cut by its samples.
    #[must_use]
    pub fn split(&self) -> (Self, Self) {
        let mut halves = [Self::new(), Self::new()];
        let by_series = self.series.len() > 1;
        let middle = self.series.len() / 2;
        let mut places = Vec::with_capacity(self.series.len());
        for (place, series) in self.series.iter().enumerate() {
            let side = usize::from(by_series && place >= middle);
            places
                .push((side, halves[side].push_series(self.labels(series), series.kind, series.temporality)));
            if !by_series {
                halves[1].push_series(self.labels(series), series.kind, series.temporality);
            }
        }
        let side_of = |series: u32, index: usize, len: usize| {
            let (side, place) = places[series as usize];
            (if by_series { side } else { usize::from(index * 2 >= len) }, place)
        };
        for (i, s) in self.floats.iter().enumerate() {
            let (side, series) = side_of(s.series, i, self.floats.len());
            halves[side].floats.push(FloatSample { series, ..*s });
        }
        for (i, s) in self.histograms.iter().enumerate() {
            let (side, series) = side_of(s.series, i, self.histograms.len());
            halves[side].histograms.push(HistogramSample { series, ..s.clone() });
        }
        for (i, s) in self.sets.iter().enumerate() {
            let (side, series) = side_of(s.series, i, self.sets.len());
            halves[side].sets.push(SetSample { series, ..s.clone() });
        }
        for (i, s) in self.exemplars.iter().enumerate() {
            let (side, series) = side_of(s.series, i, self.exemplars.len());
            halves[side].exemplars.push(Exemplar { series, ..s.clone() });
        }
        halves[0].metadata.clone_from(&self.metadata);
        let [first, second] = halves;
        (first, second)
    }
}
