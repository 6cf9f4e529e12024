//! LEB128 variable-length integers, shared by every encoding of this crate.

/// Appends `value`, seven bits a byte, least significant first.
pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, zigzag-mapped so that small magnitudes stay short.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Takes one unsigned integer off the front of `input`; `None` when it is cut off or too long.
#[inline]
pub(crate) fn take_u64(input: &mut &[u8]) -> Option<u64> {
    let bytes = *input;
    let first = *bytes.first()?;
    if first < 0x80 {
        *input = &bytes[1..];
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    let mut shift = 7;
    for (index, &byte) in bytes.iter().enumerate().skip(1) {
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            *input = &bytes[index + 1..];
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
    None
}

/// Takes one zigzag-mapped signed integer off the front of `input`.
#[inline]
pub(crate) fn take_i64(input: &mut &[u8]) -> Option<i64> {
    let raw = take_u64(input)?;
    Some(((raw >> 1) as i64) ^ -((raw & 1) as i64))
}

/// Takes `len` bytes off the front of `input`.
#[inline]
pub(crate) fn take_bytes<'a>(input: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = input.split_at_checked(len)?;
    *input = tail;
    Some(head)
}

/// Takes one little-endian float off the front of `input`, bit for bit.
#[inline]
pub(crate) fn take_f64(input: &mut &[u8]) -> Option<f64> {
    let head = take_bytes(input, 8)?;
    Some(f64::from_le_bytes(head.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_survive_a_round_trip(a: u64, b: i64) {
            let mut out = Vec::new();
            put_u64(&mut out, a);
            put_i64(&mut out, b);
            let mut input = out.as_slice();
            prop_assert_eq!(take_u64(&mut input), Some(a));
            prop_assert_eq!(take_i64(&mut input), Some(b));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut input = bytes.as_slice();
            while take_u64(&mut input).is_some() {}
        }
    }
}
