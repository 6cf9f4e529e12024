//! Dates in UTC from Unix time, in the proleptic Gregorian calendar.

use std::fmt;

/// A moment's date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The year; 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 1 to 366.
    pub day_of_year: i64,
    /// 0 is Sunday.
    pub weekday: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

impl Moment {
    /// The moment so many seconds after 1970 began.
    ///
    /// Source of the date's formula: H. Hinnant, "chrono-compatible low-level date algorithms": years are
    /// counted from March, so that the leap day comes last, in eras of 400 years.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let in_day = seconds.rem_euclid(86_400);
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day_of_year =
            if month <= 2 { day_from_march - 305 } else { day_from_march + 60 + i64::from(is_leap(year)) };
        Self {
            year,
            month,
            day: day_from_march - (153 * month_from_march + 2) / 5 + 1,
            day_of_year,
            weekday: days.saturating_add(4).rem_euclid(7),
            hour: in_day / 3_600,
            minute: in_day % 3_600 / 60,
            second: in_day % 60,
        }
    }

    /// How many days the month has.
    #[must_use]
    pub fn days_in_month(&self) -> i64 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + i64::from(is_leap(self.year)),
            _ => 31,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The moment in RFC 3339, to the second.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text, weekday, day_of_year, days) in [
            (0, "1970-01-01T00:00:00Z", 4, 1, 31),
            (951_782_400, "2000-02-29T00:00:00Z", 2, 60, 29),
            (951_868_800, "2000-03-01T00:00:00Z", 3, 61, 31),
            (1_230_768_000, "2009-01-01T00:00:00Z", 4, 1, 31),
            (1_230_767_999, "2008-12-31T23:59:59Z", 3, 366, 31),
            (-1, "1969-12-31T23:59:59Z", 3, 365, 31),
            (4_107_542_399, "2100-02-28T23:59:59Z", 0, 59, 28),
        ] {
            let moment = Moment::from_unix(seconds);
            assert_eq!(moment.to_string(), text);
            assert_eq!((moment.weekday, moment.day_of_year), (weekday, day_of_year), "{text}");
            assert_eq!(moment.days_in_month(), days, "{text}");
        }
        let _ = Moment::from_unix(i64::MAX);
        let _ = Moment::from_unix(i64::MIN);
    }
}
