//! Hot segments that cannot be read: set aside with the reason, counted, and passed by, so that one of them
//! holds up neither opening nor appending nor compaction.
//!
//! A damaged segment covers nothing: should the stream still have its records, they are delivered again, and
//! then their shard's appender replaces it. Whoever meets one copies it to `quarantine/` (a reader that may
//! not write says so in its log); it is deleted only by that appender, or once compaction has passed it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use weir_platform::{BucketError, ObjectInfo, SequenceNumber, ShardId};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::LakeError;
use crate::keys;
use crate::lake::Lake;
use crate::state::DecodedSegment;

/// Most damaged segments that are remembered; further ones are read again at each look.
const MAX_KNOWN: usize = 10_000;

/// The damaged segments that this process has met and that are still in the way, with their creation times:
/// one that was replaced is another object.
#[derive(Debug, Default)]
pub(crate) struct Damage(Mutex<BTreeMap<String, i64>>);

impl Damage {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for the object itself, not for a later one of the same name.
    pub(crate) fn is_known(&self, object: &ObjectInfo) -> bool {
        self.known().get(&object.key) == Some(&object.created_ms)
    }

    /// True when an object of that name is damaged, as far as known.
    pub(crate) fn is_known_by_name(&self, key: &str) -> bool {
        self.known().contains_key(key)
    }

    /// Number of damaged segments.
    pub(crate) fn len(&self) -> usize {
        self.known().len()
    }

    /// Keeps what lies behind the marks: what lies before is deleted by now.
    pub(crate) fn retain_after(&self, marks: &BTreeMap<ShardId, SequenceNumber>) {
        let is_after = |key: &str| {
            keys::parse_segment(key)
                .is_none_or(|(shard, first)| marks.get(&shard).is_none_or(|to| first > *to))
        };
        self.known().retain(|key, _| is_after(key));
    }

    pub(crate) fn forget(&self, key: &str) {
        self.known().remove(key);
    }
}

impl Lake {
    /// A segment decoded; `None` when it is damaged, which is then noted, or was deleted meanwhile.
    pub(crate) async fn decode_or_pass(
        &self,
        object: ObjectInfo,
        bytes: Bytes,
        shard: ShardId,
    ) -> Result<Option<DecodedSegment>, LakeError> {
        let key = object.key.clone();
        if let Ok(decoded) = decode(key.clone(), bytes, shard).await? {
            // One that was damaged may have been replaced.
            self.damage.forget(&key);
            return Ok(Some(decoded));
        }
        // Once more, should only the reading have gone wrong.
        let bytes = match self.bucket.get(&key).await {
            Err(BucketError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        match decode(key.clone(), bytes.clone(), shard).await? {
            Ok(decoded) => Ok(Some(decoded)),
            Err(reason) => {
                self.note_damage(&object, &bytes, &reason).await;
                Ok(None)
            }
        }
    }

    async fn note_damage(&self, object: &ObjectInfo, bytes: &Bytes, reason: &str) {
        let key = &object.key;
        tracing::error!(
            key,
            reason,
            "a hot segment is damaged: its samples are missing until they are delivered again"
        );
        if let Err(error) = self.set_aside(key, bytes, reason).await {
            tracing::error!(key, %error, "the damaged segment could not be copied to quarantine from here");
        }
        let mut known = self.damage.known();
        if known.len() < MAX_KNOWN || known.contains_key(key) {
            known.insert(key.clone(), object.created_ms);
        }
    }

    /// Copies a damaged object to quarantine, named by its content, so that doing so again changes nothing.
    async fn set_aside(&self, key: &str, bytes: &Bytes, reason: &str) -> Result<(), LakeError> {
        let hash = xxh3_64(bytes);
        let note = serde_json::json!({
            "key": key,
            "reason": reason,
            "bytes": bytes.len(),
            "quarantined_ms": self.clock.now_ms(),
        });
        self.bucket.create(&keys::set_aside(key, hash, "bin"), bytes.clone()).await?;
        self.bucket.create(&keys::set_aside(key, hash, "json"), note.to_string().into()).await?;
        Ok(())
    }

    /// Sets aside records that cannot be decoded though their segment is sound.
    pub(crate) async fn set_aside_records(&self, decoded: &DecodedSegment) {
        let shard = decoded.header.shard;
        for (sequence, payload, reason) in &decoded.unreadable {
            tracing::error!(%shard, %sequence, reason, "a stored record cannot be decoded: its samples are missing");
            if let Err(error) = self.quarantine(shard, *sequence, payload.clone(), reason).await {
                tracing::error!(%shard, %sequence, %error, "the record could not be copied to quarantine from here");
            }
        }
    }

    /// Deletes a damaged segment, of which quarantine then surely has a copy. False when it is not damaged.
    /// It is looked at right before, since its shard may have another appender, which replaced it.
    pub(crate) async fn delete_damaged(&self, key: &str, shard: ShardId) -> Result<bool, LakeError> {
        let bytes = match self.bucket.get(key).await {
            Err(BucketError::NotFound { .. }) => {
                self.damage.forget(key);
                return Ok(true);
            }
            other => other?,
        };
        let Err(reason) = decode(key.to_owned(), bytes.clone(), shard).await? else {
            self.damage.forget(key);
            return Ok(false);
        };
        self.set_aside(key, &bytes, &reason).await?;
        self.bucket.delete(key).await?;
        self.damage.forget(key);
        Ok(true)
    }
}

/// A segment of that shard, or what is wrong with it.
async fn decode(
    key: String,
    bytes: Bytes,
    shard: ShardId,
) -> Result<Result<DecodedSegment, String>, LakeError> {
    let decoded = tokio::task::spawn_blocking(move || DecodedSegment::decode(&bytes)).await?;
    Ok(decoded.and_then(|decoded| {
        let header = decoded.header;
        if header.shard == shard && keys::segment(shard, header.first) == key {
            Ok(decoded)
        } else {
            Err(format!("it says that it is of {} from {}", header.shard, header.first))
        }
    }))
}
