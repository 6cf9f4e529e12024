//! Remote write 2.0: `io.prometheus.write.v2.Request`, whose texts stand once in a symbol table.

use std::collections::HashSet;

use weir_model::{Metadata, MetricKind, Temporality};

use super::v1::sample;
use super::{Content, damaged, histogram, kind, nothing_known};
use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem};
use crate::protobuf::{Reader, Value, WireError, repeated_varint};
use crate::sink::Sink;

/// Most references of one series, far above what any limit on labels lets through.
const MAX_REFS: usize = 1 << 16;

/// Most symbols of a request, 64 MiB of table: a symbol may take as little as two bytes of the body.
const MAX_SYMBOLS: usize = 4 << 20;

/// A time series that cannot be read: the message is damaged, or points to nothing.
enum Fault {
    Wire(WireError),
    Refs(String),
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

pub(super) fn parse(body: &[u8], now_ms: i64, limits: &Limits) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    let symbols = symbols(body)?;
    // A series with one sample takes some 40 bytes beside the symbols.
    sink.reserve(body.len() / 40, 4 * body.len());
    let mut told = Told { symbols: vec![false; symbols.len()], families: HashSet::new() };
    let mut scratch = Scratch::default();
    let mut reader = Reader::new(body);
    let mut index = 0;
    while let Some((field, value)) = reader.next().map_err(|error| damaged(index, error))? {
        match field {
            5 => {
                value
                    .bytes(field)
                    .map_err(Fault::from)
                    .and_then(|message| series(message, index, &symbols, &mut scratch, &mut told, &mut sink))
                    .map_err(|fault| match fault {
                        Fault::Wire(error) => damaged(index, error),
                        Fault::Refs(reason) => FormatError::bad(format!("timeseries {index}"), reason),
                    })?;
                index += 1;
                sink.check_size()?;
            }
            1 | 3 if matches!(value, Value::Bytes(_)) => {
                return Err(FormatError::bad(
                    format!("field {field}"),
                    "this is a remote write 1.0 message, but the content type says 2.0",
                ));
            }
            _ => {}
        }
    }
    if symbols.is_empty() && !body.is_empty() {
        return Err(nothing_known("io.prometheus.write.v2.Request"));
    }
    Ok(sink.parsed)
}

/// The symbol table; a pass of its own, since protobuf does not promise that it comes first.
fn symbols(body: &[u8]) -> Result<Vec<&str>, FormatError> {
    let mut symbols = Vec::new();
    let mut reader = Reader::new(body);
    let mut series = 0;
    while let Some((field, value)) = reader.next().map_err(|error| damaged(series, error))? {
        if field == 5 {
            series += 1;
        } else if field == 4 {
            let place = || format!("symbol {}", symbols.len());
            let bytes = value.bytes(field).map_err(|error| FormatError::bad(place(), error.to_string()))?;
            let symbol = std::str::from_utf8(bytes).map_err(|error| {
                FormatError::bad(place(), format!("not UTF-8 from its byte {}", error.valid_up_to()))
            })?;
            if symbols.len() == MAX_SYMBOLS {
                return Err(FormatError::too_large(format!(
                    "the request holds more than {MAX_SYMBOLS} symbols: send it in pieces"
                )));
            }
            symbols.push(symbol);
        }
    }
    match symbols.first() {
        Some(first) if !first.is_empty() => {
            Err(FormatError::bad("symbol 0".to_owned(), "the first symbol must be the empty text"))
        }
        None if series > 0 => Err(FormatError::bad("symbol 0".to_owned(), "there is no symbol table")),
        _ => Ok(symbols),
    }
}

/// Memory that the series of a request share.
#[derive(Default)]
struct Scratch {
    refs: Vec<u64>,
}

/// Which families' metadata this request has told already.
struct Told<'a> {
    /// By symbol of the metric's name, so that most series ask one bit.
    symbols: Vec<bool>,
    families: HashSet<&'a str>,
}

/// Adds the numbers of a `labels_refs` field.
fn references(value: Value<'_>, refs: &mut Vec<u64>) -> Result<(), Fault> {
    if repeated_varint(1, value, MAX_REFS, refs)? {
        return Ok(());
    }
    Err(Fault::Refs(format!("more than {MAX_REFS} label references")))
}

/// Refuses references that come in no pairs or point to nothing.
fn check_references(refs: &[u64], symbols: &[&str]) -> Result<(), Fault> {
    if !refs.len().is_multiple_of(2) {
        return Err(Fault::Refs(format!("{} label references, not pairs of name and value", refs.len())));
    }
    let highest = refs.iter().copied().max().unwrap_or_default();
    if refs.is_empty() { Ok(()) } else { symbol(highest, symbols).map(|_| ()) }
}

/// The labels that checked references name.
fn pairs<'a>(refs: &[u64], symbols: &[&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
    let text = |reference: u64| symbols.get(reference as usize).copied().unwrap_or_default();
    refs.as_chunks::<2>().0.iter().map(move |[name, value]| (text(*name), text(*value)))
}

#[inline]
fn symbol<'a>(reference: u64, symbols: &[&'a str]) -> Result<&'a str, Fault> {
    usize::try_from(reference).ok().and_then(|at| symbols.get(at)).copied().ok_or_else(|| {
        Fault::Refs(format!("symbol reference {reference} in a table of {} symbols", symbols.len()))
    })
}

/// What a series declares about its family.
#[derive(Debug, Default)]
struct Declared<'a> {
    kind: MetricKind,
    help: &'a str,
    unit: &'a str,
}

