//! The database in a bucket: segments, blocks, manifest, compaction, reader.
//!
//! Objects are created once and never change. `hot/` holds stream batches as they came (see the segment
//! module), `blocks/` one tenant's hours as Parquet, `manifest/` the log that says which blocks count and
//! how far each shard is compacted. A [`Lake`] keeps the hot samples in memory, so that a query reads
//! memory for what is new and blocks for the rest, under one lock that makes them one state.

mod append;
mod archive;
mod bitmap;
pub mod block;
mod cardinality;
mod changes;
mod compact;
mod damage;
mod days;
mod direct;
mod discover;
mod erase;
mod error;
mod exemplars;
mod families;
mod garbage;
mod gather;
mod head;
mod keys;
mod lake;
mod manifest;
mod merge;
mod options;
mod reader;
mod retention;
mod retry_keys;
mod rollup;
mod segment;
mod select;
mod series_index;
mod snapshots;
mod state;
mod statistics;
pub mod table;
mod usage;

pub use append::{Appended, Incoming};
pub use archive::ArchiveReport;
pub use cardinality::Cardinality;
pub use changes::Mark;
pub use compact::{CompactMode, CompactReport};
pub use direct::DirectStream;
pub use erase::{EraseProgress, EraseWish, Erased, ErasureReport};
pub use error::LakeError;
pub use exemplars::{ExemplarSeries, StoredExemplar};
pub use garbage::GarbageReport;
pub use lake::Lake;
pub use options::LakeOptions;
pub use reader::LakeReader;
pub use retention::{
    Ages, ArchiveRule, Condition, ExpireReport, RetentionChange, RetentionClass, RetentionError,
    RetentionPolicy,
};
pub use rollup::{RollupProgress, RollupReport, RollupWish, TierReader, TierSelection, TierWish};
pub use select::{LakeSelection, Selection, SeriesInfo};
pub use statistics::{HotState, Statistics, TenantStatistics};
pub use usage::{StorageTier, TierUsage, Usage};
