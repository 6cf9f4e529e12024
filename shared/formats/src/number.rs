//! Numbers as text, with a short way for the whole numbers that most samples are.

/// Digits that a float holds exactly whatever they are.
const EXACT_DIGITS: usize = 15;

/// Reads a float: decimal, exponent, `Inf`, `NaN`, with an optional sign.
#[inline]
pub(crate) fn float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if bytes.len() <= EXACT_DIGITS && !bytes.is_empty() {
        let mut whole = 0u64;
        let mut digits = 0;
        for byte in bytes {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            whole = whole * 10 + u64::from(digit);
            digits += 1;
        }
        if digits == bytes.len() {
            return Some(whole as f64);
        }
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::float;
    use proptest::prelude::*;

    #[test]
    fn the_spellings_of_the_text_formats_are_read() {
        let rows = [("1", 1.0), ("-3.5e2", -350.0), ("+Inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)];
        for (text, want) in rows {
            assert_eq!(float(text), Some(want), "{text}");
        }
        assert!(float("NaN").is_some_and(f64::is_nan));
        for text in ["", "1x", "--1", "0x10", "1 "] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_float_survives_its_text(value in prop::num::f64::NORMAL | prop::num::f64::ZERO) {
            prop_assert_eq!(float(&format!("{value}")).map(f64::to_bits), Some(value.to_bits()));
        }
    }
}
