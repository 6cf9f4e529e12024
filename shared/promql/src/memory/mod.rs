//! A [`Storage`] in memory, for tests and small tools, filled by hand or in the notation of upstream's
//! test scripts.

mod buckets;
mod notation;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use weir_model::{CounterResetHint, Histogram, Labels, MetricKind, Samples, Temporality};

use crate::storage::{SelectRequest, SelectedSeries, SeriesReader, SeriesSet, Storage, StorageError};
pub use notation::{MAX_POINTS, NotationError, Point, parse_points, parse_series};

/// Series and their samples in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    /// By labels; a cumulative and a delta series of the same labels stand apart.
    series: BTreeMap<(Labels, bool), Stored>,
}

#[derive(Debug, Clone)]
struct Stored {
    about: SelectedSeries,
    samples: Arc<Samples>,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples, in any order, to the cumulative series of these labels; of two at one timestamp
    /// the later one wins.
    pub fn push(&mut self, labels: Labels, samples: Samples) {
        let about =
            SelectedSeries { labels, kind: MetricKind::Unknown, temporality: Temporality::Cumulative };
        self.push_series(about, samples);
    }

    /// Adds samples to a series of that kind and temporality.
    pub fn push_series(&mut self, about: SelectedSeries, samples: Samples) {
        let key = (about.labels.clone(), about.temporality == Temporality::Delta);
        let stored = self.series.entry(key).or_insert_with(|| Stored { about, samples: Arc::default() });
        merge(Arc::make_mut(&mut stored.samples), samples);
    }

    /// Adds the series of a `load` block, one a line, with a point every `interval_ms` from 0 on.
    /// Empty lines and lines that start with `#` say nothing. A line of labels and `@st` gives the start timestamps
    /// of the series of these labels, relative to its points.
    ///
    /// Reset hints of histograms become what Prometheus' storage would make of them: within a run without
    /// resets "not reset", at its start "unknown".
    ///
    /// # Errors
    /// [`NotationError`] names the line and what is wrong with it.
    pub fn load(&mut self, interval_ms: i64, block: &str) -> Result<(), NotationError> {
        for (labels, samples) in parse_block(interval_ms, block)? {
            self.push(labels, samples);
        }
        self.hint_resets();
        Ok(())
    }

    /// Like [`MemoryStorage::load`], and adds for each classic histogram among the series a native one with
    /// the same bounds, named without `_bucket`.
    ///
    /// # Errors
    /// [`NotationError`] names the line and what is wrong with it, or the classic histogram that is none.
    pub fn load_with_buckets(&mut self, interval_ms: i64, block: &str) -> Result<(), NotationError> {
        let series = parse_block(interval_ms, block)?;
        for (labels, samples) in buckets::native_from_classic(&series)? {
            self.push(labels, samples);
        }
        for (labels, samples) in series {
            self.push(labels, samples);
        }
        self.hint_resets();
        Ok(())
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// True without any series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn hint_resets(&mut self) {
        for stored in self.series.values_mut().filter(|s| !s.samples.histograms.is_empty()) {
            let samples = Arc::make_mut(&mut stored.samples);
            let mut previous: Option<(i64, Arc<Histogram>)> = None;
            for (at, histogram) in &mut samples.histograms {
                if histogram.counter_reset_hint == CounterResetHint::Gauge {
                    previous = None;
                    continue;
                }
                let continues = previous.as_ref().is_some_and(|(since, before)| {
                    let next_float = samples.timestamps.partition_point(|t| t <= since);
                    let float_between = samples.timestamps.get(next_float).is_some_and(|t| t < at);
                    !float_between
                        && histogram.counter_reset_hint != CounterResetHint::Reset
                        && !histogram.is_reset_after(before)
                });
                Arc::make_mut(histogram).counter_reset_hint =
                    if continues { CounterResetHint::NotReset } else { CounterResetHint::Unknown };
                previous = Some((*at, Arc::clone(histogram)));
            }
        }
    }
}

