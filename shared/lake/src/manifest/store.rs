//! Reads and extends the manifest in the bucket.

use std::sync::Arc;

use bytes::Bytes;
use weir_platform::{Bucket, BucketError, Created};

use super::{Catalog, Checkpoint, Entry};
use crate::error::LakeError;
use crate::gather::gather;
use crate::keys;

/// A checkpoint follows every entry whose number this divides.
pub(crate) const CHECKPOINT_EVERY: u64 = 64;
/// How often loading starts over when entries vanish under it, since newer checkpoints replaced them.
const LOAD_TRIES: usize = 5;
/// How often an entry whose fate is unknown is written again.
const CREATE_TRIES: usize = 3;
/// Keys asked for at a time.
const PAGE: usize = 1_000;
/// Largest entry or checkpoint that is read, in bytes.
const MAX_OBJECT_BYTES: usize = 1 << 30;

/// What became of an attempt to add an entry.
#[derive(Debug)]
pub(crate) enum Commit {
    /// It is in the manifest, which now adds up to this.
    Done(Arc<Catalog>),
    /// Another entry took its number: read on, and see whether the change still makes sense.
    Lost,
}

/// The manifest in a bucket.
#[derive(Clone)]
pub(crate) struct ManifestStore {
    bucket: Arc<dyn Bucket>,
    concurrency: usize,
}

impl ManifestStore {
    pub(crate) fn new(bucket: Arc<dyn Bucket>, concurrency: usize) -> Self {
        Self { bucket, concurrency }
    }

    /// The state as of now, read from the last checkpoint on.
    pub(crate) async fn load(&self) -> Result<Arc<Catalog>, LakeError> {
        for _ in 0..LOAD_TRIES {
            let base = match self.last_checkpoint().await? {
                None => Catalog::default(),
                Some(version) => {
                    let key = keys::checkpoint(version);
                    let bytes = match self.bucket.get(&key).await {
                        Err(BucketError::NotFound { .. }) => continue,
                        other => other?,
                    };
                    let checkpoint: Checkpoint = parse(&key, &bytes)?;
                    Catalog::from_checkpoint(checkpoint).map_err(|reason| LakeError::damaged(&key, reason))?
                }
            };
            if let Some(catalog) = self.follow(Arc::new(base)).await? {
                return Ok(catalog);
            }
        }
        Err(LakeError::unavailable(format!("the manifest moved on {LOAD_TRIES} times while it was read")))
    }

    /// The state as of now, starting from a known one; loads anew when the entries between are gone.
    pub(crate) async fn refresh(&self, known: &Arc<Catalog>) -> Result<Arc<Catalog>, LakeError> {
        match self.follow(known.clone()).await? {
            Some(catalog) => Ok(catalog),
            None => self.load().await,
        }
    }

    async fn last_checkpoint(&self) -> Result<Option<u64>, LakeError> {
        let mut last: Option<(u64, String)> = None;
        loop {
            let after = last.as_ref().map(|(_, key)| key.as_str());
            let page = self.bucket.list(keys::CHECKPOINTS, after, PAGE).await?;
            let full = page.len() == PAGE;
            for object in page {
                let version = keys::parse_checkpoint(&object.key)
                    .ok_or_else(|| LakeError::damaged(&object.key, "it is not named as a checkpoint"))?;
                last = Some((version, object.key));
            }
            if !full {
                return Ok(last.map(|(version, _)| version));
            }
        }
    }

    /// Applies the entries after `catalog`; `None` when the next one is gone though later ones exist.
    async fn follow(&self, mut catalog: Arc<Catalog>) -> Result<Option<Arc<Catalog>>, LakeError> {
        loop {
            let after = keys::entry(catalog.version);
            let page = self.bucket.list(keys::MANIFEST, Some(&after), PAGE).await?;
            let versions: Vec<u64> = page.iter().filter_map(|o| keys::parse_entry(&o.key)).collect();
            let Some(&last) = versions.last() else {
                // A checkpoint beyond what is known, but no entries: they have been cleaned away.
                let newest = page.iter().filter_map(|o| keys::parse_checkpoint(&o.key)).max();
                return Ok(newest.is_none_or(|v| v <= catalog.version).then_some(catalog));
            };
            if versions[0] != catalog.version + 1 || last - versions[0] + 1 != versions.len() as u64 {
                return Ok(None);
            }
            let read = |version: u64| {
                let bucket = self.bucket.clone();
                async move { bucket.get(&keys::entry(version)).await }
            };
            let entries = gather(self.concurrency, versions.iter().map(|v| read(*v))).await?;
            let mut next = Catalog::clone(&catalog);
            for (version, bytes) in versions.iter().zip(entries) {
                let bytes = match bytes {
                    Err(BucketError::NotFound { .. }) => return Ok(None),
                    other => other?,
                };
                let key = keys::entry(*version);
                let entry: Entry = parse(&key, &bytes)?;
                next = next.after(&entry).map_err(|reason| LakeError::damaged(&key, reason))?;
            }
            catalog = Arc::new(next);
            if page.len() < PAGE {
                return Ok(Some(catalog));
            }
        }
    }

