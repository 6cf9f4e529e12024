//! Ports: what the functions ask of the world around them, and adapters that need no cloud.
//!
//! Each port states its contract per method; one conformance suite per port runs on every adapter.

mod bucket;
mod clock;
mod stream;

pub use bucket::{Bucket, BucketError, Created, ObjectInfo};
pub use clock::{Clock, ManualClock, SystemClock};
pub use stream::{
    Batch, BatchOutcome, Delivered, NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError,
};
