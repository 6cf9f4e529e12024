//! A chunk segment: the file that holds the chunks of many series.

use super::chunk::{Chunk, Encoding};
use super::{Cursor, TsdbError};

/// What a segment begins with.
const MAGIC: u32 = 0x85BD_40DD;
/// The one version there is.
const VERSION: u8 = 1;

/// A segment file's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a>(&'a [u8]);

impl<'a> Segment<'a> {
    /// Looks at the head of a segment.
    ///
    /// # Errors
    /// [`TsdbError`] when it is none, or of a version that is not known.
    pub fn open(bytes: &'a [u8]) -> Result<Self, TsdbError> {
        let mut head = Cursor::new("a chunk segment", bytes, 0);
        let (magic, version) = (head.u32()?, head.u8()?);
        if magic != MAGIC {
            return Err(TsdbError::new("a chunk segment", 0, format!("it begins with {magic:08x}")));
        }
        if version != VERSION {
            return Err(TsdbError::new("a chunk segment", 4, format!("version {version} is not known")));
        }
        Ok(Self(bytes))
    }

    /// The chunk at an offset that an index gives (the lower half of a chunk's reference).
    ///
    /// # Errors
    /// [`TsdbError`] when it is damaged or of an encoding that is not known.
    pub fn chunk(&self, offset: u32) -> Result<Chunk<'a>, TsdbError> {
        let mut cursor = Cursor::new("a chunk", self.0, offset as usize);
        let length = cursor.count()?;
        let content = cursor.take(length + 1)?;
        cursor.verify(content)?;
        let encoding = Encoding::from_code(content[0], offset as usize)?;
        Ok(Chunk { encoding, content: &content[1..] })
    }
}
