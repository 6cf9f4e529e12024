//! One chunk of a series: floats by Gorilla's XOR encoding, or native histograms.

use std::sync::Arc;

use weir_model::Samples;

use super::TsdbError;
use super::bits::{Bits, XorFloat};
use super::histogram_chunk;

/// How a chunk's content is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Floats.
    Xor,
    /// Native histograms with integer counts.
    Histogram,
    /// Native histograms with float counts.
    FloatHistogram,
}

/// A chunk as it lies in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Its encoding.
    pub encoding: Encoding,
    /// Its content without length and checksum.
    pub content: &'a [u8],
}

impl Encoding {
    /// The encoding of a code.
    pub(super) fn from_code(code: u8, at: usize) -> Result<Self, TsdbError> {
        match code {
            1 => Ok(Self::Xor),
            2 => Ok(Self::Histogram),
            3 => Ok(Self::FloatHistogram),
            other => Err(TsdbError::new(
                "a chunk",
                at,
                format!("encoding {other} is not known (1 floats, 2 and 3 native histograms)"),
            )),
        }
    }
}

impl Chunk<'_> {
    /// Appends the chunk's samples to `into`, in the order of the chunk, which is ascending by time.
    ///
    /// # Errors
    /// [`TsdbError`] when the content is damaged; what was read before the damage stays in `into`.
    pub fn read(&self, into: &mut Samples) -> Result<(), TsdbError> {
        match self.encoding {
            Encoding::Xor => floats(self.content, into),
            Encoding::Histogram => histogram_chunk::integers(self.content, |at, histogram| {
                into.histograms.push((at, Arc::new(histogram)));
            }),
            Encoding::FloatHistogram => histogram_chunk::floats(self.content, |at, histogram| {
                into.histograms.push((at, Arc::new(histogram)));
            }),
        }
    }
}

/// Samples announced by a chunk's first two bytes, and what follows them.
pub(super) fn announced(content: &[u8]) -> Result<(u16, &[u8]), TsdbError> {
    match content {
        [high, low, rest @ ..] => Ok((u16::from_be_bytes([*high, *low]), rest)),
        _ => Err(TsdbError::new("a chunk's content", 0, "it has no count of samples")),
    }
}

/// Source: Pelkonen et al., Gorilla: A Fast, Scalable, In-Memory Time Series Database (2015), with
/// Prometheus' widths for the change of the time step.
fn floats(content: &[u8], into: &mut Samples) -> Result<(), TsdbError> {
    let (count, rest) = announced(content)?;
    if count == 0 {
        return Ok(());
    }
    let mut bits = Bits::new(rest);
    let mut at = bits.varint()?;
    let mut value = XorFloat::first(bits.double()?);
    into.timestamps.push(at);
    into.values.push(value.value);
    let mut step = 0i64;
    for place in 1..count {
        if place == 1 {
            step = bits.uvarint()? as i64;
        } else {
            let width = [0, 14, 17, 20, 64][bits.ones(4)?];
            step = step.wrapping_add(bits.signed(width)?);
        }
        at = at.wrapping_add(step);
        value.next(&mut bits)?;
        into.timestamps.push(at);
        into.values.push(value.value);
    }
    Ok(())
}
