//! What a job remembers in the bucket: one create-only object for each run.
//!
//! Prometheus restores alerts from the series `ALERTS_FOR_STATE`, which tells since when they are active and
//! nothing else. A function has no memory between runs at all, so it also needs which series it wrote (to end
//! them), what fired since when, and what is kept firing; and which runs are done, so that an event delivered
//! twice does nothing twice. All of that is one small object, named by the run's time: the next run takes the
//! latest one before its own, whichever process wrote it.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weir_model::TenantId;
use weir_platform::{Bucket, BucketError};

use crate::evaluate::{Alert, GroupState};

/// How long states are kept, for whoever replays a period, in milliseconds.
const KEPT_MS: i64 = 24 * 3_600_000;
/// Most old states deleted by one run.
const MAX_FORGOTTEN: usize = 100;
/// Largest state, unpacked, in bytes.
const MAX_STATE_BYTES: usize = 512 << 20;
/// Version of the encoding, its first byte.
const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 1;

/// What all groups of a job remember of one tenant after a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunState {
    /// The run's time, milliseconds since the Unix epoch; `None` before the first one.
    pub at_ms: Option<i64>,
    /// By file and name.
    pub groups: BTreeMap<String, GroupState>,
}

impl RunState {
    /// Every alert, those resolved a short while ago among them.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let rules = self.groups.values().flat_map(|group| &group.rules);
        rules.flat_map(|rule| rule.alerts.values().cloned()).collect()
    }
}

/// The state of rules could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The object is damaged, or of a later version.
    #[error("object {key:?} holds no state of rules: {reason}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The state is larger than any that would be read again.
    #[error(
        "state of rules takes {0} bytes, at most {MAX_STATE_BYTES}: use fewer rules, or rules with fewer series"
    )]
    TooLarge(usize),
}

/// States of one job.
pub struct StateStore<S> {
    bucket: Arc<dyn Bucket>,
    job: &'static str,
    states: PhantomData<fn() -> S>,
}

impl<S: Serialize + DeserializeOwned> StateStore<S> {
    /// States that lie in this bucket under the job's name.
    #[must_use]
    pub fn new(bucket: Arc<dyn Bucket>, job: &'static str) -> Self {
        Self { bucket, job, states: PhantomData }
    }

    fn prefix(&self, tenant: &TenantId) -> String {
        format!("rules/tenant={tenant}/{}/", self.job)
    }

    /// Later runs come first in a listing: it ascends, so times count down.
    fn key(&self, tenant: &TenantId, at_ms: i64) -> String {
        format!("{}{:020}", self.prefix(tenant), i64::MAX - at_ms.max(0))
    }

    /// The state after the latest run at or before `at_ms`.
    ///
    /// # Errors
    /// [`StoreError`] when the bucket fails or the object is damaged.
    pub async fn latest(&self, tenant: &TenantId, at_ms: i64) -> Result<Option<S>, StoreError> {
        let after = self.key(tenant, at_ms.saturating_add(1));
        let found = self.bucket.list(&self.prefix(tenant), Some(&after), 1).await?;
        let Some(object) = found.first() else { return Ok(None) };
        let bytes = self.bucket.get(&object.key).await?;
        let state =
            decode(&bytes).map_err(|reason| StoreError::Damaged { key: object.key.clone(), reason })?;
        Ok(Some(state))
    }

    /// Keeps the state of a run at `at_ms`; one of the same time that is there already stays.
    ///
    /// # Errors
    /// [`StoreError`] when the bucket fails or the state is too large.
    pub async fn save(&self, tenant: &TenantId, at_ms: i64, state: &S) -> Result<(), StoreError> {
        self.bucket.create(&self.key(tenant, at_ms), encode(state)?.into()).await?;
        Ok(())
    }

    /// Deletes states that no replay needs any more, some at a time.
    ///
    /// # Errors
    /// [`StoreError`] when the bucket fails.
    pub async fn forget(&self, tenant: &TenantId, at_ms: i64) -> Result<(), StoreError> {
        let after = self.key(tenant, at_ms.saturating_sub(KEPT_MS));
        for object in self.bucket.list(&self.prefix(tenant), Some(&after), MAX_FORGOTTEN).await? {
            self.bucket.delete(&object.key).await?;
        }
        Ok(())
    }
}

fn encode<S: Serialize>(state: &S) -> Result<Vec<u8>, StoreError> {
    let unreadable = |reason: String| StoreError::Damaged { key: String::new(), reason };
    let json = serde_json::to_vec(state).map_err(|error| unreadable(error.to_string()))?;
    if json.len() > MAX_STATE_BYTES {
        return Err(StoreError::TooLarge(json.len()));
    }
    let packed = zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}

fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, String> {
    let (version, rest) = bytes.split_first().ok_or("it is empty")?;
    if *version != VERSION {
        return Err(format!("it is of unknown version {version}"));
    }
    let (length, packed) = rest.split_first_chunk::<8>().ok_or("it is cut off")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_STATE_BYTES {
        return Err(format!("it claims {length} bytes, at most {MAX_STATE_BYTES}"));
    }
    let json = zstd::bulk::decompress(packed, length).map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_were_written_and_damage_is_told() {
        let group = GroupState { evaluated_ms: Some(7), missed: 2, ..GroupState::default() };
        let state = RunState { at_ms: Some(7), groups: BTreeMap::from([("a;b".to_owned(), group)]) };
        let bytes = encode(&state).unwrap();
        assert_eq!(decode::<RunState>(&bytes).unwrap(), state);
        for end in 0..bytes.len() {
            assert!(decode::<RunState>(&bytes[..end]).is_err(), "{end}");
        }
        assert!(decode::<RunState>(&[2, 0, 0]).unwrap_err().contains("version 2"));
    }
}
