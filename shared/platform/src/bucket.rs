//! The bucket port: create-only objects under slash-separated keys, as S3 has them.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::storage_class::{Placement, Restore};

/// What became of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is new and holds the given bytes.
    New,
    /// An object of that key existed already and was left alone.
    Existed,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// Why a bucket could not answer.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// There is no such object (any more).
    #[error("no object {key:?}")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// The key is not one: empty, absolute, or holding `.`, `..` or empty segments.
    #[error("bad object key {key:?}")]
    BadKey {
        /// The key asked for.
        key: String,
    },
    /// The range lies beyond the object's end.
    #[error("object {key:?} has no bytes {start}..{end}")]
    BadRange {
        /// The key asked for.
        key: String,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
    },
    /// The object lies in a class that must be restored before it can be read; see [`Bucket::restore`].
    #[error("object {key:?} is frozen: it has to be restored before it can be read")]
    Frozen {
        /// The key asked for.
        key: String,
    },
    /// The store failed; trying again may help.
    #[error("bucket failed on {key:?}")]
    Unavailable {
        /// The key asked for.
        key: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Objects that are created once and never change, but for what erasure takes out of them.
///
/// Keys are UTF-8 of at most 1,024 bytes, segments separated by `/`.
#[async_trait]
pub trait Bucket: Send + Sync {
    /// Creates an object if there is none of that key, whole or not at all, and durably: when this
    /// returns, the object outlives a power failure. (S3: `If-None-Match: *`.)
    ///
    /// A retry after a lost reply may find its own object: compare contents where that matters.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, BucketError> {
        self.create_in(key, bytes, &Placement::default()).await
    }

    /// True when the bucket has storage classes. One that has none takes every class for the one it has.
    fn has_classes(&self) -> bool {
        false
    }

    /// [`Bucket::create`] in a storage class and with tags, as far as the bucket has such.
    async fn create_in(&self, key: &str, bytes: Bytes, placement: &Placement)
    -> Result<Created, BucketError>;

    /// Asks that a frozen object can be read for so many days, counted from when it is restored; asking again
    /// changes nothing. An object that is absent is [`BucketError::NotFound`].
    async fn restore(&self, key: &str, days: u32) -> Result<Restore, BucketError> {
        let _ = days;
        self.get_range(key, 0..0).await.map(|_| Restore::Readable)
    }

    /// Puts other bytes in the place of an object, or creates it, whole or not at all, and durably. For erasure
    /// alone: everyone else relies on objects that never change.
    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError>;

    /// The whole object; [`BucketError::Frozen`] when it has to be restored first.
    async fn get(&self, key: &str) -> Result<Bytes, BucketError>;

    /// Part of an object. A range that ends beyond the object is [`BucketError::BadRange`].
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError>;

    /// Objects whose keys start with `prefix` and are greater than `after`, ascending by key, at most
    /// `limit`. An object created or deleted meanwhile may or may not appear.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError>;

    /// Deletes an object; deleting an absent one is success.
    async fn delete(&self, key: &str) -> Result<(), BucketError>;

    /// An address from which anyone can fetch the object for as long as said; `None` when the bucket has
    /// no addresses of its own. (S3: a presigned GET.)
    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, BucketError> {
        let _ = (key, valid);
        Ok(None)
    }
}

/// Longest key in bytes: the quota of S3.
const MAX_KEY_BYTES: usize = 1024;

/// Refuses keys that could leave a bucket's folder or that S3 would not take.
///
/// # Errors
/// [`BucketError::BadKey`].
pub fn check_key(key: &str) -> Result<(), BucketError> {
    let segment_ok = |s: &str| !s.is_empty() && s != "." && s != ".." && !s.contains(['\0', '\\']);
    if key.len() <= MAX_KEY_BYTES && key.split('/').all(segment_ok) {
        Ok(())
    } else {
        Err(BucketError::BadKey { key: key.to_owned() })
    }
}
