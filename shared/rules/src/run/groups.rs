//! Evaluates all groups that are due, side by side, off the threads that serve requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use weir_promql::{SampleValue, Storage};

use super::due::due;
use super::store::RunState;
use crate::evaluate::{AlertState, GroupState, Health, Overlay, RuleSample, Settings, evaluate_group};
use crate::file::Group;

/// Counts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RunReport {
    /// Evaluations of groups.
    pub evaluations: u64,
    /// Evaluations that were due earlier and did not take place.
    pub missed: u64,
    /// Rules whose last evaluation failed.
    pub failed_rules: u64,
    /// Samples written, staleness markers among them.
    pub samples: u64,
    /// Alerts that fire.
    pub firing: u64,
    /// Alerts that are pending.
    pub pending: u64,
}

impl RunReport {
    /// Adds the counts of another tenant.
    pub(super) fn add(&mut self, other: &Self) {
        self.evaluations += other.evaluations;
        self.missed += other.missed;
        self.failed_rules += other.failed_rules;
        self.samples += other.samples;
        self.firing += other.firing;
        self.pending += other.pending;
    }
}

/// What a run gave.
pub(super) struct Evaluated {
    pub(super) samples: Vec<RuleSample>,
    pub(super) state: RunState,
    pub(super) report: RunReport,
}

/// A group on its way through a run.
struct Task {
    group: Arc<Group>,
    state: GroupState,
    times: Vec<i64>,
}

/// The name of a group among all groups.
pub(super) fn key(group: &Group) -> String {
    format!("{};{}", group.file, group.name)
}

/// Evaluates what is due; `state` tells what was evaluated before.
pub(super) async fn run(
    groups: &[Arc<Group>],
    settings: &Arc<Settings>,
    storage: Arc<dyn Storage>,
    state: RunState,
    window_ms: i64,
    at_ms: i64,
) -> Result<Evaluated, tokio::task::JoinError> {
    let mut known = state.groups;
    let mut tasks = Vec::with_capacity(groups.len());
    let mut report = RunReport::default();
    for group in groups {
        let mut state = known.remove(&key(group)).unwrap_or_default();
        let interval_ms = group.interval_ms.unwrap_or(settings.interval_ms);
        let (times, missed) = due(interval_ms, state.evaluated_ms, window_ms, at_ms);
        state.missed += missed;
        report.missed += missed;
        report.evaluations += times.len() as u64;
        tasks.push(Task { group: group.clone(), state, times });
    }
    // Groups that are gone end what they wrote.
    let gone = known.into_values().flat_map(GroupState::series);
    let end =
        |labels| RuleSample { labels, timestamp_ms: at_ms, value: SampleValue::Float(weir_model::STALE_NAN) };
    let mut samples: Vec<RuleSample> = gone.map(end).collect();
    let mut done = BTreeMap::new();
    for (task, written) in work(tasks, settings, &storage).await? {
        samples.extend(written);
        done.insert(key(&task.group), task.state);
    }
    report.samples = samples.len() as u64;
    for rule in done.values().flat_map(|group| &group.rules) {
        report.failed_rules += u64::from(rule.health == Health::Err);
        for alert in rule.alerts.values() {
            report.firing += u64::from(alert.state == AlertState::Firing);
            report.pending += u64::from(alert.state == AlertState::Pending);
        }
    }
    Ok(Evaluated { samples, state: RunState { at_ms: Some(at_ms), groups: done }, report })
}

/// Evaluates tasks on as many threads as there are cores, which are then free for nothing else; each takes
/// the next group when it is done with one.
async fn work(
    tasks: Vec<Task>,
    settings: &Arc<Settings>,
    storage: &Arc<dyn Storage>,
) -> Result<Vec<(Task, Vec<RuleSample>)>, tokio::task::JoinError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
    let queue = Arc::new(Mutex::new(tasks.into_iter()));
    let runtime = tokio::runtime::Handle::current();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (queue, settings, storage) = (queue.clone(), settings.clone(), storage.clone());
            let runtime = runtime.clone();
            tokio::task::spawn_blocking(move || {
                let mut done = Vec::new();
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(mut task) = next else { return done };
                    let written = runtime.block_on(evaluate(&mut task, &settings, &*storage));
                    done.push((task, written));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await?);
    }
    all.sort_by(|a, b| (&a.0.group.file, &a.0.group.name).cmp(&(&b.0.group.file, &b.0.group.name)));
    Ok(all)
}

async fn evaluate(task: &mut Task, settings: &Settings, storage: &dyn Storage) -> Vec<RuleSample> {
    let mut overlay = Overlay::new(storage);
    let mut written = Vec::new();
    for at_ms in &task.times {
        written.extend(evaluate_group(&task.group, &mut task.state, &mut overlay, settings, *at_ms).await);
    }
    written
}
