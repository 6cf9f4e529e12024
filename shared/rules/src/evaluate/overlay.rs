//! Storage with the samples on top that rules have just given and that have not arrived in it yet.

use std::collections::BTreeMap;

use async_trait::async_trait;
use weir_model::{Labels, METRIC_NAME, MatchOp, MetricKind, Samples, Temporality};
use weir_promql::{
    SampleValue, SelectRequest, SelectedSeries, SeriesReader, SeriesSet, Storage, StorageError,
};

use super::RuleSample;

/// Fresh samples over a storage; where both have one for a time, the fresh one counts.
pub struct Overlay<'a> {
    below: &'a dyn Storage,
    /// By metric name, then by labels: most selectors name their metric.
    fresh: BTreeMap<String, BTreeMap<Labels, Samples>>,
}

impl<'a> Overlay<'a> {
    /// Nothing but the storage below.
    #[must_use]
    pub fn new(below: &'a dyn Storage) -> Self {
        Self { below, fresh: BTreeMap::new() }
    }

    /// Adds samples; of two of one series and time the later one counts.
    pub fn push(&mut self, samples: &[RuleSample]) {
        for sample in samples {
            let metric = self.fresh.entry(sample.labels.metric_name().to_owned()).or_default();
            let into = metric.entry(sample.labels.clone()).or_default();
            let mut one = Samples::default();
            match &sample.value {
                SampleValue::Float(value) => {
                    one.timestamps.push(sample.timestamp_ms);
                    one.values.push(*value);
                }
                SampleValue::Histogram(h) => one.histograms.push((sample.timestamp_ms, h.clone())),
            }
            let newest = into.timestamps.last().copied().max(into.histograms.last().map(|(at, _)| *at));
            if newest.is_none_or(|newest| newest < sample.timestamp_ms) {
                into.timestamps.append(&mut one.timestamps);
                into.values.append(&mut one.values);
                into.histograms.append(&mut one.histograms);
            } else {
                add(into, &one);
            }
        }
    }

    fn matching(&self, request: &SelectRequest) -> Vec<(Labels, Samples)> {
        let by_name = request.matchers.iter().find(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal);
        let metrics: Vec<_> = match by_name {
            Some(matcher) => self.fresh.get(matcher.value()).into_iter().collect(),
            None => self.fresh.values().collect(),
        };
        let wanted =
            |labels: &Labels| request.matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")));
        let mut found: Vec<(Labels, Samples)> = metrics
            .into_iter()
            .flatten()
            .filter(|(labels, _)| wanted(labels))
            .map(|(labels, samples)| (labels.clone(), within(samples, request.start_ms, request.end_ms)))
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

fn within(samples: &Samples, start_ms: i64, end_ms: i64) -> Samples {
    let inside = |at: i64| (start_ms..=end_ms).contains(&at);
    let floats = samples.timestamps.iter().zip(&samples.values).filter(|(at, _)| inside(**at));
    let (timestamps, values) = floats.map(|(at, value)| (*at, *value)).unzip();
    let histograms = samples.histograms.iter().filter(|(at, _)| inside(*at)).cloned().collect();
    Samples { timestamps, values, histograms, ..Samples::default() }
}

#[async_trait]
impl Storage for Overlay<'_> {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, StorageError> {
        let fresh = self.matching(request);
        if fresh.is_empty() {
            return self.below.select(request).await;
        }
        // Fresh samples join samples.
        let below = self.below.select(&SelectRequest { instead: None, ..request.clone() }).await?;
        let merged = Merged::new(below, fresh);
        if merged.series.len() > request.max_series {
            let (found, most) = (merged.series.len(), request.max_series);
            return Err(StorageError::Limit(format!("selector matches {found} series, at most {most}")));
        }
        Ok(Box::new(merged))
    }
}

struct Merged {
    below: Box<dyn SeriesSet>,
    fresh: Vec<(Labels, Samples)>,
    series: Vec<SelectedSeries>,
    /// For each series its place below and among the fresh ones.
    places: Vec<(Option<usize>, Option<usize>)>,
}

impl Merged {
    fn new(below: Box<dyn SeriesSet>, fresh: Vec<(Labels, Samples)>) -> Self {
        let mut merged = Self { below, fresh, series: Vec::new(), places: Vec::new() };
        let mut next = 0;
        for (place, series) in merged.below.series().iter().enumerate() {
            while let Some((labels, _)) = merged.fresh.get(next).filter(|(labels, _)| *labels < series.labels)
            {
                merged.series.push(about(labels));
                merged.places.push((None, Some(next)));
                next += 1;
            }
            // Rules write states, so a delta series of the same labels stays apart.
            let same = merged.fresh.get(next).is_some_and(|(labels, _)| *labels == series.labels)
                && series.temporality == Temporality::Cumulative;
            merged.series.push(series.clone());
            merged.places.push((Some(place), same.then_some(next)));
            next += usize::from(same);
        }
        for (place, (labels, _)) in merged.fresh.iter().enumerate().skip(next) {
            merged.series.push(about(labels));
            merged.places.push((None, Some(place)));
        }
        merged
    }
}

fn about(labels: &Labels) -> SelectedSeries {
    SelectedSeries { labels: labels.clone(), kind: MetricKind::Gauge, temporality: Temporality::Cumulative }
}

impl SeriesSet for Merged {
    fn series(&self) -> &[SelectedSeries] {
        &self.series
    }

    fn reader(&self) -> Box<dyn SeriesReader + '_> {
        Box::new(Reader { merged: self, below: self.below.reader() })
    }
}

struct Reader<'m> {
    merged: &'m Merged,
    below: Box<dyn SeriesReader + 'm>,
}

impl SeriesReader for Reader<'_> {
    fn read(&mut self, index: usize, into: &mut Samples) -> Result<(), StorageError> {
        into.clear();
        let (below, fresh) = self.merged.places.get(index).copied().unwrap_or_default();
        if let Some(place) = below {
            self.below.read(place, into)?;
        }
        if let Some((_, fresh)) = fresh.and_then(|place| self.merged.fresh.get(place)) {
            add(into, fresh);
        }
        Ok(())
    }
}

/// Adds fresh samples, which go before those of the same time.
fn add(into: &mut Samples, fresh: &Samples) {
    let floats = into.timestamps.iter().copied().zip(into.values.iter().copied());
    let mut floats: BTreeMap<i64, f64> = floats.collect();
    let mut histograms: BTreeMap<i64, _> = into.histograms.drain(..).collect();
    for (at, value) in fresh.timestamps.iter().zip(&fresh.values) {
        histograms.remove(at);
        floats.insert(*at, *value);
    }
    for (at, histogram) in &fresh.histograms {
        floats.remove(at);
        histograms.insert(*at, histogram.clone());
    }
    (into.timestamps, into.values) = floats.into_iter().unzip();
    into.histograms = histograms.into_iter().collect();
}
