//! Takes series in order, and exemplars, and writes the objects of a block.

use std::cmp::Ordering;

use bytes::Bytes;
use weir_model::{LabelsRef, MetricKind, Samples, SeriesId, Temporality};

use super::decimal;
use super::error::BlockError;
use super::exemplars_table;
use super::samples_table::{Rows, SamplesTable, Sparse};
use super::schema::contents;
use super::series_table::{SeriesRow, SeriesTable};
use crate::exemplars::ExemplarSet;

/// Most series of a block.
pub const MAX_SERIES: usize = 1 << 22;
/// Most samples of one series in a block.
pub const MAX_SAMPLES_PER_SERIES: usize = 1 << 24;
/// Most rows of a page; a page's decoded columns take 16 bytes a row.
const MAX_PAGE_ROWS: usize = 1 << 16;
/// Most rows of a row group.
const MAX_GROUP_ROWS: usize = 1 << 22;
/// Longest name of a block.
const MAX_NAME_BYTES: usize = 256;

/// Zstandard's level of archived blocks: beyond it, time grows faster than what is saved (`--bench levels`).
const ARCHIVED_LEVEL: i32 = 6;
/// Rows of their pages.
const ARCHIVED_PAGE_ROWS: usize = 9_600;

/// How a block is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOptions {
    /// The block's name, unique within its tenant: the constant column `block` of both tables, by which
    /// SQL joins them across many blocks. 1 to 256 bytes.
    pub block: String,
    /// Rows of a page, 32 to 65,536. Smaller pages make single series cheaper to read, larger ones compress
    /// a little better.
    pub rows_per_page: usize,
    /// Rows after which a row group ends, up to 4,194,304: what an SQL engine gives to one thread, and what
    /// the writer holds in memory (compressed) beside the finished part.
    pub rows_per_group: usize,
    /// Zstandard's level, 1 to 19.
    pub zstd_level: i32,
}

impl BlockOptions {
    /// The measured defaults for a block of that name.
    #[must_use]
    pub fn new(block: impl Into<String>) -> Self {
        Self { block: block.into(), rows_per_page: 4_800, rows_per_group: 1 << 20, zstd_level: 3 }
    }

    /// Those of blocks that are written once and kept for long.
    #[must_use]
    pub fn archived(block: impl Into<String>) -> Self {
        Self { rows_per_page: ARCHIVED_PAGE_ROWS, zstd_level: ARCHIVED_LEVEL, ..Self::new(block) }
    }

    fn check(&self) -> Result<(), BlockError> {
        let fail = |name, found: String, allowed| Err(BlockError::Options { name, found, allowed });
        if self.block.is_empty() || self.block.len() > MAX_NAME_BYTES {
            return fail("block", format!("{} bytes", self.block.len()), "1 to 256 bytes");
        }
        if !(32..=MAX_PAGE_ROWS).contains(&self.rows_per_page) {
            return fail("rows_per_page", self.rows_per_page.to_string(), "32 to 65,536");
        }
        if !(1..=MAX_GROUP_ROWS).contains(&self.rows_per_group) {
            return fail("rows_per_group", self.rows_per_group.to_string(), "1 to 4,194,304");
        }
        if !(1..=19).contains(&self.zstd_level) {
            return fail("zstd_level", self.zstd_level.to_string(), "1 to 19");
        }
        Ok(())
    }
}

/// A series to be written.
#[derive(Debug, Clone, Copy)]
pub struct SeriesEntry<'a> {
    /// Its identity: [`SeriesId::of`] its labels and temporality.
    pub id: SeriesId,
    /// Its canonical labels, the metric's name included.
    pub labels: LabelsRef<'a>,
    /// Declared type, as far as known.
    pub kind: MetricKind,
    /// Whether samples are states or changes.
    pub temporality: Temporality,
    /// Declared unit; empty when unknown.
    pub unit: &'a str,
}

/// The objects of a block.
#[derive(Debug, Clone)]
pub struct EncodedBlock {
    /// The block's name, as in its options.
    pub name: String,
    /// The samples table; empty when the block holds exemplars alone.
    pub samples: Bytes,
    /// The series table; empty as well then.
    pub series: Bytes,
    /// The exemplars table, if there are exemplars.
    pub exemplars: Option<EncodedExemplars>,
    /// What is in the block.
    pub stats: BlockStats,
}

