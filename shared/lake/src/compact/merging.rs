//! Merging blocks into one: of one hour, or for the archive of several.

use std::sync::Arc;

use bytes::Bytes;
use weir_model::{LabelsRef, MetricKind, Samples, Temporality};
use weir_platform::BucketError;

use super::parts::Parts;
use super::plan::{self, Merge};
use super::{CompactMode, CompactReport, Keep, Maintenance, NewBlock, Planned, all};
use crate::block::{
    BlockCursor, BlockIndex, BlockLabels, BlockPages, EncodedBlock, SeriesEntry, decode_exemplars,
    series_order,
};
use crate::error::LakeError;
use crate::exemplars::{ExemplarLimits, ExemplarSet};
use crate::gather::gather;
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, Entry};
use crate::merge;

/// The range of every time.
const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);
/// Merges that one manifest entry commits.
const MERGES_PER_ENTRY: usize = 16;
/// How often merges are planned again: what one round merges may be worth merging with more.
const ROUNDS: usize = 8;

/// The objects of a block to be merged.
#[derive(Clone)]
pub(super) struct Objects {
    meta: Arc<BlockMeta>,
    /// Series and samples, unless the block has exemplars alone.
    samples: Option<(Bytes, Bytes)>,
    exemplars: Option<Bytes>,
}

/// A block to be merged, in memory.
struct Input {
    meta: Arc<BlockMeta>,
    index: Arc<BlockIndex>,
    labels: BlockLabels,
    units: Vec<String>,
    pages: BlockPages,
}

impl Lake {
    /// Merges what is worth merging.
    pub(super) async fn merge_blocks(
        self: &Arc<Self>,
        mode: CompactMode,
        maintenance: &mut Maintenance,
        report: &mut CompactReport,
    ) -> Result<(), LakeError> {
        for _ in 0..ROUNDS {
            let catalog = self.catalog();
            let merges = plan::merges(&catalog, mode, &self.options, self.clock.now_ms());
            if merges.is_empty() {
                return Ok(());
            }
            for some in merges.chunks(MERGES_PER_ENTRY) {
                self.merge_some(&catalog, some, maintenance, report).await?;
            }
        }
        Ok(())
    }

    async fn merge_some(
        self: &Arc<Self>,
        planned: &Catalog,
        merges: &[Merge],
        maintenance: &mut Maintenance,
        report: &mut CompactReport,
    ) -> Result<(), LakeError> {
        let mut merged: Vec<(&Merge, Vec<BlockMeta>)> = Vec::new();
        for merge in merges {
            let generation = merge.inputs.iter().map(|b| b.generation).max().unwrap_or(0);
            let new = NewBlock {
                tenant: merge.tenant.clone(),
                hour: merge.hour,
                generation,
                complete: merge.complete,
                rollup: None,
                archived: None,
                planned: Planned::under(planned, &merge.tenant),
            };
            // Of an hour at a time, so that memory holds the objects of one.
            let blocks = self.write_merged(&merge.inputs, new, Arc::new(all)).await?;
            merged.extend(blocks.map(|blocks| (merge, blocks)));
        }
        let forget = maintenance.forget.clone();
        // A merge whose inputs another process has replaced is left out.
        let holds = |catalog: &Catalog, merge: &Merge| merge.inputs.iter().all(|b| catalog.contains(&b.id));
        let entry = |catalog: &Catalog| {
            let mut entry = Entry { forget: forget.clone(), ..Entry::default() };
            for (merge, blocks) in merged.iter().filter(|(merge, _)| holds(catalog, merge)) {
                entry.add.extend(blocks.iter().cloned());
                entry.remove.extend(merge.inputs.iter().map(|b| b.id.clone()));
            }
            (!entry.is_empty()).then_some(entry)
        };
        let Some(catalog) = self.commit(entry).await? else { return Ok(()) };
        maintenance.forget.clear();
        let committed = |blocks: &[BlockMeta]| blocks.iter().any(|block| catalog.contains(&block.id));
        for (merge, blocks) in merged.iter().filter(|(_, blocks)| committed(blocks)) {
            report.blocks_replaced += merge.inputs.len() as u64;
            report.blocks_written += blocks.len() as u64;
            for block in blocks {
                report.samples_merged += block.samples;
                report.bytes_written += block.bytes();
                report.exemplars_dropped += block.exemplars.as_ref().map_or(0, |e| e.dropped);
            }
        }
        Ok(())
    }

