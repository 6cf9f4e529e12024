//! Indexes of blocks that were read lately: per tenant and day one series index, which the blocks of the
//! day share, since an hour has about the series of the hour before.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use hashbrown::HashMap;
use weir_model::{TenantId, Tier};

use crate::block::BlockIndex;
use crate::error::LakeError;
use crate::gather::gather;
use crate::lake::Lake;
use crate::manifest::BlockMeta;
use crate::series_index::SeriesIndex;

/// A day (since 1970) of samples, or a tier's partition that begins with it.
pub(crate) type DayKey = (Option<Tier>, i64);

/// Days by tenant, the least recently used ones dropped when their memory passes the budget.
#[derive(Debug)]
pub(crate) struct DayCache {
    days: Mutex<HashMap<(TenantId, DayKey), Arc<Day>>>,
    budget_bytes: usize,
    uses: AtomicU64,
}

/// The opened blocks of one tenant and day.
#[derive(Debug, Default)]
pub(crate) struct Day {
    contents: RwLock<DayContents>,
    /// One query opens blocks at a time; the others then find them open.
    opening: tokio::sync::Mutex<()>,
    last_use: AtomicU64,
    memory_bytes: AtomicUsize,
}

/// What a day knows.
#[derive(Debug, Default)]
pub(crate) struct DayContents {
    /// Every series of the blocks opened so far.
    pub index: SeriesIndex,
    blocks: HashMap<String, Arc<OpenBlock>>,
}

/// A block whose series are known.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    /// What the manifest says.
    pub meta: Arc<BlockMeta>,
    /// Where the samples lie.
    pub index: Arc<BlockIndex>,
    /// Ordinal in the day's index and ordinal in the block, ascending by the former.
    places: Vec<(u32, u32)>,
}

impl OpenBlock {
    /// Of series given by ascending ordinals of the day, those that the block has: place in `wanted`, and
    /// ordinal in the block.
    pub(crate) fn find(&self, wanted: &[u32]) -> Vec<(u32, u32)> {
        let mut found = Vec::with_capacity(wanted.len().min(self.places.len()));
        if wanted.len() * 16 < self.places.len() {
            for (place, ordinal) in wanted.iter().enumerate() {
                if let Ok(at) = self.places.binary_search_by_key(ordinal, |p| p.0) {
                    found.push((place as u32, self.places[at].1));
                }
            }
            return found;
        }
        let mut place = 0;
        for (ordinal, in_block) in &self.places {
            while place < wanted.len() && wanted[place] < *ordinal {
                place += 1;
            }
            match wanted.get(place) {
                Some(next) if next == ordinal => found.push((place as u32, *in_block)),
                Some(_) => {}
                None => break,
            }
        }
        found
    }

    /// The block's series: ordinal of the day and ordinal in the block, ascending.
    pub(crate) fn places(&self) -> &[(u32, u32)] {
        &self.places
    }

    fn memory_bytes(&self) -> usize {
        self.index.memory_bytes() + self.places.len() * size_of::<(u32, u32)>() + 512
    }
}

impl Day {
    /// What is known so far.
    pub(crate) fn contents(&self) -> RwLockReadGuard<'_, DayContents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of these blocks are open.
    pub(crate) fn known(&self, metas: &[Arc<BlockMeta>]) -> usize {
        let contents = self.contents();
        metas.iter().filter(|m| contents.blocks.contains_key(&m.id)).count()
    }

    fn opened(&self, metas: &[Arc<BlockMeta>]) -> Result<Vec<Arc<OpenBlock>>, Vec<Arc<BlockMeta>>> {
        let contents = self.contents();
        let missing: Vec<_> =
            metas.iter().filter(|m| !contents.blocks.contains_key(&m.id)).cloned().collect();
        if missing.is_empty() {
            Ok(metas.iter().filter_map(|m| contents.blocks.get(&m.id).cloned()).collect())
        } else {
            Err(missing)
        }
    }

