//! Where the pages of the samples object lie, as the series object's column `pages` tells our reader.
//!
//! A series in which pages begin has a value: their number, then for each page its rows, its time range
//! (earliest as difference from the page before, then the span), and for each of the five columns that
//! are read its size and, unless that is zero, its offset as difference from the end of the page before.

use super::chunk::Location;
use super::delta::{put_varint, put_zigzag, take_varint, take_zigzag};

/// Columns that are read: timestamp, units, value, histogram, set.
pub(super) const READ_COLUMNS: usize = 5;

/// One page of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Number of rows.
    pub(super) rows: u32,
    /// Earliest timestamp.
    pub(super) min_ms: i64,
    /// Latest timestamp.
    pub(super) max_ms: i64,
    /// Where each column's page lies; size zero where it holds nothing but nulls.
    pub(super) columns: [Location; READ_COLUMNS],
}

/// What pages are coded against: the end of the page before in each column, and its earliest time.
#[derive(Debug, Default)]
pub(super) struct PageCoder {
    ends: [u64; READ_COLUMNS],
    min_ms: i64,
}

impl PageCoder {
    /// Appends the pages that begin in one series.
    pub(super) fn put(&mut self, pages: &[Page], out: &mut Vec<u8>) {
        put_varint(out, pages.len() as u64);
        for page in pages {
            put_varint(out, u64::from(page.rows));
            put_zigzag(out, page.min_ms.wrapping_sub(self.min_ms));
            put_zigzag(out, page.max_ms.wrapping_sub(page.min_ms));
            self.min_ms = page.min_ms;
            for (location, end) in page.columns.iter().zip(&mut self.ends) {
                put_varint(out, u64::from(location.size));
                if location.size > 0 {
                    put_zigzag(out, location.offset.wrapping_sub(*end) as i64);
                    *end = location.offset.wrapping_add(u64::from(location.size));
                }
            }
        }
    }

    /// Reads what [`PageCoder::put`] wrote; `None` when it is damaged.
    pub(super) fn take(&mut self, mut input: &[u8], pages: &mut Vec<Page>) -> Option<()> {
        let count = take_varint(&mut input)?;
        // Each page takes at least eight bytes, so a damaged count cannot allocate much.
        if count > input.len() as u64 / (READ_COLUMNS as u64 + 3) {
            return None;
        }
        for _ in 0..count {
            let rows = u32::try_from(take_varint(&mut input)?).ok()?;
            let min_ms = self.min_ms.wrapping_add(take_zigzag(&mut input)?);
            let max_ms = min_ms.wrapping_add(take_zigzag(&mut input)?);
            self.min_ms = min_ms;
            let mut columns = [Location::default(); READ_COLUMNS];
            for (location, end) in columns.iter_mut().zip(&mut self.ends) {
                let size = u32::try_from(take_varint(&mut input)?).ok()?;
                if size > 0 {
                    let offset = end.wrapping_add(take_zigzag(&mut input)? as u64);
                    *end = offset.checked_add(u64::from(size))?;
                    *location = Location { offset, size };
                }
            }
            if rows == 0 {
                return None;
            }
            pages.push(Page { rows, min_ms, max_ms, columns });
        }
        input.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page() -> impl Strategy<Value = Page> {
        let columns = proptest::array::uniform5((0..1_u64 << 40, 0..1_u32 << 20)).prop_map(|columns| {
            columns.map(|(offset, size)| Location { offset: if size == 0 { 0 } else { offset }, size })
        });
        (1..100_000_u32, any::<i64>(), any::<i64>(), columns)
            .prop_map(|(rows, min_ms, max_ms, columns)| Page { rows, min_ms, max_ms, columns })
    }

    proptest! {
        #[test]
        fn pages_survive_a_round_trip(series in proptest::collection::vec(proptest::collection::vec(page(), 1..4), 0..5)) {
            let (mut writer, mut reader) = (PageCoder::default(), PageCoder::default());
            for pages in series {
                let (mut bytes, mut back) = (Vec::new(), Vec::new());
                writer.put(&pages, &mut bytes);
                reader.take(&bytes, &mut back).unwrap();
                prop_assert_eq!(back, pages);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = PageCoder::default().take(&bytes, &mut Vec::new());
        }
    }
}
