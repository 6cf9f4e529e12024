//! What is known of a block once its series object is in memory: its series and where their pages lie.

use bytes::Bytes;
use parquet::data_type::{
    ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use weir_model::{LabelsRef, METRIC_NAME, MetricKind, SeriesId, Temporality};

use super::columns::{self, Column, read_column};
use super::decimal::POWERS;
use super::error::BlockError;
use super::page_table::{Page, PageCoder};
use super::schema::{contents, series_column};
use super::series_table::temporality_name;
use super::writer::{MAX_SAMPLES_PER_SERIES, MAX_SERIES};

/// Most bytes of labels of a block, unpacked.
const MAX_LABEL_BYTES: usize = 1 << 31;

/// What reading the samples of a series needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its first row in the samples table.
    pub(super) first_row: u64,
    pub(super) rows: u32,
    pub(super) kind: MetricKind,
    pub(super) temporality: Temporality,
    pub(super) contents: u8,
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    pub(super) base: i64,
    pub(super) step: i64,
    pub(super) divisor: f64,
}

/// A block's series. Immutable; share it in an `Arc`.
pub struct BlockIndex {
    object: Bytes,
    ids: Vec<SeriesId>,
    pub(super) entries: Vec<Entry>,
    pub(super) pages: Vec<Page>,
    /// First row of each page, and the number of rows at the end.
    pub(super) page_rows: Vec<u64>,
    times: (i64, i64),
}

/// The labels of a block's series, unpacked.
#[derive(Debug, Clone, Default)]
pub struct BlockLabels {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl BlockLabels {
    /// The labels of a series; empty for an ordinal beyond the end.
    #[must_use]
    pub fn get(&self, ordinal: u32) -> LabelsRef<'_> {
        let at = ordinal as usize;
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).map_or(0, |&end| end as usize) };
        let end = self.ends.get(at).map_or(start, |&end| end as usize);
        LabelsRef::from_canonical(self.bytes.get(start..end).unwrap_or_default())
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// The series object as Parquet.
fn open(object: &Bytes) -> Result<SerializedFileReader<Bytes>, BlockError> {
    columns::open(object, "series", series_column::COUNT)
}

/// The rows of a row group, within bounds.
fn group_rows(reader: &SerializedFileReader<Bytes>, group: usize) -> Result<usize, BlockError> {
    columns::group_rows(reader, group, MAX_SERIES)
}

/// Kinds of samples, staleness markers being floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holds {
    pub floats: bool,
    pub histograms: bool,
    pub sets: bool,
}

impl Holds {
    /// What either has.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            floats: self.floats || other.floats,
            histograms: self.histograms || other.histograms,
            sets: self.sets || other.sets,
        }
    }
}

impl BlockIndex {
    /// Reads a whole series object. Labels and units stay packed until they are asked for.
    ///
    /// # Errors
    /// [`BlockError::Damaged`] says what is wrong with the bytes.
    pub fn decode(series_object: Bytes) -> Result<Self, BlockError> {
        let reader = open(&series_object)?;
        let mut index = Self {
            object: series_object,
            ids: Vec::new(),
            entries: Vec::new(),
            pages: Vec::new(),
            page_rows: Vec::new(),
            times: (i64::MAX, i64::MIN),
        };
        let mut coder = PageCoder::default();
        for group in 0..reader.metadata().num_row_groups() {
            let count = group_rows(&reader, group)?;
            if index.entries.len() + count > MAX_SERIES {
                return Err(BlockError::damaged(format!("more than {MAX_SERIES} series")));
            }
            index.read_ids(&reader, group, count)?;
            index.read_entries(&reader, group, count)?;
            let pages = read_column::<ByteArrayType>(&reader, group, series_column::PAGES, count)?;
            for coded in &pages.values {
                let taken = coder.take(coded.data(), &mut index.pages);
                taken.ok_or_else(|| BlockError::damaged("the table of pages cannot be read"))?;
            }
        }
        index.finish()
    }

    fn finish(mut self) -> Result<Self, BlockError> {
        let mut row = 0;
        self.page_rows = Vec::with_capacity(self.pages.len() + 1);
        for page in &self.pages {
            self.page_rows.push(row);
            row += u64::from(page.rows);
        }
        self.page_rows.push(row);
        if row != self.samples() {
            return Err(BlockError::damaged(format!("pages of {row} rows, series of {}", self.samples())));
        }
        Ok(self)
    }

    fn read_ids(
        &mut self,
        reader: &SerializedFileReader<Bytes>,
        group: usize,
        count: usize,
    ) -> Result<(), BlockError> {
        let column = read_column::<FixedLenByteArrayType>(reader, group, series_column::ID, count)?;
        self.ids.reserve(count);
        for id in &column.values {
            self.ids.push(series_id(id)?);
        }
        Ok(())
    }

