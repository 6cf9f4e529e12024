//! Unpacks one series at a time from fetched pages.

use std::cell::RefCell;
use std::sync::Arc;

use weir_model::{Histogram, Samples, UniqueSet};
use zstd::bulk::Decompressor;

use super::chunk::{Location, MAX_PAGE_BYTES};
use super::error::BlockError;
use super::index::{BlockIndex, Entry};
use super::integers::Integers;
use super::levels::{NO_SLOT, Slots};
use super::plan::{BlockPages, columns_of};

/// Places of the columns in a page's list.
const TIMESTAMP: usize = 0;
const UNITS: usize = 1;
const VALUE: usize = 2;
const HISTOGRAM: usize = 3;
const SET: usize = 4;

/// A decoded page of one column, if any.
#[derive(Default)]
struct Decoded<T> {
    page: Option<usize>,
    content: T,
}

/// The values of an optional column.
#[derive(Default)]
struct Optional {
    slots: Slots,
    /// The page as decompressed.
    raw: Vec<u8>,
    /// Where each value lies in `raw`.
    values: Vec<(u32, u32)>,
}

/// Reads series from a block's pages. Keeps the last decoded page of each column, so ascending ordinals
/// decode each page once.
pub struct BlockCursor<'a> {
    pages: &'a BlockPages,
    timestamps: Decoded<Integers>,
    units: Decoded<Integers>,
    optional: [Decoded<Optional>; 3],
}

impl<'a> BlockCursor<'a> {
    pub(super) fn new(pages: &'a BlockPages) -> Self {
        Self {
            pages,
            timestamps: Decoded::default(),
            units: Decoded::default(),
            optional: Default::default(),
        }
    }

    /// Replaces `into` by the samples of a series between two times, both inclusive.
    ///
    /// # Errors
    /// [`BlockError::Request`] when the plan does not cover the series or the times, [`BlockError::Damaged`]
    /// when a page cannot be read.
    pub fn read(
        &mut self,
        ordinal: u32,
        start_ms: i64,
        end_ms: i64,
        into: &mut Samples,
    ) -> Result<(), BlockError> {
        into.clear();
        let index: &BlockIndex = self.pages.index();
        let Some(entry) = index.entry(ordinal) else {
            return Err(BlockError::Request(format!("series {ordinal} of a block of {}", index.len())));
        };
        if entry.min_ms > end_ms || entry.max_ms < start_ms {
            return Ok(());
        }
        for page in index.pages_of(entry) {
            if index.pages[page].min_ms <= end_ms && index.pages[page].max_ms >= start_ms {
                self.read_page(page, entry, (start_ms, end_ms), into)?;
            }
        }
        Ok(())
    }

    fn read_page(
        &mut self,
        page: usize,
        entry: &Entry,
        (start_ms, end_ms): (i64, i64),
        into: &mut Samples,
    ) -> Result<(), BlockError> {
        let wanted = columns_of(entry);
        let index = self.pages.index();
        let location = index.pages[page].columns;
        // The series' rows within the page.
        let page_start = index.page_rows[page];
        let from = entry.first_row.saturating_sub(page_start) as usize;
        let end = (entry.first_row + u64::from(entry.rows) - page_start) as usize;
        self.load_integers(page, TIMESTAMP, location[TIMESTAMP], end)?;
        let times = self.timestamps.content.values();
        let end = end.min(times.len());
        let Some(own) = times.get(from..end) else {
            return Err(BlockError::damaged(format!("rows {from}..{end} of a page of {}", times.len())));
        };
        let first = from + own.partition_point(|&at| at < start_ms);
        let end = from + own.partition_point(|&at| at <= end_ms);
        if first >= end {
            return Ok(());
        }
        if wanted[UNITS] {
            self.load_integers(page, UNITS, location[UNITS], end)?;
        }
        for column in [VALUE, HISTOGRAM, SET] {
            if wanted[column] && location[column].size > 0 {
                self.load_optional(page, column, location[column])?;
            }
        }
        let times = &self.timestamps.content.values()[first..end];
        let optional = |column: usize| {
            let decoded = &self.optional[column - VALUE];
            (wanted[column] && decoded.page == Some(page)).then_some(&decoded.content)
        };
        let (values, histograms, sets) = (optional(VALUE), optional(HISTOGRAM), optional(SET));
        if values.is_none() && histograms.is_none() && sets.is_none() {
            let Some(units) = self.units.content.values().get(first..end).filter(|_| wanted[UNITS]) else {
                return Err(BlockError::damaged(format!("page {page} has no values for its series")));
            };
            into.timestamps.extend_from_slice(times);
            append_decimals(entry, units, &mut into.values);
            return Ok(());
        }
        for (row, &at) in (first..end).zip(times) {
            if let Some(bytes) = histograms.and_then(|column| column.value(row)) {
                let histogram =
                    Histogram::from_bytes(bytes).map_err(|e| BlockError::Damaged(e.to_string()))?;
                into.histograms.push((at, Arc::new(histogram)));
            } else if let Some(bytes) = sets.and_then(|column| column.value(row)) {
                let set = UniqueSet::from_bytes(bytes).map_err(|e| BlockError::Damaged(e.to_string()))?;
                into.sets.push((at, Arc::new(set)));
            } else if let Some(bytes) = values.and_then(|column| column.value(row)) {
                let bytes =
                    bytes.try_into().map_err(|_| BlockError::damaged("a float of other than 8 bytes"))?;
                into.timestamps.push(at);
                into.values.push(f64::from_le_bytes(bytes));
            } else if wanted[UNITS] {
                into.timestamps.push(at);
                append_decimals(entry, &self.units.content.values()[row..=row], &mut into.values);
            } else {
                return Err(BlockError::damaged(format!("row {row} of page {page} has no value")));
            }
        }
        Ok(())
    }

