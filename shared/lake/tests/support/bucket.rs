//! A bucket in memory that fails when told to, before or after the effect of an operation.

use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use weir_platform::{Bucket, BucketError, Created, MemoryBucket, ObjectInfo};

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
    inner: MemoryBucket,
    faults: Mutex<Faults>,
}

enum Verdict {
    Pass,
    FailBefore,
    FailAfter,
}

impl FaultyBucket {
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
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, BucketError> {
        self.run(key, self.inner.create(key, bytes)).await
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
        self.run(prefix, self.inner.list(prefix, after, limit)).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.run(key, self.inner.delete(key)).await
    }
}
