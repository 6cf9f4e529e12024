//! What operators ask: what comes in, what is stored, and how queries fare.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use weir_lake::{StorageTier, TierUsage};
use weir_model::TenantId;
use weir_platform::StorageClass;

use crate::error::ApiError;
use crate::metrics;
use crate::router::{Asked, Query};
use crate::status::rfc3339;

/// Length of the range that statistics are of unless they say otherwise.
const DEFAULT_RANGE_MS: i64 = 3_600_000;
/// Most tenants that an answer lists, those of most samples.
const MAX_TENANTS: usize = 1_000;

/// `/api/v1/admin/metrics/statistics`
pub(crate) async fn statistics(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let now_ms = query.0.clock.now_ms();
    let end_ms = asked.params.time("end")?.unwrap_or(now_ms);
    let start_ms = asked.params.time("start")?.unwrap_or(end_ms.saturating_sub(DEFAULT_RANGE_MS));
    if start_ms >= end_ms {
        let (start, end) = (rfc3339(start_ms), rfc3339(end_ms));
        return Err(ApiError::bad_data(format!("the range ends at {end}, not after its start {start}")));
    }
    let usage = query.0.lake.usage(tenant(asked)?.as_ref(), (start_ms, end_ms)).await?;
    let seconds = end_ms.saturating_sub(start_ms) as f64 / 1000.0;
    let mut tenants: Vec<_> = usage.in_range.iter().collect();
    tenants.sort_by_key(|(tenant, samples)| (std::cmp::Reverse(**samples), (*tenant).clone()));
    tenants.truncate(MAX_TENANTS);
    let of_tenant = |(tenant, samples): (&TenantId, &u64)| {
        let of =
            |tier| usage.tenants.get(tenant).and_then(|tiers| tiers.get(&tier)).map_or(0, |of| of.series);
        json!({
            "tenant": tenant.as_str(),
            "samples": samples,
            "samples_per_second": *samples as f64 / seconds,
            "active_series": of(StorageTier::Hot).max(of(StorageTier::Raw)),
        })
    };
    let tenants: Vec<Value> = tenants.into_iter().map(of_tenant).collect();
    let samples: u64 = usage.in_range.values().sum();
    let statistics = json!({
        "timestamp": rfc3339(now_ms),
        "time_range": { "start": rfc3339(start_ms), "end": rfc3339(end_ms) },
        "ingestion": {
            "samples": samples,
            "samples_per_second": samples as f64 / seconds,
            "tenants": tenants,
        },
        "storage": tiers(&usage.total, None),
        "query_performance": performance(query),
    });
    Ok(Json(json!({ "status": "success", "metrics_statistics": statistics })).into_response())
}

/// `/api/v1/admin/metrics/storage`
pub(crate) async fn storage(query: &Query, asked: &Asked) -> Result<Response, ApiError> {
    let now_ms = query.0.clock.now_ms();
    let tier = match asked.params.get("tier") {
        None => None,
        Some(name) => {
            Some(StorageTier::ALL.into_iter().find(|tier| tier.name() == name).ok_or_else(|| {
                ApiError::bad_data(format!(
                    "invalid parameter \"tier\": {name:?} is none of hot, raw, 1m, 1h and 1d"
                ))
            })?)
        }
    };
    let usage = query.0.lake.usage(tenant(asked)?.as_ref(), (now_ms, now_ms)).await?;
    let size = |of: &BTreeMap<StorageTier, TierUsage>| of.values().map(|usage| usage.bytes).sum::<u64>();
    let mut tenants: Vec<_> = usage.tenants.iter().collect();
    tenants.sort_by_key(|(tenant, of)| (std::cmp::Reverse(size(of)), (*tenant).clone()));
    tenants.truncate(MAX_TENANTS);
    let tenants: Vec<Value> = tenants
        .into_iter()
        .map(|(tenant, of)| json!({ "tenant": tenant.as_str(), "tiers": tiers(of, tier) }))
        .collect();
    let storage = json!({
        "timestamp": rfc3339(now_ms),
        "tiers": tiers(&usage.total, tier),
        "tenants": tenants,
    });
    Ok(Json(json!({ "status": "success", "metrics_storage": storage })).into_response())
}

fn tenant(asked: &Asked) -> Result<Option<TenantId>, ApiError> {
    let invalid = |error| ApiError::bad_data(format!("invalid parameter \"tenant\": {error}"));
    asked.params.get("tenant").map(|name| TenantId::new(name).map_err(invalid)).transpose()
}

fn tiers(of: &BTreeMap<StorageTier, TierUsage>, only: Option<StorageTier>) -> Vec<Value> {
    let wanted = of.iter().filter(|(tier, _)| only.is_none_or(|only| only == **tier));
    wanted.map(|(tier, usage)| in_form(*tier, usage)).collect()
}

fn in_form(tier: StorageTier, usage: &TierUsage) -> Value {
    let mut form = json!({
        "tier": tier.name(),
        "objects": usage.objects,
        "size_bytes": usage.bytes,
        "samples": usage.samples,
        "series": usage.series,
    });
    let classes = StorageClass::ALL.into_iter().zip(usage.bytes_by_class).filter(|(_, bytes)| *bytes > 0);
    let classes: serde_json::Map<String, Value> =
        classes.map(|(class, bytes)| (class.name().to_owned(), bytes.into())).collect();
    if !classes.is_empty() {
        form["size_bytes_by_storage_class"] = classes.into();
    }
    if let Some((first, last)) = usage.times_ms {
        form["oldest"] = rfc3339(first).into();
        form["newest"] = rfc3339(last).into();
    }
    if usage.samples > 0 {
        form["bytes_per_sample"] = (usage.bytes as f64 / usage.samples as f64).into();
    }
    form
}

/// What this process has counted since it started.
fn performance(query: &Query) -> Value {
    let (mut requests, mut failed, mut seconds, mut samples) = (0.0, 0.0, 0.0, 0.0);
    for reading in query.0.telemetry.read() {
        match reading.spec.name {
            name if name == metrics::REQUESTS.name => {
                requests += reading.value;
                let succeeded = reading.labels.iter().any(|(_, value)| value == "success");
                failed += if succeeded { 0.0 } else { reading.value };
            }
            name if name == metrics::SECONDS.name => seconds += reading.value,
            name if name == metrics::SAMPLES.name => samples += reading.value,
            _ => {}
        }
    }
    json!({
        "requests": requests as u64,
        "failed": failed as u64,
        "average_ms": if requests > 0.0 { seconds * 1000.0 / requests } else { 0.0 },
        "samples_read": samples as u64,
        "since": rfc3339(query.0.started_ms),
    })
}