    fn read_entries(
        &mut self,
        reader: &SerializedFileReader<Bytes>,
        group: usize,
        count: usize,
    ) -> Result<(), BlockError> {
        let ints = |column| read_column::<Int32Type>(reader, group, column, count).map(|c| c.values);
        let longs = |column| read_column::<Int64Type>(reader, group, column, count).map(|c| c.values);
        let texts = |column| read_column::<ByteArrayType>(reader, group, column, count).map(|c| c.values);
        let (kinds, temporalities) = (texts(series_column::KIND)?, texts(series_column::TEMPORALITY)?);
        let (rows, flags) = (ints(series_column::ROWS)?, ints(series_column::CONTENTS)?);
        let (mins, maxs) = (longs(series_column::MIN_TIMESTAMP)?, longs(series_column::MAX_TIMESTAMP)?);
        let (bases, steps) = (longs(series_column::BASE)?, longs(series_column::STEP)?);
        let divisors = read_column::<DoubleType>(reader, group, series_column::DIVISOR, count)?.values;
        self.entries.reserve(count);
        let mut first_row = self.samples();
        for at in 0..count {
            let entry = Entry {
                first_row,
                rows: checked_rows(rows[at])?,
                kind: kind_of(&kinds[at])?,
                temporality: temporality_of(&temporalities[at])?,
                contents: checked_contents(flags[at])?,
                min_ms: mins[at],
                max_ms: maxs[at],
                base: bases[at],
                step: steps[at],
                divisor: checked_divisor(divisors[at])?,
            };
            first_row += u64::from(entry.rows);
            self.times = (self.times.0.min(entry.min_ms), self.times.1.max(entry.max_ms));
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Number of series; their ordinals are `0..len`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when the block holds no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The identities of the series, in block order.
    #[must_use]
    pub fn ids(&self) -> &[SeriesId] {
        &self.ids
    }

    /// Unpacks the labels of all series. Nothing is kept, so keep the result.
    ///
    /// # Errors
    /// [`BlockError::Damaged`] when they cannot be read.
    pub fn labels(&self) -> Result<BlockLabels, BlockError> {
        let reader = open(&self.object)?;
        let mut labels = BlockLabels { bytes: Vec::new(), ends: Vec::with_capacity(self.len()) };
        for group in 0..reader.metadata().num_row_groups() {
            let count = group_rows(&reader, group)?;
            let metrics = read_column::<ByteArrayType>(&reader, group, series_column::METRIC, count)?;
            let keys = read_column::<ByteArrayType>(&reader, group, series_column::LABEL_KEY, count)?;
            let values = read_column::<ByteArrayType>(&reader, group, series_column::LABEL_VALUE, count)?;
            append_labels(&metrics.values, &keys, &values.values, &mut labels)?;
        }
        if labels.len() != self.len() {
            return Err(BlockError::damaged(format!(
                "labels of {} series, not {}",
                labels.len(),
                self.len()
            )));
        }
        Ok(labels)
    }

    /// Unpacks the declared units of all series; empty where unknown.
    ///
    /// # Errors
    /// [`BlockError::Damaged`] when they cannot be read.
    pub fn units(&self) -> Result<Vec<String>, BlockError> {
        let reader = open(&self.object)?;
        let mut units = Vec::with_capacity(self.len());
        for group in 0..reader.metadata().num_row_groups() {
            let count = group_rows(&reader, group)?;
            let column = read_column::<ByteArrayType>(&reader, group, series_column::UNIT, count)?;
            units.extend(column.values.iter().map(|unit| String::from_utf8_lossy(unit.data()).into_owned()));
        }
        Ok(units)
    }

    /// Declared type of a series; unknown for an ordinal beyond the end.
    #[must_use]
    pub fn kind(&self, ordinal: u32) -> MetricKind {
        self.entry(ordinal).map_or_else(MetricKind::default, |entry| entry.kind)
    }

    /// Temporality of a series.
    #[must_use]
    pub fn temporality(&self, ordinal: u32) -> Temporality {
        self.entry(ordinal).map_or_else(Temporality::default, |entry| entry.temporality)
    }

    /// Which kinds of samples a series has.
    pub(crate) fn holds(&self, ordinal: u32) -> Holds {
        let has = |bits| self.entry(ordinal).is_some_and(|entry| entry.contents & bits != 0);
        Holds {
            floats: has(contents::DECIMALS | contents::VALUES),
            histograms: has(contents::HISTOGRAMS),
            sets: has(contents::SETS),
        }
    }

    /// Number of samples of a series.
    #[must_use]
    pub fn rows(&self, ordinal: u32) -> u32 {
        self.entry(ordinal).map_or(0, |entry| entry.rows)
    }

    /// Earliest and latest timestamp of a series, in milliseconds, both inclusive.
    #[must_use]
    pub fn series_times(&self, ordinal: u32) -> Option<(i64, i64)> {
        self.entry(ordinal).map(|entry| (entry.min_ms, entry.max_ms))
    }

    pub(super) fn entry(&self, ordinal: u32) -> Option<&Entry> {
        self.entries.get(ordinal as usize)
    }

    /// Number of samples of the block.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.first_row + u64::from(entry.rows))
    }

    /// Earliest and latest timestamp of the block, in milliseconds, both inclusive.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        (!self.is_empty()).then_some(self.times)
    }

