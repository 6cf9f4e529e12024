//! Writes the samples table: gathers rows into pages, pages into row groups.
//!
//! The columns `timestamp` and `units` share their page ends. `value`, `histogram` and `set` use the
//! same ends where they have values, and skip with one page of nulls over stretches where they have none.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescPtr;

use super::chunk::{Chunk, Location, PageCompressor};
use super::delta::{self, Packing, Widths};
use super::error::BlockError;
use super::levels::{put_index_runs, put_levels};
use super::schema::{self, samples_column};
use super::{BlockOptions, page_table::Page};

/// Times repeat from series to series: whole bytes compress well, large blocks save headers.
const TIMESTAMP_PACKING: Packing = Packing { block: 512, widths: Widths::Bytes };
/// Differences of values look random.
const UNITS_PACKING: Packing = Packing { block: 128, widths: Widths::Bits };
/// Bound of a unit's product with its step, so that SQL engines compute it in 64 bits.
const MAX_PRODUCT: i128 = 1 << 62;

/// Rows of histograms or sets that are added at once, before a page's size is looked at.
const WIDE_ROWS: usize = 32;
/// A page ends once its histograms and sets take this many bytes.
const MAX_WIDE_BYTES: usize = 4 << 20;

/// The rows of one series, ready to be stored.
#[derive(Default)]
pub(super) struct Rows {
    /// Timestamps in milliseconds, ascending.
    pub(super) timestamps: Vec<i64>,
    /// A mantissa for each row.
    pub(super) mantissas: Vec<i64>,
    /// Rows stored as floats.
    pub(super) values: Sparse,
    /// Rows that are histograms.
    pub(super) histograms: Sparse,
    /// Rows that are sets.
    pub(super) sets: Sparse,
}

/// Values of some rows, in Parquet's plain encoding.
#[derive(Default)]
pub(super) struct Sparse {
    /// The rows, ascending.
    pub(super) rows: Vec<u32>,
    /// Where each value ends in `body`.
    pub(super) ends: Vec<usize>,
    /// The values.
    pub(super) body: Vec<u8>,
}

impl Sparse {
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.ends.clear();
        self.body.clear();
    }

    /// Adds a row whose value `put` appends.
    pub(super) fn push(&mut self, row: u32, put: impl FnOnce(&mut Vec<u8>)) {
        self.rows.push(row);
        put(&mut self.body);
        self.ends.push(self.body.len());
    }

    /// Adds the rows `from..to` of `other`, renumbered to start at `at`.
    fn extend(&mut self, other: &Self, from: u32, to: u32, at: u32) {
        let first = other.rows.partition_point(|&row| row < from);
        let end = other.rows.partition_point(|&row| row < to);
        if first == end {
            return;
        }
        let start = if first == 0 { 0 } else { other.ends[first - 1] };
        let shift = self.body.len();
        self.rows.extend(other.rows[first..end].iter().map(|row| row - from + at));
        self.ends.extend(other.ends[first..end].iter().map(|end| end - start + shift));
        self.body.extend_from_slice(&other.body[start..other.ends[end - 1]]);
    }
}

/// The samples table in the making.
pub(super) struct SamplesTable {
    file: SerializedFileWriter<Vec<u8>>,
    columns: SchemaDescPtr,
    compressor: PageCompressor,
    options: BlockOptions,
    /// The page in the making.
    page: Rows,
    scratch: Vec<u8>,
    group: Group,
    pages: Vec<Page>,
}

/// A row group in the making.
#[derive(Default)]
struct Group {
    rows: u64,
    first_page: usize,
    /// Ordinal and number of rows of each series.
    series: Vec<(u32, u64)>,
    /// Name and number of rows of each metric.
    metrics: Vec<(String, u64)>,
    times: Option<(i64, i64)>,
    timestamp: Chunk,
    units: Chunk,
    /// `value`, `histogram`, `set`, each with its rows not written yet, all null, and its nulls so far.
    optional: [(Chunk, usize, u64); 3],
}

