//! Why a block could not be written or read.

use weir_model::LabelsError;

/// A block was not written, or its bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The options cannot work.
    #[error("bad block options: {name} is {found}, allowed {allowed}")]
    Options {
        /// The option.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Series came out of order or twice.
    #[error("series {series} does not follow {previous} in block order")]
    Order {
        /// The series pushed before.
        previous: String,
        /// The series refused.
        series: String,
    },
    /// Labels that are not canonical.
    #[error("series {id} has bad labels")]
    Labels {
        /// The series.
        id: String,
        /// The rule they break.
        #[source]
        source: LabelsError,
    },
    /// Samples that are not what [`weir_model::Samples`] promises.
    #[error("series {series}: {reason} at timestamp {at_ms} ms")]
    Samples {
        /// The series.
        series: String,
        /// What is wrong.
        reason: &'static str,
        /// Where, in milliseconds since the epoch.
        at_ms: i64,
    },
    /// There is nothing to write.
    #[error("nothing to write: {0} without samples")]
    Empty(String),
    /// A bound of the format is passed.
    #[error("too many {what}: {found}, at most {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Writing Parquet failed.
    #[error("could not write Parquet")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Stored bytes are not what they should be.
    #[error("damaged block: {0}")]
    Damaged(String),
    /// The caller asked for what its plan does not cover, or in the wrong order.
    #[error("bad block request: {0}")]
    Request(String),
}

impl BlockError {
    /// An error about stored bytes.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// An error of the Parquet writer or the compressor.
    pub(super) fn write(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Write(Box::new(source))
    }
}
