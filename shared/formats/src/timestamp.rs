//! Timestamps as text and number, to milliseconds since the Unix epoch.

/// Below this a bare number counts seconds (until the year 5138).
const SECONDS_BELOW: f64 = 1e11;
/// Below this it counts milliseconds.
const MILLISECONDS_BELOW: f64 = 1e14;
/// Below this microseconds, and nanoseconds above.
const MICROSECONDS_BELOW: f64 = 1e17;

/// Milliseconds of a number of unknown unit, told by its magnitude: below 1e11 seconds, below 1e14
/// milliseconds, below 1e17 microseconds, else nanoseconds.
pub(crate) fn from_number(number: f64) -> Option<i64> {
    let size = number.abs();
    let ms = if size < SECONDS_BELOW {
        number * 1e3
    } else if size < MILLISECONDS_BELOW {
        number
    } else if size < MICROSECONDS_BELOW {
        number / 1e3
    } else {
        number / 1e6
    };
    round(ms)
}

/// Milliseconds of decimal seconds.
pub(crate) fn from_seconds(seconds: f64) -> Option<i64> {
    round(seconds * 1e3)
}

fn round(ms: f64) -> Option<i64> {
    let ms = ms.round();
    // The range where every whole float is exact; anything near it fails the bounds on years anyway.
    (ms.abs() < 9e15).then_some(ms as i64)
}

/// Milliseconds of an ISO 8601 date and time: `2025-07-26T10:30:00Z`, with a blank for the `T`, with
/// fractions, with an offset such as `+02:00`; without an offset it is UTC, without a time midnight.
pub fn from_iso8601(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let year = digits(bytes.get(0..4)?)?;
    let month = digits(bytes.get(5..7)?)?;
    let day = digits(bytes.get(8..10)?)?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let long = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(long),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let (time_ms, rest) = match bytes.get(10) {
        None => return Some(days_since_epoch(year, month, day) * 86_400_000),
        Some(b'T' | b't' | b' ') => time_of_day(&bytes[11..])?,
        Some(_) => return None,
    };
    Some(days_since_epoch(year, month, day) * 86_400_000 + time_ms - offset_ms(rest)?)
}

/// Milliseconds since midnight, and what follows the time.
fn time_of_day(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let hour = digits(bytes.get(0..2)?)?;
    let minute = digits(bytes.get(3..5)?)?;
    if bytes[2] != b':' || hour > 23 || minute > 59 {
        return None;
    }
    let mut ms = (hour * 60 + minute) * 60_000;
    let mut rest = &bytes[5..];
    if rest.first() == Some(&b':') {
        let second = digits(rest.get(1..3)?)?;
        // 60 is a leap second; it counts as the next minute's start.
        if second > 60 {
            return None;
        }
        ms += second * 1000;
        rest = &rest[3..];
        if matches!(rest.first(), Some(b'.' | b',')) {
            let len = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            if len == 0 || len > 9 {
                return None;
            }
            let thousandths = rest[1..=len].iter().chain(b"000").take(3);
            ms += thousandths.fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
            rest = &rest[1 + len..];
        }
    }
    Some((ms, rest))
}

fn offset_ms(bytes: &[u8]) -> Option<i64> {
    let sign = match bytes.first() {
        None => return Some(0),
        Some(b'Z' | b'z') if bytes.len() == 1 => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let hours = digits(bytes.get(1..3)?)?;
    let minutes = match &bytes[3..] {
        [] => 0,
        [b':', rest @ ..] | rest if rest.len() == 2 => digits(rest)?,
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counted from a March so that the leap
/// day is a year's last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let in_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_every_spelling_are_read() {
        let rows = [
            ("2025-07-26T10:30:00Z", Some(1_753_525_800_000)),
            ("2025-07-26 10:30:00", Some(1_753_525_800_000)),
            ("2025-07-26T10:30:00.123456", Some(1_753_525_800_123)),
            ("2025-07-26T10:30:00.5+02:00", Some(1_753_518_600_500)),
            ("2025-07-26T10:30-0130", Some(1_753_531_200_000)),
            ("2025-07-26", Some(1_753_488_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2023-02-29T00:00:00Z", None),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2025-13-01", None),
            ("2025-07-26T25:00:00Z", None),
            ("2025-07-26T10:30:00.Z", None),
            ("yesterday", None),
            ("2025-07-26T10:30:00 UTC", None),
        ];
        for (text, want) in rows {
            assert_eq!(from_iso8601(text), want, "{text}");
        }
    }

    #[test]
    fn the_unit_of_a_number_is_told_by_its_magnitude() {
        let rows = [
            ("seconds", 1_753_525_800.0, Some(1_753_525_800_000)),
            ("fractional seconds", 1_753_525_800.25, Some(1_753_525_800_250)),
            ("milliseconds", 1_753_525_800_000.0, Some(1_753_525_800_000)),
            ("microseconds", 1.753_525_8e15, Some(1_753_525_800_000)),
            ("nanoseconds", 1.753_525_8e18, Some(1_753_525_800_000)),
            ("not a number", f64::NAN, None),
            ("no time at all", f64::INFINITY, None),
        ];
        for (shows, number, want) in rows {
            assert_eq!(from_number(number), want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = from_iso8601(&text);
        }

        #[test]
        fn text_like_a_date_never_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+Zé-]{0,20}") {
            let _ = from_iso8601(&text);
        }
    }
}
