//! One evaluation of the alerts, started by a schedule.

use serde::Serialize;
use weir_model::TenantId;
use weir_rules::{Alert, EventError, RuleEvent, RunError, RunReport, Runner};

/// What an evaluation gave for one tenant.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The tenant.
    pub tenant: String,
    /// Counts.
    pub report: RunReport,
    /// Every alert that is active or was resolved within fifteen minutes: what notifications are made of. A
    /// repeated event gives the same ones again.
    pub alerts: Vec<Alert>,
    /// True when this event was handled before and nothing was evaluated.
    pub repeated: bool,
}

/// An evaluation failed; running again with the same event is safe.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The event has no time.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Rules could not be evaluated for a tenant.
    #[error("alerts of tenant {tenant} could not be evaluated")]
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
pub struct AlertFunction {
    runner: Runner,
    tenants: Vec<TenantId>,
}

impl AlertFunction {
    /// Wires the function: a runner of [`weir_rules::Job::Alert`], and whose rules it evaluates.
    #[must_use]
    pub fn new(runner: Runner, tenants: Vec<TenantId>) -> Self {
        Self { runner, tenants }
    }

    /// Evaluates what is due at the event's time, one tenant after the other.
    ///
    /// # Errors
    /// [`AlertError`] at the first tenant that fails; the same event again does what is left.
    pub async fn handle(&self, event: &RuleEvent) -> Result<Vec<Outcome>, AlertError> {
        let at_ms = event.at_ms()?;
        let mut outcomes = Vec::with_capacity(self.tenants.len());
        for tenant in &self.tenants {
            let run = self.runner.run(tenant, at_ms, event.again).await;
            let run = run.map_err(|source| AlertError::Run { tenant: tenant.clone(), source })?;
            let (report, repeated) = (run.report, run.repeated);
            outcomes.push(Outcome { tenant: tenant.to_string(), report, alerts: run.alerts, repeated });
        }
        Ok(outcomes)
    }
}
