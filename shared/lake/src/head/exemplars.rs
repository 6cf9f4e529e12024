//! The hot exemplars of one tenant, each with the record that brought it.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use weir_model::{Exemplar, Labels, LabelsRef, SeriesId};

use super::records::{Dropping, RecordTable, RecordTag};
use super::series::TimeRange;
use crate::erase::Erasure;
use crate::exemplars::{ExemplarKey, ExemplarLimits, ExemplarSet, StoredExemplar};
use crate::keys::HOUR_MS;

/// The part of a tenant's exemplars that goes at once when there are too many: one in so many.
const PART_DROPPED: usize = 8;

/// Exemplars of all series of a tenant. Few series have any, so that they have a table of their own.
#[derive(Debug, Default)]
pub(crate) struct HotExemplars {
    series: HashMap<SeriesId, HotSeries>,
    count: usize,
}

#[derive(Debug)]
struct HotSeries {
    labels: Labels,
    /// Ascending, each once.
    rows: Vec<(StoredExemplar, RecordTag)>,
}

impl HotExemplars {
    /// Adds an exemplar and returns how many (it or older ones) had to go for the limits. A repeat belongs to
    /// its last record from then on: it stays until all records that brought it are in blocks.
    pub(super) fn insert(
        &mut self,
        id: SeriesId,
        labels: LabelsRef<'_>,
        exemplar: &Exemplar,
        tag: RecordTag,
        limits: ExemplarLimits,
    ) -> u64 {
        let series = self.series.entry(id);
        let series = series.or_insert_with(|| HotSeries { labels: labels.to_labels(), rows: Vec::new() });
        let exemplar = StoredExemplar::of(exemplar);
        let at = match series.rows.binary_search_by(|row| row.0.cmp(&exemplar)) {
            Ok(at) => {
                series.rows[at].1 = tag;
                return 0;
            }
            Err(at) => at,
        };
        let hour = exemplar.timestamp_ms.div_euclid(HOUR_MS);
        series.rows.insert(at, (exemplar, tag));
        self.count += 1;
        let hour_of = |row: &(StoredExemplar, RecordTag)| row.0.timestamp_ms.div_euclid(HOUR_MS);
        let first = series.rows.partition_point(|row| hour_of(row) < hour);
        let after = first + series.rows[first..].partition_point(|row| hour_of(row) == hour);
        let mut dropped = 0;
        if after - first > limits.per_series {
            series.rows.remove(first);
            self.count -= 1;
            dropped += 1;
        }
        if self.count > limits.per_tenant {
            dropped += self.drop_oldest();
        }
        dropped
    }

    /// Drops the oldest part of all.
    fn drop_oldest(&mut self) -> u64 {
        let mut times: Vec<i64> =
            self.series.values().flat_map(|s| s.rows.iter().map(|row| row.0.timestamp_ms)).collect();
        let place = times.len() / PART_DROPPED;
        if place >= times.len() {
            return 0;
        }
        let (_, limit_ms, _) = times.select_nth_unstable(place);
        let limit_ms = *limit_ms;
        let before = self.count;
        self.retain(|row| row.0.timestamp_ms > limit_ms);
        (before - self.count) as u64
    }

    fn retain(&mut self, stays: impl Fn(&(StoredExemplar, RecordTag)) -> bool) {
        self.series.retain(|_, series| {
            series.rows.retain(&stays);
            !series.rows.is_empty()
        });
        self.count = self.series.values().map(|s| s.rows.len()).sum();
    }

    /// Drops the exemplars of records that go.
    pub(super) fn drop_records(&mut self, records: &RecordTable, dropping: &Dropping) {
        self.retain(|row| !dropping.goes(records.place(row.1)));
    }

    /// Drops what an erasure takes.
    pub(super) fn erase(&mut self, records: &RecordTable, erasure: &Erasure) {
        for series in self.series.values_mut() {
            let labels = series.labels.borrowed();
            let all = erasure.matches(labels);
            series.rows.retain(|(exemplar, tag)| {
                let matches = all || erasure.matches_exemplar(labels, exemplar.labels.borrowed());
                !(matches && erasure.takes(records.received_ms(*tag), exemplar.timestamp_ms))
            });
        }
        self.retain(|_| true);
    }

    /// Number of exemplars.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Memory in bytes, estimated.
    pub(crate) fn memory_bytes(&self) -> usize {
        let rows = |s: &HotSeries| s.rows.iter().map(|row| row.0.memory_bytes()).sum::<usize>();
        self.series.values().map(|s| s.labels.as_bytes().len() + 96 + rows(s)).sum()
    }

    /// The hours (since 1970) of exemplars that a record before `limit` brought.
    pub(crate) fn hours(&self, records: &RecordTable, limit: RecordTag) -> BTreeSet<i64> {
        let rows = self.series.values().flat_map(|s| &s.rows);
        let counted = rows.filter(|row| records.is_before(row.1, limit));
        counted.map(|row| row.0.timestamp_ms.div_euclid(HOUR_MS)).collect()
    }

