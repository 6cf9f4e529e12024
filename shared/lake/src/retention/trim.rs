//! Taking expired intervals out of rollups: a partition whole where all of its days expired, otherwise written
//! again without them.
//!
//! A partition is looked at once for each of its days and each age of the policy, when that age has passed the
//! day. So it is written again at most so often, each time smaller: about what making it day by day took.

use std::sync::Arc;

use weir_model::{Aggregate, Samples, SeriesId, TenantId};

use super::{ExpireReport, Floors, InForce, Swept};
use crate::block::{SeriesEntry, series_order};
use crate::compact::{NewBlock, Parts, Planned};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, Entry, RollupMeta, RollupPlace};
use crate::rollup::{DAY_MS, partition_days};
use crate::select::{Builder, Selection};

/// The name under which the manifest keeps what has been looked at of a tenant's rollups: no tenant's name.
pub(super) fn mark(tenant: &TenantId) -> String {
    format!("{tenant}/rollups")
}

/// A partition with something that may have expired.
struct Due {
    tenant: TenantId,
    place: RollupPlace,
    blocks: Vec<Arc<BlockMeta>>,
    floors: Floors,
}

impl Due {
    /// The days of the partition that something may be left of.
    fn days_left(&self, meta: &RollupMeta) -> std::collections::BTreeMap<i64, u64> {
        let nothing = self.floors.nothing_before();
        let left = |day: &i64| day.saturating_add(1).saturating_mul(DAY_MS) >= nothing;
        meta.days.iter().filter(|(day, _)| left(day)).map(|(day, made_of)| (*day, *made_of)).collect()
    }
}

/// Partitions of a tenant's rollups that an age has passed a day of since they were last looked at.
fn due(catalog: &Catalog, tenant: &TenantId, policy: &Arc<InForce>, now_ms: i64) -> Vec<Due> {
    let Some(blocks) = catalog.tenants.get(tenant) else { return Vec::new() };
    let swept = catalog.swept.get(&mark(tenant)).filter(|swept| swept.policy == policy.key);
    let is_due = |(tier, hour): RollupPlace, partition: &[Arc<BlockMeta>]| {
        let first = hour.div_euclid(24);
        let known =
            |b: &Arc<BlockMeta>| swept.is_some_and(|s| crate::keys::planned(&b.id) <= Some(s.version));
        let all_known = partition.iter().all(known);
        policy.compiled.finite_ms(Some(tier)).any(|age_ms| {
            let passed = |now_ms: i64| {
                let days = now_ms.saturating_sub(age_ms).div_euclid(DAY_MS);
                days.clamp(first, first + partition_days(tier))
            };
            let before = swept.filter(|_| all_known).map_or(first, |s| passed(s.now_ms));
            passed(now_ms) > before
        })
    };
    let partitions = blocks.rollups.iter().filter(|(place, partition)| is_due(**place, partition));
    let floors = Floors::new(Some(policy), now_ms);
    partitions
        .map(|(place, partition)| Due {
            tenant: tenant.clone(),
            place: *place,
            blocks: partition.clone(),
            floors: floors.of_tier(place.0),
        })
        .collect()
}

impl Lake {
    /// Takes out of every tenant's rollups what has expired. Each partition is one entry of the manifest, and is
    /// left to the next run if it has changed meanwhile.
    pub(super) async fn trim_rollups(
        self: &Arc<Self>,
        now_ms: i64,
        report: &mut ExpireReport,
    ) -> Result<(), LakeError> {
        let catalog = self.catalog();
        let mut swept = std::collections::BTreeMap::new();
        for tenant in catalog.tenants.keys() {
            let Some(policy) = catalog.retention_of(tenant) else { continue };
            let partitions = due(&catalog, tenant, policy, now_ms);
            if partitions.is_empty() {
                continue;
            }
            let mut all_done = true;
            for partition in &partitions {
                all_done &= !partition.blocks.iter().any(|block| catalog.awaits_erasure(tenant, block))
                    && self.trim(partition, report).await?;
            }
            if all_done {
                let seen = Swept { policy: policy.key.clone(), version: catalog.version, now_ms };
                swept.insert(mark(tenant), seen);
            }
        }
        if !swept.is_empty() {
            let entry = |_: &Catalog| Some(Entry { swept: swept.clone(), ..Entry::default() });
            self.commit(entry).await?;
        }
        Ok(())
    }

