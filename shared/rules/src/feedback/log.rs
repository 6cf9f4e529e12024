//! Verdicts in the bucket: a numbered log of create-only objects, each with what the model learned up to it.
//!
//! An entry is one verdict and the whole model after it, so that the newest entry alone tells all, a verdict is
//! learned from exactly when it is stored, and older entries say how the model came about. Two who write at
//! once both try the same number; the one who loses reads again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::TenantId;
use weir_platform::{Bucket, BucketError, Created};

use super::{Feedback, Model, Verdict};

/// Verdicts of so many firings are remembered by name, so that each counts once.
const MAX_REMEMBERED: usize = 2000;
/// Largest entry in bytes.
const MAX_ENTRY_BYTES: u64 = 4 << 20;
/// How often a number that somebody else took is tried again.
const MAX_TRIES: usize = 20;
/// Version of the entries.
const VERSION: u8 = 1;

/// An entry of the log.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    version: u8,
    /// From 1.
    number: u64,
    #[serde(flatten)]
    feedback: Feedback,
    learned: Learned,
}

/// What verdicts have taught so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Learned {
    /// The model.
    pub model: Model,
    /// The latest firings with their verdicts, each with the number of its entry.
    firings: BTreeMap<String, (Verdict, u64)>,
}

/// Feedback could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// An entry is damaged, or of a later version.
    #[error("object {key:?} holds no feedback: {reason}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The firing was judged otherwise before.
    #[error("firing {id} was judged {before} before; the first verdict stays")]
    Judged {
        /// The firing.
        id: String,
        /// The verdict that stays.
        before: Verdict,
    },
    /// Others wrote each time.
    #[error("{MAX_TRIES} times somebody else gave feedback at the same time; try again")]
    Busy,
}

/// Feedback of tenants.
#[derive(Clone)]
pub struct FeedbackLog {
    bucket: Arc<dyn Bucket>,
}

impl FeedbackLog {
    /// The log in this bucket.
    #[must_use]
    pub fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket }
    }

    /// What a tenant's verdicts have taught.
    ///
    /// # Errors
    /// [`FeedbackError::Bucket`] and [`FeedbackError::Damaged`].
    pub async fn learned(&self, tenant: &TenantId) -> Result<Learned, FeedbackError> {
        Ok(self.newest(tenant).await?.1)
    }

    /// Stores feedback and learns from it, once for each firing; gives what is known then, and whether this
    /// verdict is new.
    ///
    /// # Errors
    /// [`FeedbackError`]; [`FeedbackError::Judged`] when the firing has another verdict already.
    pub async fn add(&self, tenant: &TenantId, feedback: Feedback) -> Result<(Learned, bool), FeedbackError> {
        for attempt in 0..MAX_TRIES {
            let (number, mut learned) = self.newest(tenant).await?;
            match learned.verdict(&feedback.firing) {
                // After a try, it may be our own whose reply was lost.
                Some(before) if before == feedback.verdict => return Ok((learned, attempt > 0)),
                Some(before) => return Err(FeedbackError::Judged { id: feedback.firing, before }),
                None => {}
            }
            let number = number + 1;
            learned.take(&feedback, number);
            let entry = Entry { version: VERSION, number, feedback: feedback.clone(), learned };
            let key = key(tenant, number);
            let damaged = |error: serde_json::Error| FeedbackError::Damaged {
                key: key.clone(),
                reason: error.to_string(),
            };
            let bytes = serde_json::to_vec(&entry).map_err(damaged)?;
            if self.bucket.create(&key, bytes.into()).await? == Created::New {
                return Ok((entry.learned, true));
            }
        }
        Err(FeedbackError::Busy)
    }

    /// The newest number, zero for none, and what is known with it.
    async fn newest(&self, tenant: &TenantId) -> Result<(u64, Learned), FeedbackError> {
        let listed = self.bucket.list(&prefix(tenant), None, 1).await?;
        let Some(object) = listed.into_iter().next() else { return Ok((0, Learned::default())) };
        let damaged = |reason: String| FeedbackError::Damaged { key: object.key.clone(), reason };
        if object.size > MAX_ENTRY_BYTES {
            return Err(damaged(format!("it has {} bytes, at most {MAX_ENTRY_BYTES}", object.size)));
        }
        let bytes = self.bucket.get(&object.key).await?;
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if entry.version != VERSION {
            return Err(damaged(format!("it is of unknown version {}", entry.version)));
        }
        Ok((entry.number, entry.learned))
    }
}

fn prefix(tenant: &TenantId) -> String {
    format!("rules/tenant={tenant}/feedback/")
}

