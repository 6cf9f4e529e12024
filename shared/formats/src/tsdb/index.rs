//! A block's index: which series it holds and where their chunks lie.

use std::ops::Range;

use weir_model::Labels;

use super::{Cursor, TsdbError};

/// What an index begins with.
const MAGIC: u32 = 0xBAAA_D700;
/// The version read here, which Prometheus writes since 2.0.
const VERSION: u8 = 2;
/// Six section offsets and a checksum at the end of the file.
const TOC_BYTES: usize = 6 * 8 + 4;
/// Series begin at multiples of this.
const SERIES_ALIGN: usize = 16;

/// An index file's bytes, its symbols found.
#[derive(Debug)]
pub struct Index<'a> {
    bytes: &'a [u8],
    symbols: Vec<&'a str>,
    series: Range<usize>,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Its number in this index, by which tombstones name it.
    pub reference: u64,
    /// Its labels, the metric's name included.
    pub labels: Labels,
    /// Its chunks, ascending by time.
    pub chunks: Vec<ChunkMeta>,
}

/// Where a chunk lies and what time it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// First timestamp in milliseconds.
    pub min_ms: i64,
    /// Last timestamp.
    pub max_ms: i64,
    /// Number of the segment file, from zero (file `000001` is number 0).
    pub segment: u32,
    /// Where the chunk begins in it.
    pub offset: u32,
}

impl<'a> Index<'a> {
    /// Reads the table of contents and the symbols.
    ///
    /// # Errors
    /// [`TsdbError`] when the file is no index of version 2 or is damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, TsdbError> {
        let mut head = Cursor::new("an index", bytes, 0);
        let (magic, version) = (head.u32()?, head.u8()?);
        if magic != MAGIC {
            return Err(TsdbError::new("an index", 0, format!("it begins with {magic:08x}")));
        }
        if version != VERSION {
            return Err(TsdbError::new("an index", 4, format!("version {version} is not known, only 2")));
        }
        let toc_at = bytes.len().saturating_sub(TOC_BYTES);
        let mut toc = Cursor::new("an index's table of contents", bytes, toc_at);
        let sections = [toc.u64()?, toc.u64()?, toc.u64()?, toc.u64()?, toc.u64()?, toc.u64()?];
        toc.verify(&bytes[toc_at..toc_at + 48])?;
        let place = |offset: u64| {
            usize::try_from(offset).ok().filter(|at| *at <= toc_at).ok_or_else(|| {
                TsdbError::new("an index's table of contents", toc_at, format!("a section at {offset}"))
            })
        };
        let series = place(sections[1])?;
        // The series end where the next section begins, whichever that is.
        let end = sections.iter().filter(|s| **s > sections[1]).min().copied().unwrap_or(toc_at as u64);
        Ok(Self { bytes, symbols: symbols(bytes, place(sections[0])?)?, series: series..place(end)? })
    }

    /// The series in the order of their labels. An error ends them.
    pub fn series(&self) -> impl Iterator<Item = Result<SeriesEntry, TsdbError>> + '_ {
        let mut at = if self.series.start == 0 { self.series.end } else { self.series.start };
        std::iter::from_fn(move || {
            at = at.next_multiple_of(SERIES_ALIGN);
            // Zeros pad the end of the section.
            while at < self.series.end && self.bytes[at] == 0 {
                at += SERIES_ALIGN;
            }
            if at >= self.series.end {
                return None;
            }
            let entry = self.entry(at);
            match entry {
                Ok((entry, next)) => {
                    at = next;
                    Some(Ok(entry))
                }
                Err(error) => {
                    at = self.series.end;
                    Some(Err(error))
                }
            }
        })
    }

    fn entry(&self, at: usize) -> Result<(SeriesEntry, usize), TsdbError> {
        let mut outer = Cursor::new("a series", self.bytes, at);
        let length = outer.count()?;
        let start = outer.at;
        let content = outer.take(length)?;
        outer.verify(content)?;
        let mut cursor = Cursor::new("a series", &self.bytes[..start + length], start);
        let count = cursor.count()?;
        let mut pairs = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            pairs.push((self.symbol(&mut cursor)?, self.symbol(&mut cursor)?));
        }
        let count = cursor.count()?;
        let mut chunks: Vec<ChunkMeta> = Vec::with_capacity(count.min(1024));
        let (mut reference, mut end_ms) = (0u64, 0i64);
        for place in 0..count {
            let min_ms =
                if place == 0 { cursor.varint()? } else { end_ms.wrapping_add(cursor.uvarint()? as i64) };
            let max_ms = min_ms.wrapping_add(cursor.uvarint()? as i64);
            reference =
                if place == 0 { cursor.uvarint()? } else { reference.wrapping_add_signed(cursor.varint()?) };
            end_ms = max_ms;
            let (segment, offset) = ((reference >> 32) as u32, reference as u32);
            chunks.push(ChunkMeta { min_ms, max_ms, segment, offset });
        }
        let reference = (at / SERIES_ALIGN) as u64;
        Ok((SeriesEntry { reference, labels: Labels::from_pairs(pairs), chunks }, outer.at))
    }

    fn symbol(&self, cursor: &mut Cursor<'_>) -> Result<&'a str, TsdbError> {
        let number = cursor.uvarint()?;
        let found = usize::try_from(number).ok().and_then(|number| self.symbols.get(number).copied());
        found.ok_or_else(|| cursor.damaged(format!("symbol {number}, there are {}", self.symbols.len())))
    }
}

/// The strings that label names and values refer to by number.
fn symbols(bytes: &[u8], at: usize) -> Result<Vec<&str>, TsdbError> {
    if at == 0 {
        return Ok(Vec::new());
    }
    let mut cursor = Cursor::new("an index's symbols", bytes, at);
    let length = cursor.u32()? as usize;
    let start = cursor.at;
    let content = cursor.take(length)?;
    cursor.verify(content)?;
    let mut cursor = Cursor::new("an index's symbols", &bytes[..start + length], start);
    let count = cursor.u32()?;
    // A symbol takes a byte at least.
    let mut symbols = Vec::with_capacity((count as usize).min(length));
    for _ in 0..count {
        let length = cursor.count()?;
        let symbol = cursor.take(length)?;
        symbols.push(std::str::from_utf8(symbol).map_err(|_| cursor.damaged("a symbol is not UTF-8"))?);
    }
    Ok(symbols)
}
