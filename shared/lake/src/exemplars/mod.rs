//! Exemplars: the examples behind samples, kept as sets, so that delivering or merging them in any order and
//! any number of times leaves the same.
//!
//! An exemplar is its series, timestamp, value and own labels; exact repeats are one. Of each series and hour the
//! newest [`LakeOptions::max_exemplars_per_series`](crate::LakeOptions::max_exemplars_per_series) are kept,
//! as Prometheus' circular buffer keeps the newest: the newest of a union are the newest of the parts'
//! newest, so that it does not matter when the rest is dropped.

mod ask;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use weir_model::{Exemplar, Labels, SeriesId};

use crate::keys::HOUR_MS;

/// One exemplar of a series. Ordered by time, then by value and labels.
#[derive(Debug, Clone)]
pub struct StoredExemplar {
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The observed value.
    pub value: f64,
    /// The exemplar's own labels.
    pub labels: Labels,
}

impl StoredExemplar {
    pub(crate) fn of(exemplar: &Exemplar) -> Self {
        let Exemplar { timestamp_ms, value, labels, .. } = exemplar;
        Self { timestamp_ms: *timestamp_ms, value: *value, labels: labels.clone() }
    }

    /// The hour that it lies in, since 1970.
    fn hour(&self) -> i64 {
        self.timestamp_ms.div_euclid(HOUR_MS)
    }

    /// Estimated memory in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.labels.as_bytes().len() + 16
    }
}

impl Ord for StoredExemplar {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_time = self.timestamp_ms.cmp(&other.timestamp_ms);
        by_time
            .then_with(|| self.value.total_cmp(&other.value))
            .then_with(|| self.labels.as_bytes().cmp(other.labels.as_bytes()))
    }
}

impl PartialOrd for StoredExemplar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for StoredExemplar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for StoredExemplar {}

/// The exemplars of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemplarSeries {
    /// Labels of the series, the metric's name included.
    pub labels: Labels,
    /// Its exemplars, ascending.
    pub exemplars: Vec<StoredExemplar>,
}

/// How many exemplars are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExemplarLimits {
    /// Of one series within an hour.
    pub per_series: usize,
    /// Of one tenant: within an hour, and while hot.
    pub per_tenant: usize,
}

/// A series that exemplars belong to; in the order in which a block holds series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExemplarKey {
    /// Labels, the metric's name included.
    pub labels: Labels,
    /// Identity.
    pub id: SeriesId,
}

impl Ord for ExemplarKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_name = self.labels.metric_name().cmp(other.labels.metric_name());
        by_name
            .then_with(|| self.labels.as_bytes().cmp(other.labels.as_bytes()))
            .then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for ExemplarKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Exemplars of one tenant: of an hour, or of several.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExemplarSet {
    series: BTreeMap<ExemplarKey, Vec<StoredExemplar>>,
}

impl ExemplarSet {
    /// Adds exemplars of a series, in any order.
    pub(crate) fn extend(&mut self, key: ExemplarKey, exemplars: impl IntoIterator<Item = StoredExemplar>) {
        self.series.entry(key).or_default().extend(exemplars);
    }

    /// Sorts, drops repeats, and then of what passes the limits in any hour the oldest. Returns how many those
    /// are.
    pub(crate) fn bound(&mut self, limits: ExemplarLimits) -> u64 {
        let mut hours = BTreeSet::new();
        for exemplars in self.series.values_mut() {
            exemplars.sort_unstable();
            exemplars.dedup();
            hours.extend(exemplars.chunk_by(|a, b| a.hour() == b.hour()).map(|of_hour| of_hour[0].hour()));
        }
        if hours.len() < 2 {
            return self.bound_hour(limits);
        }
        let mut dropped = 0;
        let mut of_hours: BTreeMap<i64, Self> = BTreeMap::new();
        for (key, exemplars) in std::mem::take(&mut self.series) {
            for of_hour in exemplars.chunk_by(|a, b| a.hour() == b.hour()) {
                let set = of_hours.entry(of_hour[0].hour()).or_default();
                set.extend(key.clone(), of_hour.iter().cloned());
            }
        }
        for mut of_hour in of_hours.into_values() {
            dropped += of_hour.bound_hour(limits);
            of_hour.into_iter().for_each(|(key, exemplars)| self.extend(key, exemplars));
        }
        dropped
    }

