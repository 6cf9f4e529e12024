//! From alerts to messages: a round of the dispatcher, its notifications sent, its state kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use weir_model::TenantId;
use weir_platform::{
    Bucket, BucketError, Destination, MAX_NOTIFICATION_BYTES, MetricSpec, MetricType, Notification, Notifier,
    NotifyError, Secret, Telemetry,
};
use weir_routing::{
    Alert, Channel, DispatchState, Dispatcher, Due, Outcome, SecretSource, Silence, SilenceStore,
};
use weir_rules::{StateStore, StoreError};

/// The name of what dispatching remembers, beside the states of rules.
const STATE: &str = "dispatch";
/// Most bytes of a body, so that title and attributes fit beside it.
const MAX_BODY_BYTES: usize = MAX_NOTIFICATION_BYTES - (16 << 10);
/// Notifications sent at once.
const BATCH: usize = 100;

const NOTIFICATIONS: MetricSpec = MetricSpec {
    name: "weir_notifications_total",
    help: "Notifications by kind of receiver and by what became of them.",
    kind: MetricType::Counter,
};

/// What dispatching did for one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dispatched {
    /// Notifications that were taken.
    pub sent: usize,
    /// Notifications that were not; those that may be taken later are sent again.
    pub failed: usize,
    /// Alerts that no group took, since there are too many groups.
    pub left_out: usize,
    /// When a group has its turn next, in milliseconds since the Unix epoch.
    pub next_due_ms: Option<i64>,
}

