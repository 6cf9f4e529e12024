//! Exports that stay in the bucket for a day, in parts, with links to fetch them by.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use weir_model::{Samples, TenantId};
use weir_platform::{Bucket, BucketError, Created};

use super::Order;
use super::encode::Encoder;
use super::run::{Bounds, label_names, walk};
use crate::error::{ApiError, Kind};
use crate::router::{Inner, Query, json_response};
use crate::status::rfc3339;

/// How long the files are kept and their links work.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A part ends when it has this many bytes; it is held in memory until then.
const PART_BYTES: usize = 64 << 20;
/// Most parts of an export.
const MAX_PARTS: usize = 10_000;
/// Metric names that the answer lists.
const MAX_NAMES: usize = 1_000;
/// Old files deleted before a new export is made.
const MAX_DELETED: usize = 1_000;

/// A finished part.
struct Part {
    key: String,
    bytes: usize,
    samples: u64,
}

fn folder(tenant: &TenantId) -> String {
    format!("exports/tenant={tenant}/")
}

fn unavailable(error: &BucketError) -> ApiError {
    tracing::error!(error = error as &dyn std::error::Error, "the bucket failed under an export");
    ApiError::new(Kind::Unavailable, "the bucket failed; try again, and see the log")
}

/// Makes an export in the bucket and answers where it is, in the module specification's form.
pub(super) async fn link(
    query: &Query,
    order: Order,
    turn: OwnedSemaphorePermit,
) -> Result<Response, ApiError> {
    let inner = Arc::clone(&query.0);
    let bucket = inner.lake.bucket().clone();
    let now_ms = inner.clock.now_ms();
    delete_old(&*bucket, &order.tenant, now_ms).await.map_err(|error| unavailable(&error))?;
    let labels = label_names(&inner.lake, &order).await?;
    let bounds = Bounds {
        max_series: inner.options.max_series,
        deadline: Instant::now() + inner.options.export_timeout,
    };
    let id = new_id(now_ms)?;
    let runtime = Handle::current();
    let making = {
        let (order, id) = (order.clone(), id.clone());
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            make(&runtime, &inner, &order, &labels, bounds, &id)
        })
    };
    let (parts, names) = making.await.map_err(|error| {
        tracing::error!(%error, "an export's thread ended early");
        ApiError::new(Kind::Internal, "the export could not be made; see the log")
    })??;
    let mut listed = Vec::with_capacity(parts.len());
    for part in &parts {
        let url = url(&*bucket, &part.key).await?;
        listed.push(json!({ "url": url, "size_bytes": part.bytes, "record_count": part.samples }));
    }
    let body = json!({
        "status": "success",
        "metrics_export": {
            "export_id": id,
            "timestamp": rfc3339(now_ms),
            "format": order.format.name(),
            "time_range": { "start": rfc3339(order.start_ms), "end": rfc3339(order.end_ms) },
            "exported_metrics": names,
            "compression": order.compression.name(),
            "size_bytes": parts.iter().map(|part| part.bytes).sum::<usize>(),
            "record_count": parts.iter().map(|part| part.samples).sum::<u64>(),
            "export_url": listed.first().map_or(Value::Null, |part| part["url"].clone()),
            "parts": listed,
            "expires": rfc3339(now_ms.saturating_add(KEPT.as_millis() as i64)),
        },
    });
    Ok(json_response(body.to_string().into_bytes()))
}

/// A name that cannot be guessed, in the module specification's form: the link alone gives access.
fn new_id(now_ms: i64) -> Result<String, ApiError> {
    let date: String = rfc3339(now_ms).chars().filter(char::is_ascii_digit).take(14).collect();
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        ApiError::new(
            Kind::Internal,
            "an export needs a name that cannot be guessed, and the system gives no random numbers",
        )
    })?;
    Ok(format!("export_{}_{}_{:032x}", &date[..8], &date[8..], u128::from_le_bytes(secret)))
}

