//! The head: what hot segments hold, in memory, until compaction has made blocks of it.
//!
//! Samples lie per series in the order in which they came, each with the record that brought it: the
//! record's table entry says which segment range it belongs to (so that compacted ones can be dropped)
//! and which of two writes to one timestamp is the later one.

mod exemplars;
mod records;
mod series;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use hashbrown::HashMap;
use weir_model::{Metadata, Record, TenantId};
use weir_platform::{SequenceNumber, ShardId};

pub(crate) use exemplars::HotExemplars;
pub(crate) use records::{RecordTable, RecordTag};
pub(crate) use series::{HeadSeries, TimeRange};

use crate::changes::Writes;
use crate::erase::Erasure;
use crate::exemplars::ExemplarLimits;
use crate::series_index::SeriesIndex;
use records::RecordEntry;

/// Families whose metadata was declared, by name.
pub(crate) type Families = BTreeMap<String, Metadata>;

/// Everything hot, of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Head {
    tenants: HashMap<TenantId, TenantHead>,
    records: RecordTable,
    segments: Vec<HotSegment>,
    epoch: u64,
}

/// One tenant's part of the head.
#[derive(Debug, Default)]
pub(crate) struct TenantHead {
    /// The series by id and by label; kept while they have no samples, since they usually return.
    pub index: SeriesIndex,
    /// The samples, by the index's ordinals.
    pub series: Vec<HeadSeries>,
    /// What they cover, once someone asked; forgotten with every change.
    extent: OnceLock<Extent>,
    /// The exemplars.
    pub exemplars: HotExemplars,
    /// Families declared since the process started.
    pub families: Families,
    /// Rises with each declaration that changed something.
    pub families_version: u64,
    /// Which times were written to when.
    pub writes: Writes,
}

/// What a tenant's hot samples cover.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Series that have samples.
    pub live: usize,
    /// First and last timestamp; meaningless without samples.
    pub times_ms: (i64, i64),
}

/// A hot segment that the head holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HotSegment {
    /// Its shard.
    pub shard: ShardId,
    /// Last sequence number it covers.
    pub last: SequenceNumber,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// Samples of it in the head.
    pub samples: u64,
    /// Earliest arrival of its records, milliseconds since the Unix epoch.
    pub oldest_ms: Option<i64>,
}

/// What bounds one tenant's part of the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    /// Families with metadata.
    pub families: usize,
    /// Exemplars.
    pub exemplars: ExemplarLimits,
}

/// What a segment brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Taken {
    /// Samples.
    pub samples: u64,
    /// Exemplars, repeats included.
    pub exemplars: u64,
    /// Exemplars, these or older ones, that the limits made go.
    pub exemplars_dropped: u64,
}

impl Head {
    /// Adds the records of a segment, within `limits`.
    pub(crate) fn insert<'a>(
        &mut self,
        mut segment: HotSegment,
        records: impl Iterator<Item = (SequenceNumber, &'a Record)>,
        limits: HeadLimits,
    ) -> Taken {
        let mut places: Vec<u32> = Vec::new();
        let mut taken = Taken::default();
        for (sequence, record) in records {
            let tag = self.records.push(RecordEntry {
                received_ms: record.received_ms,
                shard: segment.shard,
                sequence,
            });
            segment.oldest_ms =
                Some(segment.oldest_ms.map_or(record.received_ms, |o| o.min(record.received_ms)));
            taken.samples += record.batch.sample_count() as u64;
            taken.exemplars += record.batch.exemplars.len() as u64;
            let tenant = match self.tenants.get_mut(&record.tenant) {
                Some(tenant) => tenant,
                None => self.tenants.entry(record.tenant.clone()).or_default(),
            };
            taken.exemplars_dropped += tenant.insert(record, tag, &mut places, limits);
        }
        segment.samples = taken.samples;
        self.segments.push(segment);
        taken
    }

    /// A tenant's part, if it ever had one.
    pub(crate) fn tenant(&self, tenant: &TenantId) -> Option<&TenantHead> {
        self.tenants.get(tenant)
    }

