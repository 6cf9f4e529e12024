//! The lake itself: opening it, keeping up with others who write to it, and what all its parts share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use hashbrown::HashMap;
use weir_platform::{Bucket, BucketError, Clock, ObjectInfo, SequenceNumber, ShardId};

use crate::archive::Restores;
use crate::compact::Maintenance;
use crate::damage::Damage;
use crate::days::DayCache;
use crate::error::LakeError;
use crate::families::FamilyCache;
use crate::gather::gather;
use crate::keys;
use crate::manifest::{Catalog, Commit, Entry, ManifestStore};
use crate::options::LakeOptions;
use crate::snapshots::Snapshots;
use crate::state::State;

/// Keys asked for at a time.
const PAGE: usize = 1_000;
/// Hot segments read at a time while opening: bounds the memory that their bytes take.
const SEGMENTS_AT_A_TIME: usize = 64;
/// How often a change is planned anew because others changed the lake meanwhile.
const COMMIT_TRIES: usize = 16;
/// Most shards that a lake looks after.
const MAX_SHARDS: usize = 10_000;

/// The database in a bucket: appended to by `enrich`, put in order by `compact`, asked by `query`.
pub struct Lake {
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: LakeOptions,
    pub(crate) manifest: ManifestStore,
    state: RwLock<State>,
    /// One append at a time per shard; true once the keys of compacted segments have been read.
    lanes: Mutex<HashMap<ShardId, Arc<tokio::sync::Mutex<bool>>>>,
    refreshing: tokio::sync::Mutex<()>,
    refreshed_ms: AtomicI64,
    pub(crate) maintenance: tokio::sync::Mutex<Maintenance>,
    /// One run of rollups at a time; compaction goes on beside it.
    pub(crate) rolling: tokio::sync::Mutex<()>,
    pub(crate) restores: Restores,
    /// One run of archiving at a time, likewise.
    pub(crate) archiving: tokio::sync::Mutex<()>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) days: DayCache,
    pub(crate) families: FamilyCache,
    pub(crate) damage: Damage,
    /// True when an entry may or may not have been written.
    uncertain: AtomicBool,
    names: Names,
}

/// Makes block ids and entry names that nobody else makes.
struct Names {
    nonce: u64,
    next: AtomicU64,
}

impl Names {
    fn new() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        // The standard library's per-process random keys; a clash would only cost another try, since
        // objects are create-only.
        Self { nonce: RandomState::new().build_hasher().finish(), next: AtomicU64::new(0) }
    }
}

impl Lake {
    /// Opens the lake of a bucket (an empty bucket is an empty lake): reads the manifest and the hot
    /// segments that are not compacted.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or the manifest is damaged. A damaged hot segment is set aside.
    pub async fn open(
        bucket: Arc<dyn Bucket>,
        clock: Arc<dyn Clock>,
        options: LakeOptions,
    ) -> Result<Arc<Self>, LakeError> {
        let manifest = ManifestStore::new(bucket.clone(), options.concurrency);
        let catalog = manifest.load().await?;
        let lake = Arc::new(Self {
            state: RwLock::new(State::new(
                catalog,
                options.retry_window_ms,
                options.head_limits(),
                options.keep_hot,
            )),
            lanes: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            refreshed_ms: AtomicI64::new(clock.now_ms()),
            maintenance: tokio::sync::Mutex::default(),
            rolling: tokio::sync::Mutex::default(),
            restores: Restores::default(),
            archiving: tokio::sync::Mutex::default(),
            snapshots: Arc::default(),
            days: DayCache::new(options.index_memory_bytes),
            families: FamilyCache::default(),
            damage: Damage::default(),
            uncertain: AtomicBool::new(false),
            names: Names::new(),
            bucket,
            clock,
            options,
            manifest,
        });
        lake.read_all_new_segments().await?;
        Ok(lake)
    }

    /// The bucket it lies in.
    #[must_use]
    pub fn bucket(&self) -> &Arc<dyn Bucket> {
        &self.bucket
    }

