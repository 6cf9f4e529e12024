//! The answers: one message with all samples, or frames with chunks of one series each.

use weir_model::{LabelsRef, Samples as SeriesSamples};

use crate::outcome::FormatError;
use crate::remote_write::encode::{encode_histogram, put_bytes, put_int, put_varint, sample};
use crate::tsdb::{EncodedChunk, Encoding, encode};

/// From this size on a frame is full; the last chunk may go beyond. Prometheus' default.
const FRAME_BYTES: usize = 1 << 20;

/// A `QueryResult` in the making.
#[derive(Debug, Default)]
pub struct QueryResult {
    message: Vec<u8>,
    series: Vec<u8>,
}

/// A `ReadResponse` in the making.
#[derive(Debug, Default)]
pub struct Samples {
    message: Vec<u8>,
}

impl QueryResult {
    /// Adds a series with its floats and histograms.
    pub fn series(&mut self, labels: LabelsRef<'_>, samples: &SeriesSamples) {
        self.series.clear();
        put_labels(&mut self.series, labels);
        for (at, value) in samples.timestamps.iter().zip(&samples.values) {
            put_bytes(&mut self.series, 2, &sample(*at, *value));
        }
        for (at, histogram) in &samples.histograms {
            put_bytes(&mut self.series, 4, &encode_histogram(*at, histogram));
        }
        put_bytes(&mut self.message, 1, &self.series);
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.message.len()
    }

    /// True when it has no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.message.is_empty()
    }
}

impl Samples {
    /// Adds the result of the next query.
    pub fn result(&mut self, result: &QueryResult) {
        put_bytes(&mut self.message, 1, &result.message);
    }

    /// The message, compressed by snappy as readers want it.
    ///
    /// # Errors
    /// [`FormatError`] beyond 4 GiB, which snappy cannot hold.
    pub fn finish(self) -> Result<Vec<u8>, FormatError> {
        let packed = snap::raw::Encoder::new().compress_vec(&self.message);
        packed.map_err(|error| FormatError::too_large(format!("the samples cannot be compressed: {error}")))
    }
}

fn put_labels(out: &mut Vec<u8>, labels: LabelsRef<'_>) {
    let mut label = Vec::new();
    for (name, value) in labels.iter() {
        label.clear();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(out, 1, &label);
    }
}

/// The frames of one series of the query at place `query`: `ChunkedReadResponse` messages, each behind its
/// length (a varint) and its Castagnoli checksum (big-endian).
#[must_use]
pub fn frames(query: usize, labels: LabelsRef<'_>, samples: &SeriesSamples) -> Vec<Vec<u8>> {
    let mut head = Vec::new();
    put_labels(&mut head, labels);
    let mut frames = Vec::new();
    let mut series = head.clone();
    for encoded in encode(samples) {
        put_bytes(&mut series, 2, &chunk(&encoded));
        if series.len() >= FRAME_BYTES {
            frames.push(frame(query, &series));
            series.clone_from(&head);
        }
    }
    if series.len() > head.len() {
        frames.push(frame(query, &series));
    }
    frames
}

fn chunk(chunk: &EncodedChunk) -> Vec<u8> {
    let mut out = Vec::with_capacity(chunk.content.len() + 32);
    put_int(&mut out, 1, chunk.min_ms as u64);
    put_int(&mut out, 2, chunk.max_ms as u64);
    let code = match chunk.encoding {
        Encoding::Xor => 1,
        Encoding::Histogram => 2,
        Encoding::FloatHistogram => 3,
    };
    put_int(&mut out, 3, code);
    put_bytes(&mut out, 4, &chunk.content);
    out
}

fn frame(query: usize, series: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(series.len() + 16);
    put_bytes(&mut message, 1, series);
    put_int(&mut message, 2, query as u64);
    let mut out = Vec::with_capacity(message.len() + 14);
    put_varint(&mut out, message.len() as u64);
    out.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    out.extend_from_slice(&message);
    out
}
