//! Bits of a chunk, most significant first, and the numbers of variable width made of them.

use super::TsdbError;

/// Reads bits front to back.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    at: usize,
}

/// Widths of the numbers of histogram chunks by the count of leading ones: 10 is 3 bits, 110 is 6, …
const VARBIT_WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> TsdbError {
        TsdbError::new("a chunk's content", self.at / 8, reason)
    }

    /// The next `width` bits (at most 64) as a number.
    pub(super) fn take(&mut self, width: u32) -> Result<u64, TsdbError> {
        let end = self.at + width as usize;
        if end > self.bytes.len() * 8 {
            return Err(self.damaged("the chunk ends within a sample"));
        }
        if width > 56 {
            let high = self.take(width - 32)?;
            return Ok(high << 32 | self.take(32)?);
        }
        if width == 0 {
            return Ok(0);
        }
        // Up to 56 bits that begin within a byte lie in eight bytes.
        let from = self.at / 8;
        let mut word = [0; 8];
        let found = &self.bytes[from..self.bytes.len().min(from + 8)];
        word[..found.len()].copy_from_slice(found);
        let word = u64::from_be_bytes(word) << (self.at % 8);
        self.at = end;
        Ok(word >> (64 - width))
    }

    pub(super) fn bit(&mut self) -> Result<bool, TsdbError> {
        Ok(self.take(1)? == 1)
    }

    pub(super) fn double(&mut self) -> Result<f64, TsdbError> {
        self.take(64).map(f64::from_bits)
    }

    /// A number in two's complement, where the half of the range that lies between is taken as positive.
    pub(super) fn signed(&mut self, width: u32) -> Result<i64, TsdbError> {
        let bits = self.take(width)?;
        Ok(if (1..64).contains(&width) && bits > 1 << (width - 1) {
            bits.wrapping_sub(1 << width) as i64
        } else {
            bits as i64
        })
    }

    /// Number of ones before the next zero, at most `most`; the zero is consumed if there is one.
    pub(super) fn ones(&mut self, most: usize) -> Result<usize, TsdbError> {
        for count in 0..most {
            if !self.bit()? {
                return Ok(count);
            }
        }
        Ok(most)
    }

    pub(super) fn varbit_int(&mut self) -> Result<i64, TsdbError> {
        let ones = self.ones(VARBIT_WIDTHS.len() - 1)?;
        self.signed(VARBIT_WIDTHS[ones])
    }

    pub(super) fn varbit_uint(&mut self) -> Result<u64, TsdbError> {
        let ones = self.ones(VARBIT_WIDTHS.len() - 1)?;
        self.take(VARBIT_WIDTHS[ones])
    }

    /// An unsigned number of bytes: a LEB128 varint on the bit stream.
    pub(super) fn uvarint(&mut self) -> Result<u64, TsdbError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(8)?;
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number is longer than ten bytes"))
    }

    /// A zigzag-encoded LEB128 varint on the bit stream.
    pub(super) fn varint(&mut self) -> Result<i64, TsdbError> {
        let number = self.uvarint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

/// A float that is stored as its difference in bits from the one before.
#[derive(Clone, Copy)]
pub(super) struct XorFloat {
    pub(super) value: f64,
    leading: u32,
    trailing: u32,
}

impl XorFloat {
    pub(super) fn first(value: f64) -> Self {
        Self { value, leading: 0, trailing: 0 }
    }

    pub(super) fn next(&mut self, bits: &mut Bits<'_>) -> Result<(), TsdbError> {
        if !bits.bit()? {
            return Ok(());
        }
        if bits.bit()? {
            self.leading = bits.take(5)? as u32;
            let width = match bits.take(6)? as u32 {
                // 64 does not fit six bits.
                0 => 64,
                width => width,
            };
            self.trailing = 64u32.checked_sub(self.leading + width).ok_or_else(|| {
                bits.damaged(format!("{} leading zeros and {width} bits are more than 64", self.leading))
            })?;
        }
        let changed = bits.take(64 - self.leading - self.trailing)? << self.trailing;
        self.value = f64::from_bits(self.value.to_bits() ^ changed);
        Ok(())
    }
}
