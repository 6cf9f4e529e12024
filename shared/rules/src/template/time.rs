//! Times as Go prints them in UTC.

use super::number::general_precision;

/// `2006-01-02 15:04:05.999 +0000 UTC`, without a fraction where there is none.
pub(crate) fn go_time(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let fraction =
        if millis == 0 { String::new() } else { format!(".{millis:03}").trim_end_matches('0').to_owned() };
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}{fraction} +0000 UTC",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Year, month and day of a day since the Unix epoch, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A Unix time in seconds as milliseconds, where it is one that prints.
pub(super) fn from_seconds(seconds: f64) -> Result<i64, String> {
    // The years 1 to 9999, which is what prints in four digits.
    if (-62_135_596_800.0..253_402_300_800.0).contains(&seconds) {
        Ok((seconds * 1000.0).round() as i64)
    } else {
        Err(format!("{} cannot be represented as a time", general_precision(seconds, 4)))
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
