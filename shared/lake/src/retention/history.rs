//! Changes of policies: each is a numbered object that is created once and says who, when, what and instead
//! of what; the manifest then takes it over, at once or, after a crash, with the next run.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_model::TenantId;
use weir_platform::Created;

use super::{RetentionPolicy, StoredRetention};
use crate::error::LakeError;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::Entry;

/// How often a number is looked for while others change the policy, too.
const TRIES: usize = 8;
/// Newest changes that an answer lists.
const MAX_LISTED: usize = 100;

/// A change of a policy, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionChange {
    /// Its number among the changes of the same scope, from 1.
    pub number: u64,
    /// Whose policy; `None` for the tenants that have none of their own.
    pub tenant: Option<String>,
    /// When, milliseconds since the Unix epoch.
    pub changed_ms: i64,
    /// Who, as far as known.
    pub by: String,
    /// What was valid before; `None` for the first.
    pub before: Option<RetentionPolicy>,
    /// What is valid since.
    pub policy: RetentionPolicy,
}

fn scope(tenant: Option<&TenantId>) -> &str {
    tenant.map_or("", TenantId::as_str)
}

impl Lake {
    /// Changes a policy: a tenant's own, or the one of all tenants that have none. A policy equal to the
    /// one before is no change.
    ///
    /// # Errors
    /// [`LakeError`] when the policy is refused or the bucket fails; a change of which that is said may be
    /// valid all the same, from the next run on.
    pub async fn set_retention(
        &self,
        tenant: Option<&TenantId>,
        policy: &RetentionPolicy,
        by: &str,
    ) -> Result<RetentionChange, LakeError> {
        let scope = scope(tenant);
        policy.check().map_err(|error| LakeError::Refused { reason: error.to_string() })?;
        for _ in 0..TRIES {
            let last = self.retention_history(tenant, 1).await?.pop();
            if let Some(same) = last.as_ref().filter(|last| last.policy == *policy) {
                self.put_in_force(scope, same).await?;
                return Ok(same.clone());
            }
            let change = RetentionChange {
                number: last.as_ref().map_or(1, |last| last.number + 1),
                tenant: tenant.map(ToString::to_string),
                changed_ms: self.clock.now_ms(),
                by: by.to_owned(),
                before: last.map(|last| last.policy),
                policy: policy.clone(),
            };
            let key = keys::retention(scope, change.number);
            let bytes = serde_json::to_vec(&change).map_err(|error| LakeError::damaged(&key, error))?;
            if self.bucket.create(&key, Bytes::from(bytes)).await? == Created::New {
                self.put_in_force(scope, &change).await?;
                return Ok(change);
            }
        }
        Err(LakeError::unavailable(format!("others changed the retention policy {TRIES} times meanwhile")))
    }

    /// The newest changes of a policy, at most `limit` (and 100), oldest first.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or an object is damaged.
    pub async fn retention_history(
        &self,
        tenant: Option<&TenantId>,
        limit: usize,
    ) -> Result<Vec<RetentionChange>, LakeError> {
        let objects = self.list_all(&keys::retention_prefix(scope(tenant))).await?;
        let skip = objects.len().saturating_sub(limit.min(MAX_LISTED));
        let mut changes = Vec::new();
        for object in objects.into_iter().skip(skip) {
            changes.push(self.read_change(&object.key).await?);
        }
        Ok(changes)
    }

    /// The policy that counts for a tenant now, as far as this process knows: its own, or that of all.
    #[must_use]
    pub fn retention(&self, tenant: &TenantId) -> Option<RetentionPolicy> {
        self.catalog().retention_of(tenant).map(|policy| policy.stored.policy.clone())
    }

    /// From when on raw samples of every series of a tenant are there, in milliseconds since the Unix epoch;
    /// before it, some have expired. `None` when none ever do.
    #[must_use]
    pub fn raw_complete_from_ms(&self, tenant: &TenantId) -> Option<i64> {
        let from_ms = self.catalog().floors(tenant, self.clock.now_ms()).complete_from();
        (from_ms != i64::MIN).then_some(from_ms)
    }

    /// Takes over changes that crashes kept from the manifest.
    pub(super) async fn adopt_policies(&self) -> Result<(), LakeError> {
        let mut newest: std::collections::BTreeMap<String, (u64, String)> = Default::default();
        for object in self.list_all(keys::RETENTION).await? {
            if let Some((scope, number)) = keys::parse_retention(&object.key) {
                newest.insert(scope, (number, object.key));
            }
        }
        for (scope, (number, key)) in newest {
            let known = self.catalog().retention.get(&scope).map_or(0, |policy| policy.stored.number);
            if known < number {
                let change = self.read_change(&key).await?;
                self.put_in_force(&scope, &change).await?;
            }
        }
        Ok(())
    }

    async fn read_change(&self, key: &str) -> Result<RetentionChange, LakeError> {
        let bytes = self.bucket.get(key).await?;
        serde_json::from_slice(&bytes).map_err(|error| LakeError::damaged(key, error))
    }

    async fn put_in_force(&self, scope: &str, change: &RetentionChange) -> Result<(), LakeError> {
        let stored = StoredRetention { number: change.number, policy: change.policy.clone() };
        let entry = |catalog: &crate::manifest::Catalog| {
            let known = catalog.retention.get(scope).map_or(0, |policy| policy.stored.number);
            let retention = [(scope.to_owned(), stored.clone())].into();
            (known < stored.number).then(|| Entry { retention, ..Entry::default() })
        };
        self.commit(entry).await.map(drop)
    }
}
