//! `/api/v1/export`: the samples of any selector and range as JSON lines, CSV, OpenMetrics or Parquet.
//!
//! An export is made window by window and sent while it is made, so it takes the memory of a window
//! however long it is. With `delivery=link` it goes to the bucket instead, in parts, and the answer says
//! where to fetch them.

mod encode;
mod files;
mod run;
mod send;

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use weir_model::{Matcher, TenantId};

use crate::error::{ApiError, Kind};
use crate::params::Params;
use crate::router::{Asked, Query};

pub(crate) use encode::{Compression, Format};
pub(crate) use files::file;

/// Exports at once; each holds a window's samples.
pub(crate) const MAX_CONCURRENT: usize = 2;
/// Most selectors of one request.
const MAX_SELECTORS: usize = 100;

/// What an export is to hold.
#[derive(Clone)]
struct Order {
    tenant: TenantId,
    selectors: Vec<Vec<Matcher>>,
    start_ms: i64,
    end_ms: i64,
    format: Format,
    compression: Compression,
}

impl Order {
    fn read(
        query: &Query,
        tenant: &TenantId,
        params: &Params,
        format: Option<&str>,
    ) -> Result<Self, ApiError> {
        let mut selectors = Vec::new();
        for text in params.all("match[]").chain(params.all("match")) {
            if selectors.len() == MAX_SELECTORS {
                return Err(ApiError::bad_data(format!("more than {MAX_SELECTORS} match[] parameters")));
            }
            let selector = weir_promql::parse_selector(text)
                .map_err(|error| ApiError::bad_data(format!("invalid parameter \"match[]\": {error}")))?;
            selectors.push(selector.matchers);
        }
        if selectors.is_empty() {
            return Err(ApiError::bad_data(
                "no match[] parameter provided; to export everything write match[]={__name__!=\"\"}",
            ));
        }
        let now_ms = query.0.clock.now_ms();
        let start_ms = params.time("start")?.ok_or_else(|| {
            ApiError::bad_data("invalid parameter \"start\": it is missing; write Unix seconds or RFC 3339")
        })?;
        let end_ms = params.time("end")?.unwrap_or(now_ms);
        if end_ms < start_ms {
            return Err(ApiError::bad_data(
                "invalid parameter \"end\": end timestamp must not be before start time",
            ));
        }
        let format = match format.or(params.get("format")) {
            None => Format::SeriesLines,
            Some(name) => Format::of_name(name).ok_or_else(|| {
                ApiError::bad_data(format!(
                    "there is no export format {name:?}; use jsonl, csv, openmetrics or parquet"
                ))
            })?,
        };
        let compression = match params.get("compression") {
            None => Compression::None,
            Some(name) => Compression::of_name(name).ok_or_else(|| {
                ApiError::bad_data(format!(
                    "invalid parameter \"compression\": {name:?} is none of none, gzip, zstd"
                ))
            })?,
        };
        if format == Format::Parquet && compression != Compression::None {
            return Err(ApiError::bad_data(
                "invalid parameter \"compression\": Parquet is compressed already (zstd); leave it out",
            ));
        }
        Ok(Self { tenant: tenant.clone(), selectors, start_ms, end_ms, format, compression })
    }

    /// What a file of it is called, without a folder.
    fn extension(&self) -> String {
        format!("{}{}", self.format.extension(), self.compression.extension())
    }
}

/// `/api/v1/export` and `/api/v1/export/{format}`
pub(crate) async fn export(query: &Query, asked: &Asked, format: Option<&str>) -> Result<Response, ApiError> {
    let order = Order::read(query, &asked.tenant, &asked.params, format)?;
    let turn = query.0.exports.clone().try_acquire_owned().map_err(|_| {
        ApiError::new(
            Kind::Unavailable,
            format!("{MAX_CONCURRENT} exports are under way already; try again when one is done"),
        )
    })?;
    match asked.params.get("delivery") {
        None | Some("stream") => {}
        Some("link") => return files::link(query, order, turn).await,
        Some(other) => {
            let error = format!("invalid parameter \"delivery\": {other:?} is neither stream nor link");
            return Err(ApiError::bad_data(error));
        }
    }
    let name = format!("attachment; filename=\"weir-{}.{}\"", order.start_ms / 1000, order.extension());
    let content_type = order.compression.content_type().unwrap_or(order.format.content_type());
    let body = send::body(Arc::clone(&query.0), order, turn).await?;
    Ok(([(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, name)], body)
        .into_response())
}
