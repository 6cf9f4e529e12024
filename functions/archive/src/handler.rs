//! One run: the policy of the file comes into force if it changed, and what has expired goes.

use std::sync::Arc;
use std::time::Duration;

use weir_lake::{ArchiveReport, ExpireReport, Lake, LakeError};
use weir_platform::{MetricSpec, MetricType, Telemetry};

use crate::policy_file::{PolicyError, parse_policy};

const RUNS: MetricSpec = MetricSpec {
    name: "weir_archive_runs_total",
    help: "Runs of the archive function by outcome.",
    kind: MetricType::Counter,
};

const EXPIRED: MetricSpec = MetricSpec {
    name: "weir_archive_expired_samples_total",
    help: "Samples taken out of the lake because they had expired.",
    kind: MetricType::Counter,
};

const ARCHIVED: MetricSpec = MetricSpec {
    name: "weir_archive_merges_total",
    help: "Days, or parts of large ones, that were due to be archived, by outcome.",
    kind: MetricType::Counter,
};

/// How long a run goes on archiving: the schedule's next one is 15 minutes later, a Lambda's limit likewise.
const LONGEST: Duration = Duration::from_mins(8);

/// A run failed; running again is safe.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum ArchiveError {
    #[error("the retention policy in {by} is refused; nothing was expired")]
    Policy { by: String, source: PolicyError },
    #[error("expired data could not be removed")]
    Lake(#[from] LakeError),
    #[error("an erasure could not be gone on with")]
    Erasure(#[source] LakeError),
    #[error("old days could not be archived")]
    Archive(#[source] LakeError),
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// What expired.
    pub expired: ExpireReport,
    /// What was archived.
    pub archived: ArchiveReport,
}

/// The function over its ports.
#[derive(Clone)]
pub struct Archive {
    pub(crate) lake: Arc<Lake>,
    /// Where the policy of all tenants comes from, if it is a file.
    pub(crate) policy_file: Option<Arc<str>>,
    /// True where work goes on after an answer, as it does not in a Lambda.
    at_once: bool,
    telemetry: Arc<Telemetry>,
}

impl Archive {
    /// Wires the function.
    #[must_use]
    pub fn new(lake: Arc<Lake>, telemetry: Arc<Telemetry>) -> Self {
        Self { lake, policy_file: None, at_once: false, telemetry }
    }

    /// Refuses changes of the policy of all tenants by anything but runs with that file: the next run would
    /// undo them.
    #[must_use]
    pub fn ruled_by(self, file: &str) -> Self {
        Self { policy_file: Some(file.into()), ..self }
    }

    /// Begins erasures as soon as they are asked for; otherwise the next run does.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    /// Begins an erasure that has been recorded, if it may.
    pub(crate) fn begin(&self, number: u64) {
        if !self.at_once {
            return;
        }
        let lake = self.lake.clone();
        tokio::spawn(async move {
            if let Err(error) = lake.run_erasure(number, |_| ()).await {
                tracing::error!(number, %error, "an erasure stopped; the next run of archive goes on with it");
            }
        });
    }

    /// Puts the policy in force that `file` holds, given as the name it goes by in the history and its text,
    /// removes what has expired at `at_ms`, the time of the schedule, goes on with erasures, and archives what has
    /// grown old. Running twice changes nothing.
    ///
    /// # Errors
    /// [`ArchiveError`] when the policy is refused (then nothing expires by an older one), or the bucket failed.
    pub async fn handle(&self, at_ms: i64, file: Option<(&str, &str)>) -> Result<Report, ArchiveError> {
        let outcome = self.run(at_ms, file).await;
        let label = if outcome.is_ok() { "done" } else { "failed" };
        self.telemetry.add(&RUNS, &[("outcome", label)], 1.0);
        if let Ok(report) = &outcome {
            self.telemetry.add(&EXPIRED, &[], report.expired.samples as f64);
            let ArchiveReport { merged, changed, left, failed, .. } = report.archived;
            for (outcome, count) in
                [("archived", merged), ("changed", changed), ("left", left), ("failed", failed)]
            {
                self.telemetry.add(&ARCHIVED, &[("outcome", outcome)], count as f64);
            }
        }
        outcome
    }

    async fn run(&self, at_ms: i64, file: Option<(&str, &str)>) -> Result<Report, ArchiveError> {
        if let Some((by, text)) = file {
            let refused = |source| ArchiveError::Policy { by: by.to_owned(), source };
            let policy = parse_policy(text).map_err(refused)?;
            self.lake.set_retention(None, &policy, by).await?;
        }
        let expired = self.lake.expire(at_ms).await;
        // None waits for another to succeed.
        let erased = self.lake.continue_erasures().await.map_err(ArchiveError::Erasure);
        let archived = self.lake.archive(at_ms, LONGEST).await.map_err(ArchiveError::Archive);
        let expired = expired?;
        for report in erased? {
            tracing::debug!(?report, "erased");
        }
        Ok(Report { expired, archived: archived? })
    }
}
