//! Garbage collection: deletes objects that no manifest, no reader and no retry needs any more.

use hashbrown::HashSet;
use serde::Serialize;
use weir_platform::{SequenceNumber, ShardId};

use crate::append::SegmentStart;
use crate::compact::Maintenance;
use crate::error::LakeError;
use crate::gather::gather;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::Catalog;
use crate::retry_keys::IDLE_LIMIT_MS;

/// How often all blocks are listed in search of what a crash left, in milliseconds; also at the first run.
const SWEEP_EVERY_MS: i64 = 6 * 3_600_000;
/// Folders whose objects must be named by the manifest.
const NAMED_BY_MANIFEST: [&str; 2] = [keys::BLOCKS, "metadata/"];

/// What garbage collection deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct GarbageReport {
    /// Hot segments whose samples are in blocks.
    pub segments: u64,
    /// Objects that were replaced.
    pub replaced: u64,
    /// Objects that were written but never named by the manifest.
    pub orphans: u64,
    /// Manifest entries and checkpoints before the last ones.
    pub manifest: u64,
}

impl Lake {
    /// Deletes what is no longer needed: compacted hot segments (but for those whose retry keys still
    /// count), replaced objects that no running query may read, objects that a crash left behind, and old
    /// manifest entries. When other processes use the bucket, all of it only after the grace period.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails; running again goes on where this run stopped.
    pub async fn collect_garbage(&self) -> Result<GarbageReport, LakeError> {
        let mut maintenance = self.maintenance.lock().await;
        self.refresh_for_maintenance().await?;
        self.forget_replaced_blocks();
        let now_ms = self.clock.now_ms();
        // `None`: at once.
        let limit_ms = (!self.options.sole_writer).then(|| now_ms.saturating_sub(self.options.grace_ms));
        let catalog = self.catalog();
        Ok(GarbageReport {
            replaced: self.delete_replaced(&mut maintenance, &catalog, limit_ms).await?,
            segments: self.delete_segments(&mut maintenance, &catalog, limit_ms, now_ms).await?,
            orphans: self.delete_orphans(&mut maintenance, &catalog, now_ms).await?,
            manifest: self.manifest.clean(limit_ms).await?,
        })
    }

    async fn delete_replaced(
        &self,
        maintenance: &mut Maintenance,
        catalog: &Catalog,
        limit_ms: Option<i64>,
    ) -> Result<u64, LakeError> {
        // A query that began under version v may read what a later version replaced.
        let oldest = self.snapshots.oldest().unwrap_or(u64::MAX);
        let mut deleted = 0;
        for retired in &catalog.retired {
            let due = retired.version <= oldest && limit_ms.is_none_or(|limit| retired.written_ms <= limit);
            if due && !maintenance.forget.contains(&retired.version) {
                deleted += self.delete_all(retired.keys.clone()).await?;
                maintenance.forget.push(retired.version);
            }
        }
        Ok(deleted)
    }

    async fn delete_segments(
        &self,
        maintenance: &mut Maintenance,
        catalog: &Catalog,
        limit_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<u64, LakeError> {
        let marks = match limit_ms {
            None => catalog.compacted.clone(),
            Some(limit_ms) => catalog.marks_before(limit_ms),
        };
        let mut doomed = Vec::new();
        let (mut kept, mut damaged) = (HashSet::new(), 0);
        for (&shard, &to) in &marks {
            for object in self.list_all(&keys::shard_prefix(shard)).await? {
                let Some((_, first)) = keys::parse_segment(&object.key) else { continue };
                if first > to {
                    break;
                }
                if self.damage.is_known_by_name(&object.key) {
                    // Compaction has passed it, so that nothing can take its place any more.
                    damaged += u64::from(self.delete_damaged(&object.key, shard).await?);
                } else if self.is_needed(maintenance, &object.key, shard, to, now_ms).await? {
                    kept.insert(object.key);
                } else {
                    doomed.push(object.key);
                }
            }
        }
        self.damage.retain_after(&marks);
        maintenance.headers.retain(|key, _| kept.contains(key));
        Ok(damaged + self.delete_all(doomed).await?)
    }

    /// True when a segment reaches beyond what is compacted, or has retry keys that still count.
    async fn is_needed(
        &self,
        maintenance: &mut Maintenance,
        key: &str,
        shard: ShardId,
        to: SequenceNumber,
        now_ms: i64,
    ) -> Result<bool, LakeError> {
        let header = match maintenance.headers.get(key) {
            Some(header) => *header,
            None => match self.read_segment_header(key).await? {
                SegmentStart::Read(header) => *maintenance.headers.entry(key.to_owned()).insert(header).get(),
                SegmentStart::Gone => return Ok(false),
                SegmentStart::Damaged => return Ok(!self.delete_damaged(key, shard).await?),
            },
        };
        let keys_count = header.newest_keyed_ms.is_some_and(|newest_ms| {
            let past = self.state().keys(shard).is_some_and(|keys| keys.is_past(newest_ms));
            let idle = now_ms.saturating_sub(newest_ms) > IDLE_LIMIT_MS + self.options.retry_window_ms;
            !past && !idle
        });
        Ok(header.last > to || keys_count)
    }

    async fn delete_orphans(
        &self,
        maintenance: &mut Maintenance,
        catalog: &Catalog,
        now_ms: i64,
    ) -> Result<u64, LakeError> {
        if maintenance.swept_ms.is_some_and(|at| (0..SWEEP_EVERY_MS).contains(&now_ms.saturating_sub(at))) {
            return Ok(0);
        }
        let mut named: HashSet<String> = catalog.retired.iter().flat_map(|r| r.keys.clone()).collect();
        for tenant in catalog.tenants.values() {
            named.extend(tenant.blocks().flat_map(|block| block.keys()));
            named.extend(tenant.metadata.clone());
        }
        let old_ms = now_ms.saturating_sub(self.options.orphan_age_ms);
        let mut doomed = Vec::new();
        for folder in NAMED_BY_MANIFEST {
            let objects = self.list_all(folder).await?;
            let orphans = objects.into_iter().filter(|o| o.created_ms <= old_ms && !named.contains(&o.key));
            doomed.extend(orphans.map(|o| o.key));
        }
        let deleted = self.delete_all(doomed).await?;
        maintenance.swept_ms = Some(now_ms);
        Ok(deleted)
    }

    pub(crate) async fn delete_all(&self, keys: Vec<String>) -> Result<u64, LakeError> {
        let count = keys.len() as u64;
        let delete = |key: String| {
            let bucket = self.bucket.clone();
            async move { bucket.delete(&key).await }
        };
        for deleted in gather(self.options.concurrency, keys.into_iter().map(delete)).await? {
            deleted?;
        }
        Ok(count)
    }
}
