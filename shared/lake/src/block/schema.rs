//! The columns of the three tables, as SQL sees them.

use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, TypePtr};

use super::error::BlockError;

/// The version of the layout, stored in the series object and checked when it is read.
pub(super) const VERSION: &str = "1";
/// The key under which the version stands in the series object's metadata.
pub(super) const VERSION_KEY: &str = "weir.block.version";

/// One row a sample.
pub(super) const SAMPLES_SCHEMA: &str = "message samples {
  required binary block (STRING);
  required int32 series;
  required binary metric (STRING);
  required int64 timestamp (TIMESTAMP(MILLIS,true));
  required int64 units;
  optional double value;
  optional binary histogram;
  optional binary set;
}";

/// Columns of the samples table by their place.
pub(super) mod samples_column {
    pub(in super::super) const BLOCK: usize = 0;
    pub(in super::super) const SERIES: usize = 1;
    pub(in super::super) const METRIC: usize = 2;
    pub(in super::super) const TIMESTAMP: usize = 3;
    pub(in super::super) const UNITS: usize = 4;
    pub(in super::super) const VALUE: usize = 5;
    pub(in super::super) const HISTOGRAM: usize = 6;
    pub(in super::super) const SET: usize = 7;
}

/// One row a series.
pub(super) const SERIES_SCHEMA: &str = "message series {
  required binary block (STRING);
  required int32 series;
  required fixed_len_byte_array(16) id (UUID);
  required binary metric (STRING);
  required group labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required binary kind (STRING);
  required binary unit (STRING);
  required binary temporality (STRING);
  required int32 rows;
  required int64 min_timestamp (TIMESTAMP(MILLIS,true));
  required int64 max_timestamp (TIMESTAMP(MILLIS,true));
  required int64 base;
  required int64 step;
  required double divisor;
  required int32 contents;
  optional binary pages;
}";

/// Leaf columns of the series table by their place (the map is two).
pub(super) mod series_column {
    pub(in super::super) const ID: usize = 2;
    pub(in super::super) const METRIC: usize = 3;
    pub(in super::super) const LABEL_KEY: usize = 4;
    pub(in super::super) const LABEL_VALUE: usize = 5;
    pub(in super::super) const KIND: usize = 6;
    pub(in super::super) const UNIT: usize = 7;
    pub(in super::super) const TEMPORALITY: usize = 8;
    pub(in super::super) const ROWS: usize = 9;
    pub(in super::super) const MIN_TIMESTAMP: usize = 10;
    pub(in super::super) const MAX_TIMESTAMP: usize = 11;
    pub(in super::super) const BASE: usize = 12;
    pub(in super::super) const STEP: usize = 13;
    pub(in super::super) const DIVISOR: usize = 14;
    pub(in super::super) const CONTENTS: usize = 15;
    pub(in super::super) const PAGES: usize = 16;
    pub(in super::super) const COUNT: usize = 17;
}

/// One row an exemplar, sorted by metric, labels of the series and time.
pub(super) const EXEMPLARS_SCHEMA: &str = "message exemplars {
  required binary block (STRING);
  required fixed_len_byte_array(16) id (UUID);
  required binary metric (STRING);
  required group series_labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required int64 timestamp (TIMESTAMP(MILLIS,true));
  required double value;
  required group labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
}";

/// Leaf columns of the exemplars table by their place (each map is two).
pub(super) mod exemplars_column {
    pub(in super::super) const ID: usize = 1;
    pub(in super::super) const METRIC: usize = 2;
    pub(in super::super) const SERIES_KEY: usize = 3;
    pub(in super::super) const SERIES_VALUE: usize = 4;
    pub(in super::super) const TIMESTAMP: usize = 5;
    pub(in super::super) const VALUE: usize = 6;
    pub(in super::super) const LABEL_KEY: usize = 7;
    pub(in super::super) const LABEL_VALUE: usize = 8;
    pub(in super::super) const COUNT: usize = 9;
}

/// What the samples of a series are, as bits of the column `contents`.
pub(super) mod contents {
    /// Some samples are decimal: `(base + step * units) / divisor`.
    pub(in super::super) const DECIMALS: u8 = 1;
    /// Some samples stand in the column `value`.
    pub(in super::super) const VALUES: u8 = 2;
    /// Some samples are native histograms.
    pub(in super::super) const HISTOGRAMS: u8 = 4;
    /// Some samples are sets.
    pub(in super::super) const SETS: u8 = 8;
    /// All bits in use.
    pub(in super::super) const ALL: u8 = 15;
}

/// Parses one of the schemas above.
pub(super) fn parse(schema: &str) -> Result<(TypePtr, SchemaDescPtr), BlockError> {
    let message: Result<_, ParquetError> = parse_message_type(schema);
    let message = Arc::new(message.map_err(BlockError::write)?);
    let columns = Arc::new(SchemaDescriptor::new(Arc::clone(&message)));
    Ok((message, columns))
}
