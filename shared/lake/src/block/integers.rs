//! Reads a page of integers (DELTA_BINARY_PACKED, see delta.rs) only as far as it is wanted: of a page that
//! many series share, one series needs what lies before its end.

use super::delta::{MINI, take_varint, take_zigzag};

/// Bytes an unpacking step may look at beyond the packed bits.
const SLACK: usize = 16;
/// Largest block that is read; writers use 128, or a few times that.
const MAX_BLOCK: usize = 65_536;

/// A page of integers, unpacked from its start to somewhere.
#[derive(Default)]
pub(super) struct Integers {
    /// The page as decompressed.
    raw: Vec<u8>,
    /// Where in `raw` the next block begins.
    next: usize,
    /// Miniblocks of a block.
    minis: usize,
    rows: usize,
    last: i64,
    values: Vec<i64>,
}

impl Integers {
    /// Replaces the page by one of so many rows, whose bytes `put` writes into an empty buffer.
    pub(super) fn refill<R>(&mut self, rows: usize, put: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.raw.clear();
        self.values.clear();
        self.rows = rows;
        put(&mut self.raw)
    }

    /// Reads the page's header; `None` when it is damaged or of another number of rows.
    pub(super) fn begin(&mut self) -> Option<()> {
        let mut input = self.raw.as_slice();
        let block = usize::try_from(take_varint(&mut input)?).ok()?;
        self.minis = usize::try_from(take_varint(&mut input)?).ok()?;
        let count = usize::try_from(take_varint(&mut input)?).ok()?;
        self.last = take_zigzag(&mut input)?;
        if count != self.rows
            || block == 0
            || block > MAX_BLOCK
            || self.minis.checked_mul(MINI) != Some(block)
        {
            return None;
        }
        self.next = self.raw.len() - input.len();
        if self.rows > 0 {
            self.values.push(self.last);
        }
        Some(())
    }

    /// The values unpacked so far.
    pub(super) fn values(&self) -> &[i64] {
        &self.values
    }

    /// Unpacks whole blocks until there are `upto` values, or all; `None` when the bytes are damaged. Never
    /// holds more than the page's rows and a block.
    pub(super) fn unpack(&mut self, upto: usize) -> Option<()> {
        let Self { raw, next, minis, rows, last, values } = self;
        let mut input = raw.get(*next..)?;
        while values.len() < upto.min(*rows) {
            let minimum = take_zigzag(&mut input)?;
            let (widths, rest) = input.split_at_checked(*minis)?;
            input = rest;
            // Whole miniblocks are unpacked; what the last writes beyond the rows is cut off.
            let mut at = values.len();
            let left = (*rows - at).div_ceil(MINI).min(*minis);
            values.resize(at + left * MINI, 0);
            for &width in &widths[..left] {
                if width > 64 {
                    return None;
                }
                let target: &mut [i64; MINI] = values.get_mut(at..at + MINI)?.try_into().ok()?;
                let packed = usize::from(width) * MINI / 8;
                if input.len() >= packed + SLACK {
                    unpack(input, width, minimum, last, target);
                } else {
                    let mut padded = [0_u8; MINI * 8 + SLACK];
                    padded[..packed].copy_from_slice(input.get(..packed)?);
                    unpack(&padded, width, minimum, last, target);
                }
                input = &input[packed..];
                at += MINI;
            }
            values.truncate(*rows);
        }
        *next = raw.len() - input.len();
        Some(())
    }
}

/// Unpacks one miniblock and adds its differences up. `input` holds the packed bytes and [`SLACK`] more.
#[inline]
fn unpack(input: &[u8], width: u8, minimum: i64, last: &mut i64, out: &mut [i64; MINI]) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                0 => {
                    for value in out.iter_mut() {
                        *last = last.wrapping_add(minimum);
                        *value = *last;
                    }
                }
                $($w => unpack_width::<$w>(input, minimum, last, out),)*
                _ => {}
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

#[inline]
fn unpack_width<const W: usize>(input: &[u8], minimum: i64, last: &mut i64, out: &mut [i64; MINI]) {
    let mask = if W == 64 { u64::MAX } else { (1_u64 << W) - 1 };
    // One check here lets the compiler drop those in the loop, whose offsets it knows.
    let Some(input) = input.get(..4 * W + SLACK) else { return };
    let mut sum = *last;
    for (index, value) in out.iter_mut().enumerate() {
        let (byte, shift) = (index * W / 8, index * W % 8);
        // Not a copy of a slice, which may end up as a call.
        let Some(raw) = input[byte..].first_chunk() else { return };
        let mut bits = u64::from_le_bytes(*raw) >> shift;
        if W > 57 && shift > 0 {
            // The value reaches into a ninth byte.
            bits |= u64::from(input[byte + 8]) << (64 - shift);
        }
        sum = sum.wrapping_add(minimum).wrapping_add((bits & mask) as i64);
        *value = sum;
    }
    *last = sum;
}
