//! Compaction: hot samples become blocks, and an hour's blocks become fewer.
//!
//! Everything is written before the manifest names it, and nothing is deleted here: a crash at any
//! moment leaves the lake as it was, and at worst objects that garbage collection removes.

mod hot;
mod merging;
mod parts;
mod plan;
mod rewrite;

use std::sync::Arc;

use hashbrown::HashMap;
use serde::Serialize;
use weir_platform::{Created, Placement, StorageClass};

pub(crate) use parts::Parts;
pub(crate) use rewrite::{Goes, Keep, Rewrite, all};

use crate::block::EncodedBlock;
use crate::error::LakeError;
use crate::gather::gather;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::{ArchivedMeta, BlockMeta, CHECKPOINT_EVERY, Catalog, ExemplarsMeta, RollupMeta};
use crate::segment::SegmentHeader;

/// How much compaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactMode {
    /// What is worth its cost now: all hot segments become blocks, and blocks of one hour are merged when
    /// there are several of about one size, or once when the hour has closed.
    Scheduled,
    /// Everything hot, and every hour down to one block (several, if it has too many series for one).
    Full,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CompactReport {
    /// Hot segments that became blocks.
    pub segments: u64,
    /// Samples that went from hot segments into blocks.
    pub samples: u64,
    /// Exemplars that went into blocks.
    pub exemplars: u64,
    /// Exemplars dropped, the oldest, since a series or a tenant had more than are kept of an hour.
    pub exemplars_dropped: u64,
    /// Blocks written and committed.
    pub blocks_written: u64,
    /// Blocks replaced.
    pub blocks_replaced: u64,
    /// Samples written again by merging.
    pub samples_merged: u64,
    /// Size of the blocks written, in bytes.
    pub bytes_written: u64,
}

/// What compaction and garbage collection remember between runs.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    /// Versions whose replaced objects are gone; the next entry says so.
    pub forget: Vec<u64>,
    /// When block objects that no manifest names were last looked for.
    pub swept_ms: Option<i64>,
    /// Starts of compacted segments that are still there.
    pub headers: HashMap<String, SegmentHeader>,
}

/// Whose block is being written, and its place among the hour's blocks.
pub(crate) struct NewBlock {
    pub tenant: weir_model::TenantId,
    pub hour: i64,
    /// 0 stands for the version of the entry that will name it.
    pub generation: u64,
    pub complete: bool,
    /// Set if it is to be part of a rollup.
    pub rollup: Option<RollupMeta>,
    /// Set if it is to be archived: compressed as much as pays.
    pub archived: Option<ArchivedMeta>,
    /// What was known when it was planned.
    pub planned: Planned,
}

/// What a block is planned under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    /// The manifest's version, which is part of its name.
    pub version: u64,
    /// Number of the newest erasure that what it is made of has been through.
    pub erased: u64,
}

impl Planned {
    /// For blocks made of what awaits no erasure.
    pub(crate) fn under(catalog: &Catalog, tenant: &weir_model::TenantId) -> Self {
        Self { version: catalog.version, erased: catalog.last_erasure(tenant) }
    }
}

impl Lake {
    /// Makes blocks of hot segments and merges blocks. Answers stay the same at every moment of it, and
    /// running it twice, or in two processes at once, does no harm.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or a block is damaged; what was committed before stays.
    pub async fn compact(self: &Arc<Self>, mode: CompactMode) -> Result<CompactReport, LakeError> {
        let mut maintenance = self.maintenance.lock().await;
        self.refresh_for_maintenance().await?;
        let before = self.catalog().version;
        let mut report = CompactReport::default();
        let hot = self.compact_hot(&mut maintenance, &mut report).await;
        // Merging does not depend on it, and hours that stay in pieces make queries slow.
        let merged = self.merge_blocks(mode, &mut maintenance, &mut report).await;
        self.write_due_checkpoint(before).await?;
        self.forget_replaced_blocks();
        hot.and(merged)?;
        Ok(report)
    }

    /// Writes the checkpoint that became due since `before`, if any.
    pub(crate) async fn write_due_checkpoint(&self, before: u64) -> Result<(), LakeError> {
        let catalog = self.catalog();
        if catalog.version / CHECKPOINT_EVERY > before / CHECKPOINT_EVERY {
            self.manifest.write_checkpoint(&catalog).await?;
        }
        Ok(())
    }

    /// Lets go of the indexes of blocks that no query can ask for any more.
    pub(crate) fn forget_replaced_blocks(&self) {
        let catalog = self.catalog();
        if self.snapshots.oldest().is_none_or(|oldest| oldest >= catalog.version) {
            self.days.retain(|id| catalog.contains(id));
        }
    }

