//! Ports: what the functions ask of the world around them, and adapters that need no cloud.
//!
//! Each port states its contract per method; one conformance suite per port runs on every adapter.

mod bucket;
mod clock;
mod local;
mod memory;
mod stream;
mod telemetry;

pub use bucket::{Bucket, BucketError, Created, ObjectInfo, check_key};
pub use clock::{Clock, ManualClock, SystemClock};
pub use local::{EventSource, EventSourceOptions, LocalBucket, LocalStream, LocalStreamOptions};
pub use memory::MemoryBucket;
pub use stream::{
    Batch, BatchOutcome, Delivered, NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError,
};
pub use telemetry::{MetricSpec, MetricType, Reading, Telemetry};
