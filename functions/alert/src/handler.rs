//! One evaluation of the alerts, started by a schedule.

use serde::Serialize;
use weir_model::TenantId;
use weir_rules::{Alert, EventError, RuleEvent, Run, RunError, RunReport, Runner};

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
    /// It is not known which rules there are.
    #[error("rules could not be evaluated")]
    Rules(#[source] RunError),
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
}

impl AlertFunction {
    /// Wires the function: a runner of [XX
    #[must_use]
    pub fn new(runner: Runner) -> Self {
        Self { runner }
    }

    /// Evaluates what is due at the event's time, for each tenant.
    ///
    /// # Errors
    /// [`AlertError`] of the first tenant that failed, when the others are done; the same event again does what is left.
    pub async fn handle(&self, event: &RuleEvent) -> Result<Vec<Outcome>, AlertError> {
        let at_ms = event.at_ms()?;
        let runs = self.runner.run(at_ms, event.again).await.map_err(AlertError::Rules)?;
        let outcome = |(tenant, run): (TenantId, Result<Run, RunError>)| match run {
            Ok(Run { report, alerts, repeated }) => {
                Ok(Outcome { tenant: tenant.to_string(), report, alerts, repeated })
            }
            Err(source) => Err(AlertError::Run { tenant, source }),
        };
        runs.into_iter().map(outcome).collect()
    }
}
