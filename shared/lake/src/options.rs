//! The settings of an open lake: plain data with defaults that suit one process on one bucket.

use crate::block::MAX_SERIES;
use crate::exemplars::ExemplarLimits;
use crate::head::HeadLimits;

/// How a lake behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeOptions {
    /// True when this process is the only one on the bucket: what it knows is always current, and
    /// objects that were replaced may go at once.
    pub sole_writer: bool,
    /// False for a process that only appends: it keeps no hot samples in memory, and must neither
    /// answer queries nor compact.
    pub keep_hot: bool,
    /// Otherwise: how long a replaced object stays for readers that still know the manifest before
    /// it, in milliseconds; at most an hour.
    pub grace_ms: i64,
    /// How long a record's retry key is remembered, in milliseconds of arrival times.
    pub retry_window_ms: i64,
    /// Memory for the series indexes of blocks that were read lately, in bytes.
    pub index_memory_bytes: usize,
    /// When not the sole writer: age in milliseconds from which a query first looks for news.
    pub refresh_ms: i64,
    /// Most bytes of samples (compressed, and hot ones) that one selection may hold.
    pub max_select_bytes: u64,
    /// Largest hot segment, in bytes of records; a longer batch becomes several segments.
    pub max_segment_bytes: usize,
    /// Blocks of one hour and of about one size that a scheduled run merges into one.
    pub merge_fan_in: usize,
    /// Series of a block, at most [`MAX_SERIES`](crate::block::MAX_SERIES); an hour of more becomes several
    /// blocks, and a block of so many is not merged with others.
    pub max_block_series: usize,
    /// How long after an hour's end it counts as closed, so that its blocks become one, in milliseconds.
    pub close_after_ms: i64,
    /// Age from which a block that no manifest names is taken for what a crash left, in milliseconds.
    /// Must be longer than any compaction takes.
    pub orphan_age_ms: i64,
    /// Bytes of blocks that archiving makes one of; a day of more becomes several blocks, of some hours each.
    pub archive_bytes: u64,
    /// Objects of fewer bytes stay in the standard storage class: others count them as so large.
    pub cold_bytes: u64,
    /// Requests to the bucket that one operation keeps under way.
    pub concurrency: usize,
    /// Metric families whose metadata is kept per tenant; more are ignored.
    pub max_families: usize,
    /// Exemplars kept of one series within an hour; the oldest are dropped first.
    pub max_exemplars_per_series: usize,
    /// Exemplars kept of one tenant within an hour, and while they are hot; likewise.
    pub max_exemplars: usize,
}

/// One exemplar every 15 seconds, a usual interval between scrapes.
const EXEMPLARS_PER_SERIES: usize = 240;

impl LakeOptions {
    pub(crate) fn block_series(&self) -> usize {
        self.max_block_series.clamp(1, MAX_SERIES)
    }

    pub(crate) fn exemplar_limits(&self) -> ExemplarLimits {
        ExemplarLimits { per_series: self.max_exemplars_per_series, per_tenant: self.max_exemplars }
    }

    pub(crate) fn head_limits(&self) -> HeadLimits {
        HeadLimits { families: self.max_families, exemplars: self.exemplar_limits() }
    }
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self {
            sole_writer: true,
            keep_hot: true,
            grace_ms: 15 * 60_000,
            retry_window_ms: 10 * 60_000,
            index_memory_bytes: 256 << 20,
            refresh_ms: 200,
            max_select_bytes: 1 << 30,
            max_segment_bytes: 32 << 20,
            merge_fan_in: 12,
            max_block_series: MAX_SERIES,
            close_after_ms: 10 * 60_000,
            orphan_age_ms: 60 * 60_000,
            archive_bytes: 128 << 20,
            cold_bytes: 128 << 10,
            concurrency: 16,
            max_families: 100_000,
            max_exemplars_per_series: EXEMPLARS_PER_SERIES,
            max_exemplars: 1 << 17,
        }
    }
}