    /// What keeping this index in memory costs.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.object.len()
            + size_of_val(self.ids.as_slice())
            + size_of_val(self.entries.as_slice())
            + size_of_val(self.pages.as_slice())
            + size_of_val(self.page_rows.as_slice())
            + size_of::<Self>()
    }

    /// The pages that hold rows of a series.
    pub(super) fn pages_of(&self, entry: &Entry) -> std::ops::Range<usize> {
        let first = self.page_rows.partition_point(|&row| row <= entry.first_row).saturating_sub(1);
        let end = entry.first_row + u64::from(entry.rows);
        let after = self.page_rows[first..].partition_point(|&row| row < end);
        first..(first + after).min(self.pages.len())
    }
}

impl std::fmt::Debug for BlockIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockIndex").field("series", &self.len()).field("samples", &self.samples()).finish()
    }
}

/// A series' identity as a column holds it.
pub(super) fn series_id(id: &FixedLenByteArray) -> Result<SeriesId, BlockError> {
    let bytes: [u8; 16] = id
        .data()
        .try_into()
        .map_err(|_| BlockError::damaged(format!("a series id of {} bytes, not 16", id.data().len())))?;
    Ok(SeriesId(u128::from_be_bytes(bytes)))
}

fn checked_rows(rows: i32) -> Result<u32, BlockError> {
    match u32::try_from(rows) {
        Ok(rows) if rows > 0 && rows as usize <= MAX_SAMPLES_PER_SERIES => Ok(rows),
        _ => Err(BlockError::damaged(format!("a series of {rows} samples"))),
    }
}

fn checked_contents(bits: i32) -> Result<u8, BlockError> {
    match u8::try_from(bits) {
        Ok(bits) if bits & !contents::ALL == 0 => Ok(bits),
        _ => Err(BlockError::damaged(format!("unknown contents {bits}"))),
    }
}

fn checked_divisor(divisor: f64) -> Result<f64, BlockError> {
    match POWERS.contains(&divisor) {
        true => Ok(divisor),
        false => Err(BlockError::damaged(format!("divisor {divisor}, not a power of ten"))),
    }
}

fn kind_of(name: &ByteArray) -> Result<MetricKind, BlockError> {
    let kind = name.as_utf8().ok().and_then(MetricKind::from_name);
    kind.ok_or_else(|| BlockError::damaged(format!("unknown kind of metric {name}")))
}

fn temporality_of(name: &ByteArray) -> Result<Temporality, BlockError> {
    [Temporality::Cumulative, Temporality::Delta]
        .into_iter()
        .find(|&temporality| temporality_name(temporality).as_bytes() == name.data())
        .ok_or_else(|| BlockError::damaged(format!("unknown temporality {name}")))
}

/// Rebuilds canonical labels from metric names and a map's columns.
pub(super) fn append_labels(
    metrics: &[ByteArray],
    keys: &Column<ByteArrayType>,
    values: &[ByteArray],
    out: &mut BlockLabels,
) -> Result<(), BlockError> {
    let mut pairs = keys.values.iter().zip(values);
    let mut levels = keys.definition.iter().zip(&keys.repetition).peekable();
    for metric in metrics {
        let mut name_due = !metric.data().is_empty();
        let mut first = true;
        while let Some((&definition, _)) = levels.next_if(|(_, repetition)| first || **repetition > 0) {
            first = false;
            if definition == 0 {
                continue;
            }
            let Some((key, value)) = pairs.next() else {
                return Err(BlockError::damaged("a label map ends early"));
            };
            if name_due && key.data() > METRIC_NAME.as_bytes() {
                put_label(&mut out.bytes, METRIC_NAME.as_bytes(), metric.data());
                name_due = false;
            }
            put_label(&mut out.bytes, key.data(), value.data());
        }
        if name_due {
            put_label(&mut out.bytes, METRIC_NAME.as_bytes(), metric.data());
        }
        if out.bytes.len() > MAX_LABEL_BYTES {
            return Err(BlockError::damaged(format!("more than {MAX_LABEL_BYTES} bytes of labels")));
        }
        out.ends.push(out.bytes.len() as u32);
    }
    Ok(())
}

fn put_label(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    super::delta::put_varint(out, name.len() as u64);
    out.extend_from_slice(name);
    super::delta::put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
