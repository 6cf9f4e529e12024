//! From hot samples to blocks: one block per tenant and hour, and the families that were declared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_model::{MetricKind, Samples, TenantId};
use weir_platform::{SequenceNumber, ShardId};

use super::parts::Parts;
use super::{CompactReport, Maintenance, NewBlock, Planned};
use crate::block::{EncodedBlock, SeriesEntry};
use crate::error::LakeError;
use crate::families::{self, of_metric};
use crate::head::{Families, RecordTag, TimeRange};
use crate::keys::{self, HOUR_MS};
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, Entry};
use crate::series_index::IndexedSeries;

/// Series copied out of the head at a time, so that appends wait for microseconds only.
const SERIES_AT_A_TIME: usize = 256;
/// How often hot samples are compacted anew because another process was faster with some of them.
const TRIES: usize = 4;

/// The part of the head that one compaction makes blocks of: all records before `limit`.
#[derive(Clone)]
struct HotPlan {
    catalog: Arc<Catalog>,
    limit: RecordTag,
    epoch: u64,
    compacted: BTreeMap<ShardId, SequenceNumber>,
    tenants: Vec<TenantId>,
    segments: u64,
    samples: u64,
}

/// What was written for a plan, to be named by one entry.
struct Written {
    blocks: Vec<BlockMeta>,
    metadata: BTreeMap<String, String>,
    /// Families as stored, to be dropped from the head when nothing was declared since.
    families: Vec<(TenantId, u64)>,
}

impl Lake {
    /// Makes blocks of everything hot.
    pub(super) async fn compact_hot(
        self: &Arc<Self>,
        maintenance: &mut Maintenance,
        report: &mut CompactReport,
    ) -> Result<(), LakeError> {
        for _ in 0..TRIES {
            let Some(plan) = self.plan_hot() else { return Ok(()) };
            let Some(written) = self.write_hot(&plan).await? else {
                // The head changed under the plan: another process has compacted meanwhile.
                continue;
            };
            let forget = maintenance.forget.clone();
            let entry = |catalog: &Catalog| entry_for(&plan, &written, &forget, catalog);
            if self.commit(entry).await?.is_some() {
                maintenance.forget.clear();
                report.segments += plan.segments;
                report.samples += plan.samples;
                report.blocks_written += written.blocks.len() as u64;
                report.bytes_written += written.blocks.iter().map(BlockMeta::bytes).sum::<u64>();
                for exemplars in written.blocks.iter().filter_map(|block| block.exemplars.as_ref()) {
                    report.exemplars += exemplars.count;
                    report.exemplars_dropped += exemplars.dropped;
                }
                self.forget_stored_families(&written.families);
                return Ok(());
            }
            self.refresh_for_maintenance().await?;
        }
        Err(LakeError::unavailable(format!("another process compacted meanwhile, {TRIES} times")))
    }

    fn plan_hot(&self) -> Option<HotPlan> {
        let state = self.state();
        let compacted = state.hot_marks();
        if compacted.is_empty() {
            return None;
        }
        let segments = state.head.segments();
        let mut tenants: Vec<TenantId> = state.head.tenants().map(|(tenant, _)| tenant.clone()).collect();
        tenants.sort_unstable();
        Some(HotPlan {
            catalog: state.catalog.clone(),
            limit: state.head.records().next(),
            epoch: state.head.epoch(),
            compacted,
            tenants,
            segments: segments.len() as u64,
            samples: segments.iter().map(|s| s.samples).sum(),
        })
    }

