//! Time intervals: business hours, holidays, anything a calendar can name.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_saphyr::Spanned;
use weir_rules::Problem;

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Minutes of a day.
const DAY: i32 = 24 * 60;

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    begin: i32,
    end: i32,
}

impl Range {
    fn holds(self, x: i32) -> bool {
        self.begin <= x && x <= self.end
    }
}

/// A set of moments: those that every given part holds.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeInterval {
    /// Minutes of the day; the last one is outside of what was written.
    times: Vec<Range>,
    /// 0 is Sunday.
    weekdays: Vec<Range>,
    /// From 1; negative ones count from the month's end, -1 the last day.
    days_of_month: Vec<Range>,
    months: Vec<Range>,
    years: Vec<Range>,
    location: TimeZone,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInterval {
    #[serde(default)]
    times: Vec<Spanned<RawTimes>>,
    #[serde(default)]
    weekdays: Vec<Spanned<String>>,
    #[serde(default)]
    days_of_month: Vec<Spanned<String>>,
    #[serde(default)]
    months: Vec<Spanned<String>>,
    #[serde(default)]
    years: Vec<Spanned<String>>,
    location: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTimes {
    start_time: String,
    end_time: String,
}

impl TimeInterval {
    /// Whether the moment lies within.
    #[must_use]
    pub fn contains(&self, at_ms: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
        let at = at.to_zoned(self.location.clone());
        let any = |ranges: &[Range], x: i32| ranges.is_empty() || ranges.iter().any(|range| range.holds(x));
        let days = i32::from(at.days_in_month());
        let day = |range: &Range| {
            let from_end = |day: i32| if day < 0 { days + day + 1 } else { day };
            Range { begin: from_end(range.begin), end: from_end(range.end) }.holds(i32::from(at.day()))
        };
        any(&self.times, i32::from(at.hour()) * 60 + i32::from(at.minute()))
            && any(&self.weekdays, i32::from(at.weekday().to_sunday_zero_offset()))
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(day))
            && any(&self.months, i32::from(at.month()))
            && any(&self.years, i32::from(at.year()))
    }

    pub(super) fn check(raw: &RawInterval) -> Result<Self, Problem> {
        let location = match &raw.location {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(&name.value).map_err(|_| {
                Problem::at(
                    name.referenced,
                    format!("unknown time zone {:?}; write for instance Europe/Berlin", name.value),
                )
            })?,
        };
        Ok(Self {
            times: raw.times.iter().map(times).collect::<Result<_, _>>()?,
            weekdays: ranges(&raw.weekdays, weekday)?,
            days_of_month: ranges(&raw.days_of_month, day_of_month)?,
            months: ranges(&raw.months, month)?,
            years: ranges(&raw.years, |text| number(text, "year", 1, 9999))?,
            location,
        })
    }
}

fn ranges(raw: &[Spanned<String>], read: fn(&str) -> Result<i32, String>) -> Result<Vec<Range>, Problem> {
    let range = |text: &Spanned<String>| {
        let lower = text.value.to_lowercase();
        let (begin, end) = lower.split_once(':').unwrap_or((&lower, &lower));
        let range = read(begin).and_then(|begin| Ok(Range { begin, end: read(end)? }));
        range.and_then(ordered).map_err(|message| Problem::at(text.referenced, message))
    };
    raw.iter().map(range).collect()
}

/// Refuses what is empty in every month and year; a range may begin in one half of a month and end in the other.
fn ordered(range: Range) -> Result<Range, String> {
    let Range { begin, end } = range;
    if begin < 0 && end > 0 {
        return Err(format!("end day {end} must be negative where start day {begin} is"));
    }
    // The shortest month has 28 days.
    let place = |day: i32| if day < 0 { 28 + day } else { day };
    if place(begin) > place(end) {
        return Err(format!("the range ends at {end}, before it begins at {begin}"));
    }
    Ok(range)
}

fn number(text: &str, what: &str, least: i32, most: i32) -> Result<i32, String> {
    let refusal = || format!("{text:?} is no {what}: expected {least} to {most}");
    text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(refusal)
}

fn named(text: &str, names: &[&str]) -> Option<i32> {
    names.iter().position(|name| *name == text).and_then(|at| i32::try_from(at).ok())
}

fn weekday(text: &str) -> Result<i32, String> {
    named(text, &WEEKDAYS).ok_or_else(|| format!("{text:?} is no weekday: expected sunday to saturday"))
}

fn day_of_month(text: &str) -> Result<i32, String> {
    let day = number(text, "day of the month", -31, 31)?;
    if day == 0 {
        Err("0 is no day of the month: expected 1 to 31, or -31 to -1".to_owned())
    } else {
        Ok(day)
    }
}

