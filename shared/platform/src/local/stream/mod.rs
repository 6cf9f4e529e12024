//! A durable stream on this machine, shaped like Kinesis: shards, sequence numbers, batches,
//! redelivery and partial failures.
//!
//! `log` keeps one shard's records in files; `shard` commits groups of them with one fsync and holds
//! what is not consumed yet; `source` delivers batches to a consumer, as an event source mapping does.

mod log;
mod shard;
mod source;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use self::shard::Shard;
pub use self::source::{EventSource, EventSourceOptions};
use crate::stream::{NewRecord, Placed, ShardId, Stream, StreamError};

/// How the local stream is laid out and bounded.
#[derive(Debug, Clone)]
pub struct LocalStreamOptions {
    /// Number of shards; it may grow between starts, never shrink while records wait.
    pub shards: u32,
    /// Largest record in bytes (Kinesis: 1 MiB by default).
    pub max_record_bytes: usize,
    /// Bytes that may wait for the consumer, per shard; beyond them producers are told to wait.
    pub max_waiting_bytes: usize,
}

impl Default for LocalStreamOptions {
    fn default() -> Self {
        Self { shards: 1, max_record_bytes: 1 << 20, max_waiting_bytes: 64 << 20 }
    }
}

/// The stream; cloning gives another handle to it.
#[derive(Clone)]
pub struct LocalStream {
    shards: Arc<[Arc<Shard>]>,
    max_record_bytes: usize,
}

impl LocalStream {
    /// Opens the stream's folder: every record that was acknowledged and not yet consumed waits to be
    /// delivered; a record cut off by a crash (never acknowledged) is dropped.
    ///
    /// # Errors
    /// The file system's, or `InvalidData` when a log is damaged other than at its end.
    pub fn open(folder: impl Into<PathBuf>, options: &LocalStreamOptions) -> io::Result<Self> {
        let folder = folder.into();
        let shards = (0..options.shards.max(1))
            .map(|number| {
                let path = folder.join(format!("shard-{number:04}"));
                Shard::open(ShardId(number), path, options.max_waiting_bytes).map(Arc::new)
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { shards: shards.into(), max_record_bytes: options.max_record_bytes })
    }

    /// Bytes and records that wait for the consumer, over all shards.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.shards.iter().map(|shard| shard.waiting()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// Gives up log files that nobody needs any more, the one being written included once it has grown.
    ///
    /// # Errors
    /// The file system's.
    pub fn trim(&self) -> io::Result<()> {
        self.shards.iter().try_for_each(|shard| shard.trim())
    }

    /// Gives up every record that has been delivered, however few they are: for what must not stay.
    ///
    /// # Errors
    /// The file system's.
    pub fn trim_delivered(&self) -> io::Result<()> {
        self.shards.iter().try_for_each(|shard| shard.trim_delivered())
    }

    fn shard_of(&self, partition_key: &str) -> &Arc<Shard> {
        let hash = xxhash_rust::xxh3::xxh3_64(partition_key.as_bytes());
        &self.shards[(hash % self.shards.len() as u64) as usize]
    }
}

#[async_trait]
impl Stream for LocalStream {
    async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
        for record in &records {
            if record.data.len() > self.max_record_bytes {
                return Err(StreamError::TooLarge { bytes: record.data.len(), limit: self.max_record_bytes });
            }
        }
        // Every record is handed to its shard before the first wait, so that they share an fsync.
        let mut pending = Vec::with_capacity(records.len());
        for record in records {
            let shard = self.shard_of(&record.partition_key);
            pending.push((shard.id(), shard.put(record.data)?));
        }
        let mut placed = Vec::with_capacity(pending.len());
        for (shard, commit) in pending {
            let gone = || StreamError::Unavailable("the stream's writer has stopped".into());
            let sequence =
                commit.await.map_err(|_| gone())?.map_err(|error| StreamError::Unavailable(error.into()))?;
            placed.push(Placed { shard, sequence });
        }
        Ok(placed)
    }
}
