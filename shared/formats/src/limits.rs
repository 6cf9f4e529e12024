//! The written bounds of one request.

/// Bounds of one request; passing one is a named error or a rejection, never a silent cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest body as it came over the wire, in bytes.
    pub compressed_bytes: usize,
    /// Largest body once decompressed, in bytes.
    pub body_bytes: usize,
    /// Most labels of a series, the metric's name included.
    pub labels: usize,
    /// Longest label name or metric family name, in bytes.
    pub name_bytes: usize,
    /// Longest label value, help or unit text, in bytes.
    pub value_bytes: usize,
    /// Most samples (and exemplars, and metadata entries, each) of a request.
    pub samples: usize,
    /// Most bytes that the labels of all series of a request take together. A remote write 2.0 body
    /// names each text once and may refer to it often, so its size alone bounds nothing.
    pub label_bytes: usize,
    /// How far after its arrival a sample may lie, in milliseconds; `None` is any distance.
    pub future_ms: Option<i64>,
}

impl Limits {
    /// The earliest accepted timestamp, 0001-01-01T00:00:00Z: days are written with four digits of year.
    pub const MIN_TIMESTAMP_MS: i64 = -62_135_596_800_000;
    /// The latest accepted timestamp, the last millisecond of the year 9999.
    pub const MAX_TIMESTAMP_MS: i64 = 253_402_300_799_999;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed_bytes: 32 << 20,
            body_bytes: 64 << 20,
            labels: 64,
            name_bytes: 1024,
            value_bytes: 4096,
            samples: 200_000,
            label_bytes: 256 << 20,
            future_ms: None,
        }
    }
}
