//! Failures in the envelope and with the status codes of the Prometheus HTTP API.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use weir_lake::LakeError;

/// A failed request.
#[derive(Debug)]
pub(crate) struct ApiError {
    kind: Kind,
    message: String,
    /// Seconds after which asking again is of use, where that is known.
    retry_after_s: Option<u64>,
}

/// Prometheus' error types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BadData,
    Execution,
    Timeout,
    Canceled,
    Unavailable,
    Internal,
    NotFound,
    Conflict,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout | Self::Canceled | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
        }
    }
}

impl ApiError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_s: None }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(Kind::BadData, message)
    }

    /// The request is fine, its answer is not possible.
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::new(Kind::Execution, message)
    }

    /// The time was not enough.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// A fault of ours, told in the log.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// The answer can be given later.
    pub(crate) fn not_yet(message: impl Into<String>, retry_after_s: u64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(Kind::Unavailable, message) }
    }

    /// The error type, for counting.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl From<LakeError> for ApiError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Limit { .. } => Self::new(Kind::Execution, error.to_string()),
            LakeError::Frozen { reason, retry_after_s } => Self::not_yet(reason, retry_after_s),
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "the lake could not answer");
                Self::new(Kind::Unavailable, "the lake could not answer; try again, and see the log")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": self.kind.name(), "error": self.message });
        let mut response = (self.kind.status(), Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
