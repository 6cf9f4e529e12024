//! Which wire format a route speaks, and how its bodies are parsed.

use weir_formats::{FormatError, Parsed, batch, csv, json, remote_write, series_lines, statsd, text};
use weir_model::TenantId;

use crate::accept::{Ingest, IngestError};

/// A family of bodies that share a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus remote write 1.0 and 2.0.
    RemoteWrite,
    /// Prometheus text 0.0.4 and OpenMetrics 1.0.
    Text,
    /// StatsD and DogStatsD lines.
    Statsd,
    /// Custom, event and CloudWatch-style JSON.
    Json,
    /// Series as lines of JSON.
    SeriesLines,
    /// CSV, a row a sample.
    Csv,
    /// A JSON list that mixes the others.
    Batch,
    /// Weir's own metrics, which come as a batch already.
    Own,
}

impl Dialect {
    /// Name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote_write",
            Self::Text => "text",
            Self::Statsd => "statsd",
            Self::Json => "json",
            Self::SeriesLines => "jsonl",
            Self::Csv => "csv",
            Self::Batch => "batch",
            Self::Own => "own",
        }
    }

    /// The dialect of a route of the API's table.
    pub(crate) fn of_route(id: &str) -> Option<Self> {
        Some(match id {
            "write" | "push" => Self::RemoteWrite,
            "import_prometheus" | "internal_prometheus" => Self::Text,
            "import_statsd" => Self::Statsd,
            "import_json" | "internal_custom" => Self::Json,
            "import_series" | "import_jsonl" => Self::SeriesLines,
            "import_csv" => Self::Csv,
            "import_batch" | "internal_batch" => Self::Batch,
            _ => return None,
        })
    }

    /// Refuses content types that the dialect's parser does not take.
    pub(crate) fn check_content_type(self, content_type: &str) -> Result<(), FormatError> {
        match self {
            Self::RemoteWrite => remote_write::Version::negotiate(content_type).map(drop),
            Self::Text => text::Dialect::negotiate(content_type).map(drop),
            Self::Statsd | Self::Json | Self::SeriesLines | Self::Csv | Self::Batch | Self::Own => Ok(()),
        }
    }

    /// True when success is told by the status alone, as remote write recommends.
    pub(crate) fn answers_without_body(self) -> bool {
        self == Self::RemoteWrite
    }
}

/// What a request says about its body beside its path.
#[derive(Debug, Clone, Copy, Default)]
pub struct BodyForm<'a> {
    /// The `Content-Type` header; empty for none.
    pub content_type: &'a str,
    /// The query string, as it came.
    pub query: &'a str,
}

impl BodyForm<'_> {
    /// A parameter of the query string; an empty one counts as absent.
    fn parameter(&self, wanted: &str) -> Result<Option<String>, IngestError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(self.query)
            .map_err(|error| IngestError::Header(format!("the query string cannot be read: {error}")))?;
        Ok(pairs
            .into_iter()
            .find(|(name, value)| name == wanted && !value.is_empty())
            .map(|(_, value)| value))
    }
}

impl Ingest {
    /// Parses a decompressed body into a batch, without making anything durable yet.
    ///
    /// # Errors
    /// [`IngestError::Format`] when nothing of the body can be used.
    pub fn parse(
        &self,
        tenant: &TenantId,
        dialect: Dialect,
        form: BodyForm<'_>,
        body: &[u8],
    ) -> Result<Parsed, IngestError> {
        let limits = &self.options().limits;
        let now_ms = self.now_ms();
        let events = self.options().events.as_deref();
        let parsed = match dialect {
            Dialect::RemoteWrite => remote_write::parse(
                remote_write::Version::negotiate(form.content_type)?,
                body,
                now_ms,
                limits,
            ),
            Dialect::Text => text::parse(body, text::Dialect::negotiate(form.content_type)?, now_ms, limits),
            Dialect::Json => json::parse_mapped(body, now_ms, limits, events),
            Dialect::Statsd => statsd::parse(body, now_ms, limits, self.gauges().of(tenant)),
            Dialect::Batch => batch::parse_mapped(body, now_ms, limits, self.gauges().of(tenant), events),
            Dialect::SeriesLines => series_lines::parse(body, now_ms, limits),
            Dialect::Csv => {
                let columns = form.parameter("format")?.map(|f| csv::Columns::from_format(&f)).transpose()?;
                csv::parse(body, columns, form.parameter("metric")?.as_deref(), now_ms, limits)
            }
            Dialect::Own => Ok(Parsed::default()),
        };
        Ok(parsed?)
    }
}
