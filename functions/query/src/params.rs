//! Request parameters of the Prometheus HTTP API, from the query string or a form body alike.

use weir_formats::from_iso8601;
use weir_model::Matcher;

use crate::error::ApiError;

/// Earliest and latest instants that the API takes (years 1 and 9999), as unbounded ranges.
pub(crate) const MIN_TIME_MS: i64 = weir_formats::Limits::MIN_TIMESTAMP_MS;
pub(crate) const MAX_TIME_MS: i64 = weir_formats::Limits::MAX_TIMESTAMP_MS;
/// Most parameters of one request.
const MAX_PARAMS: usize = 1024;
/// Most selectors of one request.
const MAX_SELECTORS: usize = 100;

/// Decoded parameters in the order given.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes `application/x-www-form-urlencoded` text.
    pub(crate) fn decode(raw: &[u8]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(raw)
            .map_err(|error| ApiError::bad_data(format!("the parameters cannot be read: {error}")))?;
        if pairs.len() > MAX_PARAMS {
            return Err(ApiError::bad_data(format!(
                "{} parameters given, at most {MAX_PARAMS}",
                pairs.len()
            )));
        }
        Ok(Self(pairs))
    }

    /// Parameters that came otherwise than in a query string.
    pub(crate) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of `name`; an empty one counts as absent, as in Prometheus.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub(crate) fn all<'a, 'b>(&'a self, name: &'b str) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name)
            .ok_or_else(|| ApiError::bad_data(format!("invalid parameter {name:?}: it is missing or empty")))
    }

    /// An instant in milliseconds.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse_time(text).map(Some).ok_or_else(|| {
            ApiError::bad_data(format!(
                "invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp; write Unix seconds or RFC 3339"
            ))
        })
    }

    /// A span in milliseconds, above zero.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refusal = || {
            ApiError::bad_data(format!(
                "invalid parameter {name:?}: cannot parse {text:?} to a valid duration; write seconds or for instance 5m"
            ))
        };
        let ms = parse_duration(text).ok_or_else(refusal)?;
        if ms <= 0 {
            return Err(ApiError::bad_data(format!(
                "invalid parameter {name:?}: zero or negative query resolution step widths are not accepted. Try a positive integer"
            )));
        }
        Ok(Some(ms))
    }

    /// A limit; zero and absent mean none.
    pub(crate) fn limit(&self, name: &str) -> Result<Option<usize>, ApiError> {
        match self.whole(name)? {
            Some(limit) if limit < 0 => Err(ApiError::bad_data(format!(
                "invalid parameter {name:?}: limit must be non-negative, not {limit}"
            ))),
            limit => Ok(limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0)),
        }
    }

    /// A whole number of any sign.
    pub(crate) fn whole(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            ApiError::bad_data(format!("invalid parameter {name:?}: limit must be a number, not {text:?}"))
        })
    }

    /// Series selectors, as each value of `name` gives one.
    pub(crate) fn selectors(&self, name: &str) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let invalid = |reason: String| ApiError::bad_data(format!("invalid parameter {name:?}: {reason}"));
        let count = self.all(name).count();
        if count > MAX_SELECTORS {
            return Err(invalid(format!("{count} selectors given, at most {MAX_SELECTORS}")));
        }
        let selector = |text: &str| {
            let selector = weir_promql::parse_selector(text).map_err(|error| invalid(error.to_string()))?;
            if selector.matchers.iter().all(Matcher::matches_absent) {
                return Err(invalid(format!(
                    "{name} must contain at least one non-empty matcher, unlike {text:?}"
                )));
            }
            Ok(selector.matchers)
        };
        self.all(name).map(selector).collect()
    }
}

/// Unix seconds with a fraction, or RFC 3339; milliseconds.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return (MIN_TIME_MS as f64..=MAX_TIME_MS as f64).contains(&ms).then_some(ms as i64);
    }
    // The ends of time as Prometheus' client writes them.
    match text {
        "-292273086-05-16T16:47:06Z" => return Some(MIN_TIME_MS),
        "+292277025-08-18T07:12:54.999999999Z" => return Some(MAX_TIME_MS),
        _ => {}
    }
    from_iso8601(text)
}

/// Seconds with a fraction, or a Prometheus duration; milliseconds.
fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return (ms.abs() <= MAX_TIME_MS as f64).then_some(ms as i64);
    }
    weir_promql::parse_duration_ms(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_spans_read_as_in_prometheus() {
        let params =
            Params::decode(b"a=1.5&b=2015-07-01T20:10:51.781Z&c=1h30m&d=0&e=x&f=0.25&n=NaN").unwrap();
        assert_eq!(params.time("a").unwrap(), Some(1500));
        assert_eq!(params.time("b").unwrap(), Some(1_435_781_451_781));
        assert_eq!(params.time("none").unwrap(), None);
        assert!(params.time("e").is_err());
        assert!(params.time("n").is_err());
        assert_eq!(params.duration("c").unwrap(), Some(5_400_000));
        assert_eq!(params.duration("f").unwrap(), Some(250));
        assert!(params.duration("d").is_err());
        assert!(params.duration("n").is_err());
    }
}