    /// Encodes blocks of one hour under new names and writes their objects; none when there was nothing to
    /// write.
    pub(crate) async fn write_blocks<F>(
        self: &Arc<Self>,
        new: NewBlock,
        encode: F,
    ) -> Result<Vec<BlockMeta>, LakeError>
    where
        F: FnOnce(Parts) -> Result<Vec<EncodedBlock>, LakeError> + Send + 'static,
    {
        // The name is a column of the block, so that a taken name would mean to encode it again. Names are
        // made so that this does not happen; should it, the next run has other names.
        let (lake, version, is_raw) = (self.clone(), new.planned.version, new.rollup.is_none());
        let generation = new.generation;
        let name = move || match is_raw {
            true => lake.raw_name(generation, version),
            false => lake.new_name(version),
        };
        let mut parts = Parts::new(name, self.options.block_series());
        if new.archived.is_some() {
            parts.archive();
        }
        let mut metas = Vec::new();
        for encoded in tokio::task::spawn_blocking(move || encode(parts)).await?? {
            metas.push(self.write_block(&new, encoded).await?);
        }
        Ok(metas)
    }

    /// A new name for a block of samples as they came, planned under a version; for the generation, see
    /// [`NewBlock`].
    fn raw_name(&self, generation: u64, version: u64) -> String {
        let generation = if generation == 0 { version } else { generation };
        keys::raw_id(generation, &self.new_name(version))
    }

    /// Writes the objects of a block.
    pub(crate) async fn write_block(
        &self,
        new: &NewBlock,
        encoded: EncodedBlock,
    ) -> Result<BlockMeta, LakeError> {
        let [samples_key, series_key, exemplars_key] = match (&new.rollup, &new.archived) {
            (Some(rollup), _) => keys::rollup_block(&new.tenant, rollup, new.hour, &encoded.name),
            (None, Some(_)) => keys::archived_block(&new.tenant, new.hour, &encoded.name),
            (None, None) => keys::block(&new.tenant, new.hour, &encoded.name),
        };
        let mut archived = new.archived.clone();
        let placement = archived.as_mut().map(|archived| self.place(new, archived, &encoded));
        let create = |key: String, bytes: bytes::Bytes, placement: Placement| {
            let bucket = self.bucket.clone();
            async move {
                match bucket.create_in(&key, bytes.clone(), &placement).await? {
                    Created::New => Ok(()),
                    // Names are this process's own: an attempt of ours whose reply was lost.
                    Created::Existed if placement.class.is_frozen() => Ok(()),
                    // Mostly so here, too.
                    Created::Existed if bucket.get(&key).await? == bytes => Ok(()),
                    Created::Existed => Err(LakeError::unavailable(format!("name {key:?} is taken"))),
                }
            }
        };
        let mut writes = Vec::new();
        if encoded.stats.samples > 0 {
            let placement = placement.unwrap_or_default();
            writes.push(create(samples_key.clone(), encoded.samples.clone(), placement));
            writes.push(create(series_key.clone(), encoded.series.clone(), Placement::default()));
        }
        let exemplars = encoded.exemplars.as_ref();
        let exemplars = exemplars.map(|e| (exemplars_key.clone(), e.object.clone()));
        writes.extend(exemplars.map(|(key, object)| create(key, object, Placement::default())));
        for written in gather(self.options.concurrency, writes).await? {
            written?;
        }
        let stats = encoded.stats;
        Ok(BlockMeta {
            id: encoded.name,
            tenant: new.tenant.to_string(),
            hour: new.hour,
            min_ms: stats.min_ms,
            max_ms: stats.max_ms,
            series: stats.series,
            samples: stats.samples,
            samples_bytes: stats.samples_bytes,
            series_bytes: stats.series_bytes,
            samples_key,
            series_key,
            generation: new.generation,
            complete: new.complete,
            exemplars: encoded.exemplars.map(|exemplars| ExemplarsMeta {
                key: exemplars_key,
                bytes: exemplars.object.len() as u64,
                count: exemplars.count,
                dropped: exemplars.dropped,
                min_ms: exemplars.min_ms,
                max_ms: exemplars.max_ms,
            }),
            rollup: new.rollup.clone(),
            erased: new.planned.erased,
            archived,
        })
    }

    /// Where the samples of an archived block are put. Says in the block's place in the manifest what comes of the
    /// class that was wished for.
    fn place(&self, new: &NewBlock, archived: &mut ArchivedMeta, encoded: &EncodedBlock) -> Placement {
        if !self.bucket.has_classes() || (encoded.samples.len() as u64) < self.options.cold_bytes {
            archived.class = StorageClass::Standard;
        }
        let day = keys::date(new.hour.div_euclid(24));
        let tags = vec![("tenant", new.tenant.to_string()), ("tier", "raw".to_owned()), ("day", day)];
        Placement { class: archived.class, tags }
    }
}
