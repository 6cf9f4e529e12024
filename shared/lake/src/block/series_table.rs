//! Writes the series table: one row a series, by the Parquet crate's own column writers.
//!
//! Right after Parquet's magic the object holds eight bytes that no reader of Parquet looks at: the
//! XXH3-64 hash of everything behind them. Our reader checks it before it parses anything, so damage is
//! found before it can mislead a parser.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type,
};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use weir_model::{LabelsRef, METRIC_NAME, MetricKind, SeriesId, Temporality};
use xxhash_rust::xxh3::xxh3_64;

use super::BlockOptions;
use super::decimal::POWERS;
use super::error::BlockError;
use super::page_table::{Page, PageCoder};
use super::schema;

/// Where the hash stands, behind the four bytes of Parquet's magic.
pub(super) const HASH_AT: usize = 4;
/// Where the hashed bytes begin.
pub(super) const HASHED_FROM: usize = HASH_AT + 8;
/// Series in a row group of the series table.
const SERIES_PER_GROUP: usize = 131_072;
/// Dictionaries beyond this many bytes give way to plain values.
const MAX_DICTIONARY: usize = 4 << 20;

/// What the series table says about a series, but for its labels and unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesRow {
    pub(super) id: SeriesId,
    pub(super) kind: MetricKind,
    pub(super) temporality: Temporality,
    pub(super) rows: u32,
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    pub(super) base: i64,
    pub(super) step: i64,
    pub(super) exponent: u8,
    pub(super) contents: u8,
}

/// The series table in the making.
#[derive(Default)]
pub(super) struct SeriesTable {
    rows: Vec<SeriesRow>,
    units: Vec<Bytes>,
    labels: Vec<u8>,
    label_ends: Vec<usize>,
}

/// The name of a temporality in the table.
pub(crate) fn temporality_name(temporality: Temporality) -> &'static str {
    match temporality {
        Temporality::Cumulative => "cumulative",
        Temporality::Delta => "delta",
    }
}

impl SeriesTable {
    /// Adds a series behind the ones before.
    pub(super) fn push(&mut self, row: SeriesRow, labels: LabelsRef<'_>, unit: &str) {
        self.rows.push(row);
        // Neighbours usually share their unit, and then its bytes.
        let unit = match self.units.last() {
            Some(last) if last.as_ref() == unit.as_bytes() => last.clone(),
            _ => Bytes::copy_from_slice(unit.as_bytes()),
        };
        self.units.push(unit);
        self.labels.extend_from_slice(labels.as_bytes());
        self.label_ends.push(self.labels.len());
    }

    /// Number of series so far.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The series pushed last.
    pub(super) fn last(&self) -> Option<(LabelsRef<'_>, Temporality)> {
        let at = self.rows.len().checked_sub(1)?;
        let start = if at == 0 { 0 } else { self.label_ends[at - 1] };
        Some((LabelsRef::from_canonical(&self.labels[start..]), self.rows[at].temporality))
    }

    /// Writes the table.
    pub(super) fn finish(self, options: &BlockOptions, pages: &[Page]) -> Result<Bytes, BlockError> {
        let (message, _) = schema::parse(schema::SERIES_SCHEMA)?;
        let version = KeyValue::new(schema::VERSION_KEY.to_owned(), schema::VERSION.to_owned());
        let column = |name: &str| ColumnPath::from(name);
        let zstd = ZstdLevel::try_new(options.zstd_level).map_err(BlockError::write)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .set_dictionary_page_size_limit(MAX_DICTIONARY)
            .set_key_value_metadata(Some(vec![version]))
            // Hashes do not compress; left plain they are read at the speed of memory.
            .set_column_compression(column("id"), Compression::UNCOMPRESSED);
        for name in ["id", "base", "pages"] {
            properties = properties.set_column_dictionary_enabled(column(name), false);
        }
        properties = properties
            .set_column_dictionary_enabled(column("series"), false)
            .set_column_encoding(column("series"), Encoding::DELTA_BINARY_PACKED);
        for name in ["metric", "min_timestamp", "max_timestamp"] {
            properties = properties.set_column_statistics_enabled(column(name), EnabledStatistics::Chunk);
        }
        let properties = properties.build();
        let mut file =
            SerializedFileWriter::new(Vec::new(), message, properties.into()).map_err(BlockError::write)?;
        file.write_all(&[0; 8]).map_err(BlockError::write)?;

        let per_series = pages_per_series(&self.rows, pages);
        let labels = Bytes::from(self.labels);
        for start in (0..self.rows.len()).step_by(SERIES_PER_GROUP) {
            let end = (start + SERIES_PER_GROUP).min(self.rows.len());
            let group = file.next_row_group().map_err(BlockError::write)?;
            let label_start = if start == 0 { 0 } else { self.label_ends[start - 1] };
            write_group(
                GroupColumns { writer: group },
                &options.block,
                start as u32,
                &self.rows[start..end],
                &self.units[start..end],
                &text_columns(&labels, label_start, &self.label_ends[start..end]),
                &per_series[start..end],
            )?;
        }
        let mut bytes = file.into_inner().map_err(BlockError::write)?;
        let hash = xxh3_64(&bytes[HASHED_FROM..]);
        bytes[HASH_AT..HASHED_FROM].copy_from_slice(&hash.to_le_bytes());
        Ok(Bytes::from(bytes))
    }
}

