//! What the engine asks of storage: series by matchers, and their samples one series at a time.
//!
//! A selection is fetched in two parts. [`Storage::select`] does the I/O and returns compressed data;
//! [`SeriesReader::read`] then unpacks one series at a time on the thread that evaluates it, so that a
//! query holds the samples of a few series, never those of all.

use async_trait::async_trait;
use weir_model::{AddedUp, Aggregate, Intervals, Labels, Matcher, MetricKind, Samples, Temporality};

/// One selector's wish.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectRequest {
    /// Conditions on labels; at least one does not match the empty string.
    pub matchers: Vec<Matcher>,
    /// Earliest timestamp wanted, inclusive, in milliseconds.
    pub start_ms: i64,
    /// Latest timestamp wanted, inclusive, in milliseconds.
    pub end_ms: i64,
    /// Most series the query may touch; storage refuses a selection of more.
    pub max_series: usize,
    /// What may stand in for the samples; `None` if nothing may.
    pub instead: Option<Instead>,
}

/// What gives the same answers as samples. Storage may always give samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead {
    /// All windows end at multiples of this many milliseconds, and begin at them if there are aggregates.
    pub grid_ms: i64,
    /// The aggregates that intervals must have. None: samples are wanted, of which at each multiple the newest
    /// must be the same.
    pub aggregates: Vec<Aggregate>,
    /// Which series without floats may come as what their intervals add up to.
    pub added_up: AddedUp,
}

/// A series that a selection found.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectedSeries {
    /// Its labels, the metric's name included.
    pub labels: Labels,
    /// Declared type, as far as known.
    pub kind: MetricKind,
    /// Whether samples are states or changes.
    pub temporality: Temporality,
}

/// What a selection fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectionStats {
    /// Bytes of samples, compressed ones as such.
    pub bytes: u64,
    /// Blocks that have something of the selection.
    pub blocks: u64,
    /// Of these, blocks whose index was in memory already.
    pub cached_indexes: u64,
    /// Resolution of the samples read: `raw`, or the name of a rollup.
    pub tier: &'static str,
    /// True when samples have expired, and the last one of each interval of the tier stands in for them.
    pub approximate: bool,
}

/// Why storage could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A bound of the query was passed; the caller should narrow it.
    #[error("{0}")]
    Limit(String),
    /// The data cannot be read yet; the reason says when.
    #[error("{reason}")]
    NotYet {
        /// What is missing, and until when.
        reason: String,
        /// The same in seconds from now.
        retry_after_s: u64,
    },
    /// The data could not be read; the caller may try again.
    #[error("storage failed: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Storage of one tenant, as the engine sees it.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Finds the series that match and fetches what unpacking their samples needs.
    ///
    /// # Errors
    /// [`StorageError::Limit`] when more than `max_series` match.
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, StorageError>;
}

/// What a selection found: series in ascending order of their labels, without repeats (a cumulative
/// and a delta series of the same labels both appear).
pub trait SeriesSet: Send + Sync {
    /// The series, in order.
    fn series(&self) -> &[SelectedSeries];

    /// What was fetched, for explanations and for the bound on memory.
    fn stats(&self) -> SelectionStats {
        SelectionStats::default()
    }

    /// True when series are to be read as intervals instead of samples.
    fn has_intervals(&self) -> bool {
        false
    }

    /// A reader; several may work side by side.
    fn reader(&self) -> Box<dyn SeriesReader + '_>;
}

/// Unpacks series of a selection, fastest in ascending order.
pub trait SeriesReader: Send {
    /// Replaces `into` by the samples of the series at `index` within the requested time range.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when stored bytes are damaged.
    fn read(&mut self, index: usize, into: &mut Samples) -> Result<(), StorageError>;

    /// Replaces `into` by the intervals of the series at `index`, ascending, if the set has intervals.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when stored bytes are damaged, or when the set has samples.
    fn read_intervals(&mut self, index: usize, into: &mut Intervals) -> Result<(), StorageError> {
        into.clear();
        Err(StorageError::Unavailable(format!("series {index} has samples, not intervals").into()))
    }
}
