//! Formats and compressions of an export, over one sink.

use std::io::{self, Write};

use weir_formats::{csv, series_lines, text};
use weir_lake::SeriesInfo;
use weir_lake::table::TableWriter;
use weir_model::Samples;

/// How the samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    SeriesLines,
    Csv,
    OpenMetrics,
    Parquet,
}

/// What is done with the written bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Format {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "jsonl" | "json" => Self::SeriesLines,
            "csv" => Self::Csv,
            "openmetrics" | "prometheus" => Self::OpenMetrics,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SeriesLines => "jsonl",
            Self::Csv => "csv",
            Self::OpenMetrics => "openmetrics",
            Self::Parquet => "parquet",
        }
    }

    pub(super) fn extension(self) -> &'static str {
        if self == Self::OpenMetrics { "txt" } else { self.name() }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::SeriesLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

impl Compression {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The file's type, when it is not that of the format.
    pub(super) fn content_type(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("application/gzip"),
            Self::Zstd => Some("application/zstd"),
        }
    }
}

/// Why a series could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    /// The format has no form for it.
    #[error(transparent)]
    NotInText(#[from] text::NotInText),
    /// The sink failed, which is how a client that went away shows.
    #[error("the export could not be written")]
    Sink(#[from] io::Error),
    /// The Parquet writer failed, mostly because its sink did.
    #[error(transparent)]
    Table(#[from] weir_lake::table::TableError),
}

/// Compresses what is written to it.
enum Packer<W: Write> {
    None(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Packer<W> {
    fn new(compression: Compression, sink: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(sink),
            Compression::Gzip => {
                Self::Gzip(flate2::write::GzEncoder::new(sink, flate2::Compression::default()))
            }
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(sink, 3)?),
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::None(sink) => Ok(sink),
            Self::Gzip(packer) => packer.finish(),
            Self::Zstd(packer) => packer.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(sink) => sink.write(bytes),
            Self::Gzip(packer) => packer.write(bytes),
            Self::Zstd(packer) => packer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(sink) => sink.flush(),
            Self::Gzip(packer) => packer.flush(),
            Self::Zstd(packer) => packer.flush(),
        }
    }
}

/// Writes series of one format through one compression.
pub(super) struct Encoder<W: Write + Send> {
    writer: Writer<W>,
    /// The text of the series at hand.
    scratch: Vec<u8>,
}

enum Writer<W: Write + Send> {
    SeriesLines(Packer<W>),
    Csv(Packer<W>, csv::Writer),
    OpenMetrics(Packer<W>, text::Writer),
    Parquet(Box<TableWriter<W>>),
}

impl<W: Write + Send> Encoder<W> {
    /// Begins a file. CSV needs to know the names of all labels beforehand.
    pub(super) fn new(
        format: Format,
        compression: Compression,
        labels: &[String],
        sink: W,
    ) -> Result<Self, EncodeError> {
        let packer = |sink| Packer::new(compression, sink);
        let mut scratch = Vec::new();
        let writer = match format {
            Format::SeriesLines => Writer::SeriesLines(packer(sink)?),
            Format::Csv => {
                let writer = csv::Writer::new(labels.iter().map(String::as_str));
                let mut sink = packer(sink)?;
                writer.header(&mut scratch);
                sink.write_all(&scratch)?;
                Writer::Csv(sink, writer)
            }
            Format::OpenMetrics => Writer::OpenMetrics(packer(sink)?, text::Writer::default()),
            Format::Parquet => Writer::Parquet(Box::new(TableWriter::new(sink)?)),
        };
        Ok(Self { writer, scratch })
    }

    /// Writes a series.
    pub(super) fn series(&mut self, series: &SeriesInfo, samples: &Samples) -> Result<(), EncodeError> {
        let (labels, kind, temporality) = (series.labels.borrowed(), series.kind, series.temporality);
        self.scratch.clear();
        let sink = match &mut self.writer {
            Writer::SeriesLines(sink) => {
                series_lines::write(&mut self.scratch, labels, kind, temporality, samples);
                sink
            }
            Writer::Csv(sink, writer) => {
                writer.series(&mut self.scratch, labels, kind, temporality, samples);
                sink
            }
            Writer::OpenMetrics(sink, writer) => {
                writer.series(&mut self.scratch, labels, kind, temporality, samples)?;
                sink
            }
            Writer::Parquet(writer) => return Ok(writer.series(labels, kind, temporality, samples)?),
        };
        Ok(sink.write_all(&self.scratch)?)
    }

    /// Writes the file's end and gives the sink back.
    pub(super) fn finish(mut self) -> Result<W, EncodeError> {
        self.scratch.clear();
        Ok(match self.writer {
            Writer::SeriesLines(sink) | Writer::Csv(sink, _) => sink.finish()?,
            Writer::OpenMetrics(mut sink, writer) => {
                writer.end(&mut self.scratch);
                sink.write_all(&self.scratch)?;
                sink.finish()?
            }
            Writer::Parquet(writer) => writer.finish()?,
        })
    }
}
