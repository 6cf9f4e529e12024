//! Retention: how long the samples of which series are kept, and what that hides and deletes.
//!
//! A policy has classes of series. A query shows no sample, and no interval of a rollup, older than its
//! series' class keeps, from the moment it expires; [`Lake::expire`](crate::Lake::expire) then takes it out of the
//! blocks.

mod history;
mod policy;
mod sweep;
mod trim;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::{LabelsRef, Tier};

pub use history::RetentionChange;
pub use policy::{Ages, ArchiveRule, Condition, RetentionClass, RetentionError, RetentionPolicy};
pub use sweep::ExpireReport;

pub(crate) use policy::Compiled;

/// A policy as the manifest states it: the change that brought it, by key of its object, and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRetention {
    /// Number of the change, rising per scope.
    pub number: u64,
    /// The policy.
    pub policy: RetentionPolicy,
}

/// A policy ready for use.
#[derive(Debug, Clone)]
pub(crate) struct InForce {
    /// As stored.
    pub stored: StoredRetention,
    /// Its matchers.
    pub compiled: Compiled,
    /// Key of the object of the change.
    pub key: String,
}

impl InForce {
    pub(crate) fn new(scope: &str, stored: StoredRetention) -> Result<Self, String> {
        let compiled = stored.policy.compile().map_err(|error| error.to_string())?;
        let key = crate::keys::retention(scope, stored.number);
        Ok(Self { stored, compiled, key })
    }
}

/// What is gone of a tenant's blocks (or, under [`trim::mark`]'s name, of its rollups): every expired sample, as of a time, of the blocks up to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Swept {
    /// Key of the policy's object.
    pub policy: String,
    /// Blocks of a greater generation have not been looked at.
    pub version: u64,
    /// The time, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// From when on a tenant's samples, or rollups of a tier, are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floors {
    now_ms: i64,
    policy: Option<Arc<InForce>>,
    tier: Option<Tier>,
}

impl Floors {
    pub(crate) fn new(policy: Option<&Arc<InForce>>, now_ms: i64) -> Self {
        Self { now_ms, policy: policy.cloned(), tier: None }
    }

    /// The same of rollups of a tier, whose timestamps are the ends of their intervals.
    pub(crate) fn of_tier(&self, tier: Tier) -> Self {
        Self { tier: Some(tier), ..self.clone() }
    }

    /// Earliest timestamp that a series of those labels still has.
    pub(crate) fn of(&self, labels: LabelsRef<'_>) -> i64 {
        self.before(self.policy.as_ref().and_then(|policy| policy.compiled.age_ms(self.tier, labels)))
    }

    /// From when on samples of every series are there.
    pub(crate) fn complete_from(&self) -> i64 {
        self.before(self.policy.as_ref().and_then(|policy| policy.compiled.shortest_ms(self.tier)))
    }

    /// Before this there is no sample of any series.
    pub(crate) fn nothing_before(&self) -> i64 {
        self.before(self.policy.as_ref().and_then(|policy| policy.compiled.longest_ms(self.tier)))
    }

    fn before(&self, age_ms: Option<i64>) -> i64 {
        age_ms.map_or(i64::MIN, |age_ms| self.now_ms.saturating_sub(age_ms))
    }
}
