//! What alerts mean to the business, as declared in a file: working hours, impact, what to do, where to look.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use weir_model::{Labels, MatchOp, Matcher, Moment};

use crate::yaml::{self, Problem};

/// The shipped guide.
const SHIPPED: &str = include_str!("../../../../infra/config/impact.yml");
/// Largest file in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Most entries.
const MAX_IMPACTS: usize = 10_000;
/// Most actions of an entry.
const MAX_ACTIONS: usize = 20;
/// Longest text in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// How much an alert matters to the business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImpactLevel {
    /// Nobody outside notices.
    Low,
    /// Some notice.
    Medium,
    /// Customers notice, or money is at stake.
    High,
    /// The business stands still, or loses money by the minute.
    Critical,
}

impl ImpactLevel {
    /// The level of a word that people put into labels.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "low" | "none" | "minor" => Some(Self::Low),
            "medium" | "moderate" => Some(Self::Medium),
            "high" | "major" => Some(Self::High),
            "critical" | "severe" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A file of what alerts mean; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct Guide {
    hours: Option<Hours>,
    /// `{query}`, `{start}`, `{end}` and `{step}` stand in it.
    pub(super) plot_url: Option<String>,
    impacts: Vec<Impact>,
}

/// What alerts of certain labels mean.
#[derive(Debug, Clone)]
pub(super) struct Impact {
    matchers: Vec<Matcher>,
    pub(super) level: ImpactLevel,
    pub(super) says: String,
    pub(super) actions: Vec<String>,
}

/// When people work.
#[derive(Debug, Clone)]
struct Hours {
    /// By weekday, Sunday first.
    days: [bool; 7],
    /// Minutes after midnight, the end not included.
    from: i64,
    to: i64,
    /// Seconds that their clocks are ahead of UTC.
    ahead_s: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGuide {
    business_hours: Option<RawHours>,
    plot_url: Option<Spanned<String>>,
    #[serde(default)]
    impacts: Vec<Spanned<RawImpact>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHours {
    days: Vec<Spanned<String>>,
    from: Spanned<String>,
    to: Spanned<String>,
    #[serde(default)]
    utc_offset: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawImpact {
    #[serde(rename = "match")]
    matches: BTreeMap<String, Spanned<String>>,
    level: ImpactLevel,
    says: String,
    #[serde(default)]
    actions: Vec<String>,
}

impl Guide {
    /// The shipped one.
    ///
    /// # Errors
    /// When it is damaged, which a test rules out.
    pub fn shipped() -> Result<Self, Problem> {
        Self::parse(SHIPPED)
    }

    /// Reads a guide and checks it.
    ///
    /// # Errors
    /// [`Problem`] with its place: the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let whole = |message| Problem { line: 0, column: 0, message };
        if text.len() > MAX_BYTES {
            return Err(whole(format!("file of {} bytes is larger than {MAX_BYTES} bytes", text.len())));
        }
        let raw: RawGuide = yaml::read(text)?;
        if raw.impacts.len() > MAX_IMPACTS {
            return Err(whole(format!("{} impacts, at most {MAX_IMPACTS}", raw.impacts.len())));
        }
        let hours = raw.business_hours.map(Hours::read).transpose()?;
        let plot_url = raw.plot_url.map(|url| {
            let known = url.value.contains("{query}");
            let message = "plot_url has no {query} for the expression to stand in";
            known.then_some(url.value).ok_or_else(|| Problem::at(url.referenced, message))
        });
        let impacts = raw.impacts.into_iter().map(Impact::read).collect::<Result<_, _>>()?;
        Ok(Self { hours, plot_url: plot_url.transpose()?, impacts })
    }

    /// Number of its entries.
    #[must_use]
    pub fn impact_count(&self) -> usize {
        self.impacts.len()
    }

    /// Whether people work at this time; nothing where the guide does not say when they do.
    pub(super) fn in_business_hours(&self, at_ms: i64) -> Option<bool> {
        let hours = self.hours.as_ref()?;
        let local = Moment::from_unix(at_ms.div_euclid(1000) + hours.ahead_s);
        let day = hours.days.get(local.weekday as usize).copied().unwrap_or(false);
        let minute = local.hour * 60 + local.minute;
        Some(day && (hours.from..hours.to).contains(&minute))
    }

    /// What alerts of these labels mean: the first entry all of whose conditions hold.
    pub(super) fn impact(&self, labels: &Labels) -> Option<&Impact> {
        let fits = |impact: &&Impact| {
            impact.matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()))
        };
        self.impacts.iter().find(fits)
    }
}

impl Impact {
    fn read(raw: Spanned<RawImpact>) -> Result<Self, Problem> {
        let place = raw.referenced;
        let RawImpact { matches, level, says, actions } = raw.value;
        if matches.is_empty() {
            return Err(Problem::at(place, "match is empty: name at least one label"));
        }
        if actions.len() > MAX_ACTIONS {
            let message = format!("{} actions, at most {MAX_ACTIONS}", actions.len());
            return Err(Problem::at(place, message));
        }
        if let Some(long) = actions.iter().chain([&says]).find(|text| text.len() > MAX_TEXT_BYTES) {
            let message = format!("a text of {} bytes, at most {MAX_TEXT_BYTES}", long.len());
            return Err(Problem::at(place, message));
        }
        let matcher = |(name, value): (&String, &Spanned<String>)| {
            Matcher::new(name, MatchOp::Regex, &value.value)
                .map_err(|error| Problem::at(value.referenced, error.to_string()))
        };
        let matchers = matches.iter().map(matcher).collect::<Result<_, _>>()?;
        Ok(Self { matchers, level, says, actions })
    }
}

impl Hours {
    fn read(raw: RawHours) -> Result<Self, Problem> {
        const DAYS: [&str; 7] =
            ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
        let mut days = [false; 7];
        for day in &raw.days {
            let Some(index) = DAYS.iter().position(|name| *name == day.value) else {
                let message = format!("{:?} is no day; expected one of {}", day.value, DAYS.join(", "));
                return Err(Problem::at(day.referenced, message));
            };
            days[index] = true;
        }
        let clock = |given: &Spanned<String>| {
            minutes(&given.value).filter(|m| *m <= 24 * 60).ok_or_else(|| {
                let message = format!("{:?} is no time of day; expected 00:00 to 24:00", given.value);
                Problem::at(given.referenced, message)
            })
        };
        let (from, to) = (clock(&raw.from)?, clock(&raw.to)?);
        if from >= to {
            let message = format!("from {} is not before to {}", raw.from.value, raw.to.value);
            return Err(Problem::at(raw.to.referenced, message));
        }
        let ahead = |given: &Spanned<String>| {
            let (sign, rest) = match given.value.split_at_checked(1) {
                Some(("+", rest)) => (1, rest),
                Some(("-", rest)) => (-1, rest),
                _ => (0, ""),
            };
            // Clocks are up to 14 hours ahead of UTC and 12 behind.
            minutes(rest).filter(|m| sign != 0 && *m <= 14 * 60).map(|m| sign * m * 60).ok_or_else(|| {
                let message = format!("{:?} is no offset from UTC; expected such as +01:00", given.value);
                Problem::at(given.referenced, message)
            })
        };
        let ahead_s = raw.utc_offset.as_ref().map_or(Ok(0), ahead)?;
        Ok(Self { days, from, to, ahead_s })
    }
}

/// `HH:MM` as minutes.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<i64>().ok()).flatten()
    };
    number(minutes).filter(|m| *m < 60).and_then(|m| Some(number(hours)? * 60 + m))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday, 2026-11-21T10:00:00Z.
    const SATURDAY_TEN_MS: i64 = 1_795_255_200_000;
    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn business_hours_are_those_of_the_people_there() {
        let guide = |offset: &str| {
            let days = "[monday, friday]";
            let text = format!(
                "business_hours: {{ days: {days}, from: \"09:00\", to: \"17:30\", utc_offset: \"{offset}\" }}"
            );
            Guide::parse(&text).unwrap()
        };
        let friday = SATURDAY_TEN_MS - 24 * HOUR_MS;
        for (offset, at_ms, want) in [
            ("+00:00", SATURDAY_TEN_MS, false),
            ("+00:00", friday, true),
            ("+00:00", friday - HOUR_MS, true),
            ("+00:00", friday - HOUR_MS - 1, false),
            ("+00:00", friday + 7 * HOUR_MS, true),
            ("+00:00", friday + 7 * HOUR_MS + HOUR_MS / 2, false),
            ("-05:00", friday, false),
            ("+05:30", friday, true),
            ("+05:30", friday + 2 * HOUR_MS, false),
            // Monday morning in Auckland is still Sunday in Greenwich.
            ("+13:00", SATURDAY_TEN_MS + 35 * HOUR_MS, true),
        ] {
            assert_eq!(guide(offset).in_business_hours(at_ms), Some(want), "{offset} {at_ms}");
        }
        assert_eq!(Guide::parse("impacts: []").unwrap().in_business_hours(0), None);
    }

    #[test]
    fn the_first_entry_that_fits_tells_the_impact() {
        let text = "impacts:
- { match: { alertname: \"Pay.*\", env: prod }, level: critical, says: no payments }
- { match: { alertname: \"Pay.*\" }, level: low, says: nobody sees it }
- { match: { env: \"\" }, level: medium, says: somewhere }
";
        let guide = Guide::parse(text).unwrap();
        for (labels, want) in [
            (vec![("alertname", "PayDown"), ("env", "prod")], Some("no payments")),
            (vec![("alertname", "PayDown"), ("env", "dev")], Some("nobody sees it")),
            (vec![("alertname", "PayDown")], Some("nobody sees it")),
            (vec![("alertname", "xPay")], Some("somewhere")),
            (vec![("alertname", "x"), ("env", "dev")], None),
        ] {
            let found = guide.impact(&Labels::from_pairs(labels.clone()));
            assert_eq!(found.map(|impact| impact.says.as_str()), want, "{labels:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_guide_is_told_with_its_place() {
        for (text, line, want) in [
            ("impact: []", 1, "unknown field"),
            ("impacts:\n- { match: {}, level: low, says: x }", 2, "at least one label"),
            ("impacts:\n- { match: { a: \"(\" }, level: low, says: x }", 2, "bad regular expression"),
            ("impacts:\n- { match: { a: b }, level: dire, says: x }", 2, "dire"),
            ("plot_url: http://x/graph", 1, "no {query}"),
            ("business_hours: { days: [someday], from: \"09:00\", to: \"10:00\" }", 1, "no day"),
            ("business_hours: { days: [], from: \"9:00\", to: \"10:00\" }", 1, "no time of day"),
            ("business_hours: { days: [], from: \"11:00\", to: \"10:00\" }", 1, "not before"),
            (
                "business_hours: { days: [], from: \"09:00\", to: \"10:00\", utc_offset: CET }",
                1,
                "no offset from UTC",
            ),
        ] {
            let problem = Guide::parse(text).unwrap_err();
            assert!(problem.message.contains(want) && problem.line == line, "{text}: {problem:?}");
        }
    }

    #[test]
    fn the_shipped_guide_is_good() {
        let guide = Guide::shipped().unwrap();
        assert!(guide.in_business_hours(0).is_some() && !guide.impacts.is_empty());
    }
}
