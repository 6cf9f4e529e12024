//! The PromQL engine, over a storage trait it owns.

pub mod ast;
mod storage;

pub use storage::{SelectRequest, SelectedSeries, SeriesReader, SeriesSet, Storage, StorageError};
