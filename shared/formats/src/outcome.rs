//! What a parser has to say: the batch, what was accepted, what was rejected and why.

use std::fmt;

use weir_model::Batch;

/// Longest text quoted from a body in an error, in bytes.
const QUOTE_BYTES: usize = 120;

/// What a request brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Series, samples, exemplars and metadata that passed every check.
    pub batch: Batch,
    /// How much of the request was accepted, counted as the sender counts.
    pub accepted: Accepted,
    /// What was refused.
    pub rejections: Rejections,
    /// Entries that are well formed but carry no metric (StatsD events and service checks).
    pub ignored: u64,
    /// True when every sample of a delta series carried its own timestamp, so that the same body
    /// delivered twice means a retry and not a second event of the same kind.
    pub own_timestamps: bool,
}

impl Default for Parsed {
    fn default() -> Self {
        Self {
            batch: Batch::new(),
            accepted: Accepted::default(),
            rejections: Rejections::default(),
            ignored: 0,
            own_timestamps: true,
        }
    }
}

/// Accepted entries by sort, in the sender's units: a StatsD line of three timings is three samples
/// here and one histogram sample in the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Float samples, single observations and set members.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// Declarations about metric families.
    pub metadata: u64,
}

/// The sort of a rejection: few and stable, fit for a label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectKind {
    /// The entry cannot be read.
    Syntax,
    /// A name or label breaks a rule or a bound.
    Labels,
    /// The value is missing or no number.
    Value,
    /// The timestamp cannot be read or lies out of bounds.
    Timestamp,
    /// A native histogram breaks a rule.
    Histogram,
    /// The metric type or document kind is not one of those supported.
    Type,
}

impl RejectKind {
    /// Every sort, in the order of its code.
    pub const ALL: [Self; 6] =
        [Self::Syntax, Self::Labels, Self::Value, Self::Timestamp, Self::Histogram, Self::Type];

    /// Name in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Labels => "labels",
            Self::Value => "value",
            Self::Timestamp => "timestamp",
            Self::Histogram => "histogram",
            Self::Type => "type",
        }
    }
}

/// One refused entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Where it stands in the body: `line 3`, `timeseries 7`, `[0].metrics[2].value`.
    pub place: String,
    /// Its sort.
    pub kind: RejectKind,
    /// What is wrong, with the offending value and the rule.
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// Everything refused of one request: all counted, the first few told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    /// Number of refused samples (an entry that cannot be read counts as one).
    pub total: u64,
    /// The first of them, at most [`Rejections::TOLD`].
    pub first: Vec<Rejection>,
    counts: [u64; RejectKind::ALL.len()],
}

impl Rejections {
    /// Most rejections told one by one.
    pub const TOLD: usize = 10;

    /// Counts of each sort that occurred.
    pub fn by_kind(&self) -> impl Iterator<Item = (RejectKind, u64)> + '_ {
        RejectKind::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// True when nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Counts `samples` refused samples and keeps the rejection when it is among the first.
    pub fn add(&mut self, samples: u64, kind: RejectKind, told: impl FnOnce() -> (String, String)) {
        self.total += samples;
        self.counts[kind as usize] += samples;
        if self.first.len() < Self::TOLD {
            let (place, reason) = told();
            self.first.push(Rejection { place, kind, reason });
        }
    }
}

/// Who is at fault when a whole body is refused, and thereby the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: the body is not what it claims to be.
    BadRequest,
    /// 415: a content type or encoding that is not supported.
    Unsupported,
    /// 413: a bound was passed; smaller requests help.
    TooLarge,
}

impl ErrorKind {
    /// The HTTP status that says so.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unsupported => 415,
            Self::TooLarge => 413,
        }
    }
}

/// A body that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place.as_ref().map(|p| format!("{p}: ")).unwrap_or_default())]
pub struct FormatError {
    /// Who is at fault.
    pub kind: ErrorKind,
    /// What is wrong, with the offending value and the limit.
    pub message: String,
    /// Where in the body, when that is known.
    pub place: Option<String>,
}

impl FormatError {
    pub(crate) fn bad(place: impl Into<Option<String>>, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadRequest, message: message.into(), place: place.into() }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, message: message.into(), place: None }
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::TooLarge, message: message.into(), place: None }
    }
}

/// Why one entry is refused; its place is known further out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: RejectKind,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(kind: RejectKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    pub(crate) fn syntax(reason: impl Into<String>) -> Self {
        Self::new(RejectKind::Syntax, reason)
    }
}

/// A text from a body, quoted and cut to a bounded length.
pub(crate) fn quote(text: &str) -> String {
    if text.len() <= QUOTE_BYTES {
        return format!("{text:?}");
    }
    let mut end = QUOTE_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{:?}... ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_is_counted_and_only_the_first_are_told() {
        let mut rejections = Rejections::default();
        for line in 0..25 {
            let kind = if line % 5 == 0 { RejectKind::Labels } else { RejectKind::Syntax };
            rejections.add(2, kind, || (format!("line {line}"), "bad".to_owned()));
        }
        assert_eq!((rejections.total, rejections.first.len()), (50, Rejections::TOLD));
        let counts: Vec<_> = rejections.by_kind().collect();
        assert_eq!(counts, [(RejectKind::Syntax, 40), (RejectKind::Labels, 10)]);
        assert_eq!(rejections.first[9].to_string(), "line 9: bad");
    }

    #[test]
    fn quoted_text_is_cut_at_a_character() {
        let long = "é".repeat(400);
        let quoted = quote(&long);
        assert!(quoted.len() < 200 && quoted.ends_with("(800 bytes)"), "{quoted}");
        assert_eq!(quote("a\"b"), r#""a\"b""#);
    }
}
