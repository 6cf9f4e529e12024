//! Hot segments without what an erasure takes: the one kind of object that is put in the place of itself.
//!
//! A segment stays under its name with the same range, sequence numbers, arrivals and retry keys, so that
//! whoever reads it, before or after, takes the same from it: readers leave out of it what is erased anyway.

use std::sync::Arc;

use bytes::Bytes;
use weir_model::Record;
use weir_platform::BucketError;

use super::{Erased, Erasure, without};
use crate::error::LakeError;
use crate::gather::gather;
use crate::keys;
use crate::lake::Lake;
use crate::segment::{Segment, SegmentRecord};

/// A segment without what an erasure takes, and how much that is; `None` when it holds nothing of it.
pub(super) fn filter_segment(bytes: &Bytes, erasure: &Erasure) -> Result<Option<(Bytes, Erased)>, String> {
    let segment = Segment::decode(bytes).map_err(str::to_owned)?;
    let (mut gone, mut changed) = (Erased { rewritten: 1, ..Erased::default() }, false);
    let mut records: Vec<SegmentRecord> = Vec::with_capacity(segment.records.len());
    for stored in segment.records {
        let payload = match filter_record(&stored.payload, erasure) {
            Ok(Some((payload, more))) => {
                changed = true;
                gone.add(&more);
                payload
            }
            // What cannot be decoded is copied to quarantine by whoever reads the segment, and told there.
            Ok(None) | Err(_) => stored.payload,
        };
        records.push(SegmentRecord { payload, ..stored });
    }
    let header = segment.header;
    let left = || Segment::new(header.shard, header.first, header.last, records).encode();
    Ok(changed.then(|| (left(), gone)))
}

/// The same of one record.
pub(super) fn filter_record(bytes: &[u8], erasure: &Erasure) -> Result<Option<(Bytes, Erased)>, String> {
    let record = Record::decode(bytes).map_err(|error| error.to_string())?;
    let (left, gone) = without(&record, [erasure].into_iter());
    match left {
        std::borrow::Cow::Borrowed(_) => Ok(None),
        std::borrow::Cow::Owned(left) => {
            let bytes = left.encode().map_err(|error| error.to_string())?;
            Ok(Some((bytes.into(), gone)))
        }
    }
}

impl Lake {
    /// Takes out of every hot segment what an erasure takes.
    pub(super) async fn erase_hot(self: &Arc<Self>, erasure: &Arc<Erasure>) -> Result<Erased, LakeError> {
        self.each_segment(erasure, true).await
    }

    /// What [`Lake::erase_hot`] would do.
    pub(super) async fn look_at_hot(self: &Arc<Self>, erasure: &Arc<Erasure>) -> Result<Erased, LakeError> {
        self.each_segment(erasure, false).await
    }

    async fn each_segment(
        self: &Arc<Self>,
        erasure: &Arc<Erasure>,
        replace: bool,
    ) -> Result<Erased, LakeError> {
        let mut total = Erased::default();
        for object in self.list_all(keys::HOT).await?.chunks(self.options.concurrency.max(1)) {
            let filter = |key: String| {
                let (lake, erasure) = (self.clone(), erasure.clone());
                async move {
                    let bytes = match lake.bucket.get(&key).await {
                        // Compacted and deleted since the listing.
                        Err(BucketError::NotFound { .. }) => return Ok(Erased::default()),
                        other => other?,
                    };
                    let filter = move || filter_segment(&bytes, &erasure);
                    let examined = Erased { examined: 1, ..Erased::default() };
                    match tokio::task::spawn_blocking(filter).await? {
                        Ok(Some((left, mut gone))) => {
                            if replace {
                                lake.bucket.replace(&key, left).await?;
                            }
                            gone.examined = 1;
                            Ok(gone)
                        }
                        // A damaged one is copied to quarantine by readers, and told there.
                        Ok(None) | Err(_) => Ok::<_, LakeError>(examined),
                    }
                }
            };
            let keys = object.iter().map(|object| object.key.clone());
            for found in gather(self.options.concurrency, keys.map(filter)).await? {
                total.add(&found?);
            }
        }
        Ok(total)
    }
}