fn make(
    runtime: &Handle,
    inner: &Inner,
    order: &Order,
    labels: &[String],
    bounds: Bounds,
    id: &str,
) -> Result<(Vec<Part>, BTreeSet<String>), ApiError> {
    let new = || Encoder::new(order.format, order.compression, labels, Vec::new());
    let mut encoder = Some(new()?);
    let (mut parts, mut names) = (Vec::new(), BTreeSet::new());
    let (mut samples, mut held) = (0u64, 0usize);
    let mut failed = None;
    let store = |bytes: Vec<u8>, parts: &mut Vec<Part>, samples: u64| -> Result<(), ApiError> {
        if parts.len() == MAX_PARTS {
            let error = format!("the export has more than {MAX_PARTS} parts; export a shorter range");
            return Err(ApiError::new(Kind::Execution, error));
        }
        let key = format!("{}{id}/part-{:05}.{}", folder(&order.tenant), parts.len() + 1, order.extension());
        let size = bytes.len();
        match runtime.block_on(inner.lake.bucket().create(&key, bytes.into())) {
            Ok(Created::New) => {}
            Ok(Created::Existed) => {
                return Err(ApiError::new(Kind::Internal, "the export's name is taken; try again"));
            }
            Err(error) => return Err(unavailable(&error)),
        }
        parts.push(Part { key, bytes: size, samples });
        Ok(())
    };
    let walked = walk(runtime, &inner.lake, order, bounds, |series, read| {
        if names.len() < MAX_NAMES {
            names.insert(series.labels.metric_name().to_owned());
        }
        if let Some(encoder) = &mut encoder {
            encoder.series(series, read)?;
        }
        samples += read.len() as u64;
        held += size_of_text(read);
        if held >= PART_BYTES
            && let Some(full) = encoder.replace(new()?)
        {
            if let Err(error) = store(full.finish()?, &mut parts, samples) {
                failed = Some(error);
                return Err(std::io::Error::other("a part could not be stored").into());
            }
            (samples, held) = (0, 0);
        }
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    walked?;
    if let Some(last) = encoder
        && (samples > 0 || parts.is_empty())
    {
        store(last.finish()?, &mut parts, samples)?;
    }
    Ok((parts, names))
}

/// About how many bytes samples take as text: what a part may hold is bounded before it is compressed.
fn size_of_text(samples: &Samples) -> usize {
    samples.timestamps.len() * 32 + samples.histograms.len() * 512 + samples.sets.len() * 3072
}

/// Where a part can be fetched: from the bucket itself where it has addresses, else from this API.
async fn url(bucket: &dyn Bucket, key: &str) -> Result<String, ApiError> {
    let presigned = bucket.presign(key, KEPT).await.map_err(|error| unavailable(&error))?;
    let path = key.trim_start_matches("exports/tenant=");
    Ok(presigned.unwrap_or_else(|| format!("/api/v1/export/files/{path}")))
}

/// `/api/v1/export/files/{tenant}/{export}/{part}`: a part, for whoever knows its name.
pub(crate) async fn file(
    query: &Query,
    tenant: &str,
    export: &str,
    part: &str,
) -> Result<Response, ApiError> {
    let missing = || {
        let hours = KEPT.as_secs() / 3600;
        ApiError::new(
            Kind::NotFound,
            format!("there is no such export (any more): files are kept for {hours} h"),
        )
    };
    let tenant = TenantId::new(tenant).map_err(|_| missing())?;
    let key = format!("{}{export}/{part}", folder(&tenant));
    let bytes: Bytes = query.0.lake.bucket().get(&key).await.map_err(|error| match error {
        BucketError::NotFound { .. } | BucketError::BadKey { .. } => missing(),
        other => unavailable(&other),
    })?;
    let name = format!("attachment; filename=\"{part}\"");
    Ok((
        [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, name)],
        bytes,
    )
        .into_response())
}

/// Deletes a tenant's files whose links have ended.
async fn delete_old(bucket: &dyn Bucket, tenant: &TenantId, now_ms: i64) -> Result<(), BucketError> {
    let oldest_ms = now_ms.saturating_sub(KEPT.as_millis() as i64);
    for object in bucket.list(&folder(tenant), None, MAX_DELETED).await? {
        if object.created_ms < oldest_ms {
            bucket.delete(&object.key).await?;
        }
    }
    Ok(())
}
