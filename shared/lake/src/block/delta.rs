//! Parquet's DELTA_BINARY_PACKED encoding, with the freedom its writers have.
//!
//! Format: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>. Differences are packed in
//! blocks; each block has a minimum, and each miniblock of 32 its own width. All arithmetic wraps, so any
//! "minimum" is valid: a difference below it merely takes 64 bits. The encoder uses that to keep one
//! outlier (a counter's reset, the jump back in time at the start of a series) from widening its
//! neighbours, and may round widths up to whole bytes, which Zstandard compresses better where values repeat.

/// Values in a miniblock: the smallest the format allows.
pub(super) const MINI: usize = 32;
/// What a 64-bit miniblock counts for when minima are compared: nearly all of its bytes are zero and
/// vanish in compression.
const OUTLIER_BITS: u32 = 24;
/// How widths are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Widths {
    /// As few bits as possible: for differences that look random.
    Bits,
    /// Whole bytes: for differences that repeat.
    Bytes,
}

/// The encoder's settings for a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Packing {
    /// Values in a block: a multiple of 128, as the format wants.
    pub(super) block: usize,
    /// How widths are chosen.
    pub(super) widths: Widths,
}

/// Appends `values` to `out`.
pub(super) fn encode(values: &[i64], packing: Packing, out: &mut Vec<u8>) {
    put_varint(out, packing.block as u64);
    put_varint(out, (packing.block / MINI) as u64);
    put_varint(out, values.len() as u64);
    put_zigzag(out, values.first().copied().unwrap_or(0));
    let mut differences = Vec::with_capacity(packing.block);
    let mut minis: Vec<(i64, i64)> = Vec::with_capacity(packing.block / MINI);
    let mut start = 1;
    while start < values.len() {
        let end = (start + packing.block).min(values.len());
        differences.clear();
        differences.extend(values[start - 1..end].windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
        minis.clear();
        minis.extend(
            differences.chunks(MINI).map(|mini| {
                mini.iter().fold((i64::MAX, i64::MIN), |(min, max), &d| (min.min(d), max.max(d)))
            }),
        );
        let minimum = choose_minimum(&minis, packing.widths);
        put_zigzag(out, minimum);
        let widths_at = out.len();
        out.extend(minis.iter().map(|&mini| width(mini, minimum, packing.widths) as u8));
        out.resize(widths_at + packing.block / MINI, 0);
        for (index, mini) in differences.chunks(MINI).enumerate() {
            let width = u32::from(out[widths_at + index]);
            pack(mini, minimum, width, out);
        }
        start = end;
    }
}

/// Bits needed for the differences of a miniblock above `minimum`.
fn width((low, high): (i64, i64), minimum: i64, widths: Widths) -> u32 {
    if low < minimum {
        return 64;
    }
    let bits = 64 - (high.wrapping_sub(minimum) as u64).leading_zeros();
    match widths {
        Widths::Bits => bits,
        Widths::Bytes => bits.div_ceil(8) * 8,
    }
}

/// The block's minimum: that of the miniblock for which the whole block becomes smallest.
fn choose_minimum(minis: &[(i64, i64)], widths: Widths) -> i64 {
    let cost = |minimum: i64| -> u32 {
        minis
            .iter()
            .map(|&mini| width(mini, minimum, widths))
            .map(|w| if w == 64 { OUTLIER_BITS } else { w })
            .sum()
    };
    let Some((least, minimum)) = minis.iter().map(|&(low, _)| (cost(low), low)).min() else { return 0 };
    if widths == Widths::Bytes {
        // On a coarse grid neighbouring blocks get the same minimum, hence the same bytes.
        for grid in [64, 32, 16, 8] {
            let snapped = minimum.div_euclid(grid).wrapping_mul(grid);
            if cost(snapped) <= least {
                return snapped;
            }
        }
    }
    minimum
}

fn pack(mini: &[i64], minimum: i64, width: u32, out: &mut Vec<u8>) {
    let end = out.len() + MINI * width as usize / 8;
    if width == 0 {
        return;
    }
    let (mut pending, mut filled) = (0_u64, 0_u32);
    for &difference in mini {
        let above = difference.wrapping_sub(minimum) as u64;
        pending |= above << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&pending.to_le_bytes());
            filled -= 64;
            // What did not fit: the upper `filled` bits of the value.
            pending = if filled == 0 { 0 } else { above >> (width - filled) };
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..(filled as usize).div_ceil(8)]);
    // The last miniblock is padded to its full length.
    out.resize(end, 0);
}

