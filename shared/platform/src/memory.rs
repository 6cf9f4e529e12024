//! A bucket in memory, for tests and for tools that need none to last.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::bucket::{Bucket, BucketError, Created, ObjectInfo, check_key};

/// Objects in a map; what [`Bucket`] promises but for outliving the process.
#[derive(Debug, Default)]
pub struct MemoryBucket {
    objects: Mutex<BTreeMap<String, (Bytes, i64)>>,
}

impl MemoryBucket {
    /// An empty bucket.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, (Bytes, i64)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, BucketError> {
        check_key(key)?;
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(Created::Existed);
        }
        // Order of creation stands in for time, so that tests do not depend on the machine's clock.
        let created_ms = objects.len() as i64;
        objects.insert(key.to_owned(), (bytes, created_ms));
        Ok(Created::New)
    }

    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        check_key(key)?;
        let mut objects = self.objects();
        let created_ms = objects.len() as i64;
        objects.insert(key.to_owned(), (bytes, created_ms));
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        check_key(key)?;
        let found = self.objects().get(key).map(|(bytes, _)| bytes.clone());
        found.ok_or_else(|| BucketError::NotFound { key: key.to_owned() })
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        let bytes = self.get(key).await?;
        if range.start > range.end || range.end > bytes.len() as u64 {
            return Err(BucketError::BadRange { key: key.to_owned(), start: range.start, end: range.end });
        }
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError> {
        let objects = self.objects();
        let from = after.filter(|after| *after >= prefix).unwrap_or(prefix).to_owned();
        let listed = objects
            .range(from..)
            .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, (bytes, created_ms))| ObjectInfo {
                key: key.clone(),
                size: bytes.len() as u64,
                created_ms: *created_ms,
            })
            .collect();
        Ok(listed)
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        check_key(key)?;
        self.objects().remove(key);
        Ok(())
    }
}
