//! Why a query has no answer, sorted as Prometheus' API sorts it.

use crate::storage::StorageError;

/// A query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query itself is at fault.
    #[error("{0}")]
    BadData(String),
    /// The query met data it cannot be evaluated over, or passed a bound.
    #[error("{0}")]
    Execution(String),
    /// The deadline passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The caller no longer wants the answer.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// Storage could not be read.
    #[error("expanding series: {0}")]
    Storage(#[source] StorageError),
    /// The engine broke its own rules.
    #[error("internal error: {0}")]
    Internal(String),
}

impl QueryError {
    /// The word for `errorType` in Prometheus' API.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Storage(_) | Self::Internal(_) => "internal",
        }
    }
}

impl From<StorageError> for QueryError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Limit(message) => Self::Execution(message),
            other => Self::Storage(other),
        }
    }
}

/// Two series of one vector have the same labels at one time.
pub(crate) fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}