/// Later entries come first in a listing: it ascends, so numbers count down.
fn key(tenant: &TenantId, number: u64) -> String {
    format!("{}{:020}.json", prefix(tenant), u64::MAX - number)
}

impl Learned {
    /// The verdict of a firing, if it is among the latest.
    #[must_use]
    pub fn verdict(&self, firing: &str) -> Option<Verdict> {
        self.firings.get(firing).map(|(verdict, _)| *verdict)
    }

    fn take(&mut self, feedback: &Feedback, number: u64) {
        self.model.learn(&feedback.features, feedback.verdict == Verdict::FalsePositive);
        self.firings.insert(feedback.firing.clone(), (feedback.verdict, number));
        if self.firings.len() > MAX_REMEMBERED {
            let oldest = self.firings.iter().min_by_key(|(_, (_, number))| *number).map(|(id, _)| id.clone());
            oldest.map(|id| self.firings.remove(&id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_platform::MemoryBucket;

    fn feedback(firing: &str, verdict: Verdict) -> Feedback {
        Feedback {
            firing: firing.to_owned(),
            verdict,
            given_ms: 1,
            by: None,
            comment: None,
            features: vec![format!("alert={}", &firing[..1])],
        }
    }

    #[tokio::test]
    async fn repeats_change_nothing_in_whatever_order_they_come() {
        let tenant = TenantId::default();
        let firings: Vec<Feedback> = (0..40)
            .map(|i| {
                let verdict = if i % 3 == 0 { Verdict::FalsePositive } else { Verdict::TruePositive };
                feedback(&format!("{}-{i}", ["a", "b"][i % 2]), verdict)
            })
            .collect();
        let once = FeedbackLog::new(Arc::new(MemoryBucket::new()));
        let often = FeedbackLog::new(Arc::new(MemoryBucket::new()));
        for (place, one) in firings.iter().enumerate() {
            assert!(once.add(&tenant, one.clone()).await.unwrap().1);
            assert!(often.add(&tenant, one.clone()).await.unwrap().1);
            for earlier in firings[..=place].iter().rev().step_by(3) {
                assert!(!often.add(&tenant, earlier.clone()).await.unwrap().1);
            }
        }
        assert_eq!(once.learned(&tenant).await.unwrap(), often.learned(&tenant).await.unwrap());
        assert_eq!(once.learned(&tenant).await.unwrap().model.verdicts(), 40);
    }

    #[tokio::test]
    async fn the_first_verdict_stays_and_tenants_are_apart() {
        let log = FeedbackLog::new(Arc::new(MemoryBucket::new()));
        let tenant = TenantId::default();
        log.add(&tenant, feedback("a-1", Verdict::TruePositive)).await.unwrap();
        let error = log.add(&tenant, feedback("a-1", Verdict::FalsePositive)).await.unwrap_err();
        assert!(matches!(error, FeedbackError::Judged { before: Verdict::TruePositive, .. }), "{error}");
        assert!(error.to_string().contains("true_positive"), "{error}");
        let other = TenantId::new("other").unwrap();
        assert_eq!(log.learned(&other).await.unwrap(), Learned::default());
    }

    #[tokio::test]
    async fn all_who_give_feedback_at_once_are_heard() {
        let log = FeedbackLog::new(Arc::new(MemoryBucket::new()));
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let log = log.clone();
                let one = feedback(&format!("a-{i}"), Verdict::TruePositive);
                tokio::spawn(async move { log.add(&TenantId::default(), one).await.unwrap().1 })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap());
        }
        assert_eq!(log.learned(&TenantId::default()).await.unwrap().model.verdicts(), 8);
    }

    #[tokio::test]
    async fn firings_remembered_by_name_are_bounded_and_the_latest() {
        let mut learned = Learned::default();
        for number in 1..=MAX_REMEMBERED as u64 + 5 {
            learned.take(&feedback(&format!("a-{number}"), Verdict::TruePositive), number);
        }
        assert_eq!(learned.firings.len(), MAX_REMEMBERED);
        assert_eq!((learned.verdict("a-5"), learned.verdict("a-6")), (None, Some(Verdict::TruePositive)));
    }

    #[tokio::test]
    async fn a_damaged_entry_is_told_by_its_name() {
        let bucket: Arc<dyn Bucket> = Arc::new(MemoryBucket::new());
        let tenant = TenantId::default();
        bucket.create(&key(&tenant, 1), "{}".into()).await.unwrap();
        let error = FeedbackLog::new(bucket).learned(&tenant).await.unwrap_err().to_string();
        assert!(
            error.contains("rules/tenant=default/feedback/") && error.contains("missing field"),
            "{error}"
        );
    }
}