    /// Unpacks a page's integers up to row `upto`.
    fn load_integers(
        &mut self,
        page: usize,
        column: usize,
        location: Location,
        upto: usize,
    ) -> Result<(), BlockError> {
        let target = if column == TIMESTAMP { &mut self.timestamps } else { &mut self.units };
        let damaged = || BlockError::damaged(format!("integers at byte {}", location.offset));
        if target.page != Some(page) {
            target.page = None;
            let rows = self.pages.index().pages[page].rows as usize;
            // At worst each value takes 64 bits, and each block of 128 a header of 14 bytes.
            let most = rows.next_multiple_of(128) * 9 + 64;
            target.content.refill(rows, |raw| decompress(self.pages, location, most, raw))?;
            target.content.begin().ok_or_else(damaged)?;
            target.page = Some(page);
        }
        let done = target.content.unpack(upto);
        if done.is_none() {
            target.page = None;
        }
        done.ok_or_else(damaged)
    }

    fn load_optional(&mut self, page: usize, column: usize, location: Location) -> Result<(), BlockError> {
        let target = &mut self.optional[column - VALUE];
        if target.page == Some(page) {
            return Ok(());
        }
        target.page = None;
        let rows = self.pages.index().pages[page].rows as usize;
        decompress(self.pages, location, MAX_PAGE_BYTES, &mut target.content.raw)?;
        let width = (column == VALUE).then_some(8);
        target
            .content
            .decode(rows, width)
            .ok_or_else(|| BlockError::damaged(format!("values at byte {}", location.offset)))?;
        target.page = Some(page);
        Ok(())
    }
}

/// `(base + step * units) / divisor`. Wraps on damaged numbers; sound ones are below 2^62.
fn append_decimals(entry: &Entry, units: &[i64], out: &mut Vec<f64>) {
    let Entry { base, step, divisor, .. } = *entry;
    let whole = |unit: i64| base.wrapping_add(step.wrapping_mul(unit)) as f64;
    // Two loops: dividing by one would cost as much as dividing.
    if divisor == 1.0 {
        out.extend(units.iter().map(|&unit| whole(unit)));
    } else {
        out.extend(units.iter().map(|&unit| whole(unit) / divisor));
    }
}

thread_local! {
    /// A decompressor is some 100 KB to set up, as much work as a page: each thread keeps one.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(
    pages: &BlockPages,
    location: Location,
    most: usize,
    out: &mut Vec<u8>,
) -> Result<(), BlockError> {
    let Some(bytes) = pages.page(location) else {
        return Err(BlockError::Request(format!(
            "the plan does not cover the page at byte {}",
            location.offset
        )));
    };
    let size = Decompressor::upper_bound(bytes).unwrap_or(usize::MAX);
    if size > most {
        let message = format!("a page of {size} bytes at byte {}, at most {most}", location.offset);
        return Err(BlockError::Damaged(message));
    }
    let damaged = |error: std::io::Error| {
        BlockError::Damaged(format!("page at byte {} cannot be decompressed: {error}", location.offset))
    };
    out.clear();
    out.reserve(size);
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new().map_err(damaged)?),
        };
        decompressor.decompress_to_buffer(bytes, out).map_err(damaged).map(drop)
    })
}

impl Optional {
    /// Finds levels and values in `raw`. Values of `width` bytes, or with their length in front.
    fn decode(&mut self, rows: usize, width: Option<u32>) -> Option<()> {
        let mut input = self.raw.as_slice();
        self.slots.read(&mut input, rows)?;
        self.values.clear();
        let mut at = self.raw.len() - input.len();
        for _ in 0..self.slots.values() {
            let length = match width {
                Some(width) => width,
                None => {
                    let length = self.raw.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)?;
                    at += 4;
                    length
                }
            };
            let end = at.checked_add(length as usize).filter(|&end| end <= self.raw.len())?;
            self.values.push((at as u32, end as u32));
            at = end;
        }
        (at == self.raw.len()).then_some(())
    }

    /// The bytes of a row's value, if it has one.
    fn value(&self, row: usize) -> Option<&[u8]> {
        let slot = self.slots.as_slice().get(row).copied().filter(|&slot| slot != NO_SLOT)?;
        let (start, end) = *self.values.get(slot as usize)?;
        self.raw.get(start as usize..end as usize)
    }
}
