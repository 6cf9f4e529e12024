//! Reads CSV.

use ::csv::{ByteRecord, ReaderBuilder};
use weir_model::{METRIC_NAME, MetricKind, Temporality};

use super::columns::{Column, Columns, TimeForm};
use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};
use crate::series_lines::{self, HistogramForm};
use crate::sink::Sink;
use crate::{number, timestamp};

/// Reads rows of samples. `columns` says what they hold; `None` takes the first row for a header, with
/// `metric` as the name of rows that have no column for it.
///
/// # Errors
/// [`FormatError`] when the header cannot be used, or the body passes a bound on the whole request. A
/// bad row is rejected with its line and the rest proceeds.
pub fn parse(
    body: &[u8],
    columns: Option<Columns>,
    metric: Option<&str>,
    now_ms: i64,
    limits: &Limits,
) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut record = ByteRecord::new();
    let mut columns = columns;
    let mut last = Last::default();
    while reader.read_byte_record(&mut record).map_err(|error| FormatError::bad(None, error.to_string()))? {
        let line = record.position().map_or(0, ::csv::Position::line);
        let mut fields = Vec::with_capacity(record.len());
        for field in &record {
            match std::str::from_utf8(field) {
                Ok(field) => fields.push(field),
                Err(_) => break,
            }
        }
        let known = match &columns {
            Some(columns) => columns,
            None if fields.len() < record.len() => {
                return Err(FormatError::bad("line 1".to_owned(), "the header is not UTF-8"));
            }
            None => {
                columns = Some(Columns::from_header(fields.iter().copied(), metric)?);
                continue;
            }
        };
        let taken = if fields.len() < record.len() {
            Err(Problem::syntax("the row is not UTF-8"))
        } else if known.has_header && fields.len() != known.columns.len() {
            let (found, named) = (fields.len(), known.columns.len());
            Err(Problem::syntax(format!("the row has {found} fields, the header {named}")))
        } else {
            row(&fields, known, &mut last, &mut sink)
        };
        if let Err(problem) = taken {
            last = Last::default();
            sink.reject(1, format_args!("line {line}"), problem);
        }
        sink.check_size()?;
    }
    if columns.is_none() {
        return Err(FormatError::bad(None, "the body is empty: a header was expected"));
    }
    Ok(sink.parsed)
}

/// The series of the row before, which most rows share.
#[derive(Default)]
struct Last {
    pairs: Vec<(String, String)>,
    kind: MetricKind,
    temporality: Temporality,
    series: Option<u32>,
}

fn row(fields: &[&str], columns: &Columns, last: &mut Last, sink: &mut Sink<'_>) -> Result<(), Problem> {
    let mut labels: Vec<(&str, &str)> = Vec::with_capacity(fields.len() + 1);
    let mut at_ms = None;
    let (mut kind, mut temporality) = (MetricKind::Unknown, Temporality::Cumulative);
    let mut own_name = false;
    for (field, column) in fields.iter().zip(&columns.columns) {
        match column {
            Some(Column::Name) if !field.is_empty() => {
                own_name = true;
                labels.push((METRIC_NAME, field));
            }
            Some(Column::Label(name)) if !field.is_empty() => labels.push((name, field)),
            Some(Column::Time(form)) if !field.trim().is_empty() => at_ms = Some(time(field.trim(), *form)?),
            Some(Column::Kind) if !field.is_empty() => {
                kind = MetricKind::from_name(field).ok_or_else(|| {
                    Problem::new(RejectKind::Type, format!("metric type {} is unknown", quote(field)))
                })?;
            }
            Some(Column::Temporality) => {
                temporality = match *field {
                    "" | "cumulative" => Temporality::Cumulative,
                    "delta" => Temporality::Delta,
                    other => {
                        let reason = format!("temporality {} is neither cumulative nor delta", quote(other));
                        return Err(Problem::new(RejectKind::Type, reason));
                    }
                };
            }
            _ => {}
        }
    }
    let timestamp_ms = at_ms.unwrap_or(sink.now_ms);
    sink.check_time(timestamp_ms)?;
    let own_times = at_ms.is_some() || temporality == Temporality::Cumulative;
    for (field, column) in fields.iter().zip(&columns.columns) {
        let text = field.trim();
        if text.is_empty() {
            continue;
        }
        let name = match column {
            Some(Column::Value(name)) => name.as_deref().filter(|_| !own_name),
            Some(Column::Histogram | Column::Set) => None,
            _ => continue,
        };
        let series = last.series_of(&labels, name, kind, temporality, sink)?;
        match column {
            Some(Column::Histogram) => {
                let form: HistogramForm = serde_json::from_str(text).map_err(|error| {
                    Problem::new(RejectKind::Histogram, format!("a histogram in JSON was expected: {error}"))
                })?;
                sink.histogram(series, timestamp_ms, form.into())?;
                sink.parsed.accepted.histograms += 1;
            }
            Some(Column::Set) => {
                sink.set(series, timestamp_ms, series_lines::unpack(text)?)?;
                sink.parsed.accepted.samples += 1;
            }
            _ => {
                let value = series_lines::from_text(text).ok_or_else(|| {
                    Problem::new(RejectKind::Value, format!("value {} is not a number", quote(text)))
                })?;
                sink.float(series, timestamp_ms, value)?;
            }
        }
        sink.parsed.own_timestamps &= own_times;
    }
    Ok(())
}

impl Last {
    /// The series of a row; the one of the row before if it is the same.
    fn series_of(
        &mut self,
        labels: &[(&str, &str)],
        name: Option<&str>,
        kind: MetricKind,
        temporality: Temporality,
        sink: &mut Sink<'_>,
    ) -> Result<u32, Problem> {
        let pairs = name.map(|name| (METRIC_NAME, name)).into_iter().chain(labels.iter().copied());
        if let Some(series) = self.series
            && (self.kind, self.temporality) == (kind, temporality)
            && self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(pairs.clone())
        {
            return Ok(series);
        }
        let series = sink.series(pairs.clone(), kind, temporality)?;
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        *self = Self { pairs, kind, temporality, series: Some(series) };
        Ok(series)
    }
}

fn time(text: &str, form: TimeForm) -> Result<i64, Problem> {
    let time = match form {
        // A date starts with a year and a dash, which no number does.
        TimeForm::Any if text.as_bytes().get(4) == Some(&b'-') => timestamp::from_iso8601(text),
        TimeForm::Any => number::float(text).and_then(timestamp::from_number),
        TimeForm::PerSecond(units) => {
            number::float(text).and_then(|number| timestamp::from_seconds(number / units as f64))
        }
    };
    time.ok_or_else(|| {
        Problem::new(
            RejectKind::Timestamp,
            format!("timestamp {} is neither ISO 8601 nor a Unix time", quote(text)),
        )
    })
}
