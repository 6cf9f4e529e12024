//! The outside of a write request: tenant, headers and a bounded body.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use weir_model::TenantId;

use crate::accept::{Ingest, IngestError};

/// The header that names a tenant, as in Mimir and Cortex.
const TENANT_HEADER: &str = "x-scope-orgid";
/// The header by which a sender marks a retry as one.
const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Most bytes of a too large body that are read only to be thrown away.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
/// Longest idempotency key in bytes.
const MAX_KEY_BYTES: usize = 256;

/// A write request, read and bounded but not yet decompressed.
pub(crate) struct Incoming {
    pub(crate) tenant: TenantId,
    pub(crate) headers: HeaderMap,
    pub(crate) query: String,
    pub(crate) body: axum::body::Bytes,
    /// Memory taken for the body; given back when the request is done with.
    _memory: tokio::sync::OwnedSemaphorePermit,
}

impl Incoming {
    /// Checks the headers, takes memory and reads the body.
    pub(crate) async fn read(ingest: &Ingest, request: Request<Body>) -> Result<Self, IngestError> {
        let (parts, body) = request.into_parts();
        let (headers, query) = (parts.headers, parts.uri.query().unwrap_or_default().to_owned());
        let limit = ingest.options().limits.compressed_bytes;
        let declared = header(&headers, "content-length").and_then(|text| text.parse::<usize>().ok());
        let too_large = || {
            IngestError::TooLarge(format!(
                "the body has more than {limit} bytes as sent: send smaller requests, or ask for a larger --max-body-bytes"
            ))
        };
        if declared.is_some_and(|bytes| bytes > limit) {
            discard(body).await;
            return Err(too_large());
        }
        let tenant = tenant(&headers)?;
        let memory = ingest.admit(declared.unwrap_or(limit)).await?;
        let body = axum::body::to_bytes(body, limit).await.map_err(|error| {
            // A body that ends early is the sender's fault, one that goes on too long its size.
            if error.to_string().contains("length limit") {
                too_large()
            } else {
                IngestError::Header("the body ended before its declared length".to_owned())
            }
        })?;
        Ok(Self { tenant, headers, query, body, _memory: memory })
    }

    pub(crate) fn content_type(&self) -> &str {
        header(&self.headers, "content-type").unwrap_or("")
    }

    pub(crate) fn content_encoding(&self) -> &str {
        header(&self.headers, "content-encoding").unwrap_or("")
    }

    /// The sender's name for this delivery, if it gave one.
    pub(crate) fn idempotency_key(&self) -> Result<Option<&str>, IngestError> {
        let Some(value) = self.headers.get(IDEMPOTENCY_HEADER) else { return Ok(None) };
        match value.to_str() {
            Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_BYTES => Ok(Some(key)),
            _ => Err(IngestError::Header(format!(
                "the Idempotency-Key header must have 1 to {MAX_KEY_BYTES} visible ASCII characters"
            ))),
        }
    }
}

/// Reads what a sender is still sending, up to a bound: one that only gets its connection reset in the
/// middle of its body never sees the answer that says why.
async fn discard(mut body: Body) {
    let mut left = MAX_DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let Some(rest) = left.checked_sub(data.len()) else { return };
        left = rest;
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The tenant that the headers name; without any, the default one.
pub(crate) fn tenant(headers: &HeaderMap) -> Result<TenantId, IngestError> {
    let Some(value) = headers.get(TENANT_HEADER) else { return Ok(TenantId::default()) };
    let name = value
        .to_str()
        .map_err(|_| IngestError::Header("the X-Scope-OrgID header is not ASCII".to_owned()))?;
    TenantId::new(name).map_err(|error| IngestError::Header(format!("X-Scope-OrgID: {error}")))
}
