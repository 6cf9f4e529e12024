//! Ports: what the functions ask of the world around them, and adapters that need no cloud.
//!
//! Each port states its contract per method; one conformance suite per port runs on every adapter.

mod backoff;
mod bucket;
mod clock;
mod local;
mod memory;
mod notify;
mod sink;
mod storage_class;
mod stream;
mod telemetry;

pub use backoff::Backoff;
pub use bucket::{Bucket, BucketError, Created, ObjectInfo, check_key};
pub use clock::{Clock, ManualClock, SystemClock};
pub use local::{EventSource, EventSourceOptions, LocalBucket, LocalStream, LocalStreamOptions};
pub use memory::MemoryBucket;
pub use notify::{
    Destination, ID_ATTRIBUTE, ID_HEADER, MAX_ATTRIBUTES, MAX_NOTIFICATION_BYTES, MemoryNotifier,
    Notification, Notifier, Notifiers, NotifyError, SIGNATURE_HEADER, Secret, WebhookNotifier,
    WebhookOptions, signature,
};
pub use sink::{MemorySink, Observation, POINT_PARTS, Point, PointKind, Sink, SinkError};
pub use storage_class::{Placement, Restore, StorageClass};
pub use stream::{
    Batch, BatchOutcome, Delivered, NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError,
};
pub use telemetry::{MetricSpec, MetricType, Reading, Telemetry};
