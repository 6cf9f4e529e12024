//! A bucket in memory that fails when told to, before or after the effect of an operation.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use weir_platform::{
    Bucket, BucketError, Clock, Created, ManualClock, MemoryBucket, ObjectInfo, Placement, Restore,
};

use super::Random;

/// When operations fail.
#[derive(Debug, Clone, Default)]
pub(crate) enum Faults {
    /// Never.
    #[default]
    None,
    /// Each with this chance in percent.
    Sometimes(Random, u64),
    /// Every one from this one on (0 is the next), as if the process had died; the first of them may
    /// still have its effect.
    CrashAt { operation: usize, after_effect: bool },
}

#[derive(Default)]
pub(crate) struct FaultyBucket {
    /// Around the faults.
    pub(crate) inner: MemoryBucket,
    faults: Mutex<Faults>,
    /// Tells when objects are created, instead of their order.
    clock: Option<Arc<ManualClock>>,
    created_ms: Mutex<HashMap<String, i64>>,
}

enum Verdict {
    Pass,
    FailBefore,
    FailAfter,
}

impl FaultyBucket {
    /// One whose objects are as old as that clock says.
    pub(crate) fn timed_by(clock: Arc<ManualClock>) -> Self {
        Self { clock: Some(clock), ..Self::default() }
    }

    fn note(&self, key: &str) {
        if let Some(clock) = &self.clock {
            self.created_ms.lock().unwrap().insert(key.to_owned(), clock.now_ms());
        }
    }

    pub(crate) fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    /// True when a crash was due and came.
    pub(crate) fn crashed(&self) -> bool {
        matches!(*self.faults.lock().unwrap(), Faults::CrashAt { operation: 0, after_effect: false })
    }

    fn verdict(&self) -> Verdict {
        match &mut *self.faults.lock().unwrap() {
            Faults::None => Verdict::Pass,
            Faults::Sometimes(random, percent) => {
                if !random.chance(*percent) {
                    Verdict::Pass
                } else if random.chance(50) {
                    Verdict::FailBefore
                } else {
                    Verdict::FailAfter
                }
            }
            Faults::CrashAt { operation: 0, after_effect } => {
                if std::mem::take(after_effect) {
                    Verdict::FailAfter
                } else {
                    Verdict::FailBefore
                }
            }
            Faults::CrashAt { operation, .. } => {
                *operation -= 1;
                Verdict::Pass
            }
        }
    }

    async fn run<T>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, BucketError>> + Send,
    ) -> Result<T, BucketError> {
        // Lets other tasks in, so that tests with several see many interleavings.
        tokio::task::yield_now().await;
        let failed = || BucketError::Unavailable { key: key.to_owned(), source: "told to fail".into() };
        match self.verdict() {
            Verdict::Pass => work.await,
            Verdict::FailBefore => Err(failed()),
            Verdict::FailAfter => {
                work.await?;
                Err(failed())
            }
        }
    }

    /// Keys under a prefix, going around the faults.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let objects = self.inner.list(prefix, None, usize::MAX).await.unwrap();
        objects.into_iter().map(|o| o.key).collect()
    }
}

#[async_trait]
impl Bucket for FaultyBucket {
    fn has_classes(&self) -> bool {
        true
    }

    async fn create_in(
        &self,
        key: &str,
        bytes: Bytes,
        placement: &Placement,
    ) -> Result<Created, BucketError> {
        let create = async {
            let created = self.inner.create_in(key, bytes, placement).await?;
            if created == Created::New {
                self.note(key);
            }
            Ok(created)
        };
        self.run(key, create).await
    }

    async fn restore(&self, key: &str, days: u32) -> Result<Restore, BucketError> {
        self.run(key, self.inner.restore(key, days)).await
    }

    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        self.run(key, self.inner.replace(key, bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        self.run(key, self.inner.get(key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        self.run(key, self.inner.get_range(key, range)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError> {
        let mut objects = self.run(prefix, self.inner.list(prefix, after, limit)).await?;
        let created_ms = self.created_ms.lock().unwrap();
        for object in &mut objects {
            object.created_ms = created_ms.get(&object.key).copied().unwrap_or(object.created_ms);
        }
        Ok(objects)
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.run(key, self.inner.delete(key)).await
    }
}
