//! Prometheus TSDB blocks in: a block's index, chunk segments and tombstones, read from bytes; and chunks out,
//! for remote read.
//!
//! Source: the format descriptions in Prometheus' tsdb/docs/format (index version 2, chunks version 1,
//! tombstones version 1). A block is a folder of `meta.json`, `index`, `chunks/000001` … and `tombstones`;
//! whoever reads the folder hands the bytes over, this module does no I/O. Every offset, length and
//! count that a file states is checked before it is used, and checksums are verified.

mod bits;
mod chunk;
mod histogram_chunk;
mod index;
mod meta;
mod segment;
mod tombstones;
mod write_bits;
mod write_chunk;

pub use chunk::{Chunk, Encoding};
pub use index::{ChunkMeta, Index, SeriesEntry};
pub use meta::{BlockMeta, BlockStats};
pub use segment::Segment;
pub use tombstones::Tombstones;
pub use write_chunk::{EncodedChunk, encode};

/// Why a file of a block cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}: {reason}")]
pub struct TsdbError {
    /// The part that is damaged or not known.
    pub what: &'static str,
    /// Where it begins in its file; for a chunk's content, in the chunk.
    pub at: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl TsdbError {
    fn new(what: &'static str, at: usize, reason: impl Into<String>) -> Self {
        Self { what, at: at as u64, reason: reason.into() }
    }
}

/// A file's numbers, read front to back within bounds; all of them big-endian.
#[derive(Clone)]
struct Cursor<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(what: &'static str, bytes: &'a [u8], at: usize) -> Self {
        Self { what, bytes, at }
    }

    fn damaged(&self, reason: impl Into<String>) -> TsdbError {
        TsdbError::new(self.what, self.at, reason)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TsdbError> {
        let found = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let found = found.ok_or_else(|| {
            let left = self.bytes.len().saturating_sub(self.at);
            self.damaged(format!("{length} bytes are announced, {left} are left"))
        })?;
        self.at += length;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TsdbError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.damaged("it ends early"))
    }

    fn u8(&mut self) -> Result<u8, TsdbError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, TsdbError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, TsdbError> {
        self.array().map(u64::from_be_bytes)
    }

    fn uvarint(&mut self) -> Result<u64, TsdbError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number is longer than ten bytes"))
    }

    fn varint(&mut self) -> Result<i64, TsdbError> {
        let number = self.uvarint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number that says how many bytes or entries follow: at most as many as there are bytes left.
    fn count(&mut self) -> Result<usize, TsdbError> {
        let number = self.uvarint()?;
        let left = self.bytes.len() - self.at;
        usize::try_from(number)
            .ok()
            .filter(|count| *count <= left)
            .ok_or_else(|| self.damaged(format!("{number} entries are announced, {left} bytes are left")))
    }

    /// Checks the Castagnoli checksum that follows `content`.
    fn verify(&mut self, content: &[u8]) -> Result<(), TsdbError> {
        let (want, found) = (self.u32()?, crc32c::crc32c(content));
        if want == found {
            return Ok(());
        }
        Err(self.damaged(format!("its checksum is {found:08x}, {want:08x} is stored")))
    }
}
