//! Files of samples, cut into request bodies.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use weir_formats::series_lines;
use weir_lake::table::{TableError, TableRow, read_table};
use weir_model::Samples;

/// Bytes after which a body ends at the next line.
const BODY_BYTES: usize = 1 << 20;
/// Longest line, in bytes.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// Samples after which a body made of Parquet ends.
const BODY_SAMPLES: usize = 20_000;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// Series as lines of JSON.
    Jsonl,
    /// A row a sample.
    Csv,
    /// Prometheus' text or OpenMetrics.
    Openmetrics,
    /// A table of samples.
    Parquet,
}

impl FileFormat {
    /// The format of a file's name, an ending of compression aside.
    pub(super) fn of_path(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
        Ok(match plain.rsplit('.').next().unwrap_or_default() {
            "jsonl" | "ndjson" | "json" => Self::Jsonl,
            "csv" => Self::Csv,
            "txt" | "prom" | "om" => Self::Openmetrics,
            "parquet" => Self::Parquet,
            _ => bail!(
                "{} does not end in jsonl, csv, txt or parquet; say what it is with --format",
                path.display()
            ),
        })
    }
}

/// A body, and how many bytes of the file it stands for.
pub(super) type Body = (Vec<u8>, u64);

/// Cuts a file into bodies that can be sent one by one.
pub(super) fn cut(
    path: &Path,
    format: FileFormat,
    has_header: bool,
    mut put: impl FnMut(Body) -> Result<()>,
) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    if format == FileFormat::Parquet {
        return parquet(path, file, put);
    }
    let counted = ProgressBar::hidden();
    let raw = counted.wrap_read(file);
    let name = path.to_string_lossy().to_lowercase();
    let plain: Box<dyn Read> = if name.ends_with(".gz") {
        Box::new(flate2::read::MultiGzDecoder::new(raw))
    } else if name.ends_with(".zst") {
        Box::new(zstd::Decoder::new(raw)?)
    } else {
        Box::new(raw)
    };
    let mut lines =
        Lines { reader: BufReader::with_capacity(1 << 20, plain), csv: format == FileFormat::Csv };
    // What every body begins with: the header, or the type of the family at hand.
    let mut head = Vec::new();
    if format == FileFormat::Csv && has_header {
        lines.next(&mut head)?;
    }
    let mut body = head.clone();
    let (mut line, mut told) = (Vec::new(), 0);
    loop {
        line.clear();
        let more = lines.next(&mut line).with_context(|| format!("cannot read {}", path.display()))?;
        if format == FileFormat::Openmetrics {
            if line.starts_with(b"# TYPE ") {
                head.clone_from(&line);
            } else if line.starts_with(b"# EOF") {
                continue;
            }
        }
        body.extend_from_slice(&line);
        let full = body.len() >= BODY_BYTES;
        if full || (!more && body.len() > head.len()) {
            if format == FileFormat::Openmetrics {
                body.extend_from_slice(b"# EOF\n");
            }
            let read = counted.position();
            put((std::mem::replace(&mut body, head.clone()), read - told))?;
            told = read;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Lines, or rows that may hold line ends within quotes.
struct Lines<R> {
    reader: BufReader<R>,
    csv: bool,
}

impl<R: Read> Lines<R> {
    /// Appends the next line with its end; false when there is none left.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        let start = line.len();
        loop {
            let left = MAX_LINE_BYTES.saturating_sub((line.len() - start) as u64);
            if left == 0 {
                bail!("a line has more than {MAX_LINE_BYTES} bytes");
            }
            let read = (&mut self.reader).take(left).read_until(b'\n', line)?;
            if read == 0 {
                if line.len() > start && line.last() != Some(&b'\n') {
                    line.push(b'\n');
                }
                return Ok(line.len() > start);
            }
            let quotes = line[start..].iter().filter(|byte| **byte == b'"').count();
            if line.ends_with(b"\n") && !(self.csv && quotes % 2 == 1) {
                return Ok(true);
            }
        }
    }
}

/// Turns a table into lines of series.
fn parquet(path: &Path, file: File, mut put: impl FnMut(Body) -> Result<()>) -> Result<()> {
    let mut body = Vec::new();
    let mut series: Option<TableRow> = None;
    let mut held = 0;
    let flush = |series: &mut Option<TableRow>, body: &mut Vec<u8>| {
        if let Some(row) = series.take() {
            series_lines::write(body, row.labels.borrowed(), row.kind, row.temporality, &row.sample);
        }
    };
    let read = read_table(file, |row| {
        held += 1;
        match &mut series {
            Some(known)
                if (&known.labels, known.kind, known.temporality)
                    == (&row.labels, row.kind, row.temporality) =>
            {
                append(&mut known.sample, row.sample);
            }
            _ => {
                flush(&mut series, &mut body);
                series = Some(row);
            }
        }
        if held >= BODY_SAMPLES {
            flush(&mut series, &mut body);
            held = 0;
            put((std::mem::take(&mut body), 0)).map_err(Stopped::Other)?;
        }
        Ok(())
    });
    match read {
        Ok(()) => {}
        Err(Stopped::Other(error)) => return Err(error),
        Err(Stopped::Table(error)) => {
            return Err(anyhow::Error::new(error).context(format!("cannot read {}", path.display())));
        }
    }
    flush(&mut series, &mut body);
    if body.is_empty() { Ok(()) } else { put((body, 0)) }
}

/// Why reading a table ended.
enum Stopped {
    Table(TableError),
    Other(anyhow::Error),
}

impl From<TableError> for Stopped {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

fn append(to: &mut Samples, from: Samples) {
    to.timestamps.extend(from.timestamps);
    to.values.extend(from.values);
    to.histograms.extend(from.histograms);
    to.sets.extend(from.sets);
}