/// For each series the coded pages that begin within its rows, if any do.
fn pages_per_series(rows: &[SeriesRow], pages: &[Page]) -> Vec<Option<ByteArray>> {
    let mut coder = PageCoder::default();
    let (mut row, mut page_row, mut next) = (0_u64, 0_u64, 0_usize);
    rows.iter()
        .map(|series| {
            row += u64::from(series.rows);
            let first = next;
            while next < pages.len() && page_row < row {
                page_row += u64::from(pages[next].rows);
                next += 1;
            }
            (first < next).then(|| {
                let mut bytes = Vec::new();
                coder.put(&pages[first..next], &mut bytes);
                ByteArray::from(bytes)
            })
        })
        .collect()
}

/// The metric names, and the other labels as a map's columns with their levels.
struct TextColumns {
    metrics: Vec<ByteArray>,
    keys: Vec<ByteArray>,
    values: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

fn text_columns(labels: &Bytes, mut start: usize, ends: &[usize]) -> TextColumns {
    let mut columns = TextColumns {
        metrics: Vec::with_capacity(ends.len()),
        keys: Vec::new(),
        values: Vec::new(),
        definition: Vec::new(),
        repetition: Vec::new(),
    };
    for &end in ends {
        let bytes = labels.slice(start..end);
        start = end;
        let mut metric = ByteArray::from("");
        let mut repetition = 0;
        for (name, value) in LabelsRef::from_canonical(&bytes).iter() {
            let value = ByteArray::from(bytes.slice_ref(value.as_bytes()));
            if name == METRIC_NAME {
                metric = value;
                continue;
            }
            columns.keys.push(ByteArray::from(bytes.slice_ref(name.as_bytes())));
            columns.values.push(value);
            columns.definition.push(1);
            columns.repetition.push(repetition);
            repetition = 1;
        }
        if repetition == 0 {
            // An empty map.
            columns.definition.push(0);
            columns.repetition.push(0);
        }
        columns.metrics.push(metric);
    }
    columns
}

/// Writes columns one after the other.
struct GroupColumns<'a> {
    writer: SerializedRowGroupWriter<'a, Vec<u8>>,
}

impl GroupColumns<'_> {
    fn put<T: DataType>(
        &mut self,
        values: &[T::T],
        definition: Option<&[i16]>,
        repetition: Option<&[i16]>,
    ) -> Result<(), BlockError> {
        let column = self.writer.next_column().map_err(BlockError::write)?;
        let Some(mut column) = column else {
            return Err(BlockError::Request("the series table has no further column".to_owned()));
        };
        column.typed::<T>().write_batch(values, definition, repetition).map_err(BlockError::write)?;
        column.close().map_err(BlockError::write)
    }

    fn required<T: DataType>(&mut self, values: impl Iterator<Item = T::T>) -> Result<(), BlockError> {
        self.put::<T>(&values.collect::<Vec<_>>(), None, None)
    }
}

fn write_group(
    mut group: GroupColumns<'_>,
    block: &str,
    first: u32,
    rows: &[SeriesRow],
    units: &[Bytes],
    texts: &TextColumns,
    pages: &[Option<ByteArray>],
) -> Result<(), BlockError> {
    let block = ByteArray::from(block);
    group.required::<ByteArrayType>(rows.iter().map(|_| block.clone()))?;
    group.required::<Int32Type>((first..).take(rows.len()).map(|ordinal| ordinal as i32))?;
    let ids: Bytes = rows.iter().flat_map(|row| row.id.0.to_be_bytes()).collect::<Vec<u8>>().into();
    group.required::<FixedLenByteArrayType>(
        (0..rows.len()).map(|at| FixedLenByteArray::from(ByteArray::from(ids.slice(at * 16..at * 16 + 16)))),
    )?;
    group.put::<ByteArrayType>(&texts.metrics, None, None)?;
    let levels = (Some(texts.definition.as_slice()), Some(texts.repetition.as_slice()));
    group.put::<ByteArrayType>(&texts.keys, levels.0, levels.1)?;
    group.put::<ByteArrayType>(&texts.values, levels.0, levels.1)?;
    group.required::<ByteArrayType>(rows.iter().map(|row| ByteArray::from(row.kind.name())))?;
    group.required::<ByteArrayType>(units.iter().map(|unit| ByteArray::from(unit.clone())))?;
    let temporalities = rows.iter().map(|row| ByteArray::from(temporality_name(row.temporality)));
    group.required::<ByteArrayType>(temporalities)?;
    group.required::<Int32Type>(rows.iter().map(|row| row.rows as i32))?;
    group.required::<Int64Type>(rows.iter().map(|row| row.min_ms))?;
    group.required::<Int64Type>(rows.iter().map(|row| row.max_ms))?;
    group.required::<Int64Type>(rows.iter().map(|row| row.base))?;
    group.required::<Int64Type>(rows.iter().map(|row| row.step))?;
    group.required::<DoubleType>(rows.iter().map(|row| POWERS[usize::from(row.exponent)]))?;
    group.required::<Int32Type>(rows.iter().map(|row| i32::from(row.contents)))?;
    let present: Vec<ByteArray> = pages.iter().flatten().cloned().collect();
    let definition: Vec<i16> = pages.iter().map(|page| i16::from(page.is_some())).collect();
    group.put::<ByteArrayType>(&present, Some(&definition), None)?;
    group.writer.close().map_err(BlockError::write).map(drop)
}
