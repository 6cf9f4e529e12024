//! The PromQL engine, over a storage trait it owns.

pub mod ast;
pub mod functions_table;
pub mod memory;
mod parser;
mod printer;
mod storage;

pub use parser::{MAX_DEPTH, MAX_QUERY_BYTES, ParseError, parse, parse_duration_ms, parse_selector};
pub use storage::{SelectRequest, SelectedSeries, SeriesReader, SeriesSet, Storage, StorageError};
