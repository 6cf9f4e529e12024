//! From samples to points: what a series has in an interval becomes one value, or values with their counts.
//!
//! A stream's batches are cut anew when they are delivered again, and a series' samples may lie in several of
//! them. So a level's point has the timestamp of its last reading as version, and what adds up is one point for
//! each record of the stream, which is never cut: both are the same however often they are made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use weir_model::{
    BatchSeries, CounterResetHint, Histogram, METRIC_NAME, MetricKind, Record, SeriesId, TenantId,
};
use weir_model::{Temporality, is_stale_nan};
use weir_platform::{Observation, POINT_PARTS, Point, PointKind};

/// Most points, and most observations, that are held at once.
const MAX_POINTS: usize = 50_000;
const MAX_OBSERVATIONS: usize = 1_000_000;

/// What became of samples of chosen series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) gathered: u64,
    /// Markers that a series has ended.
    pub(crate) stale: u64,
    pub(crate) not_finite: u64,
    /// Distributions that are totals since a start: only their increases would be observations.
    pub(crate) cumulative: u64,
    /// Distributions without observations.
    pub(crate) empty: u64,
}

/// Points in the making.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    points: HashMap<Key, Making>,
    observations: usize,
    pub(crate) counts: Counts,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    series: SeriesId,
    start_ms: i64,
    every_ms: i64,
    part: u32,
}

#[derive(Debug)]
struct Making {
    /// The first record that had something of it, counted within the batch.
    record: usize,
    point: Point,
    /// Greatest timestamp of a level so far.
    last_ms: i64,
}

/// A point, and the first record of the batch that had something of it.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) record: usize,
    pub(crate) point: Point,
}

impl Gather {
    /// Whether what there is should be sent before more comes.
    pub(crate) fn is_full(&self) -> bool {
        self.points.len() >= MAX_POINTS || self.observations >= MAX_OBSERVATIONS
    }

