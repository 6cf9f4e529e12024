//! One hot series: its samples as they came, and how a range of them becomes clean columns.

use std::sync::Arc;

use weir_model::{Histogram, Samples, Temporality, UniqueSet};

use super::records::{Dropping, RecordTable, RecordTag};
use crate::merge::{self, Value};

/// Timestamps from `start_ms` to `end_ms`, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    /// Earliest timestamp, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Latest timestamp.
    pub end_ms: i64,
}

impl TimeRange {
    /// True when `min_ms..=max_ms` has a timestamp of the range.
    #[inline]
    pub(crate) fn overlaps(self, min_ms: i64, max_ms: i64) -> bool {
        min_ms <= self.end_ms && max_ms >= self.start_ms
    }

    #[inline]
    pub(crate) fn contains(self, at: i64) -> bool {
        self.start_ms <= at && at <= self.end_ms
    }
}

/// A float sample. Packed, since most of the head's memory is these: 20 bytes instead of 24.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
struct HotFloat {
    at: i64,
    value: f64,
    tag: RecordTag,
}

/// Samples that are not floats; few series have any.
#[derive(Debug, Default)]
struct Rare {
    histograms: Vec<(i64, RecordTag, Arc<Histogram>)>,
    sets: Vec<(i64, RecordTag, Arc<UniqueSet>)>,
}

/// The hot samples of one series.
#[derive(Debug)]
pub(crate) struct HeadSeries {
    floats: Vec<HotFloat>,
    rare: Option<Box<Rare>>,
    /// True while every sample came with a later timestamp than all before it.
    ordered: bool,
    min_ms: i64,
    max_ms: i64,
}

impl Default for HeadSeries {
    fn default() -> Self {
        Self { floats: Vec::new(), rare: None, ordered: true, min_ms: i64::MAX, max_ms: i64::MIN }
    }
}

impl HeadSeries {
    #[inline]
    fn note(&mut self, at: i64) {
        if at > self.max_ms {
            self.max_ms = at;
        } else if !self.is_empty() {
            self.ordered = false;
        }
        self.min_ms = self.min_ms.min(at);
        // The farthest timestamp below everything does not pass the first test.
        self.max_ms = self.max_ms.max(at);
    }

    #[inline]
    pub(super) fn push_float(&mut self, at: i64, value: f64, tag: RecordTag) {
        self.note(at);
        if self.floats.len() == self.floats.capacity() {
            // Half again rather than twice: the slack of all series together is what costs memory.
            self.floats.reserve_exact((self.floats.len() / 2).max(4));
        }
        self.floats.push(HotFloat { at, value, tag });
    }

    pub(super) fn push_histogram(&mut self, at: i64, histogram: Arc<Histogram>, tag: RecordTag) {
        self.note(at);
        self.rare.get_or_insert_default().histograms.push((at, tag, histogram));
    }

    pub(super) fn push_set(&mut self, at: i64, set: Arc<UniqueSet>, tag: RecordTag) {
        self.note(at);
        self.rare.get_or_insert_default().sets.push((at, tag, set));
    }