/// The exemplars object of a block.
#[derive(Debug, Clone)]
pub struct EncodedExemplars {
    /// The exemplars table.
    pub object: Bytes,
    /// Number of exemplars.
    pub count: u64,
    /// Exemplars left out, since there were more than the limits allow.
    pub dropped: u64,
    /// Earliest timestamp, in milliseconds since the epoch.
    pub min_ms: i64,
    /// Latest timestamp.
    pub max_ms: i64,
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockStats {
    /// Number of series.
    pub series: u64,
    /// Number of samples.
    pub samples: u64,
    /// Earliest timestamp of a sample (of an exemplar, when there is none), in milliseconds since the epoch.
    pub min_ms: i64,
    /// Latest timestamp, likewise.
    pub max_ms: i64,
    /// Size of the samples object.
    pub samples_bytes: u64,
    /// Size of the series object.
    pub series_bytes: u64,
}

/// The order of series in a block: by metric name, then canonical label bytes, cumulative before delta.
#[must_use]
pub fn series_order(a: (LabelsRef<'_>, Temporality), b: (LabelsRef<'_>, Temporality)) -> Ordering {
    (a.0.metric_name(), a.0.as_bytes(), a.1 as u8).cmp(&(b.0.metric_name(), b.0.as_bytes(), b.1 as u8))
}

/// Writes a block. Holds what is written so far compressed, and the series' labels.
pub struct BlockWriter {
    options: BlockOptions,
    samples: SamplesTable,
    series: SeriesTable,
    count: u64,
    times: Option<(i64, i64)>,
    exemplars: Option<(ExemplarSet, u64)>,
    rows: Rows,
    exceptions: Vec<u32>,
    mantissas: Vec<i64>,
}

impl BlockWriter {
    /// A writer of an empty block.
    ///
    /// # Errors
    /// [`BlockError::Options`] names the option that is out of its range.
    pub fn new(options: BlockOptions) -> Result<Self, BlockError> {
        options.check()?;
        Ok(Self {
            samples: SamplesTable::new(&options)?,
            options,
            series: SeriesTable::default(),
            count: 0,
            times: None,
            exemplars: None,
            rows: Rows::default(),
            exceptions: Vec::new(),
            mantissas: Vec::new(),
        })
    }

    /// Appends a series with its samples; series come in the order of [`series_order`], each once.
    ///
    /// # Errors
    /// [`BlockError`] for a series out of order, labels that are not canonical, no samples, timestamps that
    /// do not ascend or stand in two columns, and passed bounds. A series so refused leaves the writer as it was.
    pub fn push(&mut self, series: &SeriesEntry<'_>, samples: &Samples) -> Result<(), BlockError> {
        self.check_series(series, samples)?;
        let decimal = self.gather(series, samples)?;
        let (Some(&min_ms), Some(&max_ms)) = (self.rows.timestamps.first(), self.rows.timestamps.last())
        else {
            return Err(BlockError::Empty(format!("series {}", series.labels)));
        };
        let floats = samples.values.len();
        let mut flags = 0;
        for (flag, present) in [
            (contents::DECIMALS, self.exceptions.len() < floats),
            (contents::VALUES, !self.exceptions.is_empty()),
            (contents::HISTOGRAMS, !samples.histograms.is_empty()),
            (contents::SETS, !samples.sets.is_empty()),
        ] {
            flags |= if present { flag } else { 0 };
        }
        let ordinal = self.series.len() as u32;
        let metric = series.labels.metric_name();
        let base = self.samples.push(ordinal, metric, &self.rows, decimal.step)?;
        let row = SeriesRow {
            id: series.id,
            kind: series.kind,
            temporality: series.temporality,
            rows: self.rows.timestamps.len() as u32,
            min_ms,
            max_ms,
            base,
            step: decimal.step,
            exponent: decimal.exponent,
            contents: flags,
        };
        self.series.push(row, series.labels, series.unit);
        self.count += u64::from(row.rows);
        let (low, high) = self.times.unwrap_or((min_ms, max_ms));
        self.times = Some((low.min(min_ms), high.max(max_ms)));
        Ok(())
    }

    fn check_series(&self, series: &SeriesEntry<'_>, samples: &Samples) -> Result<(), BlockError> {
        LabelsRef::check(series.labels.as_bytes())
            .map_err(|source| BlockError::Labels { id: series.id.to_string(), source })?;
        let this = (series.labels, series.temporality);
        if let Some(last) = self.series.last()
            && series_order(last, this) != Ordering::Less
        {
            return Err(BlockError::Order {
                previous: last.0.to_string(),
                series: series.labels.to_string(),
            });
        }
        let bounds = [
            ("series in a block", self.series.len() + 1, MAX_SERIES),
            ("samples of a series", samples.len(), MAX_SAMPLES_PER_SERIES),
        ];
        for (what, found, limit) in bounds {
            if found > limit {
                return Err(BlockError::TooMany { what, found: found as u64, limit: limit as u64 });
            }
        }
        if samples.values.len() != samples.timestamps.len() {
            return Err(BlockError::Samples {
                series: series.labels.to_string(),
                reason: "there are not as many values as timestamps",
                at_ms: samples.timestamps.first().copied().unwrap_or(0),
            });
        }
        Ok(())
    }