    /// Adds an entry after `catalog`. It takes `catalog`'s next number.
    ///
    /// # Errors
    /// [`LakeError::Unavailable`] when the bucket fails: then the entry may be there or not, and the
    /// caller must refresh before it writes another.
    pub(crate) async fn commit(&self, catalog: &Arc<Catalog>, entry: Entry) -> Result<Commit, LakeError> {
        let key = keys::entry(entry.version);
        let next = catalog.after(&entry).map_err(|reason| LakeError::damaged(&key, reason))?;
        let bytes: Bytes = to_json(&key, &entry)?;
        let mut failure = None;
        for _ in 0..CREATE_TRIES {
            match self.bucket.create(&key, bytes.clone()).await {
                Ok(Created::New) => return Ok(Commit::Done(Arc::new(next))),
                // Perhaps our own, from an attempt whose reply was lost.
                Ok(Created::Existed) => {
                    let there = self.bucket.get(&key).await?;
                    return Ok(if there == bytes { Commit::Done(Arc::new(next)) } else { Commit::Lost });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.map_or_else(|| LakeError::unavailable("no attempt was made"), LakeError::from))
    }

    /// Writes the checkpoint of a state. One that exists already says the same.
    pub(crate) async fn write_checkpoint(&self, catalog: &Catalog) -> Result<(), LakeError> {
        let key = keys::checkpoint(catalog.version);
        let bytes = to_json(&key, &catalog.checkpoint())?;
        self.bucket.create(&key, bytes).await?;
        Ok(())
    }

    /// Deletes what no reader needs: all but the last two checkpoints, and the entries before the older
    /// of those, as far as they were created before `limit_ms`. Returns how many went.
    pub(crate) async fn clean(&self, limit_ms: Option<i64>) -> Result<u64, LakeError> {
        let goes = |created_ms: i64| limit_ms.is_none_or(|limit| created_ms <= limit);
        let mut checkpoints = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket.list(keys::CHECKPOINTS, after.as_deref(), PAGE).await?;
            after = page.last().map(|o| o.key.clone());
            let full = page.len() == PAGE;
            checkpoints.extend(page);
            if !full {
                break;
            }
        }
        let [old @ .., older, _] = checkpoints.as_slice() else { return Ok(0) };
        let Some(before) = keys::parse_checkpoint(&older.key) else { return Ok(0) };
        let mut deleted = 0;
        for object in old.iter().filter(|o| goes(o.created_ms)) {
            self.bucket.delete(&object.key).await?;
            deleted += 1;
        }
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket.list(keys::MANIFEST, after.as_deref(), PAGE).await?;
            let Some(last) = page.last().map(|o| o.key.clone()) else { return Ok(deleted) };
            for object in &page {
                // Ascending, so that what remains has no gaps.
                if keys::parse_entry(&object.key).is_none_or(|v| v > before) || !goes(object.created_ms) {
                    return Ok(deleted);
                }
                self.bucket.delete(&object.key).await?;
                deleted += 1;
            }
            after = Some(last);
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, LakeError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        let (found, limit) = (bytes.len() as u64, MAX_OBJECT_BYTES as u64);
        return Err(LakeError::Limit { what: "bytes of a manifest object", found, limit });
    }
    serde_json::from_slice(bytes).map_err(|error| LakeError::damaged(key, error))
}

fn to_json(key: &str, value: &impl serde::Serialize) -> Result<Bytes, LakeError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| LakeError::damaged(key, error))
}