    /// Every tenant with its part.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = (&TenantId, &TenantHead)> {
        self.tenants.iter()
    }

    /// What is known about the records.
    pub(crate) fn records(&self) -> &RecordTable {
        &self.records
    }

    /// The segments whose samples are here.
    pub(crate) fn segments(&self) -> &[HotSegment] {
        &self.segments
    }

    /// Drops a tenant's families, which are stored by now, unless some were declared since `version`.
    pub(crate) fn forget_families(&mut self, tenant: &TenantId, version: u64) {
        if let Some(tenant) = self.tenants.get_mut(tenant).filter(|t| t.families_version == version) {
            tenant.families = Families::new();
        }
    }

    /// Rises whenever ordinals of some tenant's series change their meaning.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Drops what an erasure takes, and forgets the series that it leaves nothing of.
    pub(crate) fn erase(&mut self, erasure: &Erasure) {
        let Some(tenant) = self.tenants.get_mut(&erasure.tenant) else { return };
        for (ordinal, series) in tenant.series.iter_mut().enumerate() {
            if erasure.matches(tenant.index.get(ordinal as u32).labels.borrowed()) {
                series.retain(|at, tag| !erasure.takes(self.records.received_ms(tag), at));
            }
        }
        tenant.exemplars.erase(&self.records, erasure);
        tenant.families.retain(|name, _| !erasure.matches_family(name));
        tenant.families_version += 1;
        tenant.extent = OnceLock::new();
        tenant.writes.forget();
        tenant.forget_empty();
        self.epoch += 1;
    }

    /// Drops what the blocks hold by now: records at or below their shard's mark.
    pub(crate) fn drop_compacted(&mut self, compacted: &BTreeMap<ShardId, SequenceNumber>) {
        let covered = |shard: ShardId, at: SequenceNumber| compacted.get(&shard).is_some_and(|to| at <= *to);
        let before = self.segments.len();
        self.segments.retain(|s| !covered(s.shard, s.last));
        if self.segments.len() == before {
            return;
        }
        let drop = self.records.dropping(|entry| covered(entry.shard, entry.sequence));
        for tenant in self.tenants.values_mut() {
            for series in &mut tenant.series {
                series.drop_records(&self.records, &drop);
            }
            tenant.extent = OnceLock::new();
            tenant.exemplars.drop_records(&self.records, &drop);
            // Series that are gone for good would pile up; those that pause must not be indexed anew each time.
            let empty = tenant.series.iter().filter(|s| s.is_empty()).count();
            if empty > 1_000 && empty > 4 * (tenant.series.len() - empty) {
                tenant.forget_empty();
                self.epoch += 1;
            }
        }
        self.records.drop_prefix(&drop);
    }
}

impl TenantHead {
    /// What the samples cover.
    pub(crate) fn extent(&self) -> Extent {
        *self.extent.get_or_init(|| {
            let live = self.series.iter().filter(|series| !series.is_empty());
            let none = Extent { live: 0, times_ms: (i64::MAX, i64::MIN) };
            live.fold(none, |all, series| {
                let (min_ms, max_ms) = series.bounds();
                let times_ms = (all.times_ms.0.min(min_ms), all.times_ms.1.max(max_ms));
                Extent { live: all.live + 1, times_ms }
            })
        })
    }

    fn insert(&mut self, record: &Record, tag: RecordTag, places: &mut Vec<u32>, limits: HeadLimits) -> u64 {
        let batch = &record.batch;
        self.extent = OnceLock::new();
        places.clear();
        places.extend(
            batch.series().iter().map(|s| self.index.insert(s.id, batch.labels(s), s.kind, s.temporality)),
        );
        if self.series.len() < self.index.len() {
            self.series.resize_with(self.index.len(), HeadSeries::default);
        }
        let floats = batch.floats.iter().map(|s| s.timestamp_ms);
        let histograms = batch.histograms.iter().map(|s| s.timestamp_ms);
        self.writes.note(floats.chain(histograms).chain(batch.sets.iter().map(|s| s.timestamp_ms)));
        for sample in &batch.floats {
            let ordinal = places[sample.series as usize];
            self.series[ordinal as usize].push_float(sample.timestamp_ms, sample.value, tag);
        }
        for sample in &batch.histograms {
            let ordinal = places[sample.series as usize];
            self.series[ordinal as usize].push_histogram(sample.timestamp_ms, sample.histogram.clone(), tag);
        }
        for sample in &batch.sets {
            let ordinal = places[sample.series as usize];
            self.series[ordinal as usize].push_set(sample.timestamp_ms, sample.set.clone(), tag);
        }
        let mut dropped = 0;
        for exemplar in &batch.exemplars {
            let series = &batch.series()[exemplar.series as usize];
            let labels = batch.labels(series);
            dropped += self.exemplars.insert(series.id, labels, exemplar, tag, limits.exemplars);
        }
        for metadata in &batch.metadata {
            if self.families.get(&metadata.family) != Some(metadata)
                && (self.families.len() < limits.families || self.families.contains_key(&metadata.family))
            {
                self.families.insert(metadata.family.clone(), metadata.clone());
                self.families_version += 1;
            }
        }
        dropped
    }

    /// Builds the index anew from the series that have samples.
    fn forget_empty(&mut self) {
        let mut index = SeriesIndex::default();
        let mut kept = Vec::new();
        for (ordinal, series) in self.series.drain(..).enumerate() {
            if !series.is_empty() {
                let known = self.index.get(ordinal as u32);
                index.insert(known.id, known.labels.borrowed(), known.kind, known.temporality);
                kept.push(series);
            }
        }
        self.index = index;
        self.series = kept;
    }
}
