//! Rules in the cloud: the shipped ones, and those that lie in the bucket.

use std::sync::Arc;

use serde_json::Value;
use weir_model::TenantId;
use weir_platform::Bucket;
use weir_reader::{TenantStorage, Tiers};
use weir_rules::{Guide, Job, RuleEvent, RuleLibrary, Runner, RunnerPorts, Settings, shipped};

use crate::lambda::Error;
use crate::own_file::own_file;
use crate::wiring::Wiring;

/// Where people put a file of their own of what alerts mean, instead of the shipped one.
const GUIDE: &str = "config/impact.yml";

/// The rules, read at each run.
///
/// # Errors
/// When the bucket fails.
pub async fn rule_library(wiring: &Wiring) -> Result<RuleLibrary, Error> {
    let guide = guide(&*wiring.bucket()).await?;
    let settings = Settings { external_url: wiring.settings().external_url.clone(), ..Settings::default() };
    let library = RuleLibrary::new(shipped()?, settings, wiring.bucket(), wiring.telemetry());
    Ok(library.guided_by(guide))
}

/// What alerts mean: alerts must go out, with the shipped file or without one.
async fn guide(bucket: &dyn Bucket) -> Result<Guide, Error> {
    let own = own_file(bucket, GUIDE, |text| Guide::parse(text).map_err(|problem| problem.to_string()));
    Ok(own.await?.map_or_else(Guide::shipped, Ok)?)
}

/// What evaluates the rules of a job over the lake, its results going where `ingest` puts records.
///
/// # Errors
/// When the lake or the stream cannot be opened.
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
    Ok(Runner::new(Arc::new(rule_library(wiring).await?), job, ports))
}

/// The event of a schedule, which says what time to evaluate at.
///
/// # Errors
/// When it is none.
pub fn rule_event(event: Value) -> Result<RuleEvent, Error> {
    Ok(serde_json::from_value(event)?)
}