    /// Takes a block in: finds its series in the index, and adds those it does not have.
    fn take_in(&self, meta: Arc<BlockMeta>, bytes: Bytes) -> Result<(), LakeError> {
        let damaged = |error: crate::block::BlockError| LakeError::damaged(&meta.series_key, error);
        let index = Arc::new(BlockIndex::decode(bytes).map_err(damaged)?);
        let ids = index.ids();
        let all_known = {
            let contents = self.contents();
            ids.iter().all(|id| contents.index.ordinal(*id).is_some())
        };
        // Unpacking labels takes most of the time and is done without the lock.
        let labels = if all_known { None } else { Some(index.labels().map_err(damaged)?) };
        let mut places = Vec::with_capacity(ids.len());
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        for (in_block, id) in ids.iter().enumerate() {
            let in_block = in_block as u32;
            let ordinal = match (contents.index.ordinal(*id), &labels) {
                (Some(ordinal), _) => {
                    contents.index.note_kind(ordinal, index.kind(in_block));
                    ordinal
                }
                (None, Some(labels)) => {
                    let (kind, temporality) = (index.kind(in_block), index.temporality(in_block));
                    contents.index.insert(*id, labels.get(in_block), kind, temporality)
                }
                // An index only grows, so what was known before still is.
                (None, None) => continue,
            };
            places.push((ordinal, in_block));
        }
        places.sort_unstable();
        let open = Arc::new(OpenBlock { meta: meta.clone(), index, places });
        contents.blocks.insert(meta.id.clone(), open);
        let blocks: usize = contents.blocks.values().map(|b| b.memory_bytes()).sum();
        self.memory_bytes.store(contents.index.memory_bytes() + blocks, Ordering::Relaxed);
        Ok(())
    }
}

impl DayCache {
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self { days: Mutex::default(), budget_bytes, uses: AtomicU64::new(0) }
    }

    /// The day of a tenant, new and empty when it is not cached.
    pub(crate) fn day(&self, tenant: &TenantId, day: DayKey) -> Arc<Day> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let found = days.entry((tenant.clone(), day)).or_default();
        found.last_use.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        found.clone()
    }

    /// Drops the days used least recently until the rest fits the budget; the last one used stays.
    pub(crate) fn shrink(&self) {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total: usize = days.values().map(|d| d.memory_bytes.load(Ordering::Relaxed)).sum();
        while total > self.budget_bytes && days.len() > 1 {
            let oldest = days.iter().min_by_key(|(_, day)| day.last_use.load(Ordering::Relaxed));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some(day) = days.remove(&key) {
                total = total.saturating_sub(day.memory_bytes.load(Ordering::Relaxed));
            }
        }
    }

    /// Drops a tenant's days.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        days.retain(|(of, _), _| of != tenant);
    }

    /// Drops blocks that are no longer live.
    pub(crate) fn retain(&self, is_live: impl Fn(&str) -> bool) {
        let days: Vec<Arc<Day>> =
            self.days.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for day in days {
            let mut contents = day.contents.write().unwrap_or_else(PoisonError::into_inner);
            contents.blocks.retain(|id, _| is_live(id));
            let blocks: usize = contents.blocks.values().map(|b| b.memory_bytes()).sum();
            day.memory_bytes.store(contents.index.memory_bytes() + blocks, Ordering::Relaxed);
        }
    }
}

impl Lake {
    /// Opens blocks of one day, in the order given.
    pub(crate) async fn open_blocks(
        &self,
        day: &Arc<Day>,
        metas: &[Arc<BlockMeta>],
    ) -> Result<Vec<Arc<OpenBlock>>, LakeError> {
        if let Ok(open) = day.opened(metas) {
            return Ok(open);
        }
        let _one_at_a_time = day.opening.lock().await;
        let missing = match day.opened(metas) {
            Ok(open) => return Ok(open),
            Err(missing) => missing,
        };
        let read = |meta: Arc<BlockMeta>| {
            let (bucket, day) = (self.bucket.clone(), day.clone());
            async move {
                let bytes = bucket.get(&meta.series_key).await?;
                let take_in = move || day.take_in(meta.clone(), bytes).map(|()| meta);
                tokio::task::spawn_blocking(take_in).await?
            }
        };
        let done: Vec<Result<Arc<BlockMeta>, LakeError>> =
            gather(self.options.concurrency, missing.into_iter().map(read)).await?;
        done.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.days.shrink();
        day.opened(metas).map_err(|_| LakeError::unavailable("a block was replaced while it was opened"))
    }
}
