//! Runs rules on a schedule: which groups are due, all of them side by side, their state kept in the bucket,
//! their results put into the stream.

mod book;
mod due;
mod event;
mod groups;
mod library;
mod metrics;
mod results;
mod store;
#[cfg(test)]
mod tests;
mod told;

pub use book::{Job, RuleBook};
pub use event::{EventError, RuleEvent};
pub use groups::RunReport;
pub use library::{Books, RuleLibrary};
pub use store::{RunState, StateStore, StoreError};

use std::sync::Arc;

use weir_model::TenantId;
use weir_platform::{Bucket, BucketError, Clock, Stream, StreamError, Telemetry};
use weir_promql::Storage;

use crate::evaluate::Alert;
use crate::feedback::{FeedbackLog, Learned};

/// The data of tenants, as far as rules need it.
pub trait Tenants: Send + Sync {
    /// The storage of one tenant.
    fn storage(&self, tenant: &TenantId) -> Arc<dyn Storage>;
}

impl<F: Fn(&TenantId) -> Arc<dyn Storage> + Send + Sync> Tenants for F {
    fn storage(&self, tenant: &TenantId) -> Arc<dyn Storage> {
        self(tenant)
    }
}

/// What a runner stands on.
#[derive(Clone)]
pub struct RunnerPorts {
    /// The data that rules ask.
    pub tenants: Arc<dyn Tenants>,
    /// Where states are kept.
    pub bucket: Arc<dyn Bucket>,
    /// Where results go.
    pub stream: Arc<dyn Stream>,
    /// When results are written; never the time of an evaluation, which comes with its event.
    pub clock: Arc<dyn Clock>,
    /// Where runs are counted.
    pub telemetry: Arc<Telemetry>,
}

/// A run failed; running again with the same event is safe.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The rules could not be read.
    #[error("the rules are not at hand")]
    Rules(#[from] BucketError),
    /// The state could not be read or written.
    #[error("the state of rules is not at hand")]
    State(#[from] StoreError),
    /// The results could not be made durable.
    #[error("the results of rules could not be put into the stream")]
    Stream(#[from] StreamError),
    /// A thread panicked: a fault in the engine, which its message on the error output names.
    #[error("a thread that evaluates rules ended early")]
    Thread(#[from] tokio::task::JoinError),
    /// A result does not fit into a record of the stream.
    #[error("a result of a rule fits into no record: {0}")]
    Record(#[from] weir_model::RecordError),
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Counts.
    pub report: RunReport,
    /// Every alert that is active or was resolved within fifteen minutes, for whoever notifies. Those that have
    /// fired say what they mean in annotations named `weir_…` (`weir_priority`, `weir_condition`, `weir_plot_url` …).
    pub alerts: Vec<Alert>,
    /// True when this event was handled before and nothing was done.
    pub repeated: bool,
}

/// Evaluates the groups of one job for tenants.
#[derive(Clone)]
pub struct Runner {
    library: Arc<RuleLibrary>,
    job: Job,
    ports: RunnerPorts,
}

impl Runner {
    /// Wires a runner for the groups of `job`.
    #[must_use]
    pub fn new(library: Arc<RuleLibrary>, job: Job, ports: RunnerPorts) -> Self {
        Self { library, job, ports }
    }

    /// Evaluates what is due at the event's time and has not been evaluated yet, one tenant after the other.
    /// What fails for one tenant does not keep the next from its alerts.
    ///
    /// Results go into the stream before the state is created. A crash between the two repeats the evaluation,
    /// which writes the same samples again; an event delivered twice finds its state and does nothing, unless it
    /// asks to evaluate its time `again`: then it starts from the state before, and the results take the place of
    /// those of the first time. The state of the first time stays.
    ///
    /// # Errors
    /// [`RunError::Rules`] when it is not known whose rules there are.
    pub async fn run(
        &self,
        at_ms: i64,
        again: bool,
    ) -> Result<Vec<(TenantId, Result<Run, RunError>)>, RunError> {
        let books = self.library.books().await?;
        let mut runs = Vec::with_capacity(books.len());
        for (tenant, book) in &*books {
            runs.push((tenant.clone(), self.evaluate(tenant, book, at_ms, again).await));
        }
        metrics::count(&self.ports.telemetry, self.job, &runs);
        Ok(runs)
    }

    async fn evaluate(
        &self,
        tenant: &TenantId,
        book: &RuleBook,
        at_ms: i64,
        again: bool,
    ) -> Result<Run, RunError> {
        let ports = &self.ports;
        let store = StateStore::<RunState>::new(ports.bucket.clone(), self.job.name());
        let state = store.latest(tenant, if again { at_ms - 1 } else { at_ms }).await?.unwrap_or_default();
        if state.at_ms == Some(at_ms) {
            let alerts = self.told(tenant, book, &state, at_ms).await;
            return Ok(Run { alerts, repeated: true, ..Run::default() });
        }
        let groups = book.groups(self.job);
        let storage = ports.tenants.storage(tenant);
        let window_ms = self.job.period_ms();
        let evaluated = groups::run(groups, book.settings(), storage, state, window_ms, at_ms).await?;
        results::put(&*ports.stream, tenant, self.job, &evaluated.samples, ports.clock.now_ms()).await?;
        store.save(tenant, at_ms, &evaluated.state).await?;
        store.forget(tenant, at_ms).await?;
        let alerts = self.told(tenant, book, &evaluated.state, at_ms).await;
        Ok(Run { alerts, report: evaluated.report, repeated: false })
    }

    /// The alerts as notifications tell them. Feedback that cannot be read is no reason to be silent.
    async fn told(&self, tenant: &TenantId, book: &RuleBook, state: &RunState, at_ms: i64) -> Vec<Alert> {
        let fires = |alert: &Alert| alert.fired_at_ms.is_some();
        let learned = if state.alerts().iter().any(fires) {
            FeedbackLog::new(self.ports.bucket.clone()).learned(tenant).await.unwrap_or_else(|error| {
                tracing::warn!(%tenant, %error, "feedback on alerts cannot be read; they are told without it");
                Learned::default()
            })
        } else {
            Learned::default()
        };
        let url = &self.library.settings().external_url;
        told::told(book.groups(self.job), state, self.library.guide(), url, &learned, at_ms)
    }
}