    /// Writes what `keep` leaves of some blocks, given in order of writes, as `new` says; `None` when one of them
    /// is gone, since it was replaced.
    pub(crate) async fn write_merged(
        self: &Arc<Self>,
        inputs: &[Arc<BlockMeta>],
        new: NewBlock,
        keep: Arc<dyn Keep>,
    ) -> Result<Option<Vec<BlockMeta>>, LakeError> {
        let Some(objects) = self.read_objects(inputs).await? else { return Ok(None) };
        let limits = self.options.exemplar_limits();
        let merge = move |parts| merge_objects(objects, parts, limits, ALWAYS, &*keep);
        self.write_blocks(new, merge).await.map(Some)
    }

    /// The objects of each input, in order of writes; `None` when one is gone, since it was replaced.
    pub(super) async fn read_objects(
        &self,
        blocks: &[Arc<BlockMeta>],
    ) -> Result<Option<Vec<Objects>>, LakeError> {
        let read = |meta: Arc<BlockMeta>| {
            let bucket = self.bucket.clone();
            async move {
                let samples = match meta.has_samples() {
                    true => Some((bucket.get(&meta.series_key).await?, bucket.get(&meta.samples_key).await?)),
                    false => None,
                };
                let exemplars = match &meta.exemplars {
                    Some(exemplars) => Some(bucket.get(&exemplars.key).await?),
                    None => None,
                };
                Ok::<_, BucketError>(Objects { meta, samples, exemplars })
            }
        };
        let mut inputs = Vec::with_capacity(blocks.len());
        let read = gather(self.options.concurrency, blocks.iter().cloned().map(read)).await?;
        let is_frozen = |read: &Result<_, BucketError>| matches!(read, Err(BucketError::Frozen { .. }));
        if read.iter().any(is_frozen) {
            let frozen = blocks.iter().zip(&read).filter(|(_, read)| is_frozen(read));
            return Err(self.restore(frozen.map(|(block, _)| block)).await);
        }
        for input in read {
            match input {
                Err(BucketError::NotFound { .. }) if !self.options.sole_writer => return Ok(None),
                other => inputs.push(other?),
            }
        }
        Ok(Some(inputs))
    }
}

impl Input {
    fn open(meta: Arc<BlockMeta>, series: Bytes, samples: &Bytes) -> Result<Self, LakeError> {
        let bad_series = |error| LakeError::damaged(&meta.series_key, error);
        let bad_samples = |error| LakeError::damaged(&meta.samples_key, error);
        let index = Arc::new(BlockIndex::decode(series).map_err(bad_series)?);
        let labels = index.labels().map_err(bad_series)?;
        let units = index.units().map_err(bad_series)?;
        let ordinals: Vec<u32> = (0..index.len() as u32).collect();
        let plan = index.plan(&ordinals, i64::MIN, i64::MAX).map_err(bad_series)?;
        let mut parts = Vec::with_capacity(plan.ranges().len());
        for range in plan.ranges() {
            if range.end > samples.len() as u64 || range.start > range.end {
                let reason = format!("it has {} bytes, not {}", samples.len(), range.end);
                return Err(LakeError::damaged(&meta.samples_key, reason));
            }
            parts.push(samples.slice(range.start as usize..range.end as usize));
        }
        let pages = BlockPages::new(plan, parts).map_err(bad_samples)?;
        Ok(Self { meta, index, labels, units, pages })
    }

    fn key(&self, ordinal: u32) -> (LabelsRef<'_>, Temporality) {
        (self.labels.get(ordinal), self.index.temporality(ordinal))
    }
}

