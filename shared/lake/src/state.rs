//! What an open lake holds in memory and changes as one: the catalog and the head that goes with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use weir_model::Record;
use weir_platform::{SequenceNumber, ShardId};

use crate::erase::without;
use crate::head::{Head, HeadLimits, HotSegment, Taken};
use crate::manifest::Catalog;
use crate::retry_keys::RetryKeys;
use crate::segment::{Segment, SegmentHeader};

/// Catalog and head under one lock: a query that sees a block never sees the hot samples it was made of.
pub(crate) struct State {
    /// The blocks.
    pub catalog: Arc<Catalog>,
    /// The hot samples that no block of the catalog holds.
    pub head: Head,
    shards: HashMap<ShardId, ShardState>,
    retry_window_ms: i64,
    limits: HeadLimits,
    keep_hot: bool,
}

/// What is known of a shard.
struct ShardState {
    /// Last sequence number in the segments seen.
    covered: Option<SequenceNumber>,
    keys: RetryKeys,
}

/// A segment as read back, with its records decoded.
pub(crate) struct DecodedSegment {
    /// What its start says.
    pub header: SegmentHeader,
    /// Retry keys and arrivals are in here.
    pub segment: Segment,
    /// The records with their places.
    pub records: Vec<(SequenceNumber, Record)>,
    /// Records that cannot be decoded, with what is wrong with them.
    pub unreadable: Vec<(SequenceNumber, Bytes, String)>,
    /// Size of the object.
    pub bytes: u64,
}

impl DecodedSegment {
    /// Reads a segment object.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let segment = Segment::decode(bytes).map_err(str::to_owned)?;
        let mut records = Vec::with_capacity(segment.records.len());
        let mut unreadable = Vec::new();
        for stored in &segment.records {
            match Record::decode(&stored.payload) {
                Ok(record) => records.push((stored.sequence, record)),
                Err(error) => unreadable.push((stored.sequence, stored.payload.clone(), error.to_string())),
            }
        }
        Ok(Self { header: segment.header, segment, records, unreadable, bytes: bytes.len() as u64 })
    }
}

impl State {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        retry_window_ms: i64,
        limits: HeadLimits,
        keep_hot: bool,
    ) -> Self {
        Self { catalog, head: Head::default(), shards: HashMap::new(), retry_window_ms, limits, keep_hot }
    }

    /// Last sequence number of a shard that the lake holds, hot or in blocks.
    pub(crate) fn covered_through(&self, shard: ShardId) -> Option<SequenceNumber> {
        let hot = self.shards.get(&shard).and_then(|s| s.covered);
        hot.max(self.catalog.compacted.get(&shard).copied())
    }

    /// A shard's retry keys.
    pub(crate) fn keys(&self, shard: ShardId) -> Option<&RetryKeys> {
        self.shards.get(&shard).map(|s| &s.keys)
    }

    fn shard(&mut self, shard: ShardId) -> &mut ShardState {
        let window_ms = self.retry_window_ms;
        self.shards
            .entry(shard)
            .or_insert_with(|| ShardState { covered: None, keys: RetryKeys::new(window_ms) })
    }

    /// Remembers the retry keys of a segment.
    pub(crate) fn note_keys(&mut self, segment: &Segment, now_ms: i64) {
        let keys = &mut self.shard(segment.header.shard).keys;
        for record in &segment.records {
            keys.note(record.key, record.received_ms, now_ms);
        }
    }

    /// Takes a segment into the head, as far as its sequence numbers are not covered yet: a record is the
    /// same in whichever segment it lies, so what one holds need not be taken from another. Returns what
    /// was taken.
    pub(crate) fn absorb<'a>(
        &mut self,
        segment: &Segment,
        bytes: u64,
        records: impl Iterator<Item = (SequenceNumber, &'a Record)>,
        now_ms: i64,
    ) -> Taken {
        let header = segment.header;
        let covered = self.covered_through(header.shard);
        if covered.is_some_and(|to| header.last <= to) {
            return Taken::default();
        }
        self.note_keys(segment, now_ms);
        self.shard(header.shard).covered = Some(header.last);
        if !self.keep_hot {
            return Taken::default();
        }
        let hot = HotSegment { shard: header.shard, last: header.last, bytes, samples: 0, oldest_ms: None };
        let new = records.filter(|(sequence, _)| covered.is_none_or(|to| *sequence > to));
        if self.catalog.erasures.is_empty() {
            return self.head.insert(hot, new, self.limits);
        }
        let erasures = || self.catalog.erasures.values().map(Arc::as_ref);
        let left: Vec<_> = new.map(|(at, record)| (at, without(record, erasures()).0)).collect();
        self.head.insert(hot, left.iter().map(|(at, record)| (*at, record.as_ref())), self.limits)
    }

    /// Moves on to a later catalog and drops the hot samples that its blocks hold, as one change.
    pub(crate) fn install(&mut self, catalog: Arc<Catalog>) {
        if catalog.version > self.catalog.version {
            self.head.drop_compacted(&catalog.compacted);
            for erasure in catalog.erasures.range(self.catalog.version + 1..).map(|(_, erasure)| erasure) {
                self.head.erase(erasure);
            }
            self.catalog = catalog;
        }
    }

    /// How far each shard's hot segments reach.
    pub(crate) fn hot_marks(&self) -> BTreeMap<ShardId, SequenceNumber> {
        let mut marks = BTreeMap::new();
        for segment in self.head.segments() {
            let mark = marks.entry(segment.shard).or_insert(segment.last);
            *mark = segment.last.max(*mark);
        }
        marks
    }
}
