//! Requests to erase: how they are made, and what became of them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::{Matcher, TenantId};
use weir_platform::BucketError;

use super::{
    Counts, Erased, Erasure, ErasureState, MAX_MATCHERS, MAX_TEXT_BYTES, StoredErasure, StoredMatcher,
    WATCHED_MS,
};
use crate::error::LakeError;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::{Catalog, Entry};

/// Most erasures that count at one time.
const MAX_ERASURES: usize = 1_000;

/// What is to be erased.
#[derive(Debug, Clone)]
pub struct EraseWish {
    /// Whose series.
    pub tenant: TenantId,
    /// Conditions, all of which hold for the series that go; at least one must not hold for a series without
    /// the label. An exemplar goes with its series, and when they hold for its series' labels together with its
    /// own, which count where both have a name.
    pub matchers: Vec<Matcher>,
    /// Who asks.
    pub by: String,
    /// Whether objects in quarantine go that cannot be read, of whatever tenant: they might hold something.
    pub drop_unreadable: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// Its number.
    pub number: u64,
    /// Whose series.
    pub tenant: String,
    /// What goes, as far as it is kept: values that were given are hashed.
    pub matchers: Vec<String>,
    /// Who asked.
    pub by: String,
    /// When, milliseconds since the Unix epoch: what was received or is dated up to then goes.
    pub requested_ms: i64,
    /// `running`; `watched`, when nothing of it is left and late records are still filtered; `settled`.
    pub state: String,
    /// When every block had been through it.
    pub done_ms: Option<i64>,
    /// Blocks that lie in a storage class from which they have to be restored first: that has been asked for, and
    /// a later run goes on with them.
    #[serde(default)]
    pub frozen: u64,
    /// Until when records that arrive late are filtered.
    pub watched_until_ms: i64,
    /// What was done, by kind of object: `raw`, `1m`, `1h`, `1d`, `hot`, `quarantine`, `exports`, and `leftovers`,
    /// objects that were replaced and have been deleted.
    pub counts: Counts,
}

impl ErasureReport {
    /// What was done to all kinds of objects.
    #[must_use]
    pub fn total(&self) -> Erased {
        let mut total = Erased::default();
        self.counts.values().for_each(|counts| total.add(counts));
        total
    }

    pub(super) fn of(erasure: &Erasure, settled: bool) -> Self {
        let state = match (settled, erasure.done_ms) {
            (true, _) => "settled",
            (false, Some(_)) => "watched",
            (false, None) => "running",
        };
        let matcher = |m: &StoredMatcher| match &m.pattern {
            Some(pattern) => format!("{}{}{pattern:?}", m.label, m.op),
            None => format!("{}{}sha256:{}", m.label, m.op, m.hashes.join("|")),
        };
        Self {
            number: erasure.number,
            tenant: erasure.tenant.to_string(),
            matchers: erasure.stored.matchers.iter().map(matcher).collect(),
            by: erasure.stored.by.clone(),
            requested_ms: erasure.stored.requested_ms,
            state: state.to_owned(),
            done_ms: erasure.done_ms,
            frozen: erasure.frozen,
            watched_until_ms: erasure.stored.requested_ms.saturating_add(WATCHED_MS),
            counts: erasure.counts.clone(),
        }
    }
}

fn refused(reason: impl Into<String>) -> LakeError {
    LakeError::Refused { reason: reason.into() }
}

fn check(wish: &EraseWish) -> Result<(), LakeError> {
    let matchers = &wish.matchers;
    if matchers.iter().all(Matcher::matches_absent) {
        return Err(refused(
            "an erasure needs a matcher that does not match the empty string, as user_id=\"…\"",
        ));
    }
    let bytes = matchers.iter().map(|m| m.name().len() + m.value().len()).sum::<usize>() + wish.by.len();
    for (what, found, limit) in [
        ("matchers of an erasure", matchers.len(), MAX_MATCHERS),
        ("bytes of an erasure's matchers", bytes, MAX_TEXT_BYTES),
    ] {
        if found > limit {
            return Err(LakeError::Limit { what, found: found as u64, limit: limit as u64 });
        }
    }
    Ok(())
}

