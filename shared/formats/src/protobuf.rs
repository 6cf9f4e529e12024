//! The protobuf wire format: fields out of a byte slice, borrowed and bounds-checked.

/// A message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("a varint is cut off")]
    TruncatedVarint,
    #[error("a varint is longer than 10 bytes or more than 64 bits")]
    LongVarint,
    #[error("field {field} needs {need} bytes, {have} are left")]
    Truncated { field: u32, need: u64, have: usize },
    #[error("field number {0} does not exist")]
    FieldNumber(u64),
    #[error("field {field} has wire type {got}, expected {want}")]
    WireType { field: u32, got: u8, want: u8 },
    #[error("field {field} has wire type {got}, which protobuf 3 does not have")]
    UnknownWireType { field: u32, got: u8 },
    #[error("field {field} holds {len} bytes, no whole number of 8-byte values")]
    PackedLength { field: u32, len: usize },
    #[error("field {field} stands more than {most} times")]
    TooOften { field: u32, most: usize },
}

/// A field's content by wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Value<'a> {
    fn wire_type(self) -> u8 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Fixed32 => 5,
        }
    }

    #[inline]
    pub(crate) fn bytes(self, field: u32) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(WireError::WireType { field, got: other.wire_type(), want: 2 }),
        }
    }

    #[inline]
    pub(crate) fn varint(self, field: u32) -> Result<u64, WireError> {
        match self {
            Self::Varint(value) => Ok(value),
            other => Err(WireError::WireType { field, got: other.wire_type(), want: 0 }),
        }
    }

    /// An `int64`: two's complement in 64 bits.
    #[inline]
    pub(crate) fn int64(self, field: u32) -> Result<i64, WireError> {
        self.varint(field).map(|raw| raw as i64)
    }

    /// An `sint32` or `sint64`: zigzag-mapped.
    #[inline]
    pub(crate) fn sint(self, field: u32) -> Result<i64, WireError> {
        self.varint(field).map(zigzag)
    }

    #[inline]
    pub(crate) fn double(self, field: u32) -> Result<f64, WireError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            other => Err(WireError::WireType { field, got: other.wire_type(), want: 1 }),
        }
    }
}

/// Undoes the zigzag map of signed integers.
#[inline]
pub(crate) fn zigzag(raw: u64) -> i64 {
    ((raw >> 1) as i64) ^ -((raw & 1) as i64)
}

/// Takes fields off the front of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field, or `None` at the message's end.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match u32::try_from(tag >> 3) {
            Ok(field) if (1..1 << 29).contains(&field) => field,
            _ => return Err(WireError::FieldNumber(tag >> 3)),
        };
        let value = match (tag & 7) as u8 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let (head, tail) = self.rest.split_first_chunk::<8>().ok_or(WireError::Truncated {
                    field,
                    need: 8,
                    have: self.rest.len(),
                })?;
                self.rest = tail;
                Value::Fixed64(u64::from_le_bytes(*head))
            }
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(field, len)?)
            }
            5 => {
                self.take(field, 4)?;
                Value::Fixed32
            }
            got => return Err(WireError::UnknownWireType { field, got }),
        };
        Ok(Some((field, value)))
    }

    #[inline]
    fn take(&mut self, field: u32, len: u64) -> Result<&'a [u8], WireError> {
        let have = self.rest.len();
        match usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len)) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(WireError::Truncated { field, need: len, have }),
        }
    }

    /// One bare varint, as packed fields hold them.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// A varint of three bytes and more, or a damaged one.
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                return Err(WireError::LongVarint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireError::TruncatedVarint } else { WireError::LongVarint })
    }
}

/// Appends to `out` the numbers of a repeated varint field, packed or not; `false` once there are
/// more than `most`.
pub(crate) fn repeated_varint(
    field: u32,
    value: Value<'_>,
    most: usize,
    out: &mut Vec<u64>,
) -> Result<bool, WireError> {
    if let Value::Varint(one) = value {
        out.push(one);
        return Ok(out.len() <= most);
    }
    let mut reader = Reader::new(value.bytes(field)?);
    while !reader.is_empty() {
        if out.len() > most {
            return Ok(false);
        }
        out.push(reader.varint()?);
    }
    Ok(out.len() <= most)
}

/// Appends to `out` the numbers of a repeated double field, packed or not; `false` once there are
/// more than `most`.
pub(crate) fn repeated_double(
    field: u32,
    value: Value<'_>,
    most: usize,
    out: &mut Vec<f64>,
) -> Result<bool, WireError> {
    if let Value::Fixed64(bits) = value {
        out.push(f64::from_bits(bits));
        return Ok(out.len() <= most);
    }
    let bytes = value.bytes(field)?;
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(WireError::PackedLength { field, len: bytes.len() });
    }
    if out.len() + chunks.len() > most {
        return Ok(false);
    }
    out.extend(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn damaged_messages_say_what_is_wrong() {
        let rows: [(&str, &[u8], WireError); 7] = [
            ("a cut-off tag", b"\x80", WireError::TruncatedVarint),
            ("an endless varint", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", WireError::LongVarint),
            ("65 bits", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", WireError::LongVarint),
            ("a cut-off text", b"\x0a\x05abc", WireError::Truncated { field: 1, need: 5, have: 3 }),
            ("a cut-off float", b"\x09abc", WireError::Truncated { field: 1, need: 8, have: 3 }),
            ("field zero", b"\x00\x01", WireError::FieldNumber(0)),
            ("a group", b"\x0b", WireError::UnknownWireType { field: 1, got: 3 }),
        ];
        for (shows, bytes, want) in rows {
            assert_eq!(Reader::new(bytes).next().unwrap_err(), want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn varints_survive_a_round_trip(value: u64) {
            let mut bytes = Vec::new();
            crate::remote_write::encode::put_varint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some((field, value))) = reader.next() {
                let _ = repeated_varint(field, value, 10, &mut Vec::new());
                let _ = repeated_double(field, value, 10, &mut Vec::new());
            }
        }
    }
}