impl SamplesTable {
    pub(super) fn new(options: &BlockOptions) -> Result<Self, BlockError> {
        let (message, columns) = schema::parse(schema::SAMPLES_SCHEMA)?;
        let properties = WriterProperties::builder()
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(Vec::new(), message, properties.into())
                .map_err(BlockError::write)?,
            columns,
            compressor: PageCompressor::new(options.zstd_level)?,
            options: options.clone(),
            page: Rows::default(),
            scratch: Vec::new(),
            group: Group::default(),
            pages: Vec::new(),
        })
    }

    /// Appends the rows of a series and returns its `base`: `mantissa = base + step * units`.
    pub(super) fn push(
        &mut self,
        ordinal: u32,
        metric: &str,
        rows: &Rows,
        step: i64,
    ) -> Result<i64, BlockError> {
        let count = rows.timestamps.len();
        let capacity = self.options.rows_per_page;
        // A series that fits a page never straddles two.
        if count <= capacity && self.page.timestamps.len() + count > capacity {
            self.flush_page()?;
        }
        let origin = self.origin(&rows.mantissas, step);
        let mut done = 0;
        while done < count {
            let mut part = (capacity - self.page.timestamps.len()).min(count - done);
            if !rows.histograms.rows.is_empty() || !rows.sets.rows.is_empty() {
                part = part.min(WIDE_ROWS);
            }
            self.append(ordinal, metric, rows, done..done + part, (origin, step));
            done += part;
            let wide = self.page.histograms.body.len() + self.page.sets.body.len();
            if self.page.timestamps.len() == capacity || wide > MAX_WIDE_BYTES {
                self.flush_page()?;
            }
        }
        Ok(rows.mantissas.first().copied().unwrap_or(0) - step * origin)
    }

    /// The unit at which a series starts: it continues from the series before, one likely difference on,
    /// so that the packed differences see no jump.
    fn origin(&self, mantissas: &[i64], step: i64) -> i64 {
        let (Some(&last), [first, rest @ ..]) = (self.page.mantissas.last(), mantissas) else { return 0 };
        let origin = last + rest.first().map_or(0, |second| (second - first) / step);
        if (i128::from(origin) * i128::from(step)).abs() < MAX_PRODUCT { origin } else { 0 }
    }

    fn append(
        &mut self,
        ordinal: u32,
        metric: &str,
        rows: &Rows,
        part: std::ops::Range<usize>,
        (origin, step): (i64, i64),
    ) {
        let page = &mut self.page;
        let at = page.timestamps.len() as u32;
        page.timestamps.extend_from_slice(&rows.timestamps[part.clone()]);
        let first = rows.mantissas[0];
        let mantissas = rows.mantissas[part.clone()].iter();
        if step == 1 {
            page.mantissas.extend(mantissas.map(|m| origin + (m - first)));
        } else {
            page.mantissas.extend(mantissas.map(|m| origin + (m - first) / step));
        }
        let (from, to) = (part.start as u32, part.end as u32);
        page.values.extend(&rows.values, from, to, at);
        page.histograms.extend(&rows.histograms, from, to, at);
        page.sets.extend(&rows.sets, from, to, at);
        let length = part.len() as u64;
        match self.group.series.last_mut() {
            Some((last, rows)) if *last == ordinal => *rows += length,
            _ => self.group.series.push((ordinal, length)),
        }
        match self.group.metrics.last_mut() {
            Some((last, rows)) if last == metric => *rows += length,
            _ => self.group.metrics.push((metric.to_owned(), length)),
        }
    }

    fn flush_page(&mut self) -> Result<(), BlockError> {
        let Self { page, group, compressor, scratch, .. } = self;
        let rows = page.timestamps.len();
        let (Some(min_ms), Some(max_ms)) =
            (page.timestamps.iter().min().copied(), page.timestamps.iter().max().copied())
        else {
            return Ok(());
        };
        scratch.clear();
        delta::encode(&page.timestamps, TIMESTAMP_PACKING, scratch);
        let timestamp =
            group.timestamp.push_data(compressor, rows, Encoding::DELTA_BINARY_PACKED, scratch)?;
        scratch.clear();
        delta::encode(&page.mantissas, UNITS_PACKING, scratch);
        let units = group.units.push_data(compressor, rows, Encoding::DELTA_BINARY_PACKED, scratch)?;
        let mut optional = [Location::default(); 3];
        for (index, sparse) in [&page.values, &page.histograms, &page.sets].into_iter().enumerate() {
            let (chunk, pending, nulls) = &mut group.optional[index];
            *nulls += (rows - sparse.rows.len()) as u64;
            if sparse.rows.is_empty() {
                *pending += rows;
                continue;
            }
            push_nulls(chunk, compressor, pending, scratch)?;
            scratch.clear();
            put_levels(rows, &sparse.rows, scratch);
            scratch.extend_from_slice(&sparse.body);
            optional[index] = chunk.push_data(compressor, rows, Encoding::PLAIN, scratch)?;
        }
        let [value, histogram, set] = optional;
        let columns = [timestamp, units, value, histogram, set];
        self.pages.push(Page { rows: rows as u32, min_ms, max_ms, columns });
        group.rows += rows as u64;
        let (low, high) = group.times.unwrap_or((min_ms, max_ms));
        group.times = Some((low.min(min_ms), high.max(max_ms)));
        page.timestamps.clear();
        page.mantissas.clear();
        [&mut page.values, &mut page.histograms, &mut page.sets].into_iter().for_each(Sparse::clear);
        if self.group.rows >= self.options.rows_per_group as u64 {
            self.flush_group()?;
        }
        Ok(())
    }

    fn flush_group(&mut self) -> Result<(), BlockError> {
        let first_page = self.pages.len();
        let group = std::mem::replace(&mut self.group, Group { first_page, ..Group::default() });
        if group.rows == 0 {
            return Ok(());
        }
        let level = self.options.zstd_level;
        let column = |index: usize| self.columns.column(index);
        let compressor = &mut self.compressor;
        let total = group.rows;

        let block = [(self.options.block.as_str(), total)];
        let metrics: Vec<(&str, u64)> =
            group.metrics.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        let mut chunks = vec![
            text_chunk(compressor, &block)?.finish(
                column(samples_column::BLOCK),
                level,
                text_range(&block),
            )?,
            series_chunk(compressor, &group.series)?.finish(
                column(samples_column::SERIES),
                level,
                ordinal_range(&group.series),
            )?,
            text_chunk(compressor, &metrics)?.finish(
                column(samples_column::METRIC),
                level,
                text_range(&metrics),
            )?,
        ];
        let times =
            group.times.map(|(low, high)| Statistics::int64(Some(low), Some(high), None, Some(0), false));
        chunks.push(group.timestamp.finish(column(samples_column::TIMESTAMP), level, times)?);
        chunks.push(group.units.finish(column(samples_column::UNITS), level, None)?);
        for (index, (mut chunk, mut pending, nulls)) in group.optional.into_iter().enumerate() {
            push_nulls(&mut chunk, compressor, &mut pending, &mut self.scratch)?;
            let nulls = Some(nulls);
            let statistics = match samples_column::VALUE + index {
                samples_column::VALUE => Statistics::double(None, None, None, nulls, false),
                samples_column::HISTOGRAM | samples_column::SET => {
                    Statistics::byte_array(None, None, None, nulls, false)
                }
                other => return Err(BlockError::Request(format!("no optional column {other}"))),
            };
            chunks.push(chunk.finish(column(samples_column::VALUE + index), level, Some(statistics))?);
        }

        let mut writer = self.file.next_row_group().map_err(BlockError::write)?;
        for (bytes, close) in chunks {
            writer.append_column::<Bytes>(&bytes, close).map_err(BlockError::write)?;
        }
        let placed = writer.close().map_err(BlockError::write)?;
        for page in &mut self.pages[group.first_page..first_page] {
            for (index, location) in page.columns.iter_mut().enumerate().filter(|(_, l)| l.size > 0) {
                location.offset += placed.column(samples_column::TIMESTAMP + index).byte_range().0;
            }
        }
        Ok(())
    }

    /// Writes what is left and the footer.
    pub(super) fn finish(mut self) -> Result<(Bytes, Vec<Page>), BlockError> {
        self.flush_page()?;
        self.flush_group()?;
        let bytes = self.file.into_inner().map_err(BlockError::write)?;
        Ok((Bytes::from(bytes), self.pages))
    }
}

