//! What each tier holds of each tenant, out of the manifest and the head alone: no object is read for it.

use std::collections::BTreeMap;

use weir_model::{Aggregate, TenantId, Tier};
use weir_platform::StorageClass;

use crate::error::LakeError;
use crate::head::{TenantHead, TimeRange};
use crate::lake::Lake;
use crate::manifest::{BlockMeta, TenantBlocks};

/// Where samples lie, the youngest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StorageTier {
    /// In segments that no block holds yet.
    Hot,
    /// In blocks, as they came.
    Raw,
    /// In rollups.
    Rollup(Tier),
}

impl StorageTier {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Hot, Self::Raw, Self::Rollup(Tier::Minute), Self::Rollup(Tier::Hour), Self::Rollup(Tier::Day)];

    /// Its name, as in parameters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Raw => "raw",
            Self::Rollup(tier) => tier.name(),
        }
    }
}

/// What a tier holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierUsage {
    /// Objects in the bucket; of the hot tier only in the sum of all tenants, who share them.
    pub objects: u64,
    /// The part of `bytes` in each storage class, in the order of [`StorageClass::ALL`].
    pub bytes_by_class: [u64; StorageClass::ALL.len()],
    /// Their size in bytes; of one tenant's hot samples what they take in memory, estimated.
    pub bytes: u64,
    /// Samples; of rollups the values of all aggregates.
    pub samples: u64,
    /// Most series at a time: of the hour, or partition of rollups, that has most.
    pub series: u64,
    /// First and last timestamp, milliseconds since the Unix epoch.
    pub times_ms: Option<(i64, i64)>,
}

impl TierUsage {
    /// Adds what another tenant has, or another part of time, of which `series` says nothing.
    pub fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        for (bytes, more) in self.bytes_by_class.iter_mut().zip(other.bytes_by_class) {
            *bytes += more;
        }
        self.samples += other.samples;
        self.series += other.series;
        if let Some((first, last)) = other.times_ms {
            self.widen(first, last);
        }
    }

    fn widen(&mut self, first: i64, last: i64) {
        let times = self.times_ms.get_or_insert((first, last));
        *times = (times.0.min(first), times.1.max(last));
    }

    fn take(&mut self, block: &BlockMeta) {
        self.objects += block.keys().len() as u64;
        self.bytes += block.bytes();
        // Only samples leave the standard class.
        let cold = if block.class() == StorageClass::Standard { 0 } else { block.samples_bytes };
        for (class, bytes) in StorageClass::ALL.into_iter().zip(&mut self.bytes_by_class) {
            *bytes += if class == StorageClass::Standard { block.bytes() - cold } else { 0 };
            *bytes += if class == block.class() { cold } else { 0 };
        }
        self.samples += block.samples;
        if block.has_samples() {
            self.widen(block.min_ms, block.max_ms);
        }
    }
}

/// What the lake holds by tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// What each tenant has in each tier.
    pub tenants: BTreeMap<TenantId, BTreeMap<StorageTier, TierUsage>>,
    /// The same of all.
    pub total: BTreeMap<StorageTier, TierUsage>,
    /// Samples that each tenant has with timestamps in the range asked for. Of blocks that reach beyond it
    /// the share of their time is taken.
    pub in_range: BTreeMap<TenantId, u64>,
}

impl Lake {
    /// What each tier holds of each tenant (or of one), and how many samples have timestamps from `range_ms.0`
    /// to `range_ms.1`, both inclusive. Costs a walk over the manifest's blocks and the hot samples.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails.
    pub async fn usage(&self, only: Option<&TenantId>, range_ms: (i64, i64)) -> Result<Usage, LakeError> {
        self.refresh_for_query().await?;
        let mut usage = Usage::default();
        let state = self.state();
        let wanted = |tenant: &TenantId| only.is_none_or(|only| only == tenant);
        for (tenant, head) in state.head.tenants().filter(|(tenant, _)| wanted(tenant)) {
            let (hot, in_range) = of_head(head, range_ms);
            usage.tenants.entry(tenant.clone()).or_default().insert(StorageTier::Hot, hot);
            *usage.in_range.entry(tenant.clone()).or_default() += in_range;
        }
        for (tenant, blocks) in state.catalog.tenants.iter().filter(|(tenant, _)| wanted(tenant)) {
            usage.tenants.entry(tenant.clone()).or_default().extend(of_blocks(blocks));
            *usage.in_range.entry(tenant.clone()).or_default() +=
                blocks.raw().map(|b| share(b.samples, (b.min_ms, b.max_ms), range_ms)).sum::<u64>();
        }
        for tiers in usage.tenants.values() {
            for (tier, of) in tiers {
                usage.total.entry(*tier).or_default().add(of);
            }
        }
        if only.is_none() {
            let hot = usage.total.entry(StorageTier::Hot).or_default();
            hot.objects = state.head.segments().len() as u64;
            hot.bytes = state.head.segments().iter().map(|segment| segment.bytes).sum();
        }
        Ok(usage)
    }
}

fn of_head(head: &TenantHead, range_ms: (i64, i64)) -> (TierUsage, u64) {
    let mut hot = TierUsage::default();
    let mut in_range = 0;
    let range = TimeRange { start_ms: range_ms.0, end_ms: range_ms.1 };
    for series in head.series.iter().filter(|series| !series.is_empty()) {
        let (first, last) = series.bounds();
        hot.samples += series.len() as u64;
        hot.bytes += series.memory_bytes() as u64;
        hot.series += 1;
        hot.widen(first, last);
        in_range += series.len_within(range) as u64;
    }
    (hot, in_range)
}

fn of_blocks(blocks: &TenantBlocks) -> BTreeMap<StorageTier, TierUsage> {
    let mut tiers: BTreeMap<StorageTier, TierUsage> = BTreeMap::new();
    for block in blocks.raw() {
        let raw = tiers.entry(StorageTier::Raw).or_default();
        raw.take(block);
        raw.series = raw.series.max(block.series);
    }
    for ((tier, _), partition) in &blocks.rollups {
        let of = tiers.entry(StorageTier::Rollup(*tier)).or_default();
        partition.iter().for_each(|block| of.take(block));
        let of_last = |b: &&std::sync::Arc<BlockMeta>| {
            b.rollup.as_ref().is_some_and(|rollup| rollup.aggregate == Aggregate::Last)
        };
        of.series = of.series.max(partition.iter().filter(of_last).map(|block| block.series).sum());
    }
    tiers
}

/// How many of samples spread evenly over some time lie within a range.
fn share(samples: u64, (first, last): (i64, i64), (from, to): (i64, i64)) -> u64 {
    let (start, end) = (first.max(from), last.min(to));
    if samples == 0 || start > end {
        return 0;
    }
    let part = i128::from(end) - i128::from(start) + 1;
    let whole = i128::from(last) - i128::from(first) + 1;
    u64::try_from(i128::from(samples) * part / whole).unwrap_or(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_range_are_a_share_of_their_block() {
        for (block, range, want) in [
            ((0, 99), (0, 99), 50),
            ((0, 99), (-10, 200), 50),
            ((0, 99), (50, 200), 25),
            ((0, 99), (100, 200), 0),
            ((7, 7), (7, 7), 50),
            ((i64::MIN, i64::MAX), (i64::MIN, i64::MAX), 50),
        ] {
            assert_eq!(share(50, block, range), want, "{block:?} {range:?}");
        }
    }
}
