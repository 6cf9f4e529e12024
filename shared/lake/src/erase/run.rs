//! One erasure from its request to its end: blocks of all tiers, then everything else that may hold something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use weir_model::LabelsRef;

use super::{Counts, Erased, Erasure, ErasureReport, WATCHED_MS, count};
use crate::compact::{Goes, Keep, Maintenance, Planned};
use crate::error::LakeError;
use crate::gather::gather;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, Entry};

/// Blocks looked at before what was found is written down: what a crash makes a run look at again.
const AT_A_TIME: usize = 256;
/// Blocks written again before an entry names them.
const REWRITES_PER_ENTRY: usize = 16;
/// Most rounds of a run: each does at least one block, unless others replace them all the time.
const MAX_ROUNDS: usize = 1 << 20;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EraseProgress {
    /// Blocks done.
    pub done: u64,
    /// Blocks in all, as far as known.
    pub total: u64,
}

/// Blocks that hold nothing of an erasure, by kind.
type Looked = BTreeMap<String, BTreeSet<String>>;

pub(super) fn kind_of(block: &BlockMeta) -> &'static str {
    block.rollup.as_ref().map_or("raw", |rollup| rollup.tier.name())
}

fn due(catalog: &Catalog, erasure: &Erasure, looked: &Looked) -> Vec<Arc<BlockMeta>> {
    let blocks = catalog.tenants.get(&erasure.tenant).into_iter().flat_map(|tenant| tenant.blocks());
    let is_due = |block: &&Arc<BlockMeta>| {
        block.erased < erasure.number
            && !looked.get(kind_of(block)).is_some_and(|ids| ids.contains(&block.id))
    };
    blocks.filter(is_due).cloned().collect()
}

impl Keep for Erasure {
    fn series(&self, labels: LabelsRef<'_>, _: i64) -> bool {
        !self.matches(labels)
    }

    fn exemplar(&self, series: LabelsRef<'_>, own: LabelsRef<'_>) -> bool {
        !self.matches_exemplar(series, own)
    }
}

impl Lake {
    /// Takes out of the lake what a request says, or goes on with it: where a run stopped, the next one
    /// continues. Several may run at once, beside everything else.
    ///
    /// # Errors
    /// [`LakeError`] when there is no such request under way, the bucket fails or a block is damaged; what was
    /// committed before stays.
    pub async fn run_erasure(
        self: &Arc<Self>,
        number: u64,
        mut progress: impl FnMut(EraseProgress) + Send,
    ) -> Result<ErasureReport, LakeError> {
        self.refresh_for_maintenance().await?;
        let before = self.catalog().version;
        let erasure = self.known_erasure(number)?;
        let mut counts = Counts::new();
        count(&mut counts, "hot", &self.erase_hot(&erasure).await?);
        self.erase_families(&erasure).await?;
        if erasure.done_ms.is_none() {
            self.erase_blocks(&erasure, &mut progress).await?;
        }
        count(&mut counts, "leftovers", &self.delete_leftovers(&erasure).await?);
        count(&mut counts, "exports", &self.erase_exports(&erasure).await?);
        count(&mut counts, "quarantine", &self.erase_quarantine(&erasure).await?);
        if erasure.done_ms.is_some() {
            // Watching looks at the same objects again and again: only what it finds is worth an entry.
            counts.retain(|_, found| found.rewritten + found.dropped > 0);
        }
        if !counts.is_empty() {
            let erasing = BTreeMap::from([(number, counts)]);
            self.commit(|_| Some(Entry { erasing: erasing.clone(), ..Entry::default() })).await?;
        }
        self.write_due_checkpoint(before).await?;
        Ok(ErasureReport::of(&*self.known_erasure(number)?, false))
    }

