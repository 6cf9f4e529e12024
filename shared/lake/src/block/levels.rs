//! Definition levels and dictionary indexes: Parquet's hybrid of runs and bit-packed groups.
//!
//! Only what blocks need: definition levels of optional columns (0 or 1), and runs of dictionary indexes.

use super::delta::{put_varint, take_varint};

/// A row without value in [`Slots`].
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Appends the definition levels of `rows` rows of which `present` (ascending) have a value, with the
/// length in front, as version 1 data pages want it.
pub(super) fn put_levels(rows: usize, present: &[u32], out: &mut Vec<u8>) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let runs = level_runs(rows, present);
    if runs.len() * 2 <= rows.div_ceil(8) + 5 {
        for (present, length) in runs {
            put_varint(out, (length as u64) << 1);
            out.push(u8::from(present));
        }
    } else {
        let groups = rows.div_ceil(8);
        put_varint(out, (groups as u64) << 1 | 1);
        let bits_at = out.len();
        out.resize(bits_at + groups, 0);
        for &row in present {
            out[bits_at + row as usize / 8] |= 1 << (row % 8);
        }
    }
    let length = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

fn level_runs(rows: usize, present: &[u32]) -> Vec<(bool, usize)> {
    let mut runs: Vec<(bool, usize)> = Vec::new();
    let mut next = 0_usize;
    for &row in present {
        let row = row as usize;
        if row > next {
            runs.push((false, row - next));
        }
        match runs.last_mut() {
            Some((true, length)) => *length += 1,
            _ => runs.push((true, 1)),
        }
        next = row + 1;
    }
    if rows > next {
        runs.push((false, rows - next));
    }
    runs
}

/// For each row of a page the number of its value, or [`NO_SLOT`].
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<u32>,
    values: u32,
}

impl Slots {
    /// Reads the levels of `rows` rows off the front of `input`. `None` when they are damaged.
    pub(super) fn read(&mut self, input: &mut &[u8], rows: usize) -> Option<()> {
        self.slots.clear();
        self.values = 0;
        let length = u32::from_le_bytes(input.get(..4)?.try_into().ok()?) as usize;
        let mut levels = input.get(4..)?.get(..length)?;
        *input = &input[4 + length..];
        while self.slots.len() < rows {
            let header = take_varint(&mut levels)?;
            let left = rows - self.slots.len();
            if header & 1 == 0 {
                let run = usize::try_from(header >> 1).ok()?;
                let (&level, rest) = levels.split_first()?;
                levels = rest;
                if run == 0 || run > left || level > 1 {
                    return None;
                }
                (0..run).for_each(|_| self.push(level == 1));
            } else {
                let groups = usize::try_from(header >> 1).ok()?;
                let (bits, rest) = levels.split_at_checked(groups)?;
                levels = rest;
                if groups == 0 {
                    return None;
                }
                (0..left.min(groups * 8)).for_each(|row| self.push(bits[row / 8] >> (row % 8) & 1 == 1));
            }
        }
        Some(())
    }

    fn push(&mut self, present: bool) {
        self.slots.push(if present { self.values } else { NO_SLOT });
        self.values += u32::from(present);
    }

    /// The number of the value of each row.
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.slots
    }

    /// Number of values.
    pub(super) fn values(&self) -> usize {
        self.values as usize
    }
}

/// The body of a dictionary-encoded data page: one run for each `(index, length)`.
pub(super) fn put_index_runs(runs: &[(u32, u64)], entries: usize, out: &mut Vec<u8>) {
    let bits = (usize::BITS - entries.saturating_sub(1).leading_zeros()).max(1);
    out.push(bits as u8);
    for &(index, length) in runs {
        put_varint(out, length << 1);
        out.extend_from_slice(&index.to_le_bytes()[..(bits as usize).div_ceil(8)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn levels_survive_a_round_trip(levels: Vec<bool>, runs in proptest::collection::vec(1..40_usize, 0..20)) {
            let runs: Vec<bool> =
                runs.iter().enumerate().flat_map(|(i, &n)| std::iter::repeat_n(i % 2 == 0, n)).collect();
            for levels in [levels, runs] {
                let present: Vec<u32> = (0..levels.len() as u32).filter(|&i| levels[i as usize]).collect();
                let mut bytes = Vec::new();
                put_levels(levels.len(), &present, &mut bytes);
                bytes.push(77);
                let mut input = bytes.as_slice();
                let mut slots = Slots::default();
                slots.read(&mut input, levels.len()).unwrap();
                prop_assert_eq!(input, &[77][..]);
                prop_assert_eq!(slots.values(), present.len());
                for (slot, &row) in present.iter().enumerate() {
                    prop_assert_eq!(slots.as_slice()[row as usize], slot as u32);
                }
                prop_assert_eq!(slots.as_slice().iter().filter(|&&s| s != NO_SLOT).count(), present.len());
            }
        }

        #[test]
        fn arbitrary_levels_never_panic(bytes: Vec<u8>, rows in 0..1000_usize) {
            let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            let _ = Slots::default().read(&mut framed.as_slice(), rows);
            let _ = Slots::default().read(&mut bytes.as_slice(), rows);
        }
    }
}