    /// Merges the columns of `samples` into rows by time.
    fn gather(
        &mut self,
        series: &SeriesEntry<'_>,
        samples: &Samples,
    ) -> Result<decimal::Decimal, BlockError> {
        let Self { rows, exceptions, mantissas, .. } = self;
        let decimal = decimal::split(&samples.values, mantissas, exceptions);
        [&mut rows.values, &mut rows.histograms, &mut rows.sets].into_iter().for_each(Sparse::clear);
        rows.timestamps.clear();
        rows.mantissas.clear();
        let put_float = |value: f64| move |out: &mut Vec<u8>| out.extend_from_slice(&value.to_le_bytes());
        if samples.histograms.is_empty() && samples.sets.is_empty() {
            rows.timestamps.extend_from_slice(&samples.timestamps);
            std::mem::swap(&mut rows.mantissas, mantissas);
            for &row in exceptions.iter() {
                rows.values.push(row, put_float(samples.values[row as usize]));
            }
        } else {
            let (mut floats, mut histograms, mut sets) = (0, 0, 0);
            let mut odd = exceptions.iter().copied().peekable();
            let mut mantissa = mantissas.first().copied().unwrap_or(0);
            for row in 0..samples.len() as u32 {
                let times = [
                    samples.timestamps.get(floats).copied(),
                    samples.histograms.get(histograms).map(|(at, _)| *at),
                    samples.sets.get(sets).map(|(at, _)| *at),
                ];
                let Some((at, column)) =
                    times.into_iter().zip(0..3).filter_map(|(at, column)| Some((at?, column))).min()
                else {
                    break;
                };
                match column {
                    0 => {
                        mantissa = mantissas[floats];
                        if odd.next_if_eq(&(floats as u32)).is_some() {
                            rows.values.push(row, put_float(samples.values[floats]));
                        }
                        floats += 1;
                    }
                    1 => {
                        put_framed(&mut rows.histograms, row, |out| {
                            samples.histograms[histograms].1.encode(out);
                        });
                        histograms += 1;
                    }
                    _ => {
                        put_framed(&mut rows.sets, row, |out| out.extend(samples.sets[sets].1.to_bytes()));
                        sets += 1;
                    }
                }
                rows.timestamps.push(at);
                rows.mantissas.push(mantissa);
            }
        }
        match rows.timestamps.windows(2).find(|pair| pair[0] >= pair[1]) {
            Some(pair) => Err(BlockError::Samples {
                series: series.labels.to_string(),
                reason: "timestamps do not ascend",
                at_ms: pair[1],
            }),
            None => Ok(decimal),
        }
    }

    /// Number of series so far.
    pub(crate) fn series(&self) -> usize {
        self.series.len()
    }

    /// Gives the block its exemplars, after [`ExemplarSet::bound`]; `dropped` is what that told.
    pub(crate) fn set_exemplars(&mut self, exemplars: ExemplarSet, dropped: u64) {
        self.exemplars = (!exemplars.is_empty()).then_some((exemplars, dropped));
    }

    /// Writes the block.
    ///
    /// # Errors
    /// [`BlockError::Empty`] when neither a series was pushed nor exemplars were given.
    pub fn finish(self) -> Result<EncodedBlock, BlockError> {
        let exemplars = match &self.exemplars {
            Some((set, dropped)) => encode_exemplars(&self.options, set, *dropped)?,
            None => None,
        };
        let count = self.series.len() as u64;
        let (times, samples, series) = match self.times {
            Some(times) => {
                let (samples, pages) = self.samples.finish()?;
                (Some(times), samples, self.series.finish(&self.options, &pages)?)
            }
            None => (exemplars.as_ref().map(|e| (e.min_ms, e.max_ms)), Bytes::new(), Bytes::new()),
        };
        let Some((min_ms, max_ms)) = times else {
            return Err(BlockError::Empty(format!("block {:?}", self.options.block)));
        };
        let stats = BlockStats {
            series: count,
            samples: self.count,
            min_ms,
            max_ms,
            samples_bytes: samples.len() as u64,
            series_bytes: series.len() as u64,
        };
        Ok(EncodedBlock { name: self.options.block, samples, series, exemplars, stats })
    }
}

fn encode_exemplars(
    options: &BlockOptions,
    set: &ExemplarSet,
    dropped: u64,
) -> Result<Option<EncodedExemplars>, BlockError> {
    let Some((min_ms, max_ms)) = set.time_range() else { return Ok(None) };
    let object = exemplars_table::encode(options, set)?;
    Ok(Some(EncodedExemplars { object, count: set.len() as u64, dropped, min_ms, max_ms }))
}

/// Adds a row with its length in front, as Parquet's plain byte arrays want it.
fn put_framed(sparse: &mut Sparse, row: u32, put: impl FnOnce(&mut Vec<u8>)) {
    sparse.push(row, |out| {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        put(out);
        let length = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    });
}
