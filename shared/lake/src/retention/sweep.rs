//! Taking expired samples out of the blocks: whole blocks where all of it expired, the expired series where
//! some have.
//!
//! A block is looked at once for each age of the policy, when that age has passed its last sample, so it is
//! written again at most as often as there are ages; which blocks have been looked at, the manifest says. One of a
//! whole day is looked at when an age has passed its first hour, too, and cut into hours if that concerns one of
//! its series: until the age has passed the day, the archive leaves it so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use weir_model::{LabelsRef, TenantId, Tier};

use super::{Floors, InForce, Swept};
use crate::compact::{Goes, Maintenance, Planned, Rewrite};
use crate::error::LakeError;
use crate::keys::HOUR_MS;
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, Entry};
use crate::rollup::{DAY_MS, is_rollable};

/// Blocks that one manifest entry replaces: what a crash makes a run do again.
const PER_ENTRY: usize = 64;

/// Age from which a block no longer waits for its day to be rolled up.
const LONGEST_WAIT_MS: i64 = 3 * DAY_MS;

/// What expiry took out of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ExpireReport {
    /// Blocks looked at.
    pub examined: u64,
    /// Blocks dropped whole.
    pub dropped: u64,
    /// Blocks written again without their expired series.
    pub rewritten: u64,
    /// Blocks of archived days of which a part expired: cut into hours.
    pub cut: u64,
    /// Blocks that have to be restored from their storage class first: a later run goes on with them.
    pub frozen: u64,
    /// Samples gone.
    pub samples: u64,
    /// Size of the objects that were replaced, less that of those written instead, in bytes.
    pub bytes: u64,
}

impl Lake {
    /// Takes out of the blocks what has expired at `now_ms` (at most the time by this process' clock, so that
    /// a wrong event deletes nothing early). Garbage collection then deletes the objects. Running it twice,
    /// or in two processes at once, does no harm.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or a block is damaged; what was committed before stays.
    pub async fn expire(self: &Arc<Self>, now_ms: i64) -> Result<ExpireReport, LakeError> {
        let mut maintenance = self.maintenance.lock().await;
        self.refresh_for_maintenance().await?;
        let before = self.catalog().version;
        self.adopt_policies().await?;
        let mut report = ExpireReport::default();
        let swept = self.sweep(now_ms.min(self.clock.now_ms()), &mut maintenance, &mut report).await;
        self.write_due_checkpoint(before).await?;
        self.forget_replaced_blocks();
        swept.map(|()| report)
    }