/// Dispatching failed; doing it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The state could not be read or written.
    #[error("the state of notifications is not at hand")]
    State(#[from] StoreError),
    /// Silences could not be read.
    #[error("the silences are not at hand")]
    Silences(#[from] BucketError),
}

/// Environment variables by their names.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What dispatching stands on.
#[derive(Clone)]
pub struct DispatchPorts {
    /// Where states and silences are kept.
    pub bucket: Arc<dyn Bucket>,
    /// Who sends.
    pub notifier: Arc<dyn Notifier>,
    /// Where notifications are counted.
    pub telemetry: Arc<Telemetry>,
    /// Environment variables that the configuration names.
    pub environment: Environment,
}

/// Tells receivers of alerts.
#[derive(Clone)]
pub struct Dispatch {
    dispatcher: Dispatcher,
    ports: DispatchPorts,
    /// Silences that a file names.
    windows: Arc<Vec<Silence>>,
    silences: Arc<SilenceStore>,
    external_url: Arc<str>,
}

impl Dispatch {
    /// Tells by these routes, with the silences of a file of maintenance windows.
    #[must_use]
    pub fn new(
        dispatcher: Dispatcher,
        windows: Vec<Silence>,
        external_url: &str,
        ports: DispatchPorts,
    ) -> Self {
        let silences = Arc::new(SilenceStore::new(ports.bucket.clone()));
        Self { dispatcher, ports, windows: Arc::new(windows), silences, external_url: external_url.into() }
    }

    /// One round at the event's time. A round of that time, or a later one, that was done before is not done again.
    ///
    /// Notifications are sent before the state is created. A crash between the two does the round again, and what
    /// it sends has the ids of the first time.
    ///
    /// # Errors
    /// [`DispatchError`] when the bucket fails. Notifications that fail are counted and told, and do not fail the
    /// round: the next one sends them again.
    pub async fn run(
        &self,
        tenant: &TenantId,
        alerts: &[weir_rules::Alert],
        at_ms: i64,
    ) -> Result<Dispatched, DispatchError> {
        let store = StateStore::<DispatchState>::new(self.ports.bucket.clone(), STATE);
        // The latest of all: what was told later must not be told again by an event that comes late.
        let state = store.latest(tenant, i64::MAX - 1).await?.unwrap_or_default();
        if state.at_ms.is_some_and(|done_ms| done_ms >= at_ms) {
            return Ok(Dispatched { next_due_ms: state.next_due_ms(), ..Dispatched::default() });
        }
        let mut silences = self.silences.read(tenant).await?;
        self.windows.iter().for_each(|window| silences.put(window.clone()));
        let alerts: Vec<Alert> =
            alerts.iter().filter_map(|alert| Alert::of_rule(alert, &self.external_url)).collect();
        let round = self.dispatcher.round(state, &alerts, &silences, at_ms);
        let outcomes = self.send(round.due()).await;
        let sent = outcomes.iter().filter(|outcome| **outcome == Outcome::Sent).count();
        if round.left_out > 0 {
            tracing::error!(%tenant, alerts = round.left_out, "alerts are told to nobody, since there are too many groups; group by fewer labels");
        }
        let left_out = round.left_out;
        let state = round.finish(&outcomes);
        store.save(tenant, at_ms, &state).await?;
        store.forget(tenant, at_ms).await?;
        self.silences.forget(tenant, at_ms).await?;
        Ok(Dispatched { sent, failed: outcomes.len() - sent, left_out, next_due_ms: state.next_due_ms() })
    }

    async fn send(&self, due: &[Due]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(due.len());
        for batch in due.chunks(BATCH) {
            let mut results: Vec<Option<Result<(), NotifyError>>> = Vec::with_capacity(batch.len());
            let mut ready = Vec::with_capacity(batch.len());
            for due in batch {
                // A channel without an address on this machine is nobody: it counts as told.
                match self.notification(due) {
                    Ok(Some(notification)) => {
                        ready.push(notification);
                        results.push(None);
                    }
                    Ok(None) => results.push(Some(Ok(()))),
                    Err(error) => results.push(Some(Err(error))),
                }
            }
            let mut answers = self.ports.notifier.notify(ready).await.into_iter();
            for (due, result) in batch.iter().zip(results) {
                // An adapter answers one result for each; a missing one counts as not known.
                let result = result.or_else(|| answers.next());
                outcomes.push(self.outcome(due, result));
            }
        }
        outcomes
    }

    fn outcome(&self, due: &Due, result: Option<Result<(), NotifyError>>) -> Outcome {
        let outcome = match &result {
            Some(Ok(())) => Outcome::Sent,
            Some(Err(error)) if !error.retryable() => Outcome::Refused,
            _ => Outcome::Unknown,
        };
        if let Some(Err(error)) = &result {
            tracing::error!(receiver = due.receiver, group = due.group_key, %error, "a notification was not delivered");
        }
        let word = match outcome {
            Outcome::Sent => "sent",
            Outcome::Unknown => "failed",
            Outcome::Refused => "refused",
        };
        self.ports.telemetry.add(&NOTIFICATIONS, &[("kind", due.integration.kind()), ("outcome", word)], 1.0);
        outcome
    }

    /// The message; `None` when its topic is named by an environment variable that is not set.
    fn notification(&self, due: &Due) -> Result<Option<Notification>, NotifyError> {
        let destination = match &due.integration.channel {
            Channel::Sns { topic_arn, .. } => {
                let variable = topic_arn.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
                let arn =
                    variable.map_or_else(|| Some(topic_arn.clone()), |name| (self.ports.environment)(name));
                let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { return Ok(None) };
                Destination::Topic { arn }
            }
            Channel::Webhook { url, secret, .. } => {
                Destination::Webhook { url: url.clone(), secret: self.secret(due, secret.as_ref())? }
            }
        };
        let (subject, attributes): (_, BTreeMap<_, _>) = due.title_and_attributes(&self.external_url);
        let body = due.body(&self.external_url, MAX_BODY_BYTES);
        Ok(Some(Notification { destination, id: due.id.clone(), subject, body, attributes }))
    }

    /// What signs: a request that should be signed never goes out unsigned.
    fn secret(&self, due: &Due, source: Option<&SecretSource>) -> Result<Option<Secret>, NotifyError> {
        let invalid = |reason: String| NotifyError::Invalid { id: due.id.clone(), reason };
        match source {
            None => Ok(None),
            Some(SecretSource::Environment(name)) => match (self.ports.environment)(name) {
                Some(secret) if !secret.is_empty() => Ok(Some(Secret::new(secret))),
                _ => Err(invalid(format!("the environment variable {name} holds no secret to sign with"))),
            },
            Some(SecretSource::File(path)) => match std::fs::read_to_string(path) {
                Ok(secret) => Ok(Some(Secret::new(secret.trim_end_matches(['\r', '\n'])))),
                Err(error) => {
                    Err(invalid(format!("the secret in {} cannot be read: {error}", path.display())))
                }
            },
        }
    }
}
