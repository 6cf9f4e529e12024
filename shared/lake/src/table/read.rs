//! Reads tables of samples, ours or others' with columns of these names.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use weir_model::{Histogram, Labels, METRIC_NAME, MetricKind, Samples, Temporality, UniqueSet};

use super::TableError;

/// One sample of a table.
#[derive(Debug, Clone)]
pub struct TableRow {
    /// The series' labels, the metric's name included.
    pub labels: Labels,
    /// Its declared type; unknown when the table does not say.
    pub kind: MetricKind,
    /// Whether samples are states or changes; states when the table does not say.
    pub temporality: Temporality,
    /// The one sample: exactly one column holds it.
    pub sample: Samples,
}

/// Reads a table row by row. Needed are `metric` or a label `__name__`, `timestamp` and one of `value`, `histogram`
/// and `set`; other columns are passed by.
///
/// # Errors
/// [`TableError`] when the file is no Parquet or a row is no sample, and whatever `take` returns.
pub fn read_table<E: From<TableError>>(
    file: impl ChunkReader + 'static,
    take: impl FnMut(TableRow) -> Result<(), E>,
) -> Result<(), E> {
    // The Parquet crate panics on some damaged files; someone's file must not end the process. Nothing that
    // the panic left half done is used again.
    std::panic::catch_unwind(AssertUnwindSafe(|| read_rows(file, take)))
        .unwrap_or_else(|_| Err(TableError::Damaged.into()))
}

fn read_rows<E: From<TableError>>(
    file: impl ChunkReader + 'static,
    mut take: impl FnMut(TableRow) -> Result<(), E>,
) -> Result<(), E> {
    let reader = SerializedFileReader::new(file).map_err(TableError::from)?;
    let rows = reader.get_row_iter(None).map_err(TableError::from)?;
    for (place, row) in rows.enumerate() {
        let row = row.map_err(TableError::from)?;
        let sample = read_row(&row).map_err(|reason| TableError::Row { row: place as u64 + 1, reason })?;
        take(sample)?;
    }
    Ok(())
}

fn read_row(row: &Row) -> Result<TableRow, String> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let (mut kind, mut temporality) = (MetricKind::Unknown, Temporality::Cumulative);
    let mut at_ms = None;
    let (mut value, mut histogram, mut set) = (None, None, None);
    for (name, field) in row.get_column_iter() {
        let wrong = || format!("column {name:?} holds {field}, which is not what belongs there");
        match (name.as_str(), field) {
            (_, Field::Null) => {}
            ("metric", Field::Str(text)) => pairs.push((METRIC_NAME, text)),
            ("labels", Field::MapInternal(map)) => {
                for (key, value) in map.entries() {
                    match (key, value) {
                        (Field::Str(key), Field::Str(value)) => pairs.push((key, value)),
                        (_, Field::Null) => {}
                        _ => return Err(wrong()),
                    }
                }
            }
            ("kind", Field::Str(text)) => kind = MetricKind::from_name(text).ok_or_else(wrong)?,
            ("temporality", Field::Str(text)) => {
                temporality = match text.as_str() {
                    "cumulative" => Temporality::Cumulative,
                    "delta" => Temporality::Delta,
                    _ => return Err(wrong()),
                }
            }
            ("timestamp", Field::TimestampMillis(ms) | Field::Long(ms)) => at_ms = Some(*ms),
            ("timestamp", Field::TimestampMicros(us)) => at_ms = Some(us.div_euclid(1000)),
            ("value", Field::Double(number)) => value = Some(*number),
            ("value", Field::Float(number)) => value = Some(f64::from(*number)),
            ("value", Field::Long(number)) => value = Some(*number as f64),
            ("value", Field::Int(number)) => value = Some(f64::from(*number)),
            ("histogram", Field::Bytes(bytes)) => {
                let read = Histogram::from_bytes(bytes.data()).map_err(|error| error.to_string())?;
                histogram = Some(Arc::new(read));
            }
            ("set", Field::Bytes(bytes)) => {
                set = Some(Arc::new(UniqueSet::from_bytes(bytes.data()).map_err(|error| error.to_string())?));
            }
            (
                "metric" | "labels" | "kind" | "temporality" | "timestamp" | "value" | "histogram" | "set",
                _,
            ) => {
                return Err(wrong());
            }
            _ => {}
        }
    }
    let at_ms = at_ms.ok_or("it has no timestamp")?;
    let mut sample = Samples::default();
    match (value, histogram, set) {
        (Some(value), None, None) => {
            sample.timestamps.push(at_ms);
            sample.values.push(value);
        }
        (None, Some(histogram), None) => sample.histograms.push((at_ms, histogram)),
        (None, None, Some(set)) => sample.sets.push((at_ms, set)),
        _ => return Err("exactly one of value, histogram and set is needed".to_owned()),
    }
    Ok(TableRow { labels: Labels::from_pairs(pairs), kind, temporality, sample })
}