    /// Goes on with every erasure that is not done, looks again for what came late, and settles those that
    /// have been watched long enough.
    ///
    /// # Errors
    /// As [`Lake::run_erasure`]; the other erasures are gone on with all the same.
    pub async fn continue_erasures(self: &Arc<Self>) -> Result<Vec<ErasureReport>, LakeError> {
        self.refresh_for_maintenance().await?;
        let (mut reports, mut failure) = (Vec::new(), None);
        for number in self.catalog().erasures.keys().copied().collect::<Vec<_>>() {
            let ran = self.run_erasure(number, |_| ()).await;
            let settled = match ran {
                Ok(report) if report.done_ms.is_some() => self.settle(number).await,
                other => other,
            };
            match settled {
                Ok(report) => reports.push(report),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(reports), Err)
    }

    fn known_erasure(&self, number: u64) -> Result<Arc<Erasure>, LakeError> {
        let unknown = || LakeError::Refused { reason: format!("no erasure {number} is under way") };
        self.catalog().erasures.get(&number).cloned().ok_or_else(unknown)
    }

    /// Ends the watch over an erasure when it has lasted long enough, and keeps its report.
    async fn settle(&self, number: u64) -> Result<ErasureReport, LakeError> {
        let erasure = self.known_erasure(number)?;
        let watched_ms = self.clock.now_ms().saturating_sub(erasure.stored.requested_ms);
        if watched_ms < WATCHED_MS {
            return Ok(ErasureReport::of(&erasure, false));
        }
        let report = ErasureReport::of(&erasure, true);
        let key = keys::erasure_report(&erasure.tenant, number);
        let bytes = serde_json::to_vec(&report).map_err(|error| LakeError::damaged(&key, error))?;
        self.bucket.create(&key, Bytes::from(bytes)).await?;
        self.forget_looked(&erasure).await?;
        let known = |catalog: &Catalog| catalog.erasures.contains_key(&number);
        let entry = |c: &Catalog| known(c).then(|| Entry { settled: vec![number], ..Entry::default() });
        self.commit(entry).await?;
        Ok(report)
    }

    async fn erase_blocks(
        self: &Arc<Self>,
        erasure: &Arc<Erasure>,
        progress: &mut (impl FnMut(EraseProgress) + Send),
    ) -> Result<(), LakeError> {
        let mut looked = self.read_looked(erasure).await?;
        // Left to a later run.
        let mut frozen = BTreeSet::new();
        let mut done = 0;
        for _ in 0..MAX_ROUNDS {
            // Between rounds, compaction has its turn.
            let mut maintenance = self.maintenance.lock().await;
            self.refresh_for_maintenance().await?;
            let mut due = due(&self.catalog(), erasure, &looked);
            due.retain(|block| !frozen.contains(&block.id));
            progress(EraseProgress { done, total: done + due.len() as u64 });
            if due.is_empty() && !frozen.is_empty() {
                let frozen = frozen.len() as u64;
                tracing::info!(
                    erasure = erasure.number,
                    frozen,
                    "an erasure waits for blocks to be restored"
                );
                let known = |catalog: &Catalog| catalog.erasures.get(&erasure.number).map(|e| e.frozen);
                let awaiting = BTreeMap::from([(erasure.number, frozen)]);
                let entry = |catalog: &Catalog| {
                    let news = known(catalog).is_some_and(|known| known != frozen);
                    news.then(|| Entry { awaiting: awaiting.clone(), ..Entry::default() })
                };
                return self.commit(entry).await.map(drop);
            }
            if due.is_empty() {
                if self.conclude(erasure, &looked).await? {
                    return self.forget_looked(erasure).await;
                }
                continue;
            }
            let round = &due[..due.len().min(AT_A_TIME)];
            self.erase_round(erasure, round, (&mut looked, &mut frozen), &mut maintenance).await?;
            self.forget_replaced_blocks();
            done += round.len() as u64;
        }
        Err(LakeError::unavailable("others replaced blocks all the time while series were erased"))
    }

    /// Looks at some blocks and writes those again that hold something.
    async fn erase_round(
        self: &Arc<Self>,
        erasure: &Arc<Erasure>,
        round: &[Arc<BlockMeta>],
        (looked, frozen): (&mut Looked, &mut BTreeSet<String>),
        maintenance: &mut Maintenance,
    ) -> Result<(), LakeError> {
        let planned = Planned { version: self.catalog().version, erased: erasure.number };
        let look = |block: Arc<BlockMeta>| {
            let (lake, erasure) = (self.clone(), erasure.clone());
            async move { lake.goes(&block, erasure).await.map(|goes| (block, goes)) }
        };
        let (mut held, mut clean) = (Vec::new(), Looked::new());
        for found in gather(self.options.concurrency, round.iter().cloned().map(look)).await? {
            match found? {
                (block, Some(Goes::Nothing)) => {
                    clean.entry(kind_of(&block).into()).or_default().insert(block.id.clone());
                }
                (block, Some(_)) => held.push(block),
                // Replaced meanwhile: the next round finds what it became.
                (_, None) => {}
            }
        }
        for some in held.chunks(REWRITES_PER_ENTRY) {
            let mut rewrites = Vec::new();
            for block in some {
                match self.rewrite(&erasure.tenant, block, erasure.clone(), planned).await {
                    Err(LakeError::Frozen { .. }) => drop(frozen.insert(block.id.clone())),
                    rewrite => rewrites.extend(rewrite?),
                }
            }
            self.commit_rewrites(&rewrites, maintenance, |entry, rewrite| {
                let left = |value: fn(&BlockMeta) -> u64| rewrite.blocks.iter().map(value).sum::<u64>();
                let exemplars = |block: &BlockMeta| block.exemplars.as_ref().map_or(0, |e| e.count);
                // What a limit, lowered since, leaves out of them does not count.
                let bounded = |block: &BlockMeta| block.exemplars.as_ref().map_or(0, |e| e.count + e.dropped);
                let gone = Erased {
                    examined: 1,
                    rewritten: u64::from(!rewrite.blocks.is_empty()),
                    dropped: u64::from(rewrite.blocks.is_empty()),
                    samples: rewrite.input.samples - left(|block| block.samples),
                    exemplars: exemplars(&rewrite.input) - left(bounded),
                    unreadable: 0,
                };
                count(entry.erasing.entry(erasure.number).or_default(), kind_of(&rewrite.input), &gone);
            })
            .await?;
        }
        if !clean.is_empty() {
            let name = self.new_name(planned.version);
            let key = format!("{}{name}.json", keys::erasure_looked(&erasure.tenant, erasure.number));
            let bytes = serde_json::to_vec(&clean).map_err(|error| LakeError::damaged(&key, error))?;
            self.bucket.create(&key, Bytes::from(bytes)).await?;
            clean.into_iter().for_each(|(kind, ids)| looked.entry(kind).or_default().extend(ids));
        }
        Ok(())
    }

    /// States that every block has been through an erasure, if that is so.
    async fn conclude(&self, erasure: &Erasure, looked: &Looked) -> Result<bool, LakeError> {
        let examined = |ids: &BTreeSet<String>| Erased { examined: ids.len() as u64, ..Erased::default() };
        let counts: Counts = looked.iter().map(|(kind, ids)| (kind.clone(), examined(ids))).collect();
        let is_done = |catalog: &Catalog| {
            catalog.erasures.get(&erasure.number).is_none_or(|known| known.done_ms.is_some())
        };
        let entry = |catalog: &Catalog| {
            let concludes = !is_done(catalog) && due(catalog, erasure, looked).is_empty();
            concludes.then(|| Entry {
                erased: vec![erasure.number],
                erasing: BTreeMap::from([(erasure.number, counts.clone())]),
                ..Entry::default()
            })
        };
        Ok(self.commit(entry).await?.is_some() || is_done(&self.catalog()))
    }

    async fn read_looked(&self, erasure: &Erasure) -> Result<Looked, LakeError> {
        let mut looked = Looked::new();
        for object in self.list_all(&keys::erasure_looked(&erasure.tenant, erasure.number)).await? {
            let bytes = self.bucket.get(&object.key).await?;
            let some: Looked =
                serde_json::from_slice(&bytes).map_err(|error| LakeError::damaged(&object.key, error))?;
            some.into_iter().for_each(|(kind, ids)| looked.entry(kind).or_default().extend(ids));
        }
        Ok(looked)
    }

    async fn forget_looked(&self, erasure: &Erasure) -> Result<(), LakeError> {
        let lists = self.list_all(&keys::erasure_looked(&erasure.tenant, erasure.number)).await?;
        self.delete_all(lists.into_iter().map(|object| object.key).collect()).await.map(drop)
    }

    /// What a request would take out of blocks and hot segments: blocks and segments that hold something count
    /// as `rewritten`. Nothing is changed.
    ///
    /// # Errors
    /// [`LakeError`] when the request is refused, the bucket fails or an object is damaged.
    pub async fn preview_erasure(self: &Arc<Self>, wish: &super::EraseWish) -> Result<Counts, LakeError> {
        self.refresh_for_maintenance().await?;
        let catalog = self.catalog();
        let erasure = Arc::new(super::request::draft(wish, catalog.version + 1, self.clock.now_ms())?);
        let mut counts = Counts::new();
        let blocks: Vec<Arc<BlockMeta>> = due(&catalog, &erasure, &Looked::new());
        for some in blocks.chunks(AT_A_TIME) {
            let look = |block: Arc<BlockMeta>| {
                let (lake, erasure) = (self.clone(), erasure.clone());
                async move { lake.goes(&block, erasure).await.map(|goes| (kind_of(&block), goes)) }
            };
            for found in gather(self.options.concurrency, some.iter().cloned().map(look)).await? {
                let (kind, goes) = found?;
                let rewritten = u64::from(goes.is_some_and(|goes| goes != Goes::Nothing));
                count(&mut counts, kind, &Erased { examined: 1, rewritten, ..Erased::default() });
            }
        }
        count(&mut counts, "hot", &self.look_at_hot(&erasure).await?);
        Ok(counts)
    }
}