    /// Copies the exemplars of the range, of series that `wanted` says, and of records before `limit`.
    pub(crate) fn copy(
        &self,
        records: &RecordTable,
        range: TimeRange,
        limit: Option<RecordTag>,
        wanted: impl Fn(LabelsRef<'_>) -> bool,
    ) -> ExemplarSet {
        let mut set = ExemplarSet::default();
        for (id, series) in &self.series {
            let first = series.rows.partition_point(|row| row.0.timestamp_ms < range.start_ms);
            let within = series.rows[first..].iter().take_while(|row| row.0.timestamp_ms <= range.end_ms);
            let counts = |tag: RecordTag| limit.is_none_or(|limit| records.is_before(tag, limit));
            let mut rows = within.filter(|row| counts(row.1)).map(|row| row.0.clone()).peekable();
            if rows.peek().is_some() && wanted(series.labels.borrowed()) {
                set.extend(ExemplarKey { labels: series.labels.clone(), id: *id }, rows);
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use weir_model::Matcher;
    use weir_platform::{SequenceNumber, ShardId};

    use super::super::records::RecordEntry;
    use super::*;
    use crate::erase::tests::erasure;
    use crate::exemplars::tests::{key, listed};

    const ALL: TimeRange = TimeRange { start_ms: i64::MIN, end_ms: i64::MAX };

    fn example(timestamp_ms: i64, value: f64) -> Exemplar {
        Exemplar { series: 0, timestamp_ms, value, labels: Labels::from_pairs([("trace_id", "x")]) }
    }

    fn times(hot: &HotExemplars, records: &RecordTable) -> Vec<i64> {
        listed(&hot.copy(records, ALL, None, |_| true)).into_iter().map(|(_, e)| e.timestamp_ms).collect()
    }

    #[test]
    fn limits_drop_the_oldest_of_an_hour_and_then_of_all() {
        let mut records = RecordTable::default();
        let entry = |n| RecordEntry { received_ms: 0, shard: ShardId(0), sequence: SequenceNumber::from(n) };
        let tag = records.push(entry(1));
        let (mut hot, limits) = (HotExemplars::default(), ExemplarLimits { per_series: 2, per_tenant: 8 });
        let series = key(1);
        let insert = |hot: &mut HotExemplars, at, tag| {
            hot.insert(series.id, series.labels.borrowed(), &example(at, 1.0), tag, limits)
        };
        let dropped: Vec<u64> = [5, 6, 4, 7, HOUR_MS, 7].map(|at| insert(&mut hot, at, tag)).to_vec();
        assert_eq!(dropped, [0, 0, 1, 1, 0, 0]);
        assert_eq!(times(&hot, &records), [6, 7, HOUR_MS]);
        let dropped: u64 = (2..9).map(|hour| insert(&mut hot, hour * HOUR_MS, tag)).sum();
        assert_eq!((dropped, hot.len()), (2, 8), "the oldest two made room");
        assert_eq!(times(&hot, &records).first(), Some(&HOUR_MS));
        // Delivered again by a later record, an exemplar stays when only the first record goes.
        let later = records.push(entry(2));
        assert_eq!(insert(&mut hot, HOUR_MS, later), 0);
        assert_eq!(hot.hours(&records, later).len(), 7);
        let dropping = records.dropping(|entry| entry.sequence == SequenceNumber::from(1));
        hot.drop_records(&records, &dropping);
        assert_eq!(times(&hot, &records), [HOUR_MS]);
    }

    #[test]
    fn an_erasure_takes_those_of_its_series_and_those_whose_own_labels_match() {
        let mut records = RecordTable::default();
        let received = |received_ms| RecordEntry {
            received_ms,
            shard: ShardId(0),
            sequence: SequenceNumber::from(received_ms as u128),
        };
        let tags = [records.push(received(900)), records.push(received(2_000))];
        let (mut hot, limits) = (HotExemplars::default(), ExemplarLimits { per_series: 9, per_tenant: 99 });
        // Series, user among the exemplar's own labels, timestamp, record.
        for (series, user, timestamp_ms, tag) in [
            (1, "ann", 10, tags[0]),
            (1, "ann", 3_000, tags[0]),
            (1, "ann", 20, tags[1]),
            (1, "ann", 4_000, tags[1]),
            (1, "bob", 30, tags[0]),
            (2, "bob", 40, tags[0]),
        ] {
            let key = key(series);
            let labels = Labels::from_pairs([("user", user)]);
            let exemplar = Exemplar { series: 0, timestamp_ms, value: 1.0, labels };
            hot.insert(key.id, key.labels.borrowed(), &exemplar, tag, limits);
        }
        hot.erase(&records, &erasure(&[Matcher::equal("user", "ann")]));
        assert_eq!(times(&hot, &records), [30, 4_000, 40], "the newer one came after the request");
        hot.erase(&records, &erasure(&[Matcher::equal("s", "2")]));
        assert_eq!(times(&hot, &records), [30, 4_000]);
    }
}
