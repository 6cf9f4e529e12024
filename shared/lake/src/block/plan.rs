//! Which bytes of the samples object a reader needs, and those bytes once they are fetched.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::chunk::Location;
use super::cursor::BlockCursor;
use super::error::BlockError;
use super::index::{BlockIndex, Entry};
use super::page_table::READ_COLUMNS;
use super::schema::contents;

/// Ranges closer than this are fetched as one: a request costs more than the bytes between.
const MAX_GAP: u64 = 16 * 1024;

/// The columns that a series' contents need, by their place in a page's list.
pub(super) fn columns_of(entry: &Entry) -> [bool; READ_COLUMNS] {
    let has = |bit| entry.contents & bit != 0;
    [true, has(contents::DECIMALS), has(contents::VALUES), has(contents::HISTOGRAMS), has(contents::SETS)]
}

/// Byte ranges to fetch for some series and times.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    pub(super) index: Arc<BlockIndex>,
    ranges: Vec<Range<u64>>,
}

impl BlockIndex {
    /// Plans to read the series at `ordinals` (ascending) between two times, both inclusive.
    ///
    /// # Errors
    /// [`BlockError::Request`] for ordinals that do not ascend or lie beyond the end.
    pub fn plan(
        self: &Arc<Self>,
        ordinals: &[u32],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<ReadPlan, BlockError> {
        if let Some(pair) = ordinals.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(BlockError::Request(format!("series {} after {}", pair[1], pair[0])));
        }
        if let Some(&last) = ordinals.last()
            && last as usize >= self.len()
        {
            return Err(BlockError::Request(format!("series {last} of a block of {}", self.len())));
        }
        let mut ranges: Vec<Range<u64>> = Vec::new();
        // Per column the last page wanted: neighbours share pages.
        let mut wanted = [usize::MAX; READ_COLUMNS];
        for entry in ordinals.iter().filter_map(|&ordinal| self.entry(ordinal)) {
            if entry.min_ms > end_ms || entry.max_ms < start_ms {
                continue;
            }
            let columns = columns_of(entry);
            for at in self.pages_of(entry) {
                let page = &self.pages[at];
                if page.min_ms > end_ms || page.max_ms < start_ms {
                    continue;
                }
                for column in 0..READ_COLUMNS {
                    let Location { offset, size } = page.columns[column];
                    if columns[column] && size > 0 && wanted[column] != at {
                        wanted[column] = at;
                        ranges.push(offset..offset + u64::from(size));
                    }
                }
            }
        }
        Ok(ReadPlan { index: Arc::clone(self), ranges: coalesce(ranges) })
    }
}

fn coalesce(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(MAX_GAP) => {
                last.end = last.end.max(range.end);
            }
            _ => out.push(range),
        }
    }
    out
}

impl ReadPlan {
    /// The byte ranges of the samples object to fetch, ascending and apart. Empty when no sample can match.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// How many bytes that is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

/// The fetched, still compressed pages of a plan.
#[derive(Debug, Clone)]
pub struct BlockPages {
    plan: ReadPlan,
    bytes: Vec<Bytes>,
}

impl BlockPages {
    /// Takes the bytes of each of the plan's ranges, in order.
    ///
    /// # Errors
    /// [`BlockError::Request`] when their number or a length is wrong.
    pub fn new(plan: ReadPlan, bytes: Vec<Bytes>) -> Result<Self, BlockError> {
        if bytes.len() != plan.ranges.len() {
            let message = format!("{} pieces of bytes for {} ranges", bytes.len(), plan.ranges.len());
            return Err(BlockError::Request(message));
        }
        for (range, bytes) in plan.ranges.iter().zip(&bytes) {
            if bytes.len() as u64 != range.end - range.start {
                let message = format!("{} bytes for range {}..{}", bytes.len(), range.start, range.end);
                return Err(BlockError::Request(message));
            }
        }
        Ok(Self { plan, bytes })
    }

    /// The block's index.
    #[must_use]
    pub fn index(&self) -> &Arc<BlockIndex> {
        &self.plan.index
    }

    /// A reader of these pages; one per thread.
    #[must_use]
    pub fn cursor(&self) -> BlockCursor<'_> {
        BlockCursor::new(self)
    }

    /// The compressed bytes of a page, if the plan covers them.
    pub(super) fn page(&self, location: Location) -> Option<&[u8]> {
        let ranges = &self.plan.ranges;
        let at = ranges.partition_point(|range| range.start <= location.offset).checked_sub(1)?;
        let start = usize::try_from(location.offset - ranges[at].start).ok()?;
        self.bytes[at].get(start..start.checked_add(location.size as usize)?)
    }
}
