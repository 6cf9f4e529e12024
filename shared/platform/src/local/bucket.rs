//! A folder as the bucket: each object one file, created whole and durably, never changed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;

use super::{create_dir_durably, sync_dir};
use crate::bucket::{Bucket, BucketError, Created, ObjectInfo, check_key};
use crate::storage_class::Placement;

/// Where half-written objects lie; no key can begin with this name, since listings skip it.
const SCRATCH: &str = ".scratch";

/// A bucket in a folder of this machine.
#[derive(Debug, Clone)]
pub struct LocalBucket {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    next_scratch: AtomicU64,
}

impl LocalBucket {
    /// Opens the folder, making it if need be, and clears what a crash left half-written.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        create_dir_durably(&root)?;
        let scratch = root.join(SCRATCH);
        if scratch.is_dir() {
            fs::remove_dir_all(&scratch)?;
        }
        create_dir_durably(&scratch)?;
        Ok(Self { inner: Arc::new(Inner { root, next_scratch: AtomicU64::new(0) }) })
    }

    /// Runs file work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Inner, &str) -> Result<T, BucketError> + Send + 'static,
    ) -> Result<T, BucketError> {
        let (inner, owned) = (self.inner.clone(), key.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&inner, &owned)).await;
        done.unwrap_or_else(|source| {
            Err(BucketError::Unavailable { key: key.to_owned(), source: Box::new(source) })
        })
    }
}

fn failed(key: &str, source: io::Error) -> BucketError {
    match source.kind() {
        ErrorKind::NotFound => BucketError::NotFound { key: key.to_owned() },
        _ => BucketError::Unavailable { key: key.to_owned(), source: Box::new(source) },
    }
}

impl Inner {
    fn create(&self, key: &str, bytes: &[u8]) -> io::Result<Created> {
        let path = self.root.join(key);
        if path.exists() {
            return Ok(Created::Existed);
        }
        let (parent, scratch) = self.write_scratch(&path, bytes)?;
        // A hard link, unlike a rename, fails when the name is taken: create-only without a lock.
        let created = match fs::hard_link(&scratch, &path) {
            Ok(()) => Created::New,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Created::Existed,
            Err(error) => return Err(error),
        };
        fs::remove_file(&scratch)?;
        sync_dir(parent)?;
        Ok(created)
    }

    fn replace(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.root.join(key);
        let (parent, scratch) = self.write_scratch(&path, bytes)?;
        fs::rename(&scratch, &path)?;
        sync_dir(parent)
    }

    /// Writes bytes durably beside their place: the folder of `path`, and the file with them.
    fn write_scratch<'a>(&'a self, path: &'a Path, bytes: &[u8]) -> io::Result<(&'a Path, PathBuf)> {
        let parent = path.parent().unwrap_or(&self.root);
        create_dir_durably(parent)?;
        let number = self.next_scratch.fetch_add(1, Ordering::Relaxed);
        let scratch = self.root.join(SCRATCH).join(number.to_string());
        let mut file = File::create_new(&scratch)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        Ok((parent, scratch))
    }

    fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        let file = File::open(self.root.join(key)).map_err(|error| failed(key, error))?;
        let bad = || BucketError::BadRange { key: key.to_owned(), start: range.start, end: range.end };
        let len = range.end.checked_sub(range.start).and_then(|l| usize::try_from(l).ok()).ok_or_else(bad)?;
        let size = file.metadata().map_err(|error| failed(key, error))?.len();
        if range.end > size {
            return Err(bad());
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| failed(key, error))?;
        Ok(bytes.into())
    }

    /// Keys below `dir` (itself `at` as a key prefix), those that can pass the filter only.
    fn walk(&self, dir: &Path, at: &str, prefix: &str, found: &mut Vec<ObjectInfo>) -> io::Result<()> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| *name != SCRATCH) else { continue };
            let key = format!("{at}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let below = format!("{key}/");
                if below.starts_with(prefix) || prefix.starts_with(&below) {
                    self.walk(&entry.path(), &below, prefix, found)?;
                }
            } else if key.starts_with(prefix) {
                // Gone since the folder was read: then it is simply not listed.
                let Ok(metadata) = entry.metadata() else { continue };
                let since = metadata.modified().ok().and_then(|m| m.duration_since(UNIX_EPOCH).ok());
                let created_ms = since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
                found.push(ObjectInfo { key, size: metadata.len(), created_ms });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Bucket for LocalBucket {
    async fn create_in(&self, key: &str, bytes: Bytes, _: &Placement) -> Result<Created, BucketError> {
        check_key(key)?;
        self.blocking(key, move |inner, key| inner.create(key, &bytes).map_err(|error| failed(key, error)))
            .await
    }

    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        check_key(key)?;
        self.blocking(key, move |inner, key| inner.replace(key, &bytes).map_err(|error| failed(key, error)))
            .await
    }

    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        check_key(key)?;
        self.blocking(key, |inner, key| {
            fs::read(inner.root.join(key)).map(Bytes::from).map_err(|error| failed(key, error))
        })
        .await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        check_key(key)?;
        // A few pages out of the page cache take less time than handing the work to another thread.
        const SMALL: u64 = 128 * 1024;
        if range.end.saturating_sub(range.start) <= SMALL {
            return self.inner.read(key, range);
        }
        self.blocking(key, move |inner, key| inner.read(key, range)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError> {
        let after = after.map(str::to_owned);
        self.blocking(prefix, move |inner, prefix| {
            let folder = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
            let mut found = Vec::new();
            inner
                .walk(&inner.root.join(folder), folder, prefix, &mut found)
                .map_err(|error| failed(prefix, error))?;
            if let Some(after) = after {
                found.retain(|object| object.key > after);
            }
            found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            found.truncate(limit);
            Ok(found)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        check_key(key)?;
        self.blocking(key, |inner, key| match fs::remove_file(inner.root.join(key)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(key, error)),
            _ => Ok(()),
        })
        .await
    }
}