/// Unites the exemplars of all inputs within a range of time, and tells how many were too many.
fn merge_exemplars(
    objects: &[Objects],
    limits: ExemplarLimits,
    (start_ms, end_ms): (i64, i64),
    keep: &dyn Keep,
) -> Result<(ExemplarSet, u64), LakeError> {
    let (mut united, mut dropped) = (ExemplarSet::default(), 0);
    for Objects { meta, exemplars, .. } in objects {
        let (Some(object), Some(known)) = (exemplars, &meta.exemplars) else { continue };
        let wanted = |labels: LabelsRef<'_>| keep.series(labels, known.max_ms.min(end_ms));
        let set = decode_exemplars(object, wanted, |of, own| keep.exemplar(of, own))
            .map_err(|error| LakeError::damaged(&known.key, error))?;
        for (key, mut exemplars) in set {
            exemplars.retain(|exemplar| (start_ms..=end_ms).contains(&exemplar.timestamp_ms));
            if !exemplars.is_empty() {
                united.extend(key, exemplars);
            }
        }
        // After each input, so that memory holds no more than the limits and one more.
        dropped += united.bound(limits);
    }
    Ok((united, dropped))
}

/// Walks all inputs in the order of their series and writes the joined samples, within a range of time, of those
/// that `keep` leaves.
pub(super) fn merge_objects(
    objects: Vec<Objects>,
    mut parts: Parts,
    limits: ExemplarLimits,
    range: (i64, i64),
    keep: &dyn Keep,
) -> Result<Vec<EncodedBlock>, LakeError> {
    let Some(first) = objects.first() else { return Ok(Vec::new()) };
    let into = format!("merge of block {} with others", first.meta.id);
    let unwritable = |error| LakeError::damaged(&into, error);
    let (exemplars, dropped) = merge_exemplars(&objects, limits, range, keep)?;
    parts.set_exemplars(exemplars, dropped).map_err(unwritable)?;
    let inputs = objects
        .into_iter()
        .filter_map(|Objects { meta, samples, .. }| samples.map(|(series, samples)| (meta, series, samples)))
        .map(|(meta, series, samples)| Input::open(meta, series, &samples))
        .collect::<Result<Vec<_>, _>>()?;
    let mut cursors: Vec<BlockCursor<'_>> = inputs.iter().map(|input| input.pages.cursor()).collect();
    let mut next = vec![0u32; inputs.len()];
    let (mut joined, mut scratch) = (Samples::default(), Samples::default());
    // Each round takes one series off at least one input.
    loop {
        let heads = inputs.iter().enumerate().filter(|(at, input)| (next[*at] as usize) < input.index.len());
        let least = heads.min_by(|(a, x), (b, y)| series_order(x.key(next[*a]), y.key(next[*b])));
        let Some((least, input)) = least else { break };
        let (labels, temporality) = input.key(next[least]);
        let Some(&id) = input.index.ids().get(next[least] as usize) else { break };
        let (mut kind, mut unit) = (MetricKind::Unknown, "");
        joined.clear();
        for (at, input) in inputs.iter().enumerate().skip(least) {
            let ordinal = next[at];
            if input.index.ids().get(ordinal as usize) != Some(&id) {
                continue;
            }
            cursors[at]
                .read(ordinal, range.0, range.1, &mut scratch)
                .map_err(|error| LakeError::damaged(&input.meta.samples_key, error))?;
            merge::join(&mut joined, &mut scratch, temporality);
            if input.index.kind(ordinal) != MetricKind::Unknown {
                kind = input.index.kind(ordinal);
            }
            if let Some(known) = input.units.get(ordinal as usize).filter(|unit| !unit.is_empty()) {
                unit = known;
            }
            next[at] += 1;
        }
        if joined.is_empty() && range != ALWAYS {
            continue;
        }
        if joined.is_empty() {
            let reason = format!("series {id} has no samples");
            return Err(LakeError::damaged(&inputs[least].meta.samples_key, reason));
        }
        let last_ms = merge::bounds(&joined).map_or(i64::MAX, |bounds| bounds.1);
        if !keep.series(labels, last_ms) {
            continue;
        }
        parts.push(&SeriesEntry { id, labels, kind, temporality, unit }, &joined).map_err(unwritable)?;
    }
    parts.finish().map_err(unwritable)
}
