//! Rules in the cloud: the shipped ones, and those that lie in the bucket under `config/rules/`.

use std::sync::Arc;

use serde_json::Value;
use weir_model::TenantId;
use weir_platform::{Bucket, BucketError};
use weir_reader::{TenantStorage, Tiers};
use weir_rules::{
    Guide, Job, MAX_FILE_BYTES, RuleBook, RuleEvent, RuleFile, Runner, RunnerPorts, Settings, shipped,
};

use crate::lambda::Error;
use crate::wiring::Wiring;

/// Where people put rule files of their own; one of a shipped one's name stands in for it.
const FOLDER: &str = "config/rules/";
/// Where people put a file of their own of what alerts mean, instead of the shipped one.
const GUIDE: &str = "config/impact.yml";
/// Most rule files.
const MAX_FILES: usize = 1_000;

/// Reads the rules. New ones count from the next cold start on.
///
/// # Errors
/// When the bucket fails, or a file is too large or no rule file.
pub async fn rule_book(wiring: &Wiring) -> Result<RuleBook, Error> {
    let mut files = shipped()?;
    let bucket = wiring.bucket();
    let listed = bucket.list(FOLDER, None, MAX_FILES + 1).await?;
    if listed.len() > MAX_FILES {
        return Err(format!("{FOLDER} in the bucket holds more than {MAX_FILES} rule files").into());
    }
    for object in listed {
        let name = object.key.trim_start_matches(FOLDER);
        if !(name.ends_with(".yml") || name.ends_with(".yaml")) || name.contains(".test.") {
            continue;
        }
        if object.size > MAX_FILE_BYTES as u64 {
            let size = object.size;
            return Err(format!("{} has {size} bytes, at most {MAX_FILE_BYTES}", object.key).into());
        }
        let bytes = bucket.get(&object.key).await?;
        let file = RuleFile::parse(name, std::str::from_utf8(&bytes)?)?;
        files.retain(|known: &RuleFile| known.name != file.name);
        files.push(file);
    }
    Ok(RuleBook::new(files, Settings::default()).guided_by(guide(&*bucket).await?))
}

/// What alerts mean.
async fn guide(bucket: &dyn Bucket) -> Result<Guide, Error> {
    let read = match bucket.get(GUIDE).await {
        Ok(bytes) => Guide::parse(std::str::from_utf8(&bytes)?),
        Err(BucketError::NotFound { .. }) => Guide::shipped(),
        Err(error) => return Err(error.into()),
    };
    Ok(read.map_err(|problem| format!("{GUIDE}:{problem}"))?)
}

/// What evaluates the rules of a job over the lake, its results going where `ingest` puts records.
///
/// # Errors
/// As [`rule_book`].
pub async fn rule_runner(wiring: &Wiring, job: Job) -> Result<Runner, Error> {
    let lake = wiring.lake().await?;
    let storage = move |tenant: &TenantId| -> Arc<dyn weir_promql::Storage> {
        let (lake, tenant) = (lake.clone(), tenant.clone());
        Arc::new(TenantStorage { lake, tenant, bypass_cache: false, tiers: Tiers::Any })
    };
    let ports = RunnerPorts {
        tenants: Arc::new(storage),
        bucket: wiring.bucket(),
        stream: wiring.stream().await?,
        clock: wiring.clock(),
        telemetry: wiring.telemetry(),
    };
    Ok(Runner::new(Arc::new(rule_book(wiring).await?), job, ports))
}

/// The event of a schedule, which says what time to evaluate at.
///
/// # Errors
/// When it is none.
pub fn rule_event(event: Value) -> Result<RuleEvent, Error> {
    Ok(serde_json::from_value(event)?)
}
