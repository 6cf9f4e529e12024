//! Samples as one plain Parquet table, for exports and imports: a row a sample, its labels beside it.
//!
//! Blocks are laid out for asking; this is laid out for handing over, so that one file says everything to
//! any tool: `metric`, `labels` (a map, without the metric's name), `kind`, `temporality`, `timestamp`, and one
//! of `value`, `histogram` and `set` (the last two in the encodings that blocks use).

mod read;
mod write;

pub use read::{TableRow, read_table};
pub use write::TableWriter;

use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

/// The table's columns.
const SCHEMA: &str = "message weir {
  required binary metric (STRING);
  required group labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required binary kind (STRING);
  required binary temporality (STRING);
  required int64 timestamp (TIMESTAMP(MILLIS,true));
  optional double value;
  optional binary histogram;
  optional binary set;
}";

/// Why a table could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file is no Parquet, is damaged, or could not be written.
    #[error("{0}")]
    Parquet(#[from] ParquetError),
    /// The file is damaged in a way that the reader could not name.
    #[error("the file is damaged")]
    Damaged,
    /// A row does not hold what a sample needs.
    #[error("row {row}: {reason}")]
    Row {
        /// Its number, from 1.
        row: u64,
        /// What is wrong.
        reason: String,
    },
}

fn schema() -> Result<Type, TableError> {
    Ok(parse_message_type(SCHEMA)?)
}
