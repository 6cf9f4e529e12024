//! Timestamps in a form that a file uses, read and written alike.

use weir_formats::from_iso8601;

/// How a file writes timestamps.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// A number, so many of which are a second.
    Number { per_second: i64 },
    /// ISO 8601: what stands between date and time, whether seconds and fractions follow, the offset and
    /// how it is written.
    Iso { separator: char, seconds: bool, fraction: bool, offset_ms: i64, suffix: String },
}

impl Form {
    /// The form of a timestamp; `None` if it is none.
    pub(super) fn of(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse::<f64>() {
            // A number of seconds of our age has ten digits, one of milliseconds thirteen.
            return number
                .is_finite()
                .then_some(Self::Number { per_second: if number.abs() < 1e11 { 1 } else { 1000 } });
        }
        let ms = from_iso8601(text)?;
        let time = text.get(10..)?;
        let suffix_at = time.rfind(['+', '-', 'Z', 'z']).unwrap_or(time.len());
        let local = from_iso8601(&text[..10 + suffix_at])?;
        let clock = &time[..suffix_at];
        Some(Self::Iso {
            separator: time.chars().next().unwrap_or(' '),
            seconds: clock.len() != 6,
            fraction: clock.contains('.'),
            offset_ms: local - ms,
            suffix: time[suffix_at..].to_owned(),
        })
    }

    /// Milliseconds since the epoch of a timestamp in this form.
    pub(super) fn read(&self, text: &str) -> Option<i64> {
        match self {
            Self::Number { per_second } => {
                let number: f64 = text.parse().ok()?;
                let ms = (number * 1000.0 / *per_second as f64).round();
                (ms.abs() < 9e15).then_some(ms as i64)
            }
            Self::Iso { .. } => from_iso8601(text),
        }
    }

    /// The timestamp of a moment in milliseconds since the epoch.
    pub(super) fn write(&self, ms: i64) -> String {
        match self {
            Self::Number { per_second: 1 } if ms % 1000 == 0 => (ms / 1000).to_string(),
            Self::Number { per_second: 1 } => (ms as f64 / 1000.0).to_string(),
            Self::Number { .. } => ms.to_string(),
            Self::Iso { separator, seconds, fraction, offset_ms, suffix } => {
                let local = ms.saturating_add(*offset_ms);
                let (year, month, day) = date(local.div_euclid(86_400_000));
                let in_day = local.rem_euclid(86_400_000);
                let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
                let mut text = format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}");
                if *seconds {
                    text += &format!(":{:02}", in_day / 1000 % 60);
                }
                if *fraction {
                    text += &format!(".{:03}", in_day % 1000);
                }
                text + suffix
            }
        }
    }
}

/// Year, month and day so many days after 1970 began (H. Hinnant, "chrono-compatible low-level date
/// algorithms": years are counted from March, in eras of 400).
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written_as_they_were_read() {
        for text in [
            "2014-04-01 00:05:00",
            "2024-02-29T23:59:59Z",
            "2024-12-31T23:00:00.250+02:00",
            "1999-01-01 10:30",
            "1700000000",
            "1700000000.5",
            "1700000000123",
        ] {
            let form = Form::of(text).unwrap();
            assert_eq!(form.write(form.read(text).unwrap()), text);
        }
        let form = Form::of("2026-03-01").unwrap();
        assert_eq!(form.write(form.read("2026-03-01").unwrap()), "2026-03-01 00:00:00");
        for text in ["", "noon", "2026-13-01", "NaN", "2026-1"] {
            assert_eq!(Form::of(text), None, "{text}");
        }
    }
}
