//! Floats as Go's fmt prints them.

/// `%v` and `%g` of a float64: the shortest digits that read back, with an exponent below 1e-4 and from 1e6 on:
/// fmt decides as if the precision were six.
pub(super) fn go_float(x: f64) -> String {
    special(x).unwrap_or_else(|| {
        let (digits, exponent) = parts(&format!("{:e}", x.abs()));
        sign(x) + &general(&digits, exponent, 6)
    })
}

/// `%.{precision}g` of a float64.
pub(super) fn general_precision(x: f64, precision: usize) -> String {
    special(x).unwrap_or_else(|| {
        let precision = precision.max(1);
        let (digits, exponent) = parts(&format!("{:.*e}", precision - 1, x.abs()));
        let digits = digits.trim_end_matches('0');
        let digits = if digits.is_empty() { "0" } else { digits };
        sign(x) + &general(digits, exponent, precision as i32)
    })
}

/// `%.{precision}e` of a float64; without a precision the shortest digits that read back.
pub(super) fn scientific(x: f64, precision: Option<usize>) -> String {
    special(x).unwrap_or_else(|| {
        let text = match precision {
            Some(precision) => format!("{:.*e}", precision, x.abs()),
            None => format!("{:e}", x.abs()),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        format!("{}{mantissa}{}", sign(x), exponent_text(exponent))
    })
}

/// `%.{precision}f` of a float64.
pub(super) fn fixed(x: f64, precision: usize) -> String {
    special(x).unwrap_or_else(|| format!("{}{:.*}", sign(x), precision, x.abs()))
}

fn special(x: f64) -> Option<String> {
    if x.is_nan() {
        return Some("NaN".to_owned());
    }
    x.is_infinite().then(|| if x > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() })
}

fn sign(x: f64) -> String {
    if x.is_sign_negative() { "-".to_owned() } else { String::new() }
}

/// The digits without their point, and the exponent of the first.
fn parts(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// Digits with a point, or with an exponent where that is below -4 or at least `most`.
fn general(digits: &str, exponent: i32, most: i32) -> String {
    if exponent < -4 || exponent >= most {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{first}{point}{rest}{}", exponent_text(exponent));
    }
    if exponent < 0 {
        return format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        format!("{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        format!("{}.{}", &digits[..whole], &digits[whole..])
    }
}

fn exponent_text(exponent: i32) -> String {
    format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        let rows = [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (123_456.0, "1.235e+05"),
            (1_000_000.0, "1e+06"),
            (0.00001, "1e-05"),
            (0.000123, "0.000123"),
            (99.999, "100"),
            (1024.0, "1024"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (x, want) in rows {
            assert_eq!(general_precision(x, 4), want, "%.4g of {x}");
        }
        for (x, text) in
            [(1e6, "1e+06"), (123_456_789.0, "1.23456789e+08"), (0.1, "0.1"), (123_456.5, "123456.5")]
        {
            assert_eq!(go_float(x), text);
        }
    }
}
