//! Numbers, durations and strings: where they end in the text, and what they mean.

use super::lexer::is_word;

/// Bytes of `text` that look like a number, and whether they are one that ends there.
///
/// Takes decimals with fraction and exponent, hexadecimal integers, and underscores between digits;
/// a dot, an exponent or an underscore must not be followed by another of its kind.
pub(crate) fn scan_number(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied();
    let mut i = 0;
    let mut hex = false;
    if at(0) == Some(b'0') {
        i = 1;
        if matches!(at(1), Some(b'x' | b'X')) {
            hex = true;
            i = 2;
            i += usize::from(at(i) == Some(b'_'));
        }
    }
    let digit = |b: u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
    let (mut dot, mut exponent) = (false, false);
    while let Some(byte) = at(i) {
        match byte {
            b if digit(b) => i += 1,
            b'.' => {
                i += 1;
                if dot || hex {
                    return (i, false);
                }
                dot = true;
                if matches!(at(i), Some(b'_' | b'.')) {
                    return (i + 1, false);
                }
            }
            b'e' | b'E' => {
                i += 1;
                if exponent {
                    return (i, false);
                }
                exponent = true;
                i += usize::from(matches!(at(i), Some(b'+' | b'-')));
                match at(i) {
                    None => return (i, false),
                    Some(b'.' | b'_' | b'e' | b'E') => return (i + 1, false),
                    Some(_) => {}
                }
            }
            b'_' => {
                i += 1;
                match at(i) {
                    None => return (i, false),
                    Some(b'.' | b'_' | b'e' | b'E') => return (i + 1, false),
                    Some(_) => {}
                }
            }
            _ => break,
        }
    }
    (i, i > 0 && !at(i).is_some_and(is_word))
}

/// Bytes after the first digits that look like the rest of a duration, and whether they end there.
/// Units may still be unknown or out of order: [`duration_ms`] checks them.
pub(crate) fn scan_duration(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied();
    let mut i = 0;
    if !matches!(at(i), Some(b's' | b'm' | b'h' | b'd' | b'w' | b'y')) {
        return (0, false);
    }
    i += 1;
    i += usize::from(at(i) == Some(b's'));
    while at(i).is_some_and(|b| b.is_ascii_digit()) {
        while at(i).is_some_and(|b| b.is_ascii_digit()) {
            i += 1;
        }
        if !matches!(at(i), Some(b's' | b'm' | b'h' | b'd' | b'w')) {
            return (i, false);
        }
        i += 1;
        i += usize::from(at(i) == Some(b's'));
    }
    match at(i) {
        Some(b) if is_word(b) => (i + 1, false),
        _ => (i, true),
    }
}

/// Units of a duration, largest first, in milliseconds.
pub(crate) const DURATION_UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Longest duration: Prometheus counts nanoseconds in 63 bits (about 292 years).
pub(crate) const MAX_DURATION_MS: i64 = i64::MAX / 1_000_000;

/// The milliseconds that a duration such as `1h30m` means.
///
/// # Errors
/// Unknown, repeated or misplaced units, and spans beyond [`MAX_DURATION_MS`].
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    let malformed = || format!("not a valid duration string: {}", crate::printer::quote(text));
    let mut total = 0i64;
    let mut next_unit = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count = &rest[..digits];
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[..letters];
        rest = &rest[letters..];
        let at = DURATION_UNITS.iter().skip(next_unit).position(|(name, _)| *name == unit);
        if !unit.is_empty() && !DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
            let (unit, whole) = (crate::printer::quote(unit), crate::printer::quote(text));
            return Err(format!("unknown unit {unit} in duration {whole}"));
        }
        let at = at.filter(|_| !count.is_empty()).ok_or_else(malformed)? + next_unit;
        next_unit = at + 1;
        let out_of_range = || "duration out of range".to_owned();
        let count: i64 = count.parse().map_err(|_| out_of_range())?;
        total = count
            .checked_mul(DURATION_UNITS[at].1)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= MAX_DURATION_MS)
            .ok_or_else(out_of_range)?;
    }
    Ok(total)
}

