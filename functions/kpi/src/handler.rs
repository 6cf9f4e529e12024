//! One run of the key figures, started by a schedule.

use serde::Serialize;
use weir_model::TenantId;
use weir_rules::{EventError, RuleEvent, RunError, RunReport, Runner};

/// What a run did for one tenant.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The tenant.
    pub tenant: String,
    /// Counts.
    pub report: RunReport,
    /// True when this event was handled before and nothing was done.
    pub repeated: bool,
}

/// A run failed; running again with the same event is safe.
#[derive(Debug, thiserror::Error)]
pub enum KpiError {
    /// The event has no time.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Rules could not be evaluated for a tenant.
    #[error("key figures of tenant {tenant} could not be computed")]
    Run {
        /// The tenant.
        tenant: TenantId,
        /// Why not.
        #[source]
        source: RunError,
    },
}

/// The function over its ports.
#[derive(Clone)]
pub struct Kpi {
    runner: Runner,
    tenants: Vec<TenantId>,
}

impl Kpi {
    /// Wires the function: a runner of [`weir_rules::Job::Kpi`], and whose rules it evaluates.
    #[must_use]
    pub fn new(runner: Runner, tenants: Vec<TenantId>) -> Self {
        Self { runner, tenants }
    }

    /// Evaluates what is due at the event's time, one tenant after the other.
    ///
    /// # Errors
    /// [`KpiError`] at the first tenant that fails; the same event again does what is left.
    pub async fn handle(&self, event: &RuleEvent) -> Result<Vec<Outcome>, KpiError> {
        let at_ms = event.at_ms()?;
        let mut outcomes = Vec::with_capacity(self.tenants.len());
        for tenant in &self.tenants {
            let run = self.runner.run(tenant, at_ms, event.again).await;
            let run = run.map_err(|source| KpiError::Run { tenant: tenant.clone(), source })?;
            outcomes.push(Outcome { tenant: tenant.to_string(), report: run.report, repeated: run.repeated });
        }
        Ok(outcomes)
    }
}
