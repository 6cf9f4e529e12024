//! Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! One reader for both, since they differ in little: OpenMetrics counts time in seconds, may carry
//! exemplars, declares units and ends with `# EOF`. Either may quote names, `{"my.metric","a"="b"} 1`.
//! A bad line is rejected with its number and the rest proceeds, even where a scraper would give up
//! on the whole page: a push has no second try.
//!
//! A series takes the type of its family, so `x_bucket` is of kind histogram; OpenMetrics' `_created`
//! series are gauges (they hold a time).

pub mod exposition;
mod line;
mod write;

use std::collections::HashMap;

use bumpalo::Bump;
use memchr::memchr;
use weir_model::{Metadata, MetricKind, Temporality};

use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};
use crate::sink::Sink;
use crate::timestamp;
use line::Sample;

pub use write::{NotInText, Writer};

/// The two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Text 0.0.4: timestamps in milliseconds.
    Prometheus,
    /// OpenMetrics 1.0: timestamps in seconds, exemplars, units, `# EOF`.
    OpenMetrics,
}

impl Dialect {
    /// The dialect that a `Content-Type` header names: OpenMetrics by its media type, else text. No
    /// header, and what `curl` sends by itself, count as text.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] (415) for other media types.
    pub fn negotiate(content_type: &str) -> Result<Self, FormatError> {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
                Ok(Self::Prometheus)
            }
            _ => Err(FormatError::unsupported(format!(
                "content type {} is not supported: use text/plain or application/openmetrics-text",
                quote(&media)
            ))),
        }
    }
}

/// Reads a page of either dialect. Samples without a timestamp get `now_ms`.
///
/// # Errors
/// [`FormatError`] when the page passes a bound on the whole request.
pub fn parse(body: &[u8], dialect: Dialect, now_ms: i64, limits: &Limits) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    parse_into(body, dialect, &mut sink)?;
    Ok(sink.parsed)
}

/// Reads a page into a request that may hold more than this page.
pub(crate) fn parse_into(body: &[u8], dialect: Dialect, sink: &mut Sink<'_>) -> Result<(), FormatError> {
    let arena = Bump::new();
    // A line is seldom shorter than 80 bytes, and its labels take about as many.
    sink.reserve(body.len() / 80, body.len());
    let mut page = Page::new(dialect, &arena);
    // One pass over everything is cheaper than a check a line, and nearly every page passes it.
    let whole = std::str::from_utf8(body).ok();
    let (mut start, mut number) = (0, 0u64);
    while start < body.len() {
        number += 1;
        let end = memchr(b'\n', &body[start..]).map_or(body.len(), |at| start + at);
        let line = match whole {
            Some(text) => text.get(start..end),
            None => std::str::from_utf8(&body[start..end]).ok(),
        };
        start = end + 1;
        let result = match line {
            Some(line) => page.line(line.strip_suffix('\r').unwrap_or(line), sink),
            None => Err(Problem::syntax("the line is not UTF-8")),
        };
        if let Err(problem) = result {
            sink.reject(1, format_args!("line {number}"), problem);
        }
        sink.check_size()?;
        if page.families.len() > sink.limits.samples {
            return Err(FormatError::too_large(format!(
                "the request declares more than {} families: send it in pieces",
                sink.limits.samples
            )));
        }
    }
    page.finish(number, sink);
    sink.check_size()
}

/// What is declared about a family.
#[derive(Debug, Default)]
struct Family<'a> {
    kind: Option<MetricKind>,
    help: Option<&'a str>,
    unit: Option<&'a str>,
    /// First line that declares it, for rejections.
    line: u64,
}

/// A page while it is read.
struct Page<'a> {
    dialect: Dialect,
    arena: &'a Bump,
    pairs: Vec<(&'a str, &'a str)>,
    exemplar_pairs: Vec<(&'a str, &'a str)>,
    /// Families in the order of their first declaration.
    families: Vec<(&'a str, Family<'a>)>,
    places: HashMap<&'a str, usize>,
    /// Name and kind of the sample before: most lines repeat it.
    last: (&'a str, MetricKind),
    lines: u64,
    ended: bool,
}

impl<'a> Page<'a> {
    fn new(dialect: Dialect, arena: &'a Bump) -> Self {
        Self {
            dialect,
            arena,
            pairs: Vec::with_capacity(32),
            exemplar_pairs: Vec::new(),
            families: Vec::new(),
            places: HashMap::new(),
            last: ("", MetricKind::Unknown),
            lines: 0,
            ended: false,
        }
    }

