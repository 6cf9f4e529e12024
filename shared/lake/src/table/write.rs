//! Writes the table.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use weir_model::{LabelsRef, METRIC_NAME, MetricKind, Samples, Temporality};

use super::{TableError, schema};
use crate::block::temporality_name;

/// Rows of a row group: bounds the memory that a table takes while it is written.
const ROWS_PER_GROUP: usize = 1 << 17;
/// Levels of a value that is there, in an optional column and in a map.
const PRESENT: i16 = 1;

/// Writes series to a sink that takes the file's bytes in order.
pub struct TableWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Rows,
}

/// The columns of the row group at hand.
#[derive(Default)]
struct Rows {
    metric: Vec<ByteArray>,
    keys: Vec<ByteArray>,
    values: Vec<ByteArray>,
    label_definition: Vec<i16>,
    label_repetition: Vec<i16>,
    kind: Vec<ByteArray>,
    temporality: Vec<ByteArray>,
    timestamp: Vec<i64>,
    value: (Vec<f64>, Vec<i16>),
    histogram: (Vec<ByteArray>, Vec<i16>),
    set: (Vec<ByteArray>, Vec<i16>),
}

/// What the rows of one series repeat.
struct Series {
    metric: ByteArray,
    labels: Vec<(ByteArray, ByteArray)>,
    kind: ByteArray,
    temporality: ByteArray,
}

/// One sample.
enum Cell {
    Float(f64),
    Histogram(ByteArray),
    Set(ByteArray),
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when the sink fails.
    pub fn new(sink: W) -> Result<Self, TableError> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_created_by("weir".to_owned());
        for (column, encoding) in
            [("timestamp", Encoding::DELTA_BINARY_PACKED), ("value", Encoding::BYTE_STREAM_SPLIT)]
        {
            let column = ColumnPath::from(column);
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, encoding);
        }
        let properties = Arc::new(properties.build());
        let file = SerializedFileWriter::new(sink, Arc::new(schema()?), properties)?;
        Ok(Self { file, rows: Rows::default() })
    }

    /// Adds a series' samples. Timestamps are milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when the sink fails.
    pub fn series(
        &mut self,
        labels: LabelsRef<'_>,
        kind: MetricKind,
        temporality: Temporality,
        samples: &Samples,
    ) -> Result<(), TableError> {
        let series = Series {
            metric: ByteArray::from(labels.metric_name()),
            labels: labels
                .iter()
                .filter(|(name, _)| *name != METRIC_NAME)
                .map(|(name, value)| (ByteArray::from(name), ByteArray::from(value)))
                .collect(),
            kind: ByteArray::from(kind.name()),
            temporality: ByteArray::from(temporality_name(temporality)),
        };
        let floats = samples.timestamps.iter().zip(&samples.values);
        for (at, value) in floats {
            self.row(&series, *at, Cell::Float(*value))?;
        }
        for (at, histogram) in &samples.histograms {
            self.row(&series, *at, Cell::Histogram(ByteArray::from(histogram.to_bytes())))?;
        }
        for (at, set) in &samples.sets {
            self.row(&series, *at, Cell::Set(ByteArray::from(set.to_bytes())))?;
        }
        Ok(())
    }

    fn row(&mut self, series: &Series, at_ms: i64, cell: Cell) -> Result<(), TableError> {
        self.rows.push(series, at_ms, cell);
        if self.rows.timestamp.len() >= ROWS_PER_GROUP {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TableError> {
        if self.rows.timestamp.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        rows.write(self.file.next_row_group()?)
    }

    /// Writes what is left and the footer, and gives the sink back.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when the sink fails.
    pub fn finish(mut self) -> Result<W, TableError> {
        self.flush()?;
        Ok(self.file.into_inner()?)
    }
}

impl Rows {
    fn push(&mut self, series: &Series, at_ms: i64, cell: Cell) {
        self.metric.push(series.metric.clone());
        if series.labels.is_empty() {
            self.label_definition.push(0);
            self.label_repetition.push(0);
        }
        for (place, (key, value)) in series.labels.iter().enumerate() {
            self.keys.push(key.clone());
            self.values.push(value.clone());
            self.label_definition.push(PRESENT);
            self.label_repetition.push(i16::from(place > 0));
        }
        self.kind.push(series.kind.clone());
        self.temporality.push(series.temporality.clone());
        self.timestamp.push(at_ms);
        let (mut float, mut histogram, mut set) = (0, 0, 0);
        match cell {
            Cell::Float(value) => {
                self.value.0.push(value);
                float = PRESENT;
            }
            Cell::Histogram(bytes) => {
                self.histogram.0.push(bytes);
                histogram = PRESENT;
            }
            Cell::Set(bytes) => {
                self.set.0.push(bytes);
                set = PRESENT;
            }
        }
        self.value.1.push(float);
        self.histogram.1.push(histogram);
        self.set.1.push(set);
    }

    fn write<W: Write + Send>(self, mut group: SerializedRowGroupWriter<'_, W>) -> Result<(), TableError> {
        let levels = (Some(&*self.label_definition), Some(&*self.label_repetition));
        put::<ByteArrayType, W>(&mut group, &self.metric, None, None)?;
        put::<ByteArrayType, W>(&mut group, &self.keys, levels.0, levels.1)?;
        put::<ByteArrayType, W>(&mut group, &self.values, levels.0, levels.1)?;
        put::<ByteArrayType, W>(&mut group, &self.kind, None, None)?;
        put::<ByteArrayType, W>(&mut group, &self.temporality, None, None)?;
        put::<Int64Type, W>(&mut group, &self.timestamp, None, None)?;
        put::<DoubleType, W>(&mut group, &self.value.0, Some(&self.value.1), None)?;
        put::<ByteArrayType, W>(&mut group, &self.histogram.0, Some(&self.histogram.1), None)?;
        put::<ByteArrayType, W>(&mut group, &self.set.0, Some(&self.set.1), None)?;
        group.close()?;
        Ok(())
    }
}

fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> Result<(), TableError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, definition, repetition)?;
        column.close()?;
    }
    Ok(())
}
