//! Blocks: how some time of one tenant (an hour, later more) lies at rest as open Parquet.
//!
//! A block is two objects, `samples-<id>.parquet` and `series-<id>.parquet`. [`BlockWriter`] takes series in
//! order and gives both; [`BlockIndex`] needs only the series object (fetched whole) to say which series
//! there are and which byte ranges of the samples object hold them.

mod chunk;
mod cursor;
mod decimal;
mod delta;
mod error;
mod index;
mod levels;
mod page_table;
mod plan;
mod samples_table;
mod schema;
mod series_table;
mod writer;

pub use cursor::BlockCursor;
pub use error::BlockError;
pub use index::{BlockIndex, BlockLabels};
pub use plan::{BlockPages, ReadPlan};
pub use writer::{
    BlockOptions, BlockStats, BlockWriter, EncodedBlock, MAX_SAMPLES_PER_SERIES, MAX_SERIES, SeriesEntry,
    series_order,
};
