//! Samples of one series in columns, as the lake reads them and the engine evaluates them.

use std::sync::Arc;

use crate::histogram::Histogram;
use crate::set::UniqueSet;

/// The bits of Prometheus' staleness marker: "this series has just ended".
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// The staleness marker as a float. It must survive bit for bit, so compare with [`is_stale_nan`].
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// True for the staleness marker, false for every other number, other NaNs included.
#[inline]
#[must_use]
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The samples of one series within one time range, each column ascending by timestamp without
/// repeats. Timestamps are milliseconds since the Unix epoch.
///
/// A series usually fills one of the three value columns only; a series that changed its kind over
/// time may fill several, then a timestamp stands in one of them.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Timestamps of `values`.
    pub timestamps: Vec<i64>,
    /// Float values, staleness markers included.
    pub values: Vec<f64>,
    /// Native histograms. One whose `sum` is the staleness marker ends the series.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
    /// Sets of unique members.
    pub sets: Vec<(i64, Arc<UniqueSet>)>,
    /// Timestamp and start timestamp (since when it has been counting) of the samples of which that is known,
    /// ascending.
    pub starts: Vec<(i64, i64)>,
}

impl Samples {
    /// Empties every column and keeps their memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.sets.clear();
        self.starts.clear();
    }

    /// Since when the sample of that timestamp has been counting; 0 when unknown.
    #[must_use]
    pub fn start_of(&self, timestamp_ms: i64) -> i64 {
        self.starts.binary_search_by_key(&timestamp_ms, |(t, _)| *t).map_or(0, |at| self.starts[at].1)
    }

    /// Number of samples over all columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len() + self.histograms.len() + self.sets.len()
    }

    /// True when no column holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
