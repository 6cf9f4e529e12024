//! A block's tombstones: times of series that were deleted and not yet rewritten.

use std::collections::HashMap;

use super::{Cursor, TsdbError};

/// What the file begins with.
const MAGIC: u32 = 0x0130_BA30;
/// The one version there is.
const VERSION: u8 = 1;

/// Deleted time ranges by series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones(HashMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// Reads a tombstones file.
    ///
    /// # Errors
    /// [`TsdbError`] when it is damaged or of a version that is not known.
    pub fn open(bytes: &[u8]) -> Result<Self, TsdbError> {
        let mut cursor = Cursor::new("tombstones", bytes, 0);
        let (magic, version) = (cursor.u32()?, cursor.u8()?);
        if magic != MAGIC {
            return Err(TsdbError::new("tombstones", 0, format!("they begin with {magic:08x}")));
        }
        if version != VERSION {
            return Err(TsdbError::new("tombstones", 4, format!("version {version} is not known")));
        }
        let end = bytes.len().saturating_sub(4).max(cursor.at);
        // The checksum covers what follows magic and version.
        let content = &bytes[cursor.at.min(end)..end];
        Cursor::new("tombstones", bytes, end).verify(content)?;
        let mut cursor = Cursor::new("tombstones", &bytes[..end], cursor.at);
        let mut ranges: HashMap<u64, Vec<(i64, i64)>> = HashMap::new();
        while cursor.at < end {
            let series = cursor.uvarint()?;
            let range = (cursor.varint()?, cursor.varint()?);
            ranges.entry(series).or_default().push(range);
        }
        Ok(Self(ranges))
    }

    /// True when nothing is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when the sample of a series at a time is deleted. `series` is [`super::SeriesEntry::reference`].
    #[must_use]
    pub fn covers(&self, series: u64, at_ms: i64) -> bool {
        let ranges = self.0.get(&series);
        ranges.is_some_and(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&at_ms)))
    }
}