    /// True when there is no sample.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.rare.is_none()
    }

    /// True when there may be samples of the range.
    #[inline]
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        range.overlaps(self.min_ms, self.max_ms)
    }

    /// First and last timestamp; meaningless when empty.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        (self.min_ms, self.max_ms)
    }

    /// Number of samples as they came.
    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.rare.as_ref().map_or(0, |r| r.histograms.len() + r.sets.len())
    }

    /// Number of samples of the range as they came.
    pub(crate) fn len_within(&self, range: TimeRange) -> usize {
        if range.start_ms <= self.min_ms && self.max_ms <= range.end_ms {
            return self.len();
        }
        let rare = self.rare.iter().flat_map(|r| {
            let histograms = r.histograms.iter().map(|s| s.0);
            histograms.chain(r.sets.iter().map(|s| s.0))
        });
        self.floats.iter().map(|s| s.at).chain(rare).filter(|at| range.contains(*at)).count()
    }

    /// Memory of the samples in bytes, sketches and histograms not counted exactly.
    pub(crate) fn memory_bytes(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |r| r.histograms.len() * 256 + r.sets.len() * 512);
        size_of::<Self>() + self.floats.capacity() * size_of::<HotFloat>() + rare
    }

    /// Visits the timestamp of every sample that a record before `limit` brought.
    pub(crate) fn each_timestamp(&self, records: &RecordTable, limit: RecordTag, mut visit: impl FnMut(i64)) {
        let floats = self.floats.iter().map(|s| (s.at, s.tag));
        let rare = self.rare.iter().flat_map(|r| {
            let histograms = r.histograms.iter().map(|s| (s.0, s.1));
            histograms.chain(r.sets.iter().map(|s| (s.0, s.1)))
        });
        for (at, tag) in floats.chain(rare) {
            if records.is_before(tag, limit) {
                visit(at);
            }
        }
    }

    /// True when the float columns alone tell everything, and in order.
    pub(crate) fn is_plain(&self) -> bool {
        self.ordered && self.rare.is_none()
    }

    /// Appends the floats of the range to two columns; only for [`HeadSeries::is_plain`] series.
    pub(crate) fn copy_plain(&self, range: TimeRange, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) {
        let from = self.floats.partition_point(|s| { s.at } < range.start_ms);
        let to = from + self.floats[from..].partition_point(|s| { s.at } <= range.end_ms);
        timestamps.extend(self.floats[from..to].iter().map(|s| s.at));
        values.extend(self.floats[from..to].iter().map(|s| s.value));
    }

    /// Replaces `into` by the samples of the range, clean: ascending, and one a timestamp. Records from
    /// `limit` on do not count.
    pub(crate) fn read(
        &self,
        records: &RecordTable,
        range: TimeRange,
        limit: Option<RecordTag>,
        temporality: Temporality,
        into: &mut Samples,
    ) {
        into.clear();
        let counts = |tag: RecordTag| limit.is_none_or(|limit| records.is_before(tag, limit));
        if self.ordered {
            let from = self.floats.partition_point(|s| { s.at } < range.start_ms);
            let floats = self.floats[from..].iter().take_while(|s| s.at <= range.end_ms && counts(s.tag));
            for sample in floats {
                into.timestamps.push(sample.at);
                into.values.push(sample.value);
            }
            if let Some(rare) = &self.rare {
                let inside = |at: i64, tag: RecordTag| range.contains(at) && counts(tag);
                let histograms = rare.histograms.iter().filter(|s| inside(s.0, s.1));
                into.histograms.extend(histograms.map(|s| (s.0, s.2.clone())));
                into.sets.extend(rare.sets.iter().filter(|s| inside(s.0, s.1)).map(|s| (s.0, s.2.clone())));
            }
            return;
        }
        let inside = |at: i64, tag: RecordTag| range.contains(at) && counts(tag);
        let floats = self.floats.iter().filter(|s| inside(s.at, s.tag));
        let mut rows: Vec<(i64, RecordTag, Value)> =
            floats.map(|s| (s.at, s.tag, Value::Float(s.value))).collect();
        if let Some(rare) = &self.rare {
            let histograms = rare.histograms.iter().filter(|s| inside(s.0, s.1));
            rows.extend(histograms.map(|s| (s.0, s.1, Value::Histogram(s.2.clone()))));
            let sets = rare.sets.iter().filter(|s| inside(s.0, s.1));
            rows.extend(sets.map(|s| (s.0, s.1, Value::Set(s.2.clone()))));
        }
        // Stable: within one record the order stays as it came.
        rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| records.rank(a.1).cmp(&records.rank(b.1))));
        let mut rows = rows.into_iter();
        let Some((mut at, _, mut value)) = rows.next() else { return };
        for (next_at, _, next) in rows {
            if next_at == at {
                value = merge::combine(value, next, temporality);
            } else {
                merge::push(into, at, std::mem::replace(&mut value, next));
                at = next_at;
            }
        }
        merge::push(into, at, value);
    }

    /// Drops the samples of records that go.
    pub(super) fn drop_records(&mut self, records: &RecordTable, dropping: &Dropping) {
        let goes = |tag: RecordTag| dropping.goes(records.place(tag));
        let before = self.floats.len();
        if dropping.is_prefix() {
            let stay = self.floats.partition_point(|s| goes(s.tag));
            self.floats.drain(..stay);
        } else {
            self.floats.retain(|s| !goes(s.tag));
        }
        if let Some(rare) = &mut self.rare {
            rare.histograms.retain(|s| !goes(s.1));
            rare.sets.retain(|s| !goes(s.1));
            if rare.histograms.is_empty() && rare.sets.is_empty() {
                self.rare = None;
            }
        }
        // The room is kept for the next round, unless the series has slowed down or paused.
        let used = before.max(self.floats.len());
        if self.floats.capacity() > 4 * used.max(1) {
            self.floats.shrink_to(used);
        }
        self.measure();
    }

    /// Keeps the samples that `stays` says, by timestamp and record.
    pub(super) fn retain(&mut self, stays: impl Fn(i64, RecordTag) -> bool) {
        self.floats.retain(|s| stays(s.at, s.tag));
        if let Some(rare) = &mut self.rare {
            rare.histograms.retain(|s| stays(s.0, s.1));
            rare.sets.retain(|s| stays(s.0, s.1));
            if rare.histograms.is_empty() && rare.sets.is_empty() {
                self.rare = None;
            }
        }
        self.measure();
    }

    /// Finds the bounds anew after samples were dropped.
    fn measure(&mut self) {
        let (mut min_ms, mut max_ms, mut ordered) = (i64::MAX, i64::MIN, true);
        if self.ordered && self.rare.is_none() {
            min_ms = self.floats.first().map_or(i64::MAX, |s| s.at);
            max_ms = self.floats.last().map_or(i64::MIN, |s| s.at);
        } else {
            let mut seen = false;
            for sample in &self.floats {
                ordered &= !seen || sample.at > max_ms;
                seen = true;
                min_ms = min_ms.min(sample.at);
                max_ms = max_ms.max(sample.at);
            }
            // Columns do not tell how kinds interleaved: what was ordered stays so, the rest does not become it.
            ordered &= self.rare.is_none() || self.ordered;
            if let Some(rare) = &self.rare {
                let histograms = rare.histograms.iter().map(|s| s.0);
                for at in histograms.chain(rare.sets.iter().map(|s| s.0)) {
                    min_ms = min_ms.min(at);
                    max_ms = max_ms.max(at);
                }
            }
        }
        (self.min_ms, self.max_ms, self.ordered) = (min_ms, max_ms, ordered);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use weir_platform::{SequenceNumber, ShardId};

    use super::super::records::RecordEntry;
    use super::*;

    /// Timestamp, value, whether a new record begins, and by how much it arrived after the one before.
    type Row = (i64, u8, bool, i64);

    /// Timestamp, value, and what orders the write: arrival and number of the record.
    type Shown = (i64, u8, (i64, usize));

    fn filled(rows: &[Row]) -> (RecordTable, HeadSeries, Vec<Shown>) {
        let (mut records, mut series, mut shown) =
            (RecordTable::default(), HeadSeries::default(), Vec::new());
        let mut received_ms = 0;
        let mut tag = None;
        let mut count = 0;
        for (at, value, begins, later_ms) in rows {
            if *begins || tag.is_none() {
                received_ms += later_ms;
                count += 1;
                let sequence = SequenceNumber::from(count as u128);
                tag = Some(records.push(RecordEntry { received_ms, shard: ShardId(0), sequence }));
            }
            series.push_float(*at, f64::from(*value), tag.unwrap());
            shown.push((*at, *value, (received_ms, count)));
        }
        (records, series, shown)
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec((-4i64..12, any::<u8>(), any::<bool>(), -3i64..5), 0..40)
    }

    proptest! {
        #[test]
        fn reading_gives_the_latest_write_of_each_timestamp(
            rows in rows(), ordered: bool, start_ms in -5i64..13, len in 0i64..18, dropped in 0usize..20,
        ) {
            let mut rows = rows;
            if ordered {
                rows.sort_by_key(|r| r.0);
                rows.dedup_by_key(|r| r.0);
            }
            let (mut records, mut series, mut shown) = filled(&rows);
            prop_assert!(!ordered || series.is_plain());
            let goes = |entry: &RecordEntry| entry.sequence.0 <= dropped as u128;
            let dropping = records.dropping(goes);
            series.drop_records(&records, &dropping);
            records.drop_prefix(&dropping);
            shown.retain(|(_, _, (_, record))| *record > dropped);
            shown.sort_by_key(|(_, _, rank)| *rank);
            let range = TimeRange { start_ms, end_ms: start_ms + len };
            let want: BTreeMap<i64, f64> =
                shown.iter().filter(|s| range.contains(s.0)).map(|s| (s.0, f64::from(s.1))).collect();
            let mut samples = Samples::default();
            series.read(&records, range, None, Temporality::Cumulative, &mut samples);
            let found: BTreeMap<i64, f64> =
                samples.timestamps.iter().copied().zip(samples.values.iter().copied()).collect();
            prop_assert_eq!(&found, &want);
            prop_assert_eq!(found.len(), samples.timestamps.len());
            prop_assert!(want.is_empty() || series.overlaps(range));
            if series.is_plain() {
                let (mut timestamps, mut values) = (Vec::new(), Vec::new());
                series.copy_plain(range, &mut timestamps, &mut values);
                prop_assert_eq!((timestamps, values), (samples.timestamps, samples.values));
            }
        }
    }

    #[test]
    fn a_float_sample_takes_twenty_bytes() {
        assert_eq!(size_of::<HotFloat>(), 20);
    }

    #[test]
    fn tags_keep_their_order_when_they_wrap_around() {
        let mut records = RecordTable::starting_at(u32::MAX);
        let entry =
            |n: u128| RecordEntry { received_ms: 0, shard: ShardId(0), sequence: SequenceNumber::from(n) };
        let (first, second) = (records.push(entry(1)), records.push(entry(2)));
        assert!(records.is_before(first, second) && !records.is_before(second, first));
        assert_eq!(records.rank(second).2, SequenceNumber::from(2));
    }
}
