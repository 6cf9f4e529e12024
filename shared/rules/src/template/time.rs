//! Times as Go prints them in UTC.

use weir_model::Moment;

use super::number::general_precision;

/// `2006-01-02 15:04:05.999 +0000 UTC`, without a fraction where there is none.
pub(super) fn go_time(ms: i64) -> String {
    let Moment { year, month, day, hour, minute, second, .. } = Moment::from_unix(ms.div_euclid(1000));
    let fraction = match ms.rem_euclid(1000) {
        0 => String::new(),
        millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC")
}

/// A time in milliseconds since the Unix epoch as RFC 3339 writes it in UTC.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    go_time(ms).replacen(' ', "T", 1).replace(" +0000 UTC", "Z")
}

/// A Unix time in seconds as milliseconds: cut, not rounded, from what fits into 64 bits of nanoseconds.
pub(super) fn from_seconds(seconds: f64) -> Result<i64, String> {
    let nanos = seconds * 1e9;
    if nanos.abs() < i64::MAX as f64 {
        Ok(nanos as i64 / 1_000_000)
    } else {
        let shown = general_precision(nanos, 17);
        Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"))
    }
}

#[cfg(test)]
mod tests {
    use super::go_time;

    #[test]
    fn times_print_as_go_prints_them() {
        assert_eq!(go_time(1_435_065_584_128), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(go_time(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(go_time(951_782_400_000), "2000-02-29 00:00:00 +0000 UTC");
        assert_eq!(go_time(-1), "1969-12-31 23:59:59.999 +0000 UTC");
    }
}