fn push_nulls(
    chunk: &mut Chunk,
    compressor: &mut PageCompressor,
    pending: &mut usize,
    scratch: &mut Vec<u8>,
) -> Result<(), BlockError> {
    if *pending > 0 {
        scratch.clear();
        put_levels(*pending, &[], scratch);
        chunk.push_data(compressor, *pending, Encoding::PLAIN, scratch)?;
        *pending = 0;
    }
    Ok(())
}

/// A chunk of runs of texts.
fn text_chunk(compressor: &mut PageCompressor, runs: &[(&str, u64)]) -> Result<Chunk, BlockError> {
    let mut dictionary = Vec::new();
    for (text, _) in runs {
        dictionary.extend_from_slice(&(text.len() as u32).to_le_bytes());
        dictionary.extend_from_slice(text.as_bytes());
    }
    run_chunk(compressor, &dictionary, runs.iter().map(|(_, rows)| *rows))
}

/// A chunk of runs of ordinals.
fn series_chunk(compressor: &mut PageCompressor, runs: &[(u32, u64)]) -> Result<Chunk, BlockError> {
    let dictionary: Vec<u8> = runs.iter().flat_map(|(ordinal, _)| ordinal.to_le_bytes()).collect();
    run_chunk(compressor, &dictionary, runs.iter().map(|(_, rows)| *rows))
}

fn run_chunk(
    compressor: &mut PageCompressor,
    dictionary: &[u8],
    lengths: impl Iterator<Item = u64>,
) -> Result<Chunk, BlockError> {
    let runs: Vec<(u32, u64)> = (0..).zip(lengths).collect();
    let rows: u64 = runs.iter().map(|(_, length)| *length).sum();
    let mut body = Vec::new();
    put_index_runs(&runs, runs.len(), &mut body);
    let mut chunk = Chunk::default();
    chunk.push_dictionary(compressor, runs.len(), dictionary)?;
    chunk.push_data(compressor, rows as usize, Encoding::RLE_DICTIONARY, &body)?;
    Ok(chunk)
}

fn text_range(runs: &[(&str, u64)]) -> Option<Statistics> {
    // Runs are in ascending order, so the first and the last are the extremes.
    let (first, last) = (runs.first()?.0, runs.last()?.0);
    Some(Statistics::byte_array(
        Some(ByteArray::from(first)),
        Some(ByteArray::from(last)),
        None,
        Some(0),
        false,
    ))
}

fn ordinal_range(runs: &[(u32, u64)]) -> Option<Statistics> {
    let (first, last) = (runs.first()?.0, runs.last()?.0);
    Some(Statistics::int32(Some(first as i32), Some(last as i32), None, Some(0), false))
}
