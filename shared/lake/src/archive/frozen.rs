//! Samples in a storage class that must be restored before it is read: asking for them, once, and saying when to
//! come again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use weir_platform::{Restore, StorageClass};

use crate::error::LakeError;
use crate::gather::gather;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::BlockMeta;

/// Days that restored samples can be read for.
const RESTORED_DAYS: u32 = 3;
/// Most blocks that one query asks to be restored: restoring costs money by the byte.
const MAX_RESTORES: usize = 64;
/// After so long without success a block is asked for again, in milliseconds.
const ASK_AGAIN_MS: i64 = 24 * 3_600_000;
/// Most blocks that are remembered; one more forgets them all, and S3 knows what it was asked for.
const MAX_REMEMBERED: usize = 10_000;
/// Days that a message names.
const DAYS_NAMED: usize = 3;
/// Thawed between reading and asking: how long to wait, in seconds.
const SOON_S: u64 = 5;

/// When this process asked for which objects, in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(crate) struct Restores(Mutex<HashMap<String, i64>>);

impl Restores {
    fn is_asked(&self, key: &str, now_ms: i64) -> bool {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(key).is_some_and(|at| now_ms.saturating_sub(*at) < ASK_AGAIN_MS)
    }

    fn note(&self, key: String, now_ms: i64) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MAX_REMEMBERED {
            asked.clear();
        }
        asked.insert(key, now_ms);
    }
}

impl Lake {
    /// Asks that the samples of these blocks, which are frozen, be restored; returns what is to be answered
    /// meanwhile.
    pub(crate) async fn restore(&self, blocks: impl IntoIterator<Item = &Arc<BlockMeta>>) -> LakeError {
        let blocks: BTreeMap<&str, &Arc<BlockMeta>> =
            blocks.into_iter().map(|block| (block.samples_key.as_str(), block)).collect();
        if blocks.len() > MAX_RESTORES {
            let what = "frozen blocks of samples, which have to be restored from the archive, in one query";
            return LakeError::Limit { what, found: blocks.len() as u64, limit: MAX_RESTORES as u64 };
        }
        let now_ms = self.clock.now_ms();
        let ask = |key: String| {
            let bucket = self.bucket.clone();
            async move { (bucket.restore(&key, RESTORED_DAYS).await, key) }
        };
        let new =
            blocks.keys().filter(|key| !self.restores.is_asked(key, now_ms)).map(|key| (*key).to_owned());
        let answers = match gather(self.options.concurrency, new.map(ask)).await {
            Ok(answers) => answers,
            Err(error) => return error,
        };
        let asked = answers.len();
        let mut readable = 0;
        for (answer, key) in answers {
            match answer {
                Ok(Restore::UnderWay) => self.restores.note(key, now_ms),
                Ok(Restore::Readable) => readable += 1,
                Err(error) => return LakeError::from(error),
            }
        }
        if asked > readable {
            tracing::info!(blocks = asked - readable, "restore of frozen blocks asked for");
        }
        let class = |block: &Arc<BlockMeta>| block.archived.as_ref().map(|archived| archived.class);
        let class = blocks.values().filter_map(|block| class(block)).max().unwrap_or(StorageClass::Glacier);
        let days: BTreeSet<String> =
            blocks.values().map(|block| keys::date(block.hour.div_euclid(24))).collect();
        let more = days.len().saturating_sub(DAYS_NAMED);
        let mut named = days.into_iter().take(DAYS_NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            named.push_str(&format!(" and {more} days more"));
        }
        if readable == blocks.len() {
            let reason =
                format!("samples of {named} have been restored from the archive just now: ask again");
            return LakeError::Frozen { reason, retry_after_s: SOON_S };
        }
        let hours = class.restore_hours();
        let reason = format!(
            "samples of {named} are frozen in the storage class {class}: their restore has been asked for and \
             takes about {hours} hours; ask again then, or for days that are not archived"
        );
        LakeError::Frozen { reason, retry_after_s: u64::from(hours) * 3_600 }
    }
}
