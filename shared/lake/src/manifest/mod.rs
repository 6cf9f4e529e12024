//! The manifest: a numbered log of create-only entries that say which blocks there are.
//!
//! Entry `v` turns the state after entry `v - 1` into the state after `v`; whoever creates it first wins.
//! A checkpoint repeats the whole state, so that opening reads one and its few successors.

mod catalog;
mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_model::{Aggregate, Tier};
use weir_platform::StorageClass;

use crate::archive::class_name;
use crate::erase::{Counts, ErasureState, StoredErasure};
use crate::retention::{StoredRetention, Swept};
use crate::rollup;

pub(crate) use catalog::{Catalog, RollupPlace, TenantBlocks};
pub(crate) use store::{CHECKPOINT_EVERY, Commit, ManifestStore};

/// What the manifest says about a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockMeta {
    /// Unique name.
    pub id: String,
    /// Whose data it is.
    pub tenant: String,
    /// The hour it holds, in hours since 1970; of a rollup the first hour of its partition.
    pub hour: i64,
    /// First timestamp of a sample (of an exemplar, when there is none), milliseconds since the Unix epoch.
    pub min_ms: i64,
    /// Last timestamp, likewise.
    pub max_ms: i64,
    /// Number of series.
    pub series: u64,
    /// Number of samples; a block of 0 has neither a samples nor a series object, see `has_samples`.
    pub samples: u64,
    /// Size of the samples object in bytes.
    pub samples_bytes: u64,
    /// Size of the series object in bytes.
    pub series_bytes: u64,
    /// Key of the samples object; of an older name where the block took it over from one whose exemplars went.
    pub samples_key: String,
    /// Key of the series object, likewise.
    pub series_key: String,
    /// Order of writes within an hour: at one timestamp, the block of the greater generation wins. It is
    /// the version of the entry that brought the newest of the block's samples out of the hot segments.
    pub generation: u64,
    /// True when it was made of all of its hour's blocks after the hour had closed (or by request).
    pub complete: bool,
    /// Its exemplars, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemplars: Option<ExemplarsMeta>,
    /// What it holds of which tier, if it is part of a rollup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollup: Option<RollupMeta>,
    /// Number of the newest erasure that has been through it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub erased: u64,
    /// Set when archiving made it of several hours of one day (UTC); `hour` is then the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<ArchivedMeta>,
}

/// What the manifest says about a block that archiving made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchivedMeta {
    /// Hours from the first to the last one that it was made of.
    pub hours: i64,
    /// The days (as rollups count them) that it has samples of, each with the greatest generation of the blocks
    /// that it was made of: what rollups of that day must know. `generation` is the greatest of all, by which
    /// writes are ordered.
    pub days: BTreeMap<i64, u64>,
    /// Where its samples lie.
    #[serde(default, with = "class_name")]
    pub class: StorageClass,
}

/// For serde: most blocks have been through no erasure.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the manifest says about a block of a rollup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RollupMeta {
    /// The width of its intervals.
    pub tier: Tier,
    /// What it holds of each.
    pub aggregate: Aggregate,
    /// The days rolled up (days since 1970; a day is `(start, end]` as every interval is), each with the
    /// greatest generation of the blocks of samples that it was made of. Only in a partition's `last` blocks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub days: BTreeMap<i64, u64>,
}

/// What the manifest says about the exemplars of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExemplarsMeta {
    /// Key of the exemplars object.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Number of exemplars.
    pub count: u64,
    /// Exemplars left out when it was made, since there were too many.
    pub dropped: u64,
    /// First timestamp, milliseconds since the Unix epoch.
    pub min_ms: i64,
    /// Last timestamp.
    pub max_ms: i64,
}

