//! Silences in the bucket: one create-only object for each version of each silence.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use weir_model::TenantId;
use weir_platform::{Bucket, BucketError};

use super::{MAX_SILENCES, RETENTION_MS, Silence, SilenceState, Silences};

/// Most objects read at once: versions beyond it wait until older ones are forgotten.
const MAX_VERSIONS: usize = 2 * MAX_SILENCES;
/// Most old versions deleted at once.
const MAX_FORGOTTEN: usize = 100;

/// Silences of all tenants.
pub struct SilenceStore {
    bucket: Arc<dyn Bucket>,
    /// Objects never change: one that was read once is not read again.
    read: Mutex<BTreeMap<String, Silence>>,
}

impl SilenceStore {
    /// Silences that lie in this bucket.
    #[must_use]
    pub fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket, read: Mutex::default() }
    }

    fn prefix(tenant: &TenantId) -> String {
        format!("rules/tenant={tenant}/silences/")
    }

    /// All silences of a tenant. An object that holds none is told and passed over.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn read(&self, tenant: &TenantId) -> Result<Silences, BucketError> {
        Ok(Silences::new(self.versions(tenant).await?.into_values()))
    }

    async fn versions(&self, tenant: &TenantId) -> Result<BTreeMap<String, Silence>, BucketError> {
        let mut versions = BTreeMap::new();
        for object in self.bucket.list(&Self::prefix(tenant), None, MAX_VERSIONS).await? {
            let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&object.key).cloned();
            let silence = match known {
                Some(silence) => silence,
                None => {
                    let bytes = match self.bucket.get(&object.key).await {
                        Ok(bytes) => bytes,
                        // Forgotten meanwhile.
                        Err(BucketError::NotFound { .. }) => continue,
                        Err(error) => return Err(error),
                    };
                    match serde_json::from_slice::<Silence>(&bytes) {
                        Ok(silence) => silence,
                        Err(error) => {
                            tracing::error!(key = object.key, %error, "the object holds no silence");
                            continue;
                        }
                    }
                }
            };
            versions.insert(object.key, silence);
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = Self::prefix(tenant);
        read.retain(|key, _| !key.starts_with(&prefix));
        read.extend(versions.clone());
        Ok(versions)
    }

    /// Keeps a version of a silence; the same one twice is kept once.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn keep(&self, tenant: &TenantId, silence: &Silence) -> Result<(), BucketError> {
        let key = format!("{}{}/{:020}", Self::prefix(tenant), silence.id, silence.updated_ms.max(0));
        // Text keys and numbers only: this cannot fail.
        let bytes = serde_json::to_vec(silence).unwrap_or_default();
        self.bucket.create(&key, bytes.into()).await?;
        Ok(())
    }

    /// Deletes versions that later ones replaced, and silences that ended long ago, some at a time.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn forget(&self, tenant: &TenantId, at_ms: i64) -> Result<(), BucketError> {
        let versions = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let prefix = Self::prefix(tenant);
        let own: Vec<_> = versions.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        let old = own.iter().enumerate().filter(|(index, (_, silence))| {
            let replaced = own.get(index + 1).is_some_and(|(_, next)| next.id == silence.id);
            let ended = silence.state(at_ms.saturating_sub(RETENTION_MS)) == SilenceState::Expired;
            replaced || ended
        });
        for (_, (key, _)) in old.take(MAX_FORGOTTEN) {
            self.bucket.delete(key).await?;
        }
        Ok(())
    }
}