    /// The state for reading. Held briefly and never across an await.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for changing.
    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blocks as of now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.state().catalog.clone()
    }

    /// The last sequence number of a shard that the lake holds, as far as this process knows.
    #[must_use]
    pub fn covered_through(&self, shard: ShardId) -> Option<SequenceNumber> {
        self.state().covered_through(shard)
    }

    /// A name for an object or an entry, sortable by the catalog version it was made under.
    pub(crate) fn new_name(&self, version: u64) -> String {
        let count = self.names.next.fetch_add(1, Ordering::Relaxed);
        format!("{version:012}-{:016x}-{count:06}", self.names.nonce)
    }

    /// The lock under which a shard is appended to.
    pub(crate) fn lane(&self, shard: ShardId) -> Result<Arc<tokio::sync::Mutex<bool>>, LakeError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= MAX_SHARDS && !lanes.contains_key(&shard) {
            let (found, limit) = (lanes.len() as u64 + 1, MAX_SHARDS as u64);
            return Err(LakeError::Limit { what: "shards", found, limit });
        }
        Ok(lanes.entry(shard).or_default().clone())
    }

    /// Reads the segments of all shards that this process does not know yet and that are not compacted.
    ///
    /// Each listing costs money and time, so one is made of all shards: enough while it holds every segment
    /// there is. A shard with more of them is gone on with from what is known of it.
    pub(crate) async fn read_all_new_segments(&self) -> Result<(), LakeError> {
        let mut shards = BTreeSet::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket.list(keys::HOT, after.as_deref(), PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|object| object.key.clone());
            let of_shard = |object: &ObjectInfo| keys::parse_segment(&object.key).map(|(shard, _)| shard);
            let mut last = None;
            for objects in page.chunk_by(|a, b| of_shard(a) == of_shard(b)) {
                last = objects.first().and_then(of_shard);
                let Some(shard) = last else {
                    tracing::warn!(
                        key = objects[0].key,
                        count = objects.len(),
                        "objects that are none of the lake's"
                    );
                    continue;
                };
                shards.insert(shard);
                if shards.len() > MAX_SHARDS {
                    let (found, limit) = (shards.len() as u64, MAX_SHARDS as u64);
                    return Err(LakeError::Limit { what: "shards", found, limit });
                }
                for some in objects.chunks(SEGMENTS_AT_A_TIME) {
                    self.read_segments(shard, some).await?;
                }
            }
            if !full {
                return Ok(());
            }
            let known = last.and_then(|shard| Some(keys::segment(shard, self.covered_through(shard)?)));
            after = after.max(known);
        }
    }

    /// Reads the segments of a shard that this process does not know yet and that are not compacted.
    pub(crate) async fn read_new_segments(&self, shard: ShardId) -> Result<(), LakeError> {
        let prefix = keys::shard_prefix(shard);
        let mut listed: Option<String> = None;
        loop {
            let covered = self.covered_through(shard);
            let after = covered.map(|to| keys::segment(shard, to)).max(listed);
            let page = self.bucket.list(&prefix, after.as_deref(), SEGMENTS_AT_A_TIME).await?;
            self.read_segments(shard, &page).await?;
            if page.len() < SEGMENTS_AT_A_TIME {
                return Ok(());
            }
            listed = page.last().map(|object| object.key.clone());
        }
    }

    /// Reads those of some segments of a shard, in order, that are not known yet.
    async fn read_segments(&self, shard: ShardId, objects: &[ObjectInfo]) -> Result<(), LakeError> {
        let covered = self.covered_through(shard);
        // A segment is named by its first number, so one that begins at or below what is covered has been
        // seen: each begins behind the end of the one before. (A damaged one covers nothing.)
        let is_new = |object: &&ObjectInfo| {
            let first = keys::parse_segment(&object.key).map(|(_, first)| first);
            first > covered && !self.damage.is_known(object)
        };
        let read = |object: ObjectInfo| {
            let bucket = self.bucket.clone();
            async move {
                match bucket.get(&object.key).await {
                    // Compacted and deleted since the listing.
                    Err(BucketError::NotFound { .. }) => Ok(None),
                    other => Ok(Some((object, other?))),
                }
            }
        };
        let objects: Vec<Result<Option<(ObjectInfo, Bytes)>, LakeError>> =
            gather(self.options.concurrency, objects.iter().filter(is_new).cloned().map(read)).await?;
        // One decoded segment at a time: decoded, they take some twenty times the memory.
        for object in objects {
            let Some((object, bytes)) = object? else { continue };
            let Some(decoded) = self.decode_or_pass(object, bytes, shard).await? else { continue };
            self.set_aside_records(&decoded).await;
            let records = decoded.records.iter().map(|(sequence, record)| (*sequence, record));
            let now_ms = self.clock.now_ms();
            self.state_mut().absorb(&decoded.segment, decoded.bytes, records, now_ms);
        }
        Ok(())
    }

    /// Brings the catalog and the head up to date with what others wrote.
    pub(crate) async fn refresh(&self) -> Result<(), LakeError> {
        let _one_at_a_time = self.refreshing.lock().await;
        self.refresh_locked().await
    }

    async fn refresh_locked(&self) -> Result<(), LakeError> {
        let began_ms = self.clock.now_ms();
        // First the manifest, then the segments: a segment that is compacted in between is still there
        // (that is what the grace period is for), so nothing is missed.
        let catalog = self.manifest.refresh(&self.catalog()).await?;
        self.install(catalog);
        self.read_all_new_segments().await?;
        self.uncertain.store(false, Ordering::SeqCst);
        self.refreshed_ms.store(began_ms, Ordering::SeqCst);
        Ok(())
    }

    /// Moves on to a later catalog.
    fn install(&self, catalog: Arc<Catalog>) {
        let before = self.catalog();
        let is_done = |catalog: &Catalog, number| {
            catalog.erasures.get(number).is_some_and(|erasure| erasure.done_ms.is_some())
        };
        let done = catalog.erasures.iter().filter(|(number, _)| !is_done(&before, number));
        let done = done.filter(|(number, _)| is_done(&catalog, number));
        let tenants: Vec<_> = done.map(|(_, erasure)| erasure.tenant.clone()).collect();
        self.state_mut().install(catalog);
        // Indexes of days remember series that are in no block any more.
        tenants.iter().for_each(|tenant| self.days.forget(tenant));
    }

    /// Before a query: looks for news when others write too and the last look is too old.
    pub(crate) async fn refresh_for_query(&self) -> Result<(), LakeError> {
        if self.options.sole_writer { Ok(()) } else { self.refresh_if_older(self.options.refresh_ms).await }
    }

    /// Looks for news unless the last look is at most so many milliseconds old.
    pub(crate) async fn refresh_if_older(&self, limit_ms: i64) -> Result<(), LakeError> {
        let is_fresh = || {
            let age_ms = self.clock.now_ms().saturating_sub(self.refreshed_ms.load(Ordering::SeqCst));
            (0..=limit_ms).contains(&age_ms)
        };
        if is_fresh() {
            return Ok(());
        }
        let _one_at_a_time = self.refreshing.lock().await;
        if is_fresh() { Ok(()) } else { self.refresh_locked().await }
    }

    /// Before maintenance: looks for news unless it is certain that there are none.
    pub(crate) async fn refresh_for_maintenance(&self) -> Result<(), LakeError> {
        if self.options.sole_writer && !self.uncertain.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.refresh().await
    }

    /// Adds an entry to the manifest and moves on to the state after it. `plan` makes the entry for the
    /// catalog as it is then; it is asked again after each lost race, and `None` gives up. So does an erasure
    /// that came after blocks of the entry were planned.
    pub(crate) async fn commit(
        &self,
        plan: impl Fn(&Catalog) -> Option<Entry> + Send,
    ) -> Result<Option<Arc<Catalog>>, LakeError> {
        for _ in 0..COMMIT_TRIES {
            let catalog = self.catalog();
            // What was planned before an erasure may hold what is to go: it is given up, and done again.
            let Some(mut entry) = plan(&catalog).filter(|entry| catalog.may_take(entry)) else {
                return Ok(None);
            };
            entry.version = catalog.version + 1;
            entry.written_ms = self.clock.now_ms();
            entry.writer = self.new_name(catalog.version);
            match self.manifest.commit(&catalog, entry).await {
                Ok(Commit::Done(next)) => {
                    self.install(next.clone());
                    return Ok(Some(next));
                }
                Ok(Commit::Lost) => self.refresh().await?,
                Err(error) => {
                    self.uncertain.store(true, Ordering::SeqCst);
                    return Err(error);
                }
            }
        }
        Err(LakeError::unavailable(format!("others changed the lake {COMMIT_TRIES} times meanwhile")))
    }

    /// All objects under a prefix, page by page.
    pub(crate) async fn list_all(&self, prefix: &str) -> Result<Vec<weir_platform::ObjectInfo>, LakeError> {
        let mut objects = Vec::new();
        loop {
            let after = objects.last().map(|o: &weir_platform::ObjectInfo| o.key.clone());
            let page = self.bucket.list(prefix, after.as_deref(), PAGE).await?;
            let full = page.len() == PAGE;
            objects.extend(page);
            if !full {
                return Ok(objects);
            }
        }
    }
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Lake")
            .field("version", &state.catalog.version)
            .field("hot_segments", &state.head.segments().len())
            .finish_non_exhaustive()
    }
}