    fn line(&mut self, line: &'a str, sink: &mut Sink<'_>) -> Result<(), Problem> {
        self.lines += 1;
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err(Problem::syntax("the line stands after # EOF"));
        }
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment, sink.limits),
            None => self.sample(line, sink),
        }
    }

    fn sample(&mut self, line: &'a str, sink: &mut Sink<'_>) -> Result<(), Problem> {
        let exemplars = self.dialect == Dialect::OpenMetrics;
        let sample = line::sample(line, exemplars, self.arena, &mut self.pairs, &mut self.exemplar_pairs)?;
        let Sample { name, value, timestamp, exemplar } = sample;
        let timestamp_ms = match timestamp {
            None => sink.now_ms,
            Some(text) => self.time(text)?,
        };
        // Judged first, so that a line is taken whole or not at all.
        sink.check_time(timestamp_ms)?;
        let exemplar_ms = match exemplar {
            Some((_, Some(text))) => self.time(text)?,
            _ => timestamp_ms,
        };
        if name != self.last.0 {
            self.last = (name, self.kind_of(name));
        }
        let series = sink.series(self.pairs.iter().copied(), self.last.1, Temporality::Cumulative)?;
        if let Some((value, _)) = exemplar
            && let Err(problem) = sink.exemplar(series, exemplar_ms, value, &self.exemplar_pairs)
        {
            sink.parsed.batch.pop_series();
            return Err(problem);
        }
        sink.float(series, timestamp_ms, value)
    }

    fn time(&self, text: &str) -> Result<i64, Problem> {
        let time = match self.dialect {
            Dialect::Prometheus => text.parse().ok(),
            Dialect::OpenMetrics => crate::number::float(text).and_then(timestamp::from_seconds),
        };
        time.ok_or_else(|| {
            let unit = match self.dialect {
                Dialect::Prometheus => "a whole number of milliseconds",
                Dialect::OpenMetrics => "a number of seconds",
            };
            Problem::new(RejectKind::Timestamp, format!("timestamp {} is not {unit}", quote(text)))
        })
    }

    /// Reads what follows a `#`: a declaration, the end of the page, or a comment to pass by.
    fn comment(&mut self, comment: &'a str, limits: &Limits) -> Result<(), Problem> {
        let text = comment.trim_start_matches([' ', '\t']);
        if text.trim_end() == "EOF" && self.dialect == Dialect::OpenMetrics {
            self.ended = true;
            return Ok(());
        }
        let Some((keyword, rest)) = text.split_once([' ', '\t']) else { return Ok(()) };
        if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
            return Ok(());
        }
        let (name, content) = line::declared_name(rest.trim_start_matches([' ', '\t']), self.arena)?;
        let content = content.trim_start_matches([' ', '\t']);
        if name.len() > limits.name_bytes {
            return Err(Problem::new(
                RejectKind::Labels,
                format!("name {} is longer than {} bytes", quote(name), limits.name_bytes),
            ));
        }
        match keyword {
            "TYPE" => {
                let word = content.trim_end();
                let kind = MetricKind::from_name(word).ok_or_else(|| {
                    Problem::new(RejectKind::Type, format!("metric type {} is unknown", quote(word)))
                })?;
                self.family(name).kind = Some(kind);
                self.last = ("", MetricKind::Unknown);
            }
            "HELP" => self.family(name).help = Some(line::unescaped_help(content, self.arena)),
            _ => self.family(name).unit = Some(content.trim_end()),
        }
        Ok(())
    }

    fn family(&mut self, name: &'a str) -> &mut Family<'a> {
        // Nearly always the family declared last.
        let place = match self.families.last() {
            Some((last, _)) if *last == name => self.families.len() - 1,
            _ => *self.places.entry(name).or_insert_with(|| {
                self.families.push((name, Family { line: self.lines, ..Family::default() }));
                self.families.len() - 1
            }),
        };
        &mut self.families[place].1
    }

    /// The kind that a sample's name inherits from its family.
    fn kind_of(&self, name: &str) -> MetricKind {
        if let Some(kind) = self.declared(name) {
            return kind;
        }
        let Some(at) = name.rfind('_') else { return MetricKind::Unknown };
        let (stem, suffix) = name.split_at(at);
        match (self.declared(stem), suffix) {
            (Some(kind @ MetricKind::Histogram), "_bucket" | "_sum" | "_count")
            | (Some(kind @ MetricKind::GaugeHistogram), "_bucket" | "_gsum" | "_gcount")
            | (Some(kind @ MetricKind::Summary), "_sum" | "_count")
            | (Some(kind @ MetricKind::Counter), "_total")
            | (Some(kind @ MetricKind::Info), "_info") => kind,
            (Some(MetricKind::Histogram | MetricKind::Summary | MetricKind::Counter), "_created") => {
                MetricKind::Gauge
            }
            _ => MetricKind::Unknown,
        }
    }

    fn declared(&self, family: &str) -> Option<MetricKind> {
        self.places.get(family).and_then(|place| self.families[*place].1.kind)
    }

    /// Passes the declarations on, and asks for the page's end.
    fn finish(self, lines: u64, sink: &mut Sink<'_>) {
        for (name, family) in self.families {
            let entry = Metadata {
                family: name.to_owned(),
                kind: family.kind.unwrap_or_default(),
                unit: family.unit.unwrap_or_default().to_owned(),
                help: family.help.unwrap_or_default().to_owned(),
            };
            if let Err(problem) = sink.metadata(entry) {
                sink.reject(1, format_args!("line {}", family.line), problem);
            }
        }
        if self.dialect == Dialect::OpenMetrics && !self.ended {
            sink.reject(
                1,
                format_args!("line {lines}"),
                Problem::syntax("the page ends without # EOF: it may have been cut off"),
            );
        }
    }
}