    async fn sweep(
        self: &Arc<Self>,
        now_ms: i64,
        maintenance: &mut Maintenance,
        report: &mut ExpireReport,
    ) -> Result<(), LakeError> {
        self.trim_rollups(now_ms, report).await?;
        let catalog = self.catalog();
        let mut swept = BTreeMap::new();
        let mut due = Vec::new();
        for tenant in catalog.tenants.keys() {
            let Some(policy) = catalog.retention_of(tenant) else { continue };
            let blocks = due_blocks(&catalog, tenant, policy, now_ms);
            if blocks.is_empty() {
                continue;
            }
            let (waiting, blocks): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| {
                is_waiting(&catalog, tenant, block, now_ms) || catalog.awaits_erasure(tenant, block)
            });
            let mark = Swept { policy: policy.key.clone(), version: catalog.version, now_ms };
            if waiting.is_empty() {
                swept.insert(tenant.to_string(), mark);
            }
            let floors = Floors::new(Some(policy), now_ms);
            due.extend(blocks.into_iter().map(|block| (tenant.clone(), floors.clone(), block)));
        }
        for some in due.chunks(PER_ENTRY) {
            let mut rewrites = Vec::new();
            for (tenant, floors, block) in some {
                report.examined += 1;
                let nothing = floors.nothing_before();
                let rewrite = if block.end_ms() < nothing {
                    Some(Rewrite::dropping(block.clone()))
                } else {
                    let planned = Planned::under(&catalog, tenant);
                    match self.without_expired(tenant, block, floors, planned).await {
                        Err(LakeError::Frozen { .. }) => {
                            report.frozen += 1;
                            swept.remove(tenant.as_str());
                            None
                        }
                        Err(error) => return Err(error),
                        Ok(Some(rewrite)) => Some(rewrite),
                        Ok(None) => {
                            // Replaced by another process meanwhile: the next run finds what it became.
                            swept.remove(tenant.as_str());
                            None
                        }
                    }
                };
                rewrites.extend(rewrite.filter(Rewrite::changes));
            }
            let lost = self.commit_rewrites(&rewrites, maintenance, |_, _| ()).await?;
            for rewrite in &rewrites {
                if lost.contains(&rewrite.input.id) {
                    swept.remove(&rewrite.input.tenant);
                    continue;
                }
                let kept: u64 = rewrite.blocks.iter().map(|block| block.samples).sum();
                let written: u64 = rewrite.blocks.iter().map(BlockMeta::bytes).sum();
                report.samples += rewrite.input.samples - kept;
                report.bytes += rewrite.input.bytes().saturating_sub(written);
                let is_cut = rewrite.blocks.iter().any(|block| block.hours() < rewrite.input.hours());
                match rewrite.blocks.is_empty() {
                    true => report.dropped += 1,
                    false if is_cut => report.cut += 1,
                    false => report.rewritten += 1,
                }
            }
        }
        if !swept.is_empty() {
            let entry = |_: &Catalog| Some(Entry { swept: swept.clone(), ..Entry::default() });
            self.commit(entry).await?;
        }
        Ok(())
    }

    /// What is to take the place of a block of which something may have expired.
    async fn without_expired(
        self: &Arc<Self>,
        tenant: &TenantId,
        block: &Arc<BlockMeta>,
        floors: &Floors,
        planned: Planned,
    ) -> Result<Option<Rewrite>, LakeError> {
        let of = floors.clone();
        let keep = Arc::new(move |labels: LabelsRef<'_>, last_ms: i64| last_ms >= of.of(labels));
        if let Some(first_ms) = first_hour_end_ms(block) {
            let (of, last_ms) = (floors.clone(), block.end_ms());
            let is_past = move |labels: LabelsRef<'_>, _: i64| !(first_ms..=last_ms).contains(&of.of(labels));
            match self.goes(block, Arc::new(is_past)).await? {
                None => return Ok(None),
                Some(Goes::Nothing) => {}
                Some(_) => return self.split(tenant, block, keep, planned).await,
            }
        }
        self.rewrite(tenant, block, keep, planned).await
    }

    /// Replaces blocks by what is left of them, and says which another process had replaced meanwhile. `note`
    /// adds to the entry what each that counts brings besides.
    pub(crate) async fn commit_rewrites(
        &self,
        rewrites: &[Rewrite],
        maintenance: &mut Maintenance,
        note: impl Fn(&mut Entry, &Rewrite) + Send + Sync,
    ) -> Result<BTreeSet<String>, LakeError> {
        let forget = maintenance.forget.clone();
        let lost = Mutex::new(BTreeSet::new());
        let entry = |catalog: &Catalog| {
            let mut entry = Entry { forget: forget.clone(), ..Entry::default() };
            let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.clear();
            for rewrite in rewrites {
                if catalog.contains(&rewrite.input.id) {
                    entry.remove.push(rewrite.input.id.clone());
                    entry.add.extend(rewrite.blocks.iter().cloned());
                    note(&mut entry, rewrite);
                } else {
                    lost.insert(rewrite.input.id.clone());
                }
            }
            (!entry.is_empty()).then_some(entry)
        };
        if self.commit(entry).await?.is_none() {
            return Ok(rewrites.iter().map(|rewrite| rewrite.input.id.clone()).collect());
        }
        maintenance.forget.clear();
        Ok(lost.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// True while a block's day is still to be rolled up, by a tenant's rollups that are being made.
fn is_waiting(catalog: &Catalog, tenant: &TenantId, block: &BlockMeta, now_ms: i64) -> bool {
    let Some(blocks) = catalog.tenants.get(tenant) else { return false };
    // A day is rolled up for all tiers at once; those that lack it have dropped it.
    let rolled = |day, generation| Tier::ALL.iter().any(|tier| blocks.rolled(*tier, day) >= Some(generation));
    let floors = catalog.floors(tenant, now_ms);
    let done = |(day, generation)| rolled(day, generation) || !is_rollable(blocks, &floors, day);
    let recent = block.end_ms() >= now_ms.saturating_sub(LONGEST_WAIT_MS);
    recent && block.has_samples() && !blocks.rollups.is_empty() && !block.days().into_iter().all(done)
}

/// The end of the first hour of a block that can be cut into hours, milliseconds since the Unix epoch. What is
/// frozen cannot: to restore and write again all of it would cost more than keeping it to the end of its day.
fn first_hour_end_ms(block: &BlockMeta) -> Option<i64> {
    (block.hours() > 1 && !block.is_frozen()).then(|| block.hour.saturating_add(1).saturating_mul(HOUR_MS))
}

/// Blocks that an age of the policy has passed, or their first hour, since they were last looked at.
fn due_blocks(catalog: &Catalog, tenant: &TenantId, policy: &InForce, now_ms: i64) -> Vec<Arc<BlockMeta>> {
    let Some(blocks) = catalog.tenants.get(tenant) else { return Vec::new() };
    let swept = catalog.swept.get(tenant.as_str()).filter(|swept| swept.policy == policy.key);
    let is_due = |block: &&Arc<BlockMeta>| {
        let swept = swept.filter(|swept| block.generation <= swept.version);
        let marks = [Some(block.end_ms().saturating_add(1)), first_hour_end_ms(block)];
        policy.compiled.finite_ms(None).any(|age_ms| {
            marks.into_iter().flatten().any(|mark_ms| {
                let passed = |now_ms: i64| mark_ms <= now_ms.saturating_sub(age_ms);
                passed(now_ms) && !swept.is_some_and(|swept| passed(swept.now_ms))
            })
        })
    };
    blocks.raw().filter(is_due).cloned().collect()
}
