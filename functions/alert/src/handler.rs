//! One evaluation of the alerts, started by a schedule, and who is told.

use serde::Serialize;
use weir_model::TenantId;
use weir_rules::{Alert, EventError, RuleEvent, Run, RunError, RunReport, Runner};

use crate::notify::{Dispatch, DispatchError, Dispatched};

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
    /// Who was told; nothing where nobody is, or where the event asked for a time again.
    pub dispatched: Option<Dispatched>,
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
    /// Receivers of a tenant could not be told.
    #[error("alerts of tenant {tenant} could not be told")]
    Dispatch {
        /// The tenant.
        tenant: TenantId,
        /// Why not.
        #[source]
        source: DispatchError,
    },
}

/// The function over its ports.
#[derive(Clone)]
pub struct AlertFunction {
    runner: Runner,
    dispatch: Option<Dispatch>,
}

impl AlertFunction {
    /// Wires the function: what evaluates rules, as [`weir_rules::Job::Alert`], and what tells of alerts, if
    /// anything does.
    #[must_use]
    pub fn new(runner: Runner, dispatch: Option<Dispatch>) -> Self {
        Self { runner, dispatch }
    }

    /// Evaluates what is due at the event's time, for each tenant, and tells of it. A time that is evaluated `again`
    /// is past: nobody is told.
    ///
    /// # Errors
    /// [`AlertError`] of the first tenant that failed, when the others are done; the same event again does what is left.
    pub async fn handle(&self, event: &RuleEvent) -> Result<Vec<Outcome>, AlertError> {
        let at_ms = event.at_ms()?;
        let runs = self.runner.run(at_ms, event.again).await.map_err(AlertError::Rules)?;
        let mut outcomes = Vec::with_capacity(runs.len());
        for (tenant, run) in runs {
            outcomes.push(match run {
                Ok(Run { report, alerts, repeated }) => {
                    let told = if event.again { Ok(None) } else { self.tell(&tenant, &alerts, at_ms).await };
                    let tenant = tenant.to_string();
                    told.map(|dispatched| Outcome { tenant, report, alerts, repeated, dispatched })
                }
                Err(source) => Err(AlertError::Run { tenant, source }),
            });
        }
        outcomes.into_iter().collect()
    }

    /// Tells a tenant's receivers of alerts as of a time, without evaluating anything: what a local Weir does
    /// between evaluations, when a group's turn comes. `None` where nothing tells.
    ///
    /// # Errors
    /// [`AlertError::Dispatch`].
    pub async fn tell(
        &self,
        tenant: &TenantId,
        alerts: &[Alert],
        at_ms: i64,
    ) -> Result<Option<Dispatched>, AlertError> {
        let Some(dispatch) = &self.dispatch else { return Ok(None) };
        let told = dispatch.run(tenant, alerts, at_ms).await;
        told.map(Some).map_err(|source| AlertError::Dispatch { tenant: tenant.clone(), source })
    }
}
