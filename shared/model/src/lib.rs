//! The nouns of Weir: labels, series, samples, histograms, sets, batches, tenants and matchers.
//!
//! Pure data without I/O. Everything else in the workspace speaks in these types; what is written
//! to disk or to a stream (labels, histograms, sets, records) has its encoding pinned by a test.

mod batch;
mod calendar;
mod histogram;
mod labels;
mod matcher;
mod record;
mod rollup;
mod samples;
mod series;
mod set;
mod tenant;
mod varint;

pub use batch::{Batch, BatchSeries, Exemplar, FloatSample, HistogramSample, Metadata, SetSample};
pub use calendar::Moment;
pub use histogram::{
    Bucket, BucketSide, CounterResetHint, DistributionBuilder, Histogram, HistogramError, HistogramSum,
    IncompatibleBuckets, Keep, NanEffect, Reconciled, SCHEMA_CUSTOM_BUCKETS, SCHEMA_MAX, SCHEMA_MIN,
    ShortFloat, Span, kahan_add,
};
pub use labels::{BUCKET_LABEL, Labels, LabelsBuilder, LabelsError, LabelsRef, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use record::{MAX_RECORD_BYTES, Record, RecordError, RecordKey};
pub use rollup::{AddedUp, Aggregate, Interval, Intervals, NoDistribution, Ranks, Tier, is_running_total};
pub use samples::{STALE_NAN, STALE_NAN_BITS, Samples, is_stale_nan};
pub use series::{MetricKind, SeriesId, Temporality};
pub use set::{SetError, UniqueSet};
pub use tenant::{TenantError, TenantId};