/// Reads one `TimeSeries`.
fn series<'a>(
    message: &[u8],
    index: usize,
    symbols: &[&'a str],
    scratch: &mut Scratch,
    told: &mut Told<'a>,
    sink: &mut Sink<'_>,
) -> Result<(), Fault> {
    let mut content = Content::default();
    let mut declared = Declared::default();
    scratch.refs.clear();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => references(value, &mut scratch.refs)?,
            2 => content.samples += 1,
            3 => content.histograms += 1,
            4 => content.exemplars += 1,
            5 => declared = metadata(value.bytes(field)?, symbols)?,
            _ => {}
        }
    }
    check_references(&scratch.refs, symbols)?;
    if content.is_empty() {
        return Ok(());
    }
    let kind = match declared.kind {
        MetricKind::Unknown if content.histograms > 0 => MetricKind::Histogram,
        kind => kind,
    };
    let place = match sink.series(pairs(&scratch.refs, symbols), kind, Temporality::Cumulative) {
        Ok(place) => place,
        Err(problem) => {
            sink.reject(content.lost(), format_args!("timeseries {index}"), problem);
            return Ok(());
        }
    };
    tell(&declared, index, symbols, scratch, told, sink);
    samples(message, index, place, symbols, scratch, sink)
}

/// Reads what a series holds beside its labels.
fn samples(
    message: &[u8],
    index: usize,
    place: u32,
    symbols: &[&str],
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<(), Fault> {
    let before = (sink.parsed.batch.sample_count(), sink.parsed.batch.exemplars.len());
    let mut seen = Content::default();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        let result = match field {
            2 => {
                seen.samples += 1;
                let (timestamp_ms, number) = sample(value.bytes(field)?)?;
                sink.float(place, timestamp_ms, number)
            }
            3 => {
                seen.histograms += 1;
                let (timestamp_ms, histogram) = histogram::read(value.bytes(field)?)?;
                histogram.and_then(|histogram| {
                    sink.histogram(place, timestamp_ms, histogram)?;
                    sink.parsed.accepted.histograms += 1;
                    Ok(())
                })
            }
            4 => {
                seen.exemplars += 1;
                exemplar(value.bytes(field)?, place, symbols, scratch, sink)?
            }
            _ => Ok(()),
        };
        if let Err(problem) = result {
            let place = match field {
                2 => format!("timeseries {index}, sample {}", seen.samples - 1),
                3 => format!("timeseries {index}, histogram {}", seen.histograms - 1),
                _ => format!("timeseries {index}, exemplar {}", seen.exemplars - 1),
            };
            sink.reject(1, place, problem);
        }
    }
    if before == (sink.parsed.batch.sample_count(), sink.parsed.batch.exemplars.len()) {
        sink.parsed.batch.pop_series();
    }
    Ok(())
}

fn exemplar(
    message: &[u8],
    place: u32,
    symbols: &[&str],
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<Result<(), Problem>, Fault> {
    let (mut timestamp_ms, mut number) = (0, 0.0);
    scratch.refs.clear();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => references(value, &mut scratch.refs)?,
            2 => number = value.double(field)?,
            3 => timestamp_ms = value.int64(field)?,
            _ => {}
        }
    }
    check_references(&scratch.refs, symbols)?;
    // One past the limit is enough for the refusal.
    let labels: Vec<_> = pairs(&scratch.refs, symbols).take(sink.limits.labels + 1).collect();
    Ok(sink.exemplar(place, timestamp_ms, number, &labels))
}

fn metadata<'a>(message: &[u8], symbols: &[&'a str]) -> Result<Declared<'a>, Fault> {
    let mut declared = Declared::default();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => declared.kind = kind(value.varint(field)?),
            3 => declared.help = symbol(value.varint(field)?, symbols)?,
            4 => declared.unit = symbol(value.varint(field)?, symbols)?,
            _ => {}
        }
    }
    Ok(declared)
}

/// Passes a family's metadata on, once per request.
fn tell<'a>(
    declared: &Declared<'a>,
    index: usize,
    symbols: &[&'a str],
    scratch: &Scratch,
    told: &mut Told<'a>,
    sink: &mut Sink<'_>,
) {
    if declared.kind == MetricKind::Unknown && declared.help.is_empty() && declared.unit.is_empty() {
        return;
    }
    let names = scratch.refs.as_chunks::<2>().0.iter();
    let Some(reference) = names
        .filter(|[name, _]| symbols.get(*name as usize).copied() == Some(weir_model::METRIC_NAME))
        .map(|[_, value]| *value as usize)
        .next()
    else {
        return;
    };
    if told.symbols.get(reference).copied().unwrap_or(true) {
        return;
    }
    told.symbols[reference] = true;
    let family = family_of(symbols[reference], declared.kind);
    if !told.families.insert(family) {
        return;
    }
    let entry = Metadata {
        family: family.to_owned(),
        kind: declared.kind,
        unit: declared.unit.to_owned(),
        help: declared.help.to_owned(),
    };
    if let Err(problem) = sink.metadata(entry) {
        sink.reject(1, format_args!("timeseries {index}, metadata"), problem);
    }
}

/// The family of a series by its name: classic histograms and summaries are several series each.
fn family_of(name: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram => &["_bucket", "_sum", "_count"],
        MetricKind::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).filter(|f| !f.is_empty()).unwrap_or(name)
}
