//! Direct mode: a stream that keeps nothing, whose puts are segments of the lake at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use weir_model::{Record, RecordKey};
use weir_platform::{NewRecord, Placed, ShardId, Stream, StreamError};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::LakeError;
use crate::lake::Lake;

/// Shards that writers are spread over: each is a place to race for.
const SHARDS: u64 = 8;
/// Far from the shards of a real stream, so that a bucket may see both modes.
const FIRST_SHARD: u32 = 900_000;

/// The producing side of a stream for traffic too small to pay for one: every put is one object of the
/// lake. Any number of processes may put at once.
pub struct DirectStream {
    lake: Arc<Lake>,
    /// Names this process among the others.
    nonce: u64,
    puts: AtomicU64,
}

impl DirectStream {
    /// Over a lake that others write to as well.
    #[must_use]
    pub fn new(lake: Arc<Lake>) -> Self {
        Self { lake, nonce: RandomState::new().build_hasher().finish(), puts: AtomicU64::new(0) }
    }

    /// A key that no other record has.
    fn unique_key(&self) -> RecordKey {
        let count = self.puts.fetch_add(1, Ordering::Relaxed);
        RecordKey(u128::from(self.nonce) << 64 | u128::from(count))
    }

    fn decode(&self, data: Bytes) -> Result<(Bytes, Record), StreamError> {
        let mut record =
            Record::decode(&data).map_err(|error| StreamError::Unavailable(error.to_string().into()))?;
        record.key.get_or_insert_with(|| self.unique_key());
        Ok((data, record))
    }
}

#[async_trait]
impl Stream for DirectStream {
    async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
        // By the first record's key, as a stream would do it: retries of one sender meet in one shard.
        let Some(first) = records.first() else { return Ok(Vec::new()) };
        let shard = ShardId(FIRST_SHARD + (xxh3_64(first.partition_key.as_bytes()) % SHARDS) as u32);
        let records =
            records.into_iter().map(|record| self.decode(record.data)).collect::<Result<Vec<_>, _>>()?;
        let numbers = self
            .lake
            .append_next(shard, records)
            .await
            .map_err(|error: LakeError| StreamError::Unavailable(Box::new(error)))?;
        Ok(numbers.into_iter().map(|sequence| Placed { shard, sequence }).collect())
    }
}