fn matchers(wish: &EraseWish, salt: &str) -> Vec<StoredMatcher> {
    wish.matchers.iter().map(|matcher| StoredMatcher::of(matcher, salt)).collect()
}

/// An erasure as it would be recorded.
pub(super) fn draft(wish: &EraseWish, number: u64, requested_ms: i64) -> Result<Erasure, LakeError> {
    check(wish)?;
    // The standard library seeds these from the system's source of randomness.
    let random = || RandomState::new().build_hasher().finish();
    let salt = format!("{:016x}{:016x}", random(), random());
    let stored = StoredErasure {
        tenant: wish.tenant.to_string(),
        matchers: matchers(wish, &salt),
        salt,
        requested_ms,
        by: wish.by.clone(),
        drop_unreadable: wish.drop_unreadable,
    };
    let state = ErasureState { number, stored, counts: Counts::new(), done_ms: None, frozen: 0 };
    Erasure::new(state).map_err(refused)
}

impl Lake {
    /// Records that series are to be erased. From then on nothing of them is added to the lake;
    /// [`Lake::run_erasure`] takes out what is there. The same request, while it runs, is one.
    ///
    /// # Errors
    /// [`LakeError`] when the request is refused or the bucket fails; a request of which that is said may be
    /// recorded all the same.
    pub async fn request_erasure(self: &Arc<Self>, wish: &EraseWish) -> Result<ErasureReport, LakeError> {
        self.refresh_for_maintenance().await?;
        let running = |catalog: &Catalog| {
            let same = |e: &&Arc<Erasure>| {
                e.done_ms.is_none()
                    && e.tenant == wish.tenant
                    && e.stored.drop_unreadable == wish.drop_unreadable
                    && e.stored.matchers == matchers(wish, &e.stored.salt)
            };
            catalog.erasures.values().find(same).cloned()
        };
        let stored = draft(wish, 0, self.clock.now_ms())?.stored;
        let entry = |catalog: &Catalog| {
            let room = catalog.erasures.len() < MAX_ERASURES && running(catalog).is_none();
            room.then(|| Entry { erase: Some(stored.clone()), ..Entry::default() })
        };
        let before = self.catalog().version;
        self.commit(entry).await?;
        self.write_due_checkpoint(before).await?;
        let catalog = self.catalog();
        let own = catalog.erasures.values().find(|erasure| erasure.stored.salt == stored.salt).cloned();
        let erasure = own.or_else(|| running(&catalog));
        let limit = MAX_ERASURES as u64;
        let full = || LakeError::Limit { what: "erasures within two days", found: limit + 1, limit };
        Ok(ErasureReport::of(&*erasure.ok_or_else(full)?, false))
    }

    /// What became of a request of a tenant; `None` when there was none of that number.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or the report is damaged.
    pub async fn erasure(&self, tenant: &TenantId, number: u64) -> Result<Option<ErasureReport>, LakeError> {
        self.refresh_for_query().await?;
        if let Some(erasure) = self.catalog().erasures.get(&number).filter(|e| e.tenant == *tenant) {
            return Ok(Some(ErasureReport::of(erasure, false)));
        }
        let key = keys::erasure_report(tenant, number);
        match self.bucket.get(&key).await {
            Err(BucketError::NotFound { .. }) => Ok(None),
            other => {
                serde_json::from_slice(&other?).map(Some).map_err(|error| LakeError::damaged(&key, error))
            }
        }
    }

    /// The erasures of a tenant that are under way or watched, ascending by number.
    ///
    /// # Errors
    /// [`LakeError`] when others write to the lake, too, and the bucket fails.
    pub async fn erasures(&self, tenant: &TenantId) -> Result<Vec<ErasureReport>, LakeError> {
        self.refresh_for_query().await?;
        let catalog = self.catalog();
        let own = catalog.erasures.values().filter(|erasure| erasure.tenant == *tenant);
        Ok(own.map(|erasure| ErasureReport::of(erasure, false)).collect())
    }
}
