//! The table of records whose samples the head holds: which write came later, and what may be dropped.

use std::collections::VecDeque;

use weir_platform::{SequenceNumber, ShardId};

/// Names a record in the table. Tags wrap around after 2^32 records, of which far fewer are hot at a
/// time, so they are compared by their distance from the oldest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordTag(pub(super) u32);

/// What is remembered of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordEntry {
    pub received_ms: i64,
    pub shard: ShardId,
    pub sequence: SequenceNumber,
}

/// Records in the order in which they entered the head.
#[derive(Debug, Default)]
pub(crate) struct RecordTable {
    /// Tag of the first entry.
    base: u32,
    entries: VecDeque<RecordEntry>,
}

/// Which records go: the first `prefix` all do, of the others those marked.
#[derive(Debug)]
pub(super) struct Dropping {
    prefix: usize,
    marked: Vec<bool>,
}

impl RecordTable {
    #[cfg(test)]
    pub(super) fn starting_at(base: u32) -> Self {
        Self { base, ..Self::default() }
    }

    pub(super) fn push(&mut self, entry: RecordEntry) -> RecordTag {
        let tag = self.next();
        self.entries.push_back(entry);
        tag
    }

    /// The tag that the next record will get: everything here is before it.
    pub(crate) fn next(&self) -> RecordTag {
        RecordTag(self.base.wrapping_add(self.entries.len() as u32))
    }

    /// Place in the table.
    #[inline]
    pub(super) fn place(&self, tag: RecordTag) -> usize {
        tag.0.wrapping_sub(self.base) as usize
    }

    /// True when `tag` was given out before `limit`.
    #[inline]
    pub(super) fn is_before(&self, tag: RecordTag, limit: RecordTag) -> bool {
        self.place(tag) < self.place(limit)
    }

    /// What orders the writes of records to one timestamp.
    pub(super) fn rank(&self, tag: RecordTag) -> (i64, ShardId, SequenceNumber) {
        self.entries.get(self.place(tag)).map_or((i64::MIN, ShardId(0), SequenceNumber::from(0)), |entry| {
            (entry.received_ms, entry.shard, entry.sequence)
        })
    }

    /// When a record arrived, milliseconds since the Unix epoch.
    pub(super) fn received_ms(&self, tag: RecordTag) -> i64 {
        self.rank(tag).0
    }

    pub(super) fn dropping(&self, goes: impl Fn(&RecordEntry) -> bool) -> Dropping {
        let marked: Vec<bool> = self.entries.iter().map(goes).collect();
        let prefix = marked.iter().take_while(|goes| **goes).count();
        // When nothing behind the prefix goes, its length says everything.
        let rest = marked[prefix..].iter().any(|goes| *goes);
        Dropping { prefix, marked: if rest { marked } else { Vec::new() } }
    }

    pub(super) fn drop_prefix(&mut self, dropping: &Dropping) {
        self.entries.drain(..dropping.prefix);
        self.base = self.base.wrapping_add(dropping.prefix as u32);
    }
}

impl Dropping {
    /// True when everything that goes lies before what stays.
    pub(super) fn is_prefix(&self) -> bool {
        self.marked.is_empty()
    }

    /// True when the record at this place goes.
    #[inline]
    pub(super) fn goes(&self, place: usize) -> bool {
        place < self.prefix || self.marked.get(place).copied().unwrap_or(false)
    }
}
