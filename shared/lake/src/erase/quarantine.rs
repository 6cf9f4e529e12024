//! Quarantine without what an erasure takes: what can be read after all is filtered; what cannot may hold
//! anything, of anyone, and goes only when the request says so.

use std::sync::Arc;

use weir_platform::BucketError;

use super::hot::{filter_record, filter_segment};
use super::{Erased, Erasure};
use crate::error::LakeError;
use crate::keys;
use crate::lake::Lake;

impl Lake {
    /// Looks at every object in quarantine, one at a time: there are few.
    pub(super) async fn erase_quarantine(&self, erasure: &Arc<Erasure>) -> Result<Erased, LakeError> {
        let mut total = Erased::default();
        for object in self.list_all(keys::QUARANTINE).await? {
            // Notes say where and why, and hold no data.
            let Some(stem) = object.key.strip_suffix(".bin") else { continue };
            let bytes = match self.bucket.get(&object.key).await {
                Err(BucketError::NotFound { .. }) => continue,
                other => other?,
            };
            total.examined += 1;
            let found = filter_record(&bytes, erasure).or_else(|_| filter_segment(&bytes, erasure));
            match found {
                Ok(None) => {}
                Ok(Some((left, gone))) => {
                    self.bucket.replace(&object.key, left).await?;
                    total.add(&Erased { rewritten: 1, ..gone });
                }
                Err(_) if erasure.stored.drop_unreadable => {
                    self.bucket.delete(&object.key).await?;
                    self.bucket.delete(&format!("{stem}.json")).await?;
                    total.dropped += 1;
                }
                Err(reason) => {
                    tracing::warn!(
                        key = object.key,
                        reason,
                        "this may hold erased series: it cannot be read"
                    );
                    total.unreadable += 1;
                }
            }
        }
        Ok(total)
    }
}