fn parse_block(interval_ms: i64, block: &str) -> Result<Vec<(Labels, Samples)>, NotationError> {
    let lines = block.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            let starts = line.split_once("@st").filter(|(head, rest)| {
                !head.contains(char::is_whitespace) && rest.starts_with(char::is_whitespace)
            });
            let text = starts.map_or_else(|| line.to_owned(), |(head, rest)| format!("{head}{rest}"));
            let (labels, points) = parse_series(&text).map_err(|error| error.at_line(number))?;
            let samples = if starts.is_some() { to_starts } else { to_samples };
            Ok((labels, samples(interval_ms, &points)))
        })
        .collect()
}

fn to_samples(interval_ms: i64, points: &[Point]) -> Samples {
    let mut samples = Samples::default();
    for (index, point) in points.iter().enumerate() {
        let at = interval_ms.saturating_mul(index as i64);
        match point {
            Point::Omitted => {}
            Point::Float(value) => {
                samples.timestamps.push(at);
                samples.values.push(*value);
            }
            Point::Histogram { histogram, .. } => samples.histograms.push((at, Arc::clone(histogram))),
        }
    }
    samples
}

/// Start timestamps of points, given in seconds from each; a start of 0 is none.
fn to_starts(interval_ms: i64, points: &[Point]) -> Samples {
    let start = |(index, point): (usize, &Point)| {
        let at = interval_ms.saturating_mul(index as i64);
        let Point::Float(seconds) = point else { return None };
        Some((at, at.saturating_add((seconds * 1000.0).round() as i64))).filter(|(_, start)| *start != 0)
    };
    Samples { starts: points.iter().enumerate().filter_map(start).collect(), ..Samples::default() }
}

/// Adds `new` to `old`, keeping each column ascending and of equal timestamps the newer one.
fn merge(old: &mut Samples, new: Samples) {
    let floats = old.timestamps.iter().copied().zip(old.values.iter().copied());
    let mut floats: BTreeMap<i64, f64> = floats.collect();
    floats.extend(new.timestamps.into_iter().zip(new.values));
    let mut histograms: BTreeMap<i64, _> = old.histograms.drain(..).collect();
    histograms.extend(new.histograms);
    let mut sets: BTreeMap<i64, _> = old.sets.drain(..).collect();
    sets.extend(new.sets);
    let mut starts: BTreeMap<i64, i64> = old.starts.drain(..).collect();
    starts.extend(new.starts);
    old.starts = starts.into_iter().collect();
    (old.timestamps, old.values) = floats.into_iter().unzip();
    old.histograms = histograms.into_iter().collect();
    old.sets = sets.into_iter().collect();
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, StorageError> {
        let wanted = |s: &&Stored| {
            request.matchers.iter().all(|m| m.matches(s.about.labels.get(m.name()).unwrap_or("")))
        };
        let mut selection =
            Selection { series: Vec::new(), samples: Vec::new(), range: (request.start_ms, request.end_ms) };
        for stored in self.series.values().filter(wanted) {
            if within(&stored.samples, selection.range) {
                selection.series.push(stored.about.clone());
                selection.samples.push(Arc::clone(&stored.samples));
            }
        }
        if selection.series.len() > request.max_series {
            let (found, most) = (selection.series.len(), request.max_series);
            return Err(StorageError::Limit(format!("selector matches {found} series, at most {most}")));
        }
        Ok(Box::new(selection))
    }
}

/// True when any sample lies in the range.
fn within(samples: &Samples, (start, end): (i64, i64)) -> bool {
    let hit = |t: i64| (start..=end).contains(&t);
    samples.timestamps.iter().any(|t| hit(*t))
        || samples.histograms.iter().any(|(t, _)| hit(*t))
        || samples.sets.iter().any(|(t, _)| hit(*t))
}

struct Selection {
    series: Vec<SelectedSeries>,
    samples: Vec<Arc<Samples>>,
    range: (i64, i64),
}

impl SeriesSet for Selection {
    fn series(&self) -> &[SelectedSeries] {
        &self.series
    }

    fn reader(&self) -> Box<dyn SeriesReader + '_> {
        Box::new(Reader(self))
    }
}

