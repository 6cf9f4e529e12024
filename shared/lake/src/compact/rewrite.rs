//! Writing a block again without some of its series, or in pieces of an hour.

use std::cell::Cell;
use std::sync::Arc;

use weir_model::{LabelsRef, TenantId};
use weir_platform::{BucketError, StorageClass};

use super::merging::merge_objects;
use super::{NewBlock, Planned};
use crate::block::{BlockIndex, decode_exemplars};
use crate::error::LakeError;
use crate::keys::HOUR_MS;
use crate::lake::Lake;
use crate::manifest::{ArchivedMeta, BlockMeta};

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
        planned: Planned,
    ) -> Result<Option<Rewrite>, LakeError> {
        let same = || Rewrite { input: block.clone(), blocks: vec![BlockMeta::clone(block)] };
        match self.stays(block, keep.clone()).await? {
            None => return Ok(None),
            Some(true) => return Ok(Some(same())),
            Some(false) => {}
        }
        let new = NewBlock {
            tenant: tenant.clone(),
            hour: block.hour,
            generation: block.generation,
            complete: block.complete,
            rollup: block.rollup.clone(),
            archived: block.archived.clone(),
            planned,
        };
        let blocks = self.write_merged(std::slice::from_ref(block), new, keep).await?;
        Ok(blocks.map(|blocks| Rewrite { input: block.clone(), blocks }))
    }

    /// Writes what `keep` leaves of each hour of an archived block as a block of its own, so that what expires
    /// later goes by the hour; `None` when the block's objects are gone, since it was replaced.
    pub(crate) async fn split(
        self: &Arc<Self>,
        tenant: &TenantId,
        block: &Arc<BlockMeta>,
        keep: Keep,
        planned: Planned,
    ) -> Result<Option<Rewrite>, LakeError> {
        let Some(objects) = self.read_objects(std::slice::from_ref(block)).await? else { return Ok(None) };
        let limits = self.options.exemplar_limits();
        let days = block.archived.as_ref().map(|archived| archived.days.clone()).unwrap_or_default();
        let mut blocks = Vec::new();
        for hour in block.hour..block.end_hour() {
            let new = NewBlock {
                tenant: tenant.clone(),
                hour,
                generation: block.generation,
                complete: block.complete,
                rollup: None,
                // Not for long: where nothing is billed for less than a month.
                archived: Some(ArchivedMeta { hours: 1, days: days.clone(), class: StorageClass::Standard }),
                planned,
            };
            let (objects, keep) = (objects.clone(), keep.clone());
            let start_ms = hour.saturating_mul(HOUR_MS);
            let range = (start_ms, start_ms.saturating_add(HOUR_MS - 1));
            let cut = move |parts| merge_objects(objects, parts, limits, range, &*keep);
            blocks.extend(self.write_blocks(new, cut).await?);
        }
        Ok(Some(Rewrite { input: block.clone(), blocks }))
    }

    /// True when `keep` leaves all of a block, for which its series and its exemplars are read; `None` when
    /// its objects are gone.
    pub(crate) async fn stays(&self, block: &Arc<BlockMeta>, keep: Keep) -> Result<Option<bool>, LakeError> {
        let mut objects = Vec::new();
        let series = block.has_samples().then_some(&block.series_key);
        for key in series.into_iter().chain(block.exemplars.as_ref().map(|exemplars| &exemplars.key)) {
            objects.push(match self.bucket.get(key).await {
                Err(BucketError::NotFound { .. }) if !self.options.sole_writer => return Ok(None),
                other => other?,
            });
        }
        let meta = block.clone();
        let all_stay = move || {
            let mut objects = objects.into_iter();
            if let Some(series) = objects.next().filter(|_| meta.has_samples()) {
                let damaged = |error| LakeError::damaged(&meta.series_key, error);
                let index = BlockIndex::decode(series).map_err(damaged)?;
                let labels = index.labels().map_err(damaged)?;
                let last_ms = |ordinal| index.series_times(ordinal).map_or(i64::MAX, |times| times.1);
                if !(0..index.len() as u32).all(|at| keep(labels.get(at), last_ms(at))) {
                    return Ok(false);
                }
            }
            let Some((known, object)) = meta.exemplars.as_ref().zip(objects.next_back()) else {
                return Ok(true);
            };
            let all_stay = Cell::new(true);
            // None is decoded: what counts is whose they are.
            let look = |labels: LabelsRef<'_>| {
                all_stay.set(all_stay.get() && keep(labels, known.max_ms));
                false
            };
            decode_exemplars(&object, look).map_err(|error| LakeError::damaged(&known.key, error))?;
            Ok::<_, LakeError>(all_stay.get())
        };
        Ok(Some(tokio::task::spawn_blocking(all_stay).await??))
    }
}
