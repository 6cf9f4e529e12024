//! Prometheus' JSON by hand where results are large: numbers as strings, timestamps in seconds.

use axum::response::Response;
use serde::Serialize;
use weir_model::{BucketSide, Histogram, Labels};

use crate::router::json_response;

/// The success envelope around small data; large data is written by hand.
pub(crate) fn success(data: &impl Serialize) -> Response {
    success_with_warnings(data, &[])
}

/// The same, with what the client should know about it.
pub(crate) fn success_with_warnings(data: &impl Serialize, warnings: &[String]) -> Response {
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    // Writing values of ours to memory cannot fail.
    let _ = serde_json::to_writer(&mut out, data);
    if !warnings.is_empty() {
        out.extend_from_slice(b",\"warnings\":");
        let _ = serde_json::to_writer(&mut out, warnings);
    }
    out.push(b'}');
    json_response(out)
}

/// Appends a string with JSON's quotes and escapes.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, text);
    }
}

/// Appends an object of labels.
pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_string(out, name);
        out.push(b':');
        put_string(out, value);
    }
    out.push(b'}');
}

/// Appends a timestamp of milliseconds as seconds.
pub(crate) fn put_time(out: &mut Vec<u8>, ms: i64) {
    let (seconds, rest) = (ms / 1000, (ms % 1000).unsigned_abs());
    if ms < 0 && seconds == 0 {
        out.push(b'-');
    }
    put_integer(out, seconds);
    if rest > 0 {
        let digits =
            [b'.', b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8];
        let keep = if digits[3] != b'0' {
            4
        } else if digits[2] != b'0' {
            3
        } else {
            2
        };
        out.extend_from_slice(&digits[..keep]);
    }
}

fn put_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a number as Prometheus writes it: shortest digits that read back the same, an exponent
/// below 1e-6 and from 1e21 on only, `NaN`, `+Inf`, `-Inf`.
pub(crate) fn put_number(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if magnitude == f64::INFINITY {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if magnitude < 1e15 && value.trunc().to_bits() == value.to_bits() {
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        put_integer(out, value as i64);
    } else if (1e-5..1e16).contains(&magnitude) {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else if (1e-6..1e21).contains(&magnitude) {
        out.extend_from_slice(format!("{value}").as_bytes());
    } else {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                out.extend_from_slice(format!("{digits}e+{exponent}").as_bytes());
            }
            _ => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// Appends a number within quotes.
pub(crate) fn put_value(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    put_number(out, value);
    out.push(b'"');
}

/// Appends `[seconds,"value"]`.
pub(crate) fn put_point(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    out.push(b'[');
    put_time(out, timestamp_ms);
    out.push(b',');
    put_value(out, value);
    out.push(b']');
}

/// Appends `[seconds,{"count":…,"sum":…,"buckets":[…]}]`.
pub(crate) fn put_histogram_point(out: &mut Vec<u8>, timestamp_ms: i64, histogram: &Histogram) {
    out.push(b'[');
    put_time(out, timestamp_ms);
    out.extend_from_slice(b",{\"count\":");
    put_value(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    put_value(out, histogram.sum);
    let mut any = false;
    for bucket in histogram.buckets_ascending().filter(|bucket| bucket.count != 0.0) {
        out.extend_from_slice(if any { b"," } else { b",\"buckets\":[" });
        any = true;
        // Which bounds belong to the bucket: 0 the upper, 1 the lower, 3 both.
        let inclusion = match bucket.side {
            BucketSide::Positive => b'0',
            BucketSide::Negative => b'1',
            BucketSide::Zero => b'3',
        };
        out.extend_from_slice(&[b'[', inclusion]);
        let (lower, upper) = histogram.bounds(&bucket);
        for number in [lower, upper, bucket.count] {
            out.push(b',');
            put_value(out, number);
        }
        out.push(b']');
    }
    if any {
        out.push(b']');
    }
    out.extend_from_slice(b"}]");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (-3.0, "-3"),
            (1e15, "1000000000000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e-7, "1.25e-7"),
            (0.000_001, "0.000001"),
            (0.1, "0.1"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(|out| put_number(out, value)), want);
        }
    }

    #[test]
    fn times_are_seconds_without_trailing_zeros() {
        for (ms, want) in
            [(0, "0"), (1_500, "1.5"), (1_435_781_451_781, "1435781451.781"), (-250, "-0.25"), (10, "0.01")]
        {
            assert_eq!(text(|out| put_time(out, ms)), want);
        }
    }

    proptest! {
        #[test]
        fn every_number_reads_back_the_same(value: f64) {
            let written = text(|out| put_number(out, value));
            let back: f64 = written.replace("Inf", "inf").parse().unwrap();
            prop_assert!(back == value || value.is_nan() && back.is_nan());
        }

        #[test]
        fn every_string_reads_back_the_same(value: String) {
            let written = text(|out| put_string(out, &value));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), value);
        }
    }
}