    /// False when the partition changed meanwhile.
    async fn trim(self: &Arc<Self>, due: &Due, report: &mut ExpireReport) -> Result<bool, LakeError> {
        let (catalog, _guard) = {
            let state = self.state();
            (state.catalog.clone(), self.snapshots.hold(state.catalog.version))
        };
        let ids = |blocks: &[Arc<BlockMeta>]| blocks.iter().map(|b| b.id.clone()).collect::<Vec<_>>();
        let in_place = |catalog: &Catalog| {
            let blocks = catalog.tenants.get(&due.tenant).and_then(|t| t.rollups.get(&due.place));
            blocks.is_some_and(|now| ids(now) == ids(&due.blocks))
        };
        if !in_place(&catalog) {
            return Ok(false);
        }
        report.examined += due.blocks.len() as u64;
        let whole = due.blocks.iter().all(|block| block.end_ms() < due.floors.nothing_before());
        let mut add = Vec::new();
        if !whole {
            let planned = Planned::under(&catalog, &due.tenant);
            for aggregate in Aggregate::ALL {
                add.extend(self.kept_of(due, aggregate, planned).await?);
            }
            let samples =
                |blocks: &mut dyn Iterator<Item = &BlockMeta>| blocks.map(|b| b.samples).sum::<u64>();
            if samples(&mut add.iter()) == samples(&mut due.blocks.iter().map(|b| &**b)) {
                // All of it is of series that stay; what was written is collected as garbage.
                return Ok(true);
            }
        }
        let entry = |now: &Catalog| {
            in_place(now).then(|| Entry { add: add.clone(), remove: ids(&due.blocks), ..Entry::default() })
        };
        if self.commit(entry).await?.is_none() {
            return Ok(false);
        }
        let sum = |of: fn(&BlockMeta) -> u64| {
            let before: u64 = due.blocks.iter().map(|block| of(block)).sum();
            before.saturating_sub(add.iter().map(of).sum())
        };
        report.samples += sum(|block| block.samples);
        report.bytes += sum(BlockMeta::bytes);
        match add.is_empty() {
            true => report.dropped += due.blocks.len() as u64,
            false => report.rewritten += due.blocks.len() as u64,
        }
        Ok(true)
    }

    /// Writes what is left of one aggregate of a partition.
    async fn kept_of(
        self: &Arc<Self>,
        due: &Due,
        aggregate: Aggregate,
        planned: Planned,
    ) -> Result<Vec<BlockMeta>, LakeError> {
        let of = |block: &&Arc<BlockMeta>| block.rollup.as_ref().is_some_and(|r| r.aggregate == aggregate);
        let metas: Vec<_> = due.blocks.iter().filter(of).cloned().collect();
        let Some(first) = metas.first() else { return Ok(Vec::new()) };
        let everything = Selection {
            matchers: Vec::new(),
            start_ms: i64::MIN,
            end_ms: i64::MAX,
            max_series: usize::MAX,
            // Read once.
            bypass_cache: true,
        };
        let mut builder = Builder::new(&everything);
        // Readers leave out what lies before a series' floor.
        builder.found.floors = due.floors.clone();
        let selection = self.complete(&due.tenant, builder, &metas).await?;
        let rollup =
            first.rollup.as_ref().map(|meta| RollupMeta { days: due.days_left(meta), ..meta.clone() });
        let new = NewBlock {
            tenant: due.tenant.clone(),
            hour: due.place.1,
            generation: metas.iter().map(|block| block.generation).max().unwrap_or(0),
            complete: true,
            rollup,
            archived: None,
            planned,
        };
        let encode = move |mut parts: Parts| {
            let unwritable = |error| LakeError::damaged("rollup", error);
            let mut reader = selection.reader();
            let mut samples = Samples::default();
            let mut places: Vec<usize> = (0..selection.series().len()).collect();
            let key = |place: usize| {
                let info = &selection.series()[place];
                (info.labels.borrowed(), info.temporality)
            };
            places.sort_by(|a, b| series_order(key(*a), key(*b)));
            for place in places {
                let info = &selection.series()[place];
                reader.read(place, &mut samples)?;
                if samples.is_empty() {
                    continue;
                }
                let entry = SeriesEntry {
                    id: SeriesId::of(info.labels.borrowed(), info.temporality),
                    labels: info.labels.borrowed(),
                    kind: info.kind,
                    temporality: info.temporality,
                    unit: "",
                };
                parts.push(&entry, &samples).map_err(unwritable)?;
            }
            parts.finish().map_err(unwritable)
        };
        self.write_blocks(new, encode).await
    }
}
