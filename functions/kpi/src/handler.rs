//! One run of the key figures, started by a schedule.

use serde::Serialize;
use weir_model::TenantId;
use weir_rules::{EventError, RuleEvent, Run, RunError, RunReport, Runner};

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
    /// It is not known which rules there are.
    #[error("rules could not be evaluated")]
    Rules(#[source] RunError),
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
}

impl Kpi {
    /// Wires the function: a runner of [`weir_rules::Job::Kpi`].
    #[must_use]
    pub fn new(runner: Runner) -> Self {
        Self { runner }
    }

    /// Evaluates what is due at the event's time, for each tenant.
    ///
    /// # Errors
    /// [`KpiError`] of the first tenant that failed, when the others are done; the same event again does what is left.
    pub async fn handle(&self, event: &RuleEvent) -> Result<Vec<Outcome>, KpiError> {
        let at_ms = event.at_ms()?;
        let runs = self.runner.run(at_ms, event.again).await.map_err(KpiError::Rules)?;
        let outcome = |(tenant, run): (TenantId, Result<Run, RunError>)| match run {
            Ok(run) => Ok(Outcome { tenant: tenant.to_string(), report: run.report, repeated: run.repeated }),
            Err(source) => Err(KpiError::Run { tenant, source }),
        };
        runs.into_iter().map(outcome).collect()
    }
}