    /// Writes the plan's blocks, one tenant and hour at a time; `None` when the plan no longer fits.
    async fn write_hot(self: &Arc<Self>, plan: &HotPlan) -> Result<Option<Written>, LakeError> {
        let mut written = Written { blocks: Vec::new(), metadata: BTreeMap::new(), families: Vec::new() };
        for tenant in &plan.tenants {
            let (stored, changed) = self.merge_families(tenant, plan, &mut written).await?;
            let families = changed.unwrap_or(stored);
            let hours = {
                let (lake, plan, tenant) = (self.clone(), plan.clone(), tenant.clone());
                tokio::task::spawn_blocking(move || lake.hot_hours(&plan, &tenant)).await?
            };
            for hour in hours {
                let new = NewBlock {
                    tenant: tenant.clone(),
                    hour,
                    generation: 0,
                    complete: false,
                    rollup: None,
                    archived: None,
                    planned: Planned::under(&plan.catalog, tenant),
                };
                let (lake, plan, families) = (self.clone(), plan.clone(), families.clone());
                let tenant = tenant.clone();
                let encode = move |parts: Parts| lake.encode_hot(&plan, &tenant, hour, &families, parts);
                written.blocks.extend(self.write_blocks(new, encode).await?);
            }
            if self.state().head.epoch() != plan.epoch {
                return Ok(None);
            }
        }
        Ok(Some(written))
    }

    /// The hours that a tenant has hot samples or exemplars of.
    fn hot_hours(&self, plan: &HotPlan, tenant: &TenantId) -> BTreeSet<i64> {
        let state = self.state();
        let Some(hot) = state.head.tenant(tenant) else { return BTreeSet::new() };
        let mut hours = hot.exemplars.hours(state.head.records(), plan.limit);
        let mut last = None;
        let mut add = |hour: i64| {
            if last != Some(hour) {
                hours.insert(hour);
                last = Some(hour);
            }
        };
        for series in hot.series.iter().filter(|s| !s.is_empty()) {
            let (min_ms, max_ms) = series.bounds();
            let (first, last) = (min_ms.div_euclid(HOUR_MS), max_ms.div_euclid(HOUR_MS));
            if last - first <= 1 {
                // No more than these two; one that only later records touch makes an empty block, which
                // is not written.
                add(first);
                add(last);
            } else {
                series.each_timestamp(state.head.records(), plan.limit, |at| add(at.div_euclid(HOUR_MS)));
            }
        }
        hours
    }

    /// Encodes the hot samples and exemplars of one tenant and hour; no block when there are none.
    fn encode_hot(
        &self,
        plan: &HotPlan,
        tenant: &TenantId,
        hour: i64,
        families: &Families,
        mut parts: Parts,
    ) -> Result<Vec<EncodedBlock>, LakeError> {
        let range = hour_range(hour);
        let unwritable = |error| LakeError::damaged(&format!("head of tenant {tenant}, hour {hour}"), error);
        let (order, mut exemplars) = {
            let state = self.state();
            let Some(hot) = state.head.tenant(tenant) else { return Ok(Vec::new()) };
            let exemplars = hot.exemplars.copy(state.head.records(), range, Some(plan.limit), |_| true);
            (hot.index.block_order(), exemplars)
        };
        let dropped = exemplars.bound(self.options.exemplar_limits());
        parts.set_exemplars(exemplars, dropped).map_err(unwritable)?;
        let mut copies: Vec<(IndexedSeries, Samples)> = Vec::new();
        for ordinals in order.chunks(SERIES_AT_A_TIME) {
            let mut used = 0;
            {
                let state = self.state();
                let Some(hot) = state.head.tenant(tenant).filter(|_| state.head.epoch() == plan.epoch) else {
                    return Ok(Vec::new());
                };
                for &ordinal in ordinals {
                    let series = &hot.series[ordinal as usize];
                    if series.is_empty() || !series.overlaps(range) {
                        continue;
                    }
                    let known = hot.index.get(ordinal);
                    if used == copies.len() {
                        copies.push((known.clone(), Samples::default()));
                    }
                    let (copy, samples) = &mut copies[used];
                    series.read(head_records(&state), range, Some(plan.limit), known.temporality, samples);
                    if !samples.is_empty() {
                        copy.clone_from(known);
                        used += 1;
                    }
                }
            }
            for (series, samples) in &copies[..used] {
                let declared = of_metric(families, series.labels.metric_name());
                let kind = match series.kind {
                    MetricKind::Unknown => declared.map_or(MetricKind::Unknown, |m| m.kind),
                    known => known,
                };
                let entry = SeriesEntry {
                    id: series.id,
                    labels: series.labels.borrowed(),
                    kind,
                    temporality: series.temporality,
                    unit: declared.map_or("", |m| m.unit.as_str()),
                };
                parts.push(&entry, samples).map_err(unwritable)?;
            }
        }
        parts.finish().map_err(unwritable)
    }

