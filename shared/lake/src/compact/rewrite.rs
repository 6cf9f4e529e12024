//! Writing a block again without some of its series.

use std::sync::Arc;

use weir_model::{LabelsRef, TenantId};
use weir_platform::BucketError;

use super::NewBlock;
use super::merging::merge_objects;
use crate::block::BlockIndex;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::manifest::BlockMeta;

/// Whether a series, whose last sample of the block is of that time, stays.
pub(crate) type Keep = Arc<dyn Fn(LabelsRef<'_>, i64) -> bool + Send + Sync>;

/// A block and what is to take its place.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    /// The block.
    pub input: Arc<BlockMeta>,
    /// What is left of it; nothing when all of it goes.
    pub blocks: Vec<BlockMeta>,
}

impl Rewrite {
    /// Drops the whole block.
    pub(crate) fn dropping(input: Arc<BlockMeta>) -> Self {
        Self { input, blocks: Vec::new() }
    }

    /// False when all of the block stays.
    pub(crate) fn changes(&self) -> bool {
        self.blocks.first().is_none_or(|block| block.id != self.input.id)
    }
}

impl Lake {
    /// Writes what `keep` leaves of a block, unless it leaves everything; `None` when the block's objects are
    /// gone, since it was replaced.
    pub(crate) async fn rewrite(
        self: &Arc<Self>,
        tenant: &TenantId,
        block: &Arc<BlockMeta>,
        keep: Keep,
    ) -> Result<Option<Rewrite>, LakeError> {
        let same = || Rewrite { input: block.clone(), blocks: vec![BlockMeta::clone(block)] };
        // The series alone tell whether anything goes; exemplars are few, and looked at with the rest.
        if block.has_samples() && block.exemplars.is_none() {
            let series = match self.bucket.get(&block.series_key).await {
                Err(BucketError::NotFound { .. }) if !self.options.sole_writer => return Ok(None),
                other => other?,
            };
            let (meta, keep) = (block.clone(), keep.clone());
            let all_stay = tokio::task::spawn_blocking(move || {
                let damaged = |error| LakeError::damaged(&meta.series_key, error);
                let index = BlockIndex::decode(series).map_err(damaged)?;
                let labels = index.labels().map_err(damaged)?;
                let last_ms = |ordinal| index.series_times(ordinal).map_or(i64::MAX, |times| times.1);
                Ok::<_, LakeError>((0..index.len() as u32).all(|at| keep(labels.get(at), last_ms(at))))
            });
            if all_stay.await?? {
                return Ok(Some(same()));
            }
        }
        let Some(objects) = self.read_objects(std::slice::from_ref(block)).await? else { return Ok(None) };
        let new = NewBlock {
            tenant: tenant.clone(),
            hour: block.hour,
            generation: block.generation,
            complete: block.complete,
            rollup: block.rollup.clone(),
        };
        let limits = self.options.exemplar_limits();
        let merge = move |parts| merge_objects(objects, parts, limits, &*keep);
        let blocks = self.write_blocks(new, merge).await?;
        Ok(Some(Rewrite { input: block.clone(), blocks }))
    }
}

/// What merging keeps: everything.
pub(super) fn keep_all(_: LabelsRef<'_>, _: i64) -> bool {
    true
}