struct Reader<'s>(&'s Selection);

impl SeriesReader for Reader<'_> {
    fn read(&mut self, index: usize, into: &mut Samples) -> Result<(), StorageError> {
        into.clear();
        let Some(samples) = self.0.samples.get(index) else { return Ok(()) };
        let (start, end) = self.0.range;
        let first = samples.timestamps.partition_point(|t| *t < start);
        let last = samples.timestamps.partition_point(|t| *t <= end).max(first);
        into.timestamps.extend_from_slice(&samples.timestamps[first..last]);
        into.values.extend_from_slice(&samples.values[first..last]);
        into.starts.extend(samples.starts.iter().filter(|(t, _)| (start..=end).contains(t)));
        into.histograms.extend(samples.histograms.iter().filter(|(t, _)| (start..=end).contains(t)).cloned());
        into.sets.extend(samples.sets.iter().filter(|(t, _)| (start..=end).contains(t)).cloned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::{MatchOp, Matcher};

    async fn select(
        storage: &MemoryStorage,
        matchers: Vec<Matcher>,
        start_ms: i64,
        end_ms: i64,
    ) -> Vec<(String, Samples)> {
        let request = SelectRequest { matchers, start_ms, end_ms, max_series: 10, instead: None };
        let set = storage.select(&request).await.unwrap();
        let mut reader = set.reader();
        let mut found = Vec::new();
        for (index, series) in set.series().iter().enumerate() {
            let mut samples = Samples::default();
            reader.read(index, &mut samples).unwrap();
            found.push((series.labels.to_string(), samples));
        }
        found
    }

    #[tokio::test]
    async fn a_selection_holds_matching_series_within_the_range() {
        let mut storage = MemoryStorage::new();
        storage.load(1000, "up{job=\"a\"} 0+1x9\nup{job=\"b\"} _x5 7\ndown 1").unwrap();
        let found = select(&storage, vec![Matcher::equal("__name__", "up")], 1000, 3000).await;
        assert_eq!(found.len(), 1, "series b has no sample in the range");
        assert_eq!(
            (found[0].1.timestamps.as_slice(), found[0].1.values.as_slice()),
            (&[1000, 2000, 3000][..], &[1.0, 2.0, 3.0][..])
        );
        let job = Matcher::new("job", MatchOp::Regex, "b|").unwrap();
        let found = select(&storage, vec![job], 0, 9000).await;
        assert_eq!(found.iter().map(|(l, _)| l.as_str()).collect::<Vec<_>>(), ["up{job=\"b\"}", "down"]);
    }

    #[tokio::test]
    async fn later_pushes_win_and_keep_the_order() {
        let mut storage = MemoryStorage::new();
        let labels = Labels::from_pairs([("__name__", "m")]);
        let floats = |t: &[i64], v: &[f64]| Samples {
            timestamps: t.to_vec(),
            values: v.to_vec(),
            ..Samples::default()
        };
        storage.push(labels.clone(), floats(&[1, 3], &[1.0, 3.0]));
        storage.push(labels, floats(&[2, 3], &[2.0, 4.0]));
        let found = select(&storage, vec![Matcher::equal("__name__", "m")], 0, 9).await;
        assert_eq!(found[0].1.timestamps, [1, 2, 3]);
        assert_eq!(found[0].1.values, [1.0, 2.0, 4.0]);
    }

    #[test]
    fn runs_of_histograms_without_reset_are_hinted() {
        let mut storage = MemoryStorage::new();
        storage.load(1000, "h {{count:1 sum:1 buckets:[1]}}+{{count:1 sum:1 buckets:[1]}}x2 {{count:1 sum:1 buckets:[1]}}").unwrap();
        let stored = storage.series.values().next().unwrap();
        let hints: Vec<_> = stored.samples.histograms.iter().map(|(_, h)| h.counter_reset_hint).collect();
        use CounterResetHint::{NotReset, Unknown};
        assert_eq!(hints, [Unknown, NotReset, NotReset, Unknown]);
    }
}