    /// A tenant's families: as stored, and as they become when the head has news, which are written.
    async fn merge_families(
        &self,
        tenant: &TenantId,
        plan: &HotPlan,
        written: &mut Written,
    ) -> Result<(Arc<Families>, Option<Arc<Families>>), LakeError> {
        let stored = self.stored_families(tenant, &plan.catalog).await?;
        let (hot, version) = {
            let state = self.state();
            let Some(part) = state.head.tenant(tenant) else { return Ok((stored, None)) };
            (part.families.clone(), part.families_version)
        };
        written.families.push((tenant.clone(), version));
        let mut merged = Families::clone(&stored);
        for (name, metadata) in hot {
            if merged.len() < self.options.max_families || merged.contains_key(&name) {
                merged.insert(name, metadata);
            }
        }
        if merged == *stored {
            return Ok((stored, None));
        }
        let key = keys::metadata(tenant, &self.new_name(plan.catalog.version));
        let bytes = families::encode(&key, &merged)?;
        self.bucket.create(&key, bytes).await?;
        written.metadata.insert(tenant.to_string(), key);
        Ok((stored, Some(Arc::new(merged))))
    }

    fn forget_stored_families(&self, stored: &[(TenantId, u64)]) {
        let mut state = self.state_mut();
        for (tenant, version) in stored {
            state.head.forget_families(tenant, *version);
        }
    }
}

fn head_records(state: &crate::state::State) -> &crate::head::RecordTable {
    state.head.records()
}

/// The timestamps of an hour.
pub(super) fn hour_range(hour: i64) -> TimeRange {
    // The first and the last hour reach beyond the milliseconds there are.
    let start_ms = hour.saturating_mul(HOUR_MS);
    let end_ms = (hour + 1).checked_mul(HOUR_MS).map_or(i64::MAX, |end| end - 1);
    TimeRange { start_ms, end_ms }
}

/// The entry that names what was written, or `None` when another process was faster.
fn entry_for(plan: &HotPlan, written: &Written, forget: &[u64], catalog: &Catalog) -> Option<Entry> {
    // The same segments must not become blocks twice.
    let untouched = |shard: &ShardId| catalog.compacted.get(shard) == plan.catalog.compacted.get(shard);
    let same_families = |name: &String| {
        let metadata = |catalog: &Catalog| {
            TenantId::new(name).ok().and_then(|tenant| catalog.tenants.get(&tenant)?.metadata.clone())
        };
        metadata(catalog) == metadata(&plan.catalog)
    };
    if !plan.compacted.keys().all(untouched) || !written.metadata.keys().all(same_families) {
        return None;
    }
    let mut add = written.blocks.clone();
    add.iter_mut().for_each(|block| block.generation = catalog.version + 1);
    Some(Entry {
        add,
        compacted: plan.compacted.iter().map(|(shard, to)| (shard.0, to.to_string())).collect(),
        metadata: written.metadata.clone(),
        forget: forget.to_vec(),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_lies_in_its_hour() {
        for at in [i64::MIN, i64::MIN + HOUR_MS, -HOUR_MS, -1, 0, 1, HOUR_MS - 1, HOUR_MS, i64::MAX] {
            let range = hour_range(at.div_euclid(HOUR_MS));
            assert!(range.start_ms <= at && at <= range.end_ms, "{at} in {range:?}");
        }
        assert_eq!(hour_range(-1), TimeRange { start_ms: -HOUR_MS, end_ms: -1 });
    }
}
