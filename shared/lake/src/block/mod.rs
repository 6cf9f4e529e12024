//! Blocks: how some time of one tenant (an hour, later more) lies at rest as open Parquet.
//!
//! A block is two objects, `samples-<id>.parquet` and `series-<id>.parquet`. [`BlockWriter`] takes series in
//! order and gives both; [`BlockIndex`] needs only the series object (fetched whole) to say which series
//! there are and which byte ranges of the samples object hold them.
//!
//! The public interface, in the order in which it is used (first to be settled; the code follows it):
//!
//! ```text
//! // order of series: metric name, then canonical label bytes, then cumulative before delta; checked
//! pub struct SeriesEntry<'a> { pub id: SeriesId, pub labels: LabelsRef<'a>, pub kind: MetricKind,
//!                              pub temporality: Temporality, pub unit: &'a str }
//! pub fn series_order(a: (LabelsRef, Temporality), b: (LabelsRef, Temporality)) -> Ordering
//! pub struct BlockOptions { pub block: String /* the <id>; a constant column in both tables */,
//!                           pub rows_per_page: usize, pub zstd_level: i32, pub rows_per_group: usize }
//! impl BlockOptions { pub fn new(block: impl Into<String>) -> Self }
//! impl BlockWriter {
//!     pub fn new(options: BlockOptions) -> Result<Self, BlockError>;
//!     pub fn push(&mut self, series: &SeriesEntry<'_>, samples: &Samples) -> Result<(), BlockError>;
//!     pub fn finish(self) -> Result<EncodedBlock, BlockError>;
//! }
//! pub struct EncodedBlock { pub samples: Bytes, pub series: Bytes, pub stats: BlockStats }
//! pub struct BlockStats { pub series: u64, pub samples: u64, pub min_ms: i64, pub max_ms: i64,
//!                         pub samples_bytes: u64, pub series_bytes: u64 }
//!
//! impl BlockIndex {                                    // Send + Sync, share it in an Arc
//!     pub fn decode(series_object: Bytes) -> Result<Self, BlockError>;   // labels stay packed
//!     pub fn len(&self) -> usize;                      // number of series; ordinals are 0..len
//!     pub fn ids(&self) -> &[SeriesId];                // in block order
//!     pub fn labels(&self) -> Result<BlockLabels, BlockError>;  // unpacks all; .get(ordinal) -> LabelsRef
//!     pub fn kind(&self, ordinal: u32) -> MetricKind;  // likewise temporality, rows, time_range (inclusive)
//!     pub fn units(&self) -> Result<Vec<String>, BlockError>;
//!     pub fn samples(&self) -> u64;
//!     pub fn time_range(&self) -> Option<(i64, i64)>;  // of the whole block, inclusive ms
//!     pub fn memory_bytes(&self) -> usize;             // for cache weights
//!     pub fn plan(self: &Arc<Self>, ordinals: &[u32] /* ascending */, start_ms: i64, end_ms: i64) -> Result<ReadPlan, BlockError>;
//! }
//! impl ReadPlan { pub fn ranges(&self) -> &[Range<u64>]; }     // of the samples object, ascending, gaps coalesced
//! impl BlockPages { pub fn new(plan: ReadPlan, bytes: Vec<Bytes>) -> Result<Self, BlockError>; } // one Bytes a range; Send + Sync
//! impl BlockPages { pub fn cursor(&self) -> BlockCursor<'_>; } // one per thread
//! impl BlockCursor { pub fn read(&mut self, ordinal: u32, start_ms: i64, end_ms: i64, into: &mut Samples) -> Result<(), BlockError>; }
//! // `read` replaces `into`'s content; bounds are inclusive; ascending ordinals are fastest.
//! ```
