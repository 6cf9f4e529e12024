//! Bits of a chunk out, most significant first: the counterpart of `bits`.

/// Bits in the making.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are still free.
    free: u32,
}

/// Widths of a variable-width number's bits; one more leading one each, the first being a lone zero.
const VARBIT_WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

impl BitWriter {
    /// Goes on behind `bytes`.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn bit(&mut self, bit: bool) {
        self.put(u64::from(bit), 1);
    }

    /// Appends the lower `width` bits, at most 64.
    pub(super) fn put(&mut self, bits: u64, width: u32) {
        let mut left = width;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = left.min(self.free);
            let part = (bits >> (left - take)) & ((1 << take) - 1);
            self.free -= take;
            left -= take;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part as u8) << self.free;
            }
        }
    }

    pub(super) fn double(&mut self, value: f64) {
        self.put(value.to_bits(), 64);
    }

    /// LEB128.
    pub(super) fn uvarint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put(number & 0x7f | 0x80, 8);
            number >>= 7;
        }
        self.put(number, 8);
    }

    /// Zigzag LEB128.
    pub(super) fn varint(&mut self, number: i64) {
        self.uvarint(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(super) fn varbit_int(&mut self, number: i64) {
        self.varbit(number == 0, number as u64, |width| fits(number, width));
    }

    pub(super) fn varbit_uint(&mut self, number: u64) {
        self.varbit(number == 0, number, |width| number < 1 << width);
    }

    fn varbit(&mut self, is_zero: bool, bits: u64, fits: impl Fn(u32) -> bool) {
        if is_zero {
            return self.bit(false);
        }
        match (1..).zip(VARBIT_WIDTHS).find(|(_, width)| fits(*width)) {
            Some((ones, width)) => {
                // As many ones, and the zero that ends them.
                self.put((1 << (ones + 1)) - 2, ones + 1);
                self.put(bits, width);
            }
            None => {
                self.put(0xff, 8);
                self.put(bits, 64);
            }
        }
    }
}

/// True when the number fits so many bits as Prometheus uses them: one more above zero than below.
pub(super) fn fits(number: i64, width: u32) -> bool {
    let half = 1i64 << (width - 1);
    -(half - 1) <= number && number <= half
}

/// A float that is written as its difference in bits from the one before.
#[derive(Clone, Copy)]
pub(super) struct XorWriter {
    bits: u64,
    /// Leading and trailing zeros of the differences so far; `None` before the first.
    zeros: Option<(u32, u32)>,
}

impl XorWriter {
    pub(super) fn first(value: f64) -> Self {
        Self { bits: value.to_bits(), zeros: None }
    }

    pub(super) fn next(&mut self, out: &mut BitWriter, value: f64) {
        let changed = self.bits ^ value.to_bits();
        self.bits = value.to_bits();
        out.bit(changed != 0);
        if changed == 0 {
            return;
        }
        // Five bits hold the number.
        let leading = changed.leading_zeros().min(31);
        let trailing = changed.trailing_zeros();
        if let Some((known_leading, known_trailing)) = self.zeros
            && leading >= known_leading
            && trailing >= known_trailing
        {
            out.bit(false);
            out.put(changed >> known_trailing, 64 - known_leading - known_trailing);
            return;
        }
        self.zeros = Some((leading, trailing));
        let width = 64 - leading - trailing;
        out.bit(true);
        out.put(u64::from(leading), 5);
        // 64 does not fit six bits and stands as zero.
        out.put(u64::from(width) & 63, 6);
        out.put(changed >> trailing, width);
    }
}