/// Appends an unsigned LEB128 integer.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag-mapped LEB128 integer.
pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Takes an unsigned LEB128 integer off the front; `None` when cut off or longer than 64 bits.
pub(super) fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (index, &byte) in input.iter().enumerate().take(10) {
        if index == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Takes a zigzag-mapped LEB128 integer off the front.
pub(super) fn take_zigzag(input: &mut &[u8]) -> Option<i64> {
    let raw = take_varint(input)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::super::integers::Integers;
    use super::*;
    use proptest::prelude::*;

    const PACKINGS: [Packing; 3] = [
        Packing { block: 128, widths: Widths::Bits },
        Packing { block: 128, widths: Widths::Bytes },
        Packing { block: 512, widths: Widths::Bytes },
    ];

    fn round_trip(values: &[i64], packing: Packing) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, packing, &mut out);
        assert_eq!(read(&out, values.len(), &[values.len()]).unwrap(), values, "{packing:?}");
        out
    }

    /// Reads so many rows, in steps.
    fn read(bytes: &[u8], rows: usize, steps: &[usize]) -> Option<Vec<i64>> {
        let mut page = Integers::default();
        page.refill(rows, |raw| raw.extend_from_slice(bytes));
        page.begin()?;
        for &upto in steps {
            page.unpack(upto)?;
            assert!(page.values().len() >= upto.min(rows));
        }
        Some(page.values().to_vec())
    }

    #[test]
    fn every_width_survives_a_round_trip() {
        for packing in PACKINGS {
            for width in 0..=64_u32 {
                for len in [0, 1, 2, 31, 32, 33, 34, 128, 129, 130, 513, 1000] {
                    let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
                    let mut state = 7_u64;
                    let mut sum = 0_i64;
                    let values: Vec<i64> = (0..len)
                        .map(|_| {
                            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                            sum = sum.wrapping_add((state & mask) as i64);
                            sum
                        })
                        .collect();
                    round_trip(&values, packing);
                }
            }
        }
    }

    #[test]
    fn the_encoding_never_changes() {
        let bytes = round_trip(&[7, 5, 3, 1, 2, 3, 4, 5], PACKINGS[0]);
        // The example of the format's own page, with blocks of 128: minimum -2, two bits each.
        assert_eq!(bytes, [0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn one_outlier_does_not_widen_its_neighbours() {
        let mut values: Vec<i64> = (0..128).map(|i| i * 1000 + (i * i) % 7).collect();
        values.iter_mut().skip(64).for_each(|v| *v -= 50_000_000);
        assert!(round_trip(&values, PACKINGS[0]).len() < 32 * 8 + 3 * 16 + 20);
    }

    proptest! {
        #[test]
        fn values_are_the_same_however_far_one_reads_at_a_time(values: Vec<i64>, mut steps: Vec<u8>) {
            let values = values.repeat(20);
            let (rows, mut bytes) = (values.len(), Vec::new());
            encode(&values, PACKINGS[0], &mut bytes);
            let mut steps: Vec<usize> = steps.drain(..).map(|step| usize::from(step) * 8).collect();
            let got = read(&bytes, rows, &steps).unwrap();
            prop_assert_eq!(&got[..], &values[..got.len()]);
            steps.push(rows);
            prop_assert_eq!(read(&bytes, rows, &steps).unwrap(), values);
        }

        #[test]
        fn any_values_survive_a_round_trip(values: Vec<i64>, small: Vec<i8>) {
            let small: Vec<i64> = small.into_iter().map(i64::from).collect();
            for packing in PACKINGS {
                round_trip(&values, packing);
                round_trip(&small, packing);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, rows in 0..500_usize, mut values: Vec<i64>, at: usize, with: u8) {
            let _ = read(&bytes, rows, &[rows / 2, rows]);
            values.truncate(400);
            let mut encoded = Vec::new();
            encode(&values, PACKINGS[0], &mut encoded);
            let at = at % encoded.len();
            encoded[at] = with;
            let _ = read(&encoded, values.len(), &[values.len()]);
        }
    }
}
