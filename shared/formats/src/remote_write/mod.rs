//! Prometheus remote write 1.0 and 2.0: hand-written zero-copy readers.
//!
//! A body that breaks protobuf's rules, or refers to a symbol that is not there, is refused as a
//! whole with the index of the time series, since nothing after that point can be trusted. A series
//! with bad labels, and a sample or histogram that breaks a rule, is rejected and the rest proceeds;
//! a 2.0 receiver must then answer 400 although the rest is stored.
//!
//! Created and start timestamps of 2.0 are read past: Weir takes counter resets from the values.

pub mod encode;
mod histogram;
mod v1;
mod v2;

use weir_model::MetricKind;

use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};
use crate::protobuf::WireError;

/// The two messages that senders use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Version {
    /// The message that a `Content-Type` header names; without a `proto` parameter, or without a
    /// header, it is 1.0.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] (415) for another media type or message.
    pub fn negotiate(content_type: &str) -> Result<Self, FormatError> {
        let mut parts = content_type.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !media.is_empty() && !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(FormatError::unsupported(format!(
                "content type {} is not supported: remote write is application/x-protobuf",
                quote(media)
            )));
        }
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            if !name.trim().eq_ignore_ascii_case("proto") {
                continue;
            }
            return match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Ok(Self::V1),
                "io.prometheus.write.v2.Request" => Ok(Self::V2),
                other => Err(FormatError::unsupported(format!(
                    "protobuf message {} is not supported: use prometheus.WriteRequest or io.prometheus.write.v2.Request",
                    quote(other)
                ))),
            };
        }
        Ok(Self::V1)
    }
}

/// Reads a decompressed remote-write body.
///
/// # Errors
/// [`FormatError`] when the message is damaged or passes a bound on the whole request.
pub fn parse(version: Version, body: &[u8], now_ms: i64, limits: &Limits) -> Result<Parsed, FormatError> {
    match version {
        Version::V1 => v1::parse(body, now_ms, limits),
        Version::V2 => v2::parse(body, now_ms, limits),
    }
}

fn damaged(index: usize, error: WireError) -> FormatError {
    FormatError::bad(format!("timeseries {index}"), error.to_string())
}

/// For bytes that happen to be fields of protobuf, but none that the message has.
fn nothing_known(message: &str) -> FormatError {
    FormatError::bad(None, format!("the body is no {message}: it has none of its fields"))
}

/// The kind at an enumeration's number; both versions count alike.
fn kind(code: u64) -> MetricKind {
    u8::try_from(code).ok().and_then(MetricKind::from_code).unwrap_or_default()
}

fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        Problem::new(
            RejectKind::Labels,
            format!("a label is not UTF-8 from its byte {}", error.valid_up_to()),
        )
    })
}

/// What a time series holds beside its labels, counted before its labels are judged.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    samples: u64,
    histograms: u64,
    exemplars: u64,
}

impl Content {
    fn is_empty(self) -> bool {
        self.samples + self.histograms + self.exemplars == 0
    }

    /// What is lost when the series is refused, in samples.
    fn lost(self) -> u64 {
        (self.samples + self.histograms).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn the_content_type_chooses_the_message() {
        let rows = [
            ("", Ok(Version::V1)),
            ("application/x-protobuf", Ok(Version::V1)),
            ("application/x-protobuf;proto=prometheus.WriteRequest", Ok(Version::V1)),
            ("application/x-protobuf; proto=io.prometheus.write.v2.Request", Ok(Version::V2)),
            ("Application/X-Protobuf; charset=x; Proto=\"io.prometheus.write.v2.Request\"", Ok(Version::V2)),
            ("application/x-protobuf;proto=io.prometheus.write.v3.Request", Err(ErrorKind::Unsupported)),
            ("application/json", Err(ErrorKind::Unsupported)),
        ];
        for (header, want) in rows {
            assert_eq!(Version::negotiate(header).map_err(|error| error.kind), want, "{header}");
        }
    }
}
