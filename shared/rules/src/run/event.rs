//! The event that starts a run: the time it was scheduled for.

use serde::{Deserialize, Serialize};

use crate::template::rfc3339;

/// What starts a run: the payload of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEvent {
    /// The time that rules are evaluated at, RFC 3339 in UTC: `2026-11-21T10:05:00Z`.
    pub time: String,
    /// Evaluates a time again that was evaluated before, for data that came late.
    #[serde(default)]
    pub again: bool,
}

/// An event without a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event's time is {0:?}; expected RFC 3339 in UTC, such as 2026-11-21T10:05:00Z")]
pub struct EventError(String);

impl RuleEvent {
    /// The event of a run scheduled for a time, which the scheduler in the cloud puts where template.yaml says
    /// `<aws.scheduler.scheduled-time>`.
    #[must_use]
    pub fn scheduled(at_ms: i64) -> Self {
        Self { time: rfc3339(at_ms.div_euclid(1000) * 1000), again: false }
    }

    /// The time in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`EventError`] when the text is no time.
    pub fn at_ms(&self) -> Result<i64, EventError> {
        parse(&self.time).ok_or_else(|| EventError(self.time.clone()))
    }
}

fn parse(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, byte)| text.as_bytes().get(*at) == Some(byte)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let inside =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    // A fraction of a second says nothing about a schedule.
    let rest = text.get(19..)?.strip_suffix('Z')?;
    let fraction =
        rest.is_empty() || rest.strip_prefix('.').is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit()));
    // The inverse of `civil_from_days`, after Howard Hinnant.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_era =
        y.rem_euclid(400) * 365 + y.rem_euclid(400) / 4 - y.rem_euclid(400) / 100 + (153 * m + 2) / 5 + day
            - 1;
    let days = y.div_euclid(400) * 146_097 + of_era - 719_468;
    (inside && fraction).then_some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-21T10:05:00Z", 1_795_255_500_000),
            ("2000-02-29T23:59:59Z", 951_868_799_000),
        ] {
            assert_eq!(RuleEvent { time: text.to_owned(), again: false }.at_ms(), Ok(ms), "{text}");
            assert_eq!(RuleEvent::scheduled(ms).time, text);
        }
        assert_eq!(
            RuleEvent { time: "2026-11-21T10:05:00.123Z".into(), again: false }.at_ms(),
            Ok(1_795_255_500_000)
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-21",
            "2026-13-21T10:05:00Z",
            "2026-11-21T10:05:00+01:00",
            "<aws.scheduler.scheduled-time>",
        ] {
            assert!(RuleEvent { time: text.to_owned(), again: false }.at_ms().is_err(), "{text}");
        }
    }
}
