//! The PromQL engine, over a storage trait it owns.

pub mod ast;
mod engine;
pub mod functions_table;
pub mod memory;
mod parser;
mod printer;
mod storage;

pub use engine::{
    Answer, Explained, ExplainedStorage, InstantSample, Limits, Prepared, Query, QueryError, RangeSeries,
    Reach, SampleValue, Stats, Timings, Value, evaluate, evaluate_prepared, prepare,
};
pub use parser::{MAX_DEPTH, MAX_QUERY_BYTES, ParseError, parse, parse_duration_ms, parse_selector};
pub use printer::quote;
pub use storage::{
    Instead, SelectRequest, SelectedSeries, SelectionStats, SeriesReader, SeriesSet, Storage, StorageError,
};
