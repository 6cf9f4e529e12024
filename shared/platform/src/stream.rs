//! The stream port: durable, sharded records in, batches out, as Kinesis has them.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use ethnum::U256;

/// One shard of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardId-{:012}", self.0)
    }
}

/// A record's place in its shard: later records have greater numbers, not always the next. Kinesis'
/// numbers have 56 decimal digits, which 128 bits do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceNumber(pub U256);

impl SequenceNumber {
    /// Bytes of [`SequenceNumber::to_le_bytes`].
    pub const BYTES: usize = 32;

    /// The number as stored, little-endian.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    /// Reads [`SequenceNumber::to_le_bytes`].
    #[must_use]
    pub fn from_le_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(U256::from_le_bytes(bytes))
    }

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(U256::ONE))
    }
}

impl From<u128> for SequenceNumber {
    fn from(number: u128) -> Self {
        Self(U256::from(number))
    }
}

/// Reads a decimal number of at most 77 digits.
impl FromStr for SequenceNumber {
    type Err = std::num::ParseIntError;

    fn from_str(digits: &str) -> Result<Self, Self::Err> {
        digits.parse().map(Self)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A record to be put.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Records of one key go to one shard, in order.
    pub partition_key: String,
    /// The record, at most 1 MiB.
    pub data: Bytes,
}

/// Where a record was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its shard.
    pub shard: ShardId,
    /// Its place there.
    pub sequence: SequenceNumber,
}

/// Why records were not all put. Some may have been: the sender tries again, and record keys make
/// the second delivery harmless.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// More than the stream takes now.
    #[error("the stream is full: try again in {retry_after_ms} ms")]
    Throttled {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// A record is larger than the stream takes.
    #[error("a record of {bytes} bytes is too large for the stream, at most {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The stream failed.
    #[error("the stream failed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The producing side of the stream.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Puts records and returns where, in the order given. When this returns `Ok`, every record is
    /// durable; otherwise the caller must take all of them as not put.
    async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError>;
}

/// A record as a batch delivers it.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// The record.
    pub data: Bytes,
}

/// What a consumer is handed: consecutive records of one shard, ascending.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The shard.
    pub shard: ShardId,
    /// Its records, at least one.
    pub records: Vec<Delivered>,
}

/// What a consumer answers: like Kinesis' ReportBatchItemFailures, everything from the named record
/// on is delivered again; `None` means that the whole batch is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchOutcome {
    /// The first record that was not done.
    pub first_failure: Option<SequenceNumber>,
}