impl BlockMeta {
    /// Size of all its objects in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.samples_bytes + self.series_bytes + self.exemplars.as_ref().map_or(0, |e| e.bytes)
    }

    /// Last timestamp of a sample or an exemplar, milliseconds since the Unix epoch.
    pub(crate) fn end_ms(&self) -> i64 {
        self.exemplars.as_ref().map_or(self.max_ms, |e| e.max_ms.max(self.max_ms))
    }

    /// False when the block holds exemplars alone.
    pub(crate) fn has_samples(&self) -> bool {
        self.samples > 0
    }

    /// The days that it has samples of, as rollups count them, with the greatest generation of their samples.
    pub(crate) fn days(&self) -> BTreeMap<i64, u64> {
        if !self.has_samples() {
            return BTreeMap::new();
        }
        let days = [rollup::day_of(self.min_ms), rollup::day_of(self.max_ms)];
        match &self.archived {
            // An hour touches its own day, and the day before if a sample lies at its very beginning.
            None => days.into_iter().map(|day| (day, self.generation)).collect(),
            // Since then series may have gone, and with them the last sample of a day.
            Some(archived) => {
                let known = |day: &i64| archived.days.get(day).copied().unwrap_or(self.generation);
                days.into_iter().map(|day| (day, known(&day))).collect()
            }
        }
    }

    /// Where its samples lie.
    pub(crate) fn class(&self) -> StorageClass {
        self.archived.as_ref().map(|archived| archived.class).unwrap_or_default()
    }

    /// True when its samples cannot be read without a restore.
    pub(crate) fn is_frozen(&self) -> bool {
        self.class().is_frozen()
    }

    /// Hours from its first to its last one.
    pub(crate) fn hours(&self) -> i64 {
        self.archived.as_ref().map_or(1, |archived| archived.hours)
    }

    /// One past the last hour that it holds.
    pub(crate) fn end_hour(&self) -> i64 {
        self.hour.saturating_add(self.hours())
    }

    /// Keys of all its objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        let samples = [&self.samples_key, &self.series_key].into_iter().filter(|_| self.has_samples());
        samples.chain(self.exemplars.as_ref().map(|e| &e.key)).cloned().collect()
    }
}

/// One change to the lake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its number.
    pub version: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub written_ms: i64,
    /// Tells this entry from any other of the same number, for the writer whose reply was lost.
    pub writer: String,
    /// New blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<BlockMeta>,
    /// Ids of blocks that are replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// How far shards are compacted: sequence numbers as text, since JSON's numbers are too short.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub compacted: BTreeMap<u32, String>,
    /// Tenants' new metadata objects.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// New retention policies, by tenant; under the empty name, that of tenants without one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: BTreeMap<String, StoredRetention>,
    /// What has been looked at for expired samples, by tenant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub swept: BTreeMap<String, Swept>,
    /// Versions whose replaced objects have been deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget: Vec<u64>,
    /// A request to erase, whose number is this entry's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase: Option<StoredErasure>,
    /// What erasures, by number, did with this entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub erasing: BTreeMap<u64, Counts>,
    /// How many blocks erasures, by number, wait for, which are frozen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub awaiting: BTreeMap<u64, u64>,
    /// Erasures that every block has been through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<u64>,
    /// Erasures that no record on its way can be of any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<u64>,
}

impl Entry {
    /// True when it would change nothing that a query sees.
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty()
            && self.remove.is_empty()
            && self.compacted.is_empty()
            && self.metadata.is_empty()
            && self.retention.is_empty()
            && self.swept.is_empty()
            && self.erase.is_none()
            && self.erasing.is_empty()
            && self.awaiting.is_empty()
            && self.erased.is_empty()
            && self.settled.is_empty()
    }
}

/// The whole state as a checkpoint stores it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The entry it follows.
    pub version: u64,
    /// When that entry was written.
    pub written_ms: i64,
    /// Every block.
    pub blocks: Vec<BlockMeta>,
    /// How far shards are compacted.
    pub compacted: BTreeMap<u32, String>,
    /// Tenants' metadata objects.
    pub metadata: BTreeMap<String, String>,
    /// Retention policies, as in an entry.
    #[serde(default)]
    pub retention: BTreeMap<String, StoredRetention>,
    /// What has been looked at for expired samples, as in an entry.
    #[serde(default)]
    pub swept: BTreeMap<String, Swept>,
    /// Erasures that count, ascending by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erasures: Vec<ErasureState>,
    /// Number of each tenant's newest erasure, settled ones among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last_erasure: BTreeMap<String, u64>,
    /// Replaced objects that may still be there.
    pub retired: Vec<Retired>,
    /// How far shards were compacted when, oldest first.
    pub marks: Vec<Marks>,
}

/// Objects that an entry replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retired {
    /// The entry.
    pub version: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub written_ms: i64,
    /// Their keys.
    pub keys: Vec<String>,
}

/// How far shards were compacted as of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// The entry.
    pub version: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub written_ms: i64,
    /// Every shard's mark.
    pub compacted: BTreeMap<u32, String>,
}
