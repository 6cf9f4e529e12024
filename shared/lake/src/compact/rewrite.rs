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

/// What stays of blocks that are written again. Where it is a matter of series alone, a function says it.
pub(crate) trait Keep: Send + Sync {
    /// Whether a series stays whose last sample (or an exemplar beside it) is of that time at the latest.
    fn series(&self, labels: LabelsRef<'_>, last_ms: i64) -> bool;

    /// Whether an exemplar of a series that stays does, too, given its own labels.
    fn exemplar(&self, _series: LabelsRef<'_>, _own: LabelsRef<'_>) -> bool {
        true
    }
}

impl<F: Fn(LabelsRef<'_>, i64) -> bool + Send + Sync> Keep for F {
    fn series(&self, labels: LabelsRef<'_>, last_ms: i64) -> bool {
        self(labels, last_ms)
    }
}

/// Everything stays.
pub(crate) fn all(_: LabelsRef<'_>, _: i64) -> bool {
    true
}

/// What of a block does not stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    /// All of it stays.
    Nothing,
    /// Some of its exemplars, and none of its samples.
    Exemplars,
    /// Some of its series.
    Series,
    /// All of it.
    Everything,
}

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
        keep: Arc<dyn Keep>,
        planned: Planned,
    ) -> Result<Option<Rewrite>, LakeError> {
        let rewrite = |blocks| Rewrite { input: block.clone(), blocks };
        let Some(goes) = self.goes(block, keep.clone()).await? else { return Ok(None) };
        match goes {
            Goes::Nothing => return Ok(Some(rewrite(vec![BlockMeta::clone(block)]))),
            // Unread: nothing frozen has to be restored to be dropped.
            Goes::Everything => return Ok(Some(Rewrite::dropping(block.clone()))),
            Goes::Exemplars | Goes::Series => {}
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
        if goes == Goes::Series || !block.has_samples() {
            return Ok(self.write_merged(std::slice::from_ref(block), new, keep).await?.map(rewrite));
        }
        // Samples and series lie in objects of their own, which become the new block's: frozen ones stay so.
        let alone = Arc::new(BlockMeta { samples: 0, ..BlockMeta::clone(block) });
        let Some(written) = self.write_merged(&[alone], new, keep).await? else { return Ok(None) };
        let (id, exemplars) = match written.into_iter().next() {
            Some(of) => (of.id, of.exemplars),
            None => (self.raw_name(block.generation, planned.version), None),
        };
        let erased = planned.erased;
        Ok(Some(rewrite(vec![BlockMeta { id, exemplars, erased, ..BlockMeta::clone(block) }])))
    }

    /// Writes what `keep` leaves of each hour of an archived block as a block of its own, so that what expires
    /// later goes by the hour; `None` when the block's objects are gone, since it was replaced.
    pub(crate) async fn split(
        self: &Arc<Self>,
        tenant: &TenantId,
        block: &Arc<BlockMeta>,
        keep: Arc<dyn Keep>,
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

    /// What `keep` does not leave of a block, for which its series and its exemplars are read; `None` when its
    /// objects are gone.
    pub(crate) async fn goes(
        &self,
        block: &Arc<BlockMeta>,
        keep: Arc<dyn Keep>,
    ) -> Result<Option<Goes>, LakeError> {
        let mut objects = Vec::new();
        let series = block.has_samples().then_some(&block.series_key);
        for key in series.into_iter().chain(block.exemplars.as_ref().map(|exemplars| &exemplars.key)) {
            objects.push(match self.bucket.get(key).await {
                Err(BucketError::NotFound { .. }) if !self.options.sole_writer => return Ok(None),
                other => other?,
            });
        }
        let meta = block.clone();
        let look = move || {
            let mut objects = objects.into_iter();
            // Of each, how many stay and how many go.
            let mut series = (0, 0);
            let of_series = if meta.has_samples() { objects.next() } else { None };
            if let Some(object) = of_series {
                let damaged = |error| LakeError::damaged(&meta.series_key, error);
                let index = BlockIndex::decode(object).map_err(damaged)?;
                let labels = index.labels().map_err(damaged)?;
                let last_ms = |ordinal| index.series_times(ordinal).map_or(i64::MAX, |times| times.1);
                let stays = |at: &u32| keep.series(labels.get(*at), last_ms(*at));
                let kept = (0..index.len() as u32).filter(stays).count();
                series = (kept, index.len() - kept);
            }
            let exemplars = (Cell::new(0_usize), Cell::new(0_usize));
            if let Some((known, object)) = meta.exemplars.as_ref().zip(objects.next()) {
                let note = |stays: bool| {
                    let count = if stays { &exemplars.0 } else { &exemplars.1 };
                    count.set(count.get() + 1);
                    stays
                };
                let of_series = |labels: LabelsRef<'_>| keep.series(labels, known.max_ms) || note(false);
                // None is taken: what counts is whether they stay.
                let look = |of: LabelsRef<'_>, own: LabelsRef<'_>| {
                    note(keep.exemplar(of, own));
                    false
                };
                decode_exemplars(&object, of_series, look)
                    .map_err(|error| LakeError::damaged(&known.key, error))?;
            }
            Ok::<_, LakeError>(match (series, (exemplars.0.get(), exemplars.1.get())) {
                ((_, 0), (_, 0)) => Goes::Nothing,
                ((0, _), (0, _)) => Goes::Everything,
                ((_, 0), _) => Goes::Exemplars,
                _ => Goes::Series,
            })
        };
        Ok(Some(tokio::task::spawn_blocking(look).await??))
    }
}