    /// The same of a sorted set of one hour.
    fn bound_hour(&mut self, limits: ExemplarLimits) -> u64 {
        let mut dropped = 0;
        for exemplars in self.series.values_mut() {
            let surplus = exemplars.len().saturating_sub(limits.per_series);
            exemplars.drain(..surplus);
            dropped += surplus;
        }
        let surplus = self.len().saturating_sub(limits.per_tenant);
        if surplus > 0 {
            let all = self.series.iter().flat_map(|(key, of)| of.iter().map(move |e| (e, key)));
            let mut all: Vec<_> = all.collect();
            // At least one stays, whatever the limit.
            let at = surplus.min(all.len() - 1);
            let (_, (first, key), _) = all.select_nth_unstable(at);
            let (first, first_key) = (first.clone(), key.clone());
            self.series.retain(|key, exemplars| {
                exemplars.retain(|exemplar| (exemplar, key) >= (&first, &first_key));
                !exemplars.is_empty()
            });
            dropped += at;
        }
        dropped as u64
    }

    /// Number of exemplars.
    pub(crate) fn len(&self) -> usize {
        self.series.values().map(Vec::len).sum()
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.values().all(Vec::is_empty)
    }

    /// The series with their exemplars, in block order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ExemplarKey, &[StoredExemplar])> {
        self.series.iter().map(|(key, exemplars)| (key, exemplars.as_slice()))
    }

    /// First and last timestamp, once [`ExemplarSet::bound`] has sorted them.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let ends = self.series.values().filter_map(|of| Some((of.first()?, of.last()?)));
        let ends = ends.map(|(first, last)| (first.timestamp_ms, last.timestamp_ms));
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl IntoIterator for ExemplarSet {
    type Item = (ExemplarKey, Vec<StoredExemplar>);
    type IntoIter = std::collections::btree_map::IntoIter<ExemplarKey, Vec<StoredExemplar>>;

    fn into_iter(self) -> Self::IntoIter {
        self.series.into_iter()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use weir_model::Temporality;

    use super::*;

    /// Series, timestamp, value and own label of an exemplar, from a small world.
    pub(crate) type Row = (u8, i64, u8, u8);

    pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec((0u8..3, -3i64..6, 0u8..2, 0u8..2), 0..40)
    }

    pub(crate) fn key(series: u8) -> ExemplarKey {
        let labels = Labels::from_pairs([("__name__", "m"), ("s", &series.to_string())]);
        ExemplarKey { id: SeriesId::of(labels.borrowed(), Temporality::Cumulative), labels }
    }

    pub(crate) fn exemplar((_, timestamp_ms, value, own): Row) -> StoredExemplar {
        let labels = Labels::from_pairs([("trace_id", format!("t{own}"))]);
        StoredExemplar { timestamp_ms, value: f64::from(value), labels }
    }

    pub(crate) fn set(rows: &[Row]) -> ExemplarSet {
        let mut set = ExemplarSet::default();
        rows.iter().for_each(|row| set.extend(key(row.0), [exemplar(*row)]));
        set
    }

    pub(crate) fn listed(set: &ExemplarSet) -> Vec<(ExemplarKey, StoredExemplar)> {
        set.iter().flat_map(|(key, of)| of.iter().map(|e| (key.clone(), e.clone()))).collect()
    }

    proptest! {
        #[test]
        fn bounding_the_parts_first_changes_nothing(
            a in rows(), b in rows(), per_series in 1usize..6, per_tenant in 1usize..12,
        ) {
            let limits = ExemplarLimits { per_series, per_tenant };
            let mut whole = set(&[a.clone(), b.clone()].concat());
            whole.bound(limits);
            let (mut joined, mut other) = (set(&a), set(&b));
            joined.bound(limits);
            other.bound(limits);
            for (key, exemplars) in other {
                joined.extend(key, exemplars);
            }
            joined.bound(limits);
            prop_assert_eq!(listed(&joined), listed(&whole));
            for hour in [-1, 0] {
                let of_hour = listed(&whole).iter().filter(|(_, exemplar)| exemplar.hour() == hour).count();
                prop_assert!(of_hour <= per_tenant);
            }
        }
    }

    #[test]
    fn the_oldest_go_and_are_counted_and_repeats_are_not() {
        let rows = [(0, 1, 0, 0), (0, 2, 0, 0), (0, 2, 0, 0), (0, 3, 0, 0), (1, 1, 0, 0)];
        let mut few = set(&rows);
        assert_eq!(few.bound(ExemplarLimits { per_series: 2, per_tenant: 9 }), 1);
        assert_eq!((few.len(), few.time_range()), (3, Some((1, 3))));
        assert_eq!(few.bound(ExemplarLimits { per_series: 2, per_tenant: 2 }), 1);
        assert_eq!(few.time_range(), Some((2, 3)));
    }
}
