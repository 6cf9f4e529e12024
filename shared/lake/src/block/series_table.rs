//! Writes the series table: one row a series, by the Parquet crate's own column writers.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use weir_model::{LabelsRef, METRIC_NAME, MetricKind, SeriesId, Temporality};

use super::BlockOptions;
use super::columns::{self, GroupColumns, MapColumn};
use super::decimal::POWERS;
use super::error::BlockError;
use super::page_table::{Page, PageCoder};
use super::schema;

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
        let mut file = columns::sealed_file(message, properties)?;

        let per_series = pages_per_series(&self.rows, pages);
        let labels = Bytes::from(self.labels);
        for start in (0..self.rows.len()).step_by(SERIES_PER_GROUP) {
            let end = (start + SERIES_PER_GROUP).min(self.rows.len());
            let group = file.next_row_group().map_err(BlockError::write)?;
            let label_start = if start == 0 { 0 } else { self.label_ends[start - 1] };
            write_group(
                GroupColumns::new(group),
                &options.block,
                start as u32,
                &self.rows[start..end],
                &self.units[start..end],
                &text_columns(&labels, label_start, &self.label_ends[start..end]),
                &per_series[start..end],
            )?;
        }
        columns::seal(file)
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

/// The metric names, and the other labels as a map.
fn text_columns(labels: &Bytes, mut start: usize, ends: &[usize]) -> (Vec<ByteArray>, MapColumn) {
    let (mut metrics, mut others) = (Vec::with_capacity(ends.len()), MapColumn::default());
    for &end in ends {
        let bytes = labels.slice(start..end);
        start = end;
        let part = |text: &str| ByteArray::from(bytes.slice_ref(text.as_bytes()));
        let labels = LabelsRef::from_canonical(&bytes);
        metrics.push(match labels.metric_name() {
            "" => ByteArray::from(""),
            name => part(name),
        });
        let without_name = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        others.push(without_name.map(|(name, value)| (part(name), part(value))));
    }
    (metrics, others)
}

fn write_group(
    mut group: GroupColumns<'_>,
    block: &str,
    first: u32,
    rows: &[SeriesRow],
    units: &[Bytes],
    (metrics, labels): &(Vec<ByteArray>, MapColumn),
    pages: &[Option<ByteArray>],
) -> Result<(), BlockError> {
    let block = ByteArray::from(block);
    group.required::<ByteArrayType>(rows.iter().map(|_| block.clone()))?;
    group.required::<Int32Type>((first..).take(rows.len()).map(|ordinal| ordinal as i32))?;
    group.ids(rows.iter().map(|row| row.id))?;
    group.put::<ByteArrayType>(metrics, None, None)?;
    group.map(labels)?;
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
    group.close()
}
