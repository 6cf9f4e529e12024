//! A bucket in memory, for tests and for tools that need none to last.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::bucket::{Bucket, BucketError, Created, ObjectInfo, check_key};
use crate::storage_class::{Placement, Restore};

/// Objects in a map; what [`Bucket`] promises but for outliving the process. Frozen objects that somebody asked to
/// restore can be read after [`MemoryBucket::thaw`].
#[derive(Debug, Default)]
pub struct MemoryBucket {
    objects: Mutex<BTreeMap<String, Object>>,
}

/// An object with what is known of it.
#[derive(Debug, Default)]
struct Object {
    bytes: Bytes,
    created_ms: i64,
    placement: Placement,
    /// Set once somebody asked for it; true when it has been restored.
    restored: Option<bool>,
}

impl Object {
    fn is_frozen(&self) -> bool {
        self.placement.class.is_frozen() && self.restored != Some(true)
    }
}

impl MemoryBucket {
    /// An empty bucket.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restores every frozen object that was asked for, and says which.
    pub fn thaw(&self) -> Vec<String> {
        let mut objects = self.objects();
        let asked = objects.iter_mut().filter(|(_, object)| object.restored == Some(false));
        asked
            .map(|(key, object)| {
                object.restored = Some(true);
                key.clone()
            })
            .collect()
    }

    /// Where an object lies.
    #[must_use]
    pub fn placement(&self, key: &str) -> Option<Placement> {
        self.objects().get(key).map(|object| object.placement.clone())
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    fn has_classes(&self) -> bool {
        true
    }

    async fn create_in(
        &self,
        key: &str,
        bytes: Bytes,
        placement: &Placement,
    ) -> Result<Created, BucketError> {
        check_key(key)?;
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(Created::Existed);
        }
        // Order of creation stands in for time, so that tests do not depend on the machine's clock.
        let created_ms = objects.len() as i64;
        let object = Object { bytes, created_ms, placement: placement.clone(), restored: None };
        objects.insert(key.to_owned(), object);
        Ok(Created::New)
    }

    async fn restore(&self, key: &str, _days: u32) -> Result<Restore, BucketError> {
        check_key(key)?;
        let mut objects = self.objects();
        let not_found = || BucketError::NotFound { key: key.to_owned() };
        let object = objects.get_mut(key).ok_or_else(not_found)?;
        if !object.is_frozen() {
            return Ok(Restore::Readable);
        }
        object.restored.get_or_insert(false);
        Ok(Restore::UnderWay)
    }

    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        check_key(key)?;
        let mut objects = self.objects();
        let created_ms = objects.len() as i64;
        objects.insert(key.to_owned(), Object { bytes, created_ms, ..Object::default() });
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        check_key(key)?;
        match self.objects().get(key) {
            None => Err(BucketError::NotFound { key: key.to_owned() }),
            Some(object) if object.is_frozen() => Err(BucketError::Frozen { key: key.to_owned() }),
            Some(object) => Ok(object.bytes.clone()),
        }
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
            .map(|(key, object)| ObjectInfo {
                key: key.clone(),
                size: object.bytes.len() as u64,
                created_ms: object.created_ms,
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
