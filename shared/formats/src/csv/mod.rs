//! CSV: a row a sample, columns told by a header or by the request.
//!
//! With a header, the columns `metric` (or `__name__`), `timestamp` (or `time`; or `timestamp_ms`), `value`, `type`,
//! `temporality`, `histogram` and `set` mean what they say, and every other column is a label; a label that
//! has one of these names is headed `label:NAME`. An empty label is none. Values may also be `StaleNaN`;
//! histograms are JSON and sets base64, as in [`crate::series_lines`].
//!
//! Without one, VictoriaMetrics' `format` names columns by their place, from 1:
//! `2:metric:ask,3:metric:bid,1:time:unix_s,4:label:pair`.
//!
//! Times are ISO 8601 texts, or numbers whose magnitude tells their unit (seconds, milliseconds, micro- or
//! nanoseconds) unless a format says which; a row without one gets the time of its arrival.

mod columns;
mod read;
mod write;

pub use columns::Columns;
pub use read::parse;
pub use write::Writer;

/// Most columns of a row.
const MAX_COLUMNS: usize = 1_000;
/// Columns that mean something by their name.
const RESERVED: [&str; 10] = [
    "metric",
    "__name__",
    "timestamp",
    "time",
    "timestamp_ms",
    "value",
    "type",
    "temporality",
    "histogram",
    "set",
];
/// What stands before a label that has a reserved name.
const LABEL_PREFIX: &str = "label:";
