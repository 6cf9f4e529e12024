//! All rules of a Weir, and which function evaluates which group.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_model::TenantId;
use weir_platform::Bucket;

use super::groups::key;
use super::store::{RunState, StateStore, StoreError};
use crate::evaluate::{GroupState, Settings};
use crate::file::{Group, RuleFile};

/// Who evaluates a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Every five minutes: groups that only record, and no more often than that.
    Kpi,
    /// Every minute: groups with alerts, and all that record more often.
    Alert,
}

impl Job {
    /// Its name in keys and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kpi => "kpi",
            Self::Alert => "alert",
        }
    }

    /// Time between two runs, as template.yaml schedules them.
    #[must_use]
    pub fn period_ms(self) -> i64 {
        match self {
            Self::Kpi => 300_000,
            Self::Alert => 60_000,
        }
    }
}

/// Every group, and how rules are evaluated.
#[derive(Debug)]
pub struct RuleBook {
    kpi: Vec<Arc<Group>>,
    alert: Vec<Arc<Group>>,
    settings: Arc<Settings>,
}

impl RuleBook {
    /// Divides the groups of files among the jobs. Of two groups of one file and name the later one counts.
    #[must_use]
    pub fn new(files: Vec<RuleFile>, settings: Settings) -> Self {
        let mut groups: Vec<Group> = files.into_iter().flat_map(|file| file.groups).collect();
        let mut seen = BTreeSet::new();
        groups.reverse();
        groups.retain(|group| seen.insert(key(group)));
        groups.reverse();
        let (kpi, alert) = groups.into_iter().map(Arc::new).partition(|group| {
            let interval_ms = group.interval_ms.unwrap_or(settings.interval_ms);
            interval_ms >= Job::Kpi.period_ms() && group.rules.iter().all(|rule| rule.alert.is_none())
        });
        Self { kpi, alert, settings: Arc::new(settings) }
    }

    /// The groups that a job evaluates.
    #[must_use]
    pub fn groups(&self, job: Job) -> &[Arc<Group>] {
        match job {
            Job::Kpi => &self.kpi,
            Job::Alert => &self.alert,
        }
    }

    /// How rules are evaluated.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Every group with what it remembered of a tenant at `at_ms`.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be read.
    pub async fn states(
        &self,
        bucket: &Arc<dyn Bucket>,
        tenant: &TenantId,
        at_ms: i64,
    ) -> Result<Vec<(Arc<Group>, GroupState)>, StoreError> {
        let mut all = Vec::new();
        for job in [Job::Kpi, Job::Alert] {
            let state = StateStore::<RunState>::new(bucket.clone(), job.name()).latest(tenant, at_ms).await?;
            let mut known = state.unwrap_or_default().groups;
            for group in self.groups(job) {
                let state = known.remove(&key(group)).unwrap_or_default();
                all.push((group.clone(), state.adopt(group)));
            }
        }
        all.sort_by(|a, b| (&a.0.file, &a.0.name).cmp(&(&b.0.file, &b.0.name)));
        Ok(all)
    }
}