    /// Takes what is chosen of a record: the `index`-th of its batch, `identity` naming it whenever it is
    /// delivered, `chosen` the interval of each of its series.
    pub(crate) fn take(&mut self, index: usize, identity: u128, record: &Record, chosen: &[Option<i64>]) {
        let batch = &record.batch;
        let part = (identity % u128::from(POINT_PARTS)) as u32;
        for sample in &batch.floats {
            let Some(every_ms) = chosen[sample.series as usize] else { continue };
            if is_stale_nan(sample.value) {
                self.counts.stale += 1;
            } else if sample.value.is_finite() {
                let series = &batch.series()[sample.series as usize];
                let adds_up = series.temporality == Temporality::Delta;
                let kind = if adds_up { PointKind::Increase } else { PointKind::Level };
                let place = Place { index, part: if adds_up { part } else { 0 }, every_ms };
                let one = [Observation { value: sample.value, count: 1.0 }];
                self.add(record, series, sample.timestamp_ms, kind, &place, &one, sample.value);
            } else {
                self.counts.not_finite += 1;
            }
        }
        for sample in &batch.sets {
            let Some(every_ms) = chosen[sample.series as usize] else { continue };
            let series = &batch.series()[sample.series as usize];
            let value = sample.set.count();
            let one = [Observation { value, count: 1.0 }];
            let place = Place { index, part: 0, every_ms };
            self.add(record, series, sample.timestamp_ms, PointKind::Level, &place, &one, value);
        }
        for sample in &batch.histograms {
            let Some(every_ms) = chosen[sample.series as usize] else { continue };
            let series = &batch.series()[sample.series as usize];
            let histogram = &sample.histogram;
            if is_stale_nan(histogram.sum) {
                self.counts.stale += 1;
            } else if is_total(series, histogram) {
                self.counts.cumulative += 1;
            } else if !histogram.sum.is_finite() {
                self.counts.not_finite += 1;
            } else {
                let observations: Vec<Observation> = observations(histogram).collect();
                let finite = |it: &Observation| it.value.is_finite() && it.count.is_finite();
                if observations.is_empty() {
                    self.counts.empty += 1;
                } else if !observations.iter().all(finite) {
                    self.counts.not_finite += 1;
                } else {
                    let place = Place { index, part, every_ms };
                    let (at, kind) = (sample.timestamp_ms, PointKind::Distribution);
                    self.add(record, series, at, kind, &place, &observations, histogram.sum);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one sample with its place")]
    fn add(
        &mut self,
        record: &Record,
        series: &BatchSeries,
        timestamp_ms: i64,
        kind: PointKind,
        place: &Place,
        observations: &[Observation],
        value: f64,
    ) {
        let Place { index, part, every_ms } = *place;
        let start_ms = timestamp_ms.div_euclid(every_ms).saturating_mul(every_ms);
        self.counts.gathered += 1;
        self.observations += observations.len();
        let key = Key { tenant: record.tenant.clone(), series: series.id, start_ms, every_ms, part };
        let making = match self.points.entry(key) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                let labels = record.batch.labels(series);
                let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
                let point = Point {
                    tenant: record.tenant.to_string(),
                    metric: labels.metric_name().to_owned(),
                    labels: others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                    start_ms,
                    every_ms,
                    kind,
                    observations: Vec::new(),
                    sum: 0.0,
                    last: value,
                    version: 1,
                    part,
                };
                free.insert(Making { record: index, point, last_ms: i64::MIN })
            }
        };
        making.point.observations.extend_from_slice(observations);
        making.point.sum += value;
        // Of two readings of one time the later to arrive is right, as in the lake.
        if timestamp_ms >= making.last_ms {
            (making.last_ms, making.point.last) = (timestamp_ms, value);
        }
        if kind == PointKind::Level {
            making.point.version = making.last_ms.max(1);
        }
    }

    /// The points, in the order of their first records; what is gathered next begins anew.
    pub(crate) fn drain(&mut self) -> Vec<Gathered> {
        self.observations = 0;
        let done = self.points.drain().map(|(_, mut making)| {
            distinct(&mut making.point.observations);
            Gathered { record: making.record, point: making.point }
        });
        let mut done: Vec<Gathered> = done.collect();
        done.sort_by(|a, b| {
            let of = |it: &Gathered| (it.record, it.point.start_ms, it.point.part);
            of(a)
                .cmp(&of(b))
                .then_with(|| a.point.metric.cmp(&b.point.metric))
                .then_with(|| a.point.labels.cmp(&b.point.labels))
        });
        done
    }
}

struct Place {
    index: usize,
    part: u32,
    every_ms: i64,
}

/// Whether a histogram counts since a start, so that it is no new observation.
fn is_total(series: &BatchSeries, histogram: &Histogram) -> bool {
    let gauge =
        series.kind == MetricKind::GaugeHistogram || histogram.counter_reset_hint == CounterResetHint::Gauge;
    series.temporality == Temporality::Cumulative && !gauge
}

/// A histogram's buckets as values: of exponential ones the geometric middle, which is off by at most half of a
/// bucket's relative width; of open ones the finite bound.
fn observations(histogram: &Histogram) -> impl Iterator<Item = Observation> + '_ {
    let filled = histogram.buckets_ascending().filter(|bucket| bucket.count > 0.0);
    filled.map(|bucket| {
        let (lower, upper) = histogram.bounds(&bucket);
        let value = if !lower.is_finite() {
            upper
        } else if !upper.is_finite() {
            lower
        } else if lower * upper > 0.0 {
            (lower.abs().sqrt() * upper.abs().sqrt()).copysign(lower)
        } else {
            f64::midpoint(lower, upper)
        };
        Observation { value, count: bucket.count }
    })
}

/// Brings values into order and counts equal ones together.
fn distinct(observations: &mut Vec<Observation>) {
    observations.sort_by(|a, b| a.value.total_cmp(&b.value));
    observations.dedup_by(|next, kept| {
        let same = next.value == kept.value;
        if same {
            kept.count += next.count;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_model::{
        Batch, DistributionBuilder, FloatSample, HistogramSample, Labels, STALE_NAN, SetSample, UniqueSet,
    };

    use super::*;

    fn record(fill: impl FnOnce(&mut Batch)) -> Record {
        let mut batch = Batch::new();
        fill(&mut batch);
        Record { tenant: TenantId::default(), key: None, received_ms: 0, batch }
    }

    fn gathered(records: &[Record]) -> (Vec<Gathered>, Counts) {
        let mut gather = Gather::default();
        for (index, record) in records.iter().enumerate() {
            let chosen = vec![Some(60_000); record.batch.series().len()];
            gather.take(index, 7_000_001 + index as u128, record, &chosen);
        }
        (gather.drain(), gather.counts)
    }

    fn series(batch: &mut Batch, name: &str, temporality: Temporality) -> u32 {
        let labels = Labels::from_pairs([(METRIC_NAME, name), ("job", "api")]);
        batch.push_series(labels.borrowed(), MetricKind::Unknown, temporality)
    }

    fn floats(name: &str, temporality: Temporality, samples: &[(i64, f64)]) -> Record {
        record(|batch| {
            let series = series(batch, name, temporality);
            let sample = |&(timestamp_ms, value)| FloatSample { series, timestamp_ms, value };
            batch.floats.extend(samples.iter().map(sample));
        })
    }

    fn values(point: &Point) -> Vec<(f64, f64)> {
        point.observations.iter().map(|it| (it.value, it.count)).collect()
    }

    #[test]
    fn readings_of_an_interval_become_one_point_whatever_records_they_came_in() {
        let level = |samples: &[(i64, f64)]| floats("load", Temporality::Cumulative, samples);
        let (points, counts) = gathered(&[
            level(&[(60_000, 3.0), (119_999, 1.0)]),
            level(&[(90_000, 3.0), (120_000, 5.0), (100_000, f64::NAN), (100_001, STALE_NAN)]),
        ]);
        let [first, second] = &points[..] else { panic!("{points:?}") };
        assert_eq!((first.point.start_ms, first.point.last, first.point.version), (60_000, 1.0, 119_999));
        assert_eq!((values(&first.point), first.point.sum), (vec![(1.0, 1.0), (3.0, 2.0)], 7.0));
        assert_eq!((first.record, second.record, second.point.start_ms), (0, 1, 120_000));
        assert_eq!(first.point.labels, [("job".to_owned(), "api".to_owned())]);
        assert_eq!(counts, Counts { gathered: 4, stale: 1, not_finite: 1, ..Counts::default() });
    }

    #[test]
    fn what_adds_up_is_a_point_of_each_record_which_is_the_same_however_batches_are_cut() {
        let hits = |samples: &[(i64, f64)]| floats("hits", Temporality::Delta, samples);
        let (points, _) = gathered(&[hits(&[(1, 2.0), (2, 2.0)]), hits(&[(1, 5.0)])]);
        let [first, second] = &points[..] else { panic!("{points:?}") };
        assert_eq!((first.point.kind, first.point.sum, first.point.part), (PointKind::Increase, 4.0, 1));
        assert_eq!((second.point.sum, second.point.part, second.point.version), (5.0, 2, 1));
    }

    #[test]
    fn distributions_of_changes_are_observations_and_totals_are_counted_out() {
        let mut builder = DistributionBuilder::new();
        builder.observe(0.25, 3.0);
        builder.observe(-4.0, 1.0);
        builder.observe(0.0, 2.0);
        let histogram = Arc::new(builder.build());
        let with = |temporality| {
            record(|batch| {
                let series = series(batch, "latency", temporality);
                let histogram = histogram.clone();
                batch.histograms.push(HistogramSample { series, timestamp_ms: 5, histogram });
                let histogram = Arc::new(Histogram::default());
                batch.histograms.push(HistogramSample { series, timestamp_ms: 6, histogram });
            })
        };
        let (points, counts) = gathered(&[with(Temporality::Delta), with(Temporality::Cumulative)]);
        let [one] = &points[..] else { panic!("{points:?}") };
        assert_eq!((one.point.kind, one.point.sum), (PointKind::Distribution, histogram.sum));
        let found = values(&one.point);
        for ((value, count), (want, wanted)) in found.iter().zip([(-4.0f64, 1.0), (0.0, 2.0), (0.25, 3.0)]) {
            assert!((value - want).abs() <= 0.012 * want.abs() && *count == wanted, "{found:?}");
        }
        assert_eq!((found.len(), counts.cumulative, counts.empty, counts.gathered), (3, 2, 1, 1));
    }

    #[test]
    fn a_set_is_the_number_of_its_members() {
        let mut set = UniqueSet::new();
        ["a", "b", "a"].iter().for_each(|member| set.insert(member.as_bytes()));
        let one = record(|batch| {
            let series = series(batch, "users", Temporality::Cumulative);
            batch.sets.push(SetSample { series, timestamp_ms: 5, set: Arc::new(set) });
        });
        let (points, _) = gathered(&[one]);
        assert_eq!((points[0].point.kind, points[0].point.last), (PointKind::Level, 2.0));
    }
}
