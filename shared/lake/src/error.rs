//! What can go wrong in the lake, grouped by what the caller should do about it.

use weir_platform::BucketError;

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A written bound would be passed: narrow the request.
    #[error("{what}: {found}, at most {limit}")]
    Limit {
        /// What is bounded.
        what: &'static str,
        /// How much there is (or was when counting stopped).
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// What was asked for makes no sense.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// What is asked for has to be restored from a storage class that cannot be read at once; that has been asked
    /// for.
    #[error("{reason}")]
    Frozen {
        /// Of which days it is, and when to ask again.
        reason: String,
        /// The same in seconds from now.
        retry_after_s: u64,
    },
    /// The bucket failed, or others kept changing the lake at the same time: trying again may help.
    #[error("the lake is unavailable: {what}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A stored object is not what it should be: someone has to look at it.
    #[error("object {key:?} is damaged: {reason}")]
    Damaged {
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl LakeError {
    pub(crate) fn damaged(key: &str, reason: impl ToString) -> Self {
        Self::Damaged { key: key.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), source: None }
    }
}

impl From<BucketError> for LakeError {
    fn from(error: BucketError) -> Self {
        Self::Unavailable { what: error.to_string(), source: Some(Box::new(error)) }
    }
}

impl From<tokio::task::JoinError> for LakeError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unavailable { what: "a worker thread ended early".to_owned(), source: Some(Box::new(error)) }
    }
}