/// The value of a number token. Integers may be hexadecimal (`0x`), octal (leading `0`) or hold
/// underscores, as in Go, which Prometheus is written in.
///
/// # Errors
/// Texts that are no number, or one beyond the range of floats.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    if text.eq_ignore_ascii_case("inf") {
        return Ok(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    if let Some(value) = integer(text) {
        return Ok(value as f64);
    }
    let malformed = |why: &str| format!("error parsing number: {}: {why}", crate::printer::quote(text));
    // Underscores and prefixes belong to integers only.
    if text.contains(['_', 'x', 'X']) {
        return Err(malformed("invalid syntax"));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(malformed("value out of range")),
        Err(_) => Err(malformed("invalid syntax")),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text[2..].trim_start_matches('_'), 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.contains('_') {
        return i64::from_str_radix(&digits.replace('_', ""), radix).ok();
    }
    i64::from_str_radix(digits, radix).ok()
}

/// Bytes up to and with the closing quote of a string whose opening quote was taken.
///
/// # Errors
/// A string without end, or a bad escape.
pub(crate) fn scan_string(text: &str, quote: u8) -> Result<usize, String> {
    let bytes = text.as_bytes();
    if quote == b'`' {
        return bytes
            .iter()
            .position(|b| *b == quote)
            .map(|at| at + 1)
            .ok_or_else(|| "unterminated raw string".to_owned());
    }
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        i += 1;
        match *byte {
            b if b == quote => return Ok(i),
            b'\n' => break,
            b'\\' => i += escape(&text[i..], quote)?.1,
            _ => {}
        }
    }
    Err("unterminated quoted string".to_owned())
}

/// What an escape means.
enum Escaped {
    Char(char),
    /// `\xff` and `\377` name bytes, not characters.
    Byte(u8),
}

/// Reads an escape after its backslash: its meaning and length.
fn escape(text: &str, quote: u8) -> Result<(Escaped, usize), String> {
    let unterminated = || "escape sequence not terminated".to_owned();
    let first = text.chars().next().ok_or_else(unterminated)?;
    let plain = |c| Ok((Escaped::Char(c), 1));
    let (start, digits, radix) = match first {
        'a' => return plain('\x07'),
        'b' => return plain('\x08'),
        'f' => return plain('\x0c'),
        'n' => return plain('\n'),
        'r' => return plain('\r'),
        't' => return plain('\t'),
        'v' => return plain('\x0b'),
        '\\' => return plain('\\'),
        c if c == char::from(quote) => return plain(c),
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        c => return Err(format!("unknown escape sequence U+{:04X} '{c}'", u32::from(c))),
    };
    let mut value = 0u32;
    let mut rest = text[start..].chars();
    for _ in 0..digits {
        let c = rest.next().ok_or_else(unterminated)?;
        let digit = c
            .to_digit(radix)
            .ok_or_else(|| format!("illegal character U+{:04X} '{c}' in escape sequence", u32::from(c)))?;
        // Eight hexadecimal digits fit 32 bits.
        value = value * radix + digit;
    }
    let invalid = || "escape sequence is an invalid Unicode code point".to_owned();
    let escaped = if matches!(first, 'u' | 'U') {
        Escaped::Char(char::from_u32(value).ok_or_else(invalid)?)
    } else {
        Escaped::Byte(u8::try_from(value).map_err(|_| invalid())?)
    };
    Ok((escaped, start + digits))
}

/// The meaning of a string token, quotes included.
///
/// # Errors
/// Byte escapes that do not add up to UTF-8.
pub(crate) fn unquote(token: &str) -> Result<String, String> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    let quote = token.bytes().next().unwrap_or(b'"');
    if quote == b'`' {
        return Ok(inner.replace('\r', ""));
    }
    if !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (escaped, len) = escape(&rest[at + 1..], quote)?;
        match escaped {
            Escaped::Byte(byte) => bytes.push(byte),
            Escaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = &rest[at + 1 + len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| format!("error unquoting string {token}: its escapes are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_what_go_makes_of_them() {
        let rows = [
            ("1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-2", 0.01),
            ("0x1F", 31.0),
            ("0X_ff", 255.0),
            ("010", 8.0),
            ("09", 9.0),
            ("1_000_000", 1e6),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("inf", f64::INFINITY),
        ];
        for (text, want) in rows {
            assert_eq!(number(text), Ok(want), "{text}");
        }
        for text in ["1e999", "1_0.5", "0x", "0xffffffffffffffffff"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_add_their_units_in_order() {
        let rows = [
            ("5m", Ok(300_000)),
            ("1h30m", Ok(5_400_000)),
            ("1y2w3d4h5m6s7ms", Ok(33_019_506_007)),
            ("0s", Ok(0)),
            ("1m1h", Err("not a valid duration string: \"1m1h\"")),
            ("5m5m", Err("not a valid duration string: \"5m5m\"")),
            ("1hs", Err("unknown unit \"hs\" in duration \"1hs\"")),
            ("1.5h", Err("not a valid duration string: \"1.5h\"")),
            ("300y", Err("duration out of range")),
        ];
        for (text, want) in rows {
            assert_eq!(duration_ms(text), want.map_err(str::to_owned), "{text}");
        }
    }
}