fn month(text: &str) -> Result<i32, String> {
    named(text, &MONTHS).map(|month| month + 1).map_or_else(|| number(text, "month", 1, 12), Ok)
}

fn times(raw: &Spanned<RawTimes>) -> Result<Range, Problem> {
    let at = |text: &str| {
        let refusal =
            || Problem::at(raw.referenced, format!("{text:?} is no time of day: expected 00:00 to 24:00"));
        let (hour, minute) =
            text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2).ok_or_else(refusal)?;
        let (hour, minute) = (number(hour, "hour", 0, 24), number(minute, "minute", 0, 59));
        let (Ok(hour), Ok(minute)) = (hour, minute) else { return Err(refusal()) };
        Some(hour * 60 + minute).filter(|minutes| *minutes <= DAY).ok_or_else(refusal)
    };
    let (begin, end) = (at(&raw.value.start_time)?, at(&raw.value.end_time)?);
    if begin >= end {
        let message =
            format!("start_time {} is not before end_time {}", raw.value.start_time, raw.value.end_time);
        return Err(Problem::at(raw.referenced, message));
    }
    Ok(Range { begin, end: end - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(yaml: &str) -> Result<TimeInterval, Problem> {
        TimeInterval::check(&weir_rules::read_yaml::<RawInterval>(yaml)?)
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn moments_lie_within_what_the_parts_name() {
        let business = "times: [{start_time: '09:00', end_time: '17:00'}]\nweekdays: ['monday:friday']\n";
        let rows = [
            (business, "2026-11-20T09:00:00Z", true),
            (business, "2026-11-20T16:59:59Z", true),
            (business, "2026-11-20T17:00:00Z", false),
            (business, "2026-11-21T12:00:00Z", false),
            ("times: [{start_time: '22:00', end_time: '24:00'}]", "2026-11-20T23:59:59Z", true),
            ("days_of_month: ['-1']", "2026-02-28T12:00:00Z", true),
            ("days_of_month: ['-1']", "2028-02-28T12:00:00Z", false),
            ("days_of_month: ['1:5', '-3:-1']", "2026-11-28T00:00:00Z", true),
            ("days_of_month: ['1:5', '-3:-1']", "2026-11-27T23:59:59Z", false),
            ("days_of_month: ['31']", "2026-11-30T00:00:00Z", false),
            ("days_of_month: ['20:-1']", "2026-11-20T00:00:00Z", true),
            ("months: ['january:march', 'December']", "2026-12-25T00:00:00Z", true),
            ("months: ['1:3']", "2026-04-01T00:00:00Z", false),
            (
                "years: ['2026:2027']\nmonths: [december]\ndays_of_month: ['25:26']",
                "2026-12-25T08:00:00Z",
                true,
            ),
            ("years: [2027]", "2026-12-25T08:00:00Z", false),
            // Berlin is an hour ahead in winter and two in summer.
            (
                "location: Europe/Berlin\ntimes: [{start_time: '09:00', end_time: '10:00'}]",
                "2026-11-20T08:30:00Z",
                true,
            ),
            (
                "location: Europe/Berlin\ntimes: [{start_time: '09:00', end_time: '10:00'}]",
                "2026-07-20T08:30:00Z",
                false,
            ),
            ("{}", "2026-07-20T08:30:00Z", true),
        ];
        for (yaml, at, want) in rows {
            assert_eq!(interval(yaml).unwrap().contains(ms(at)), want, "{yaml} at {at}");
        }
    }

    #[test]
    fn what_no_calendar_holds_is_refused_with_its_line() {
        let rows = [
            ("times:\n- start_time: '17:00'\n  end_time: '09:00'", 2, "is not before"),
            ("times:\n- start_time: '9:00'\n  end_time: '10:00'", 2, "no time of day"),
            ("times:\n- start_time: '24:01'\n  end_time: '10:00'", 2, "no time of day"),
            ("weekdays: [mon]", 1, "no weekday"),
            ("weekdays: ['friday:monday']", 1, "before it begins"),
            ("days_of_month:\n- '0'", 2, "no day of the month"),
            ("days_of_month: ['32']", 1, "no day of the month"),
            ("days_of_month: ['-5:5']", 1, "must be negative"),
            ("months: ['13']", 1, "no month"),
            ("years: ['2027:2026']", 1, "before it begins"),
            ("location: Mars/Olympus", 1, "unknown time zone"),
            ("hours: ['1']", 1, "hours"),
        ];
        for (yaml, line, part) in rows {
            let problem = interval(yaml).unwrap_err();
            assert!(problem.line == line && problem.message.contains(part), "{yaml}: {problem:?}");
        }
    }
}
