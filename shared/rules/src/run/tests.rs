//! Runs over a bucket in memory: once each, in order, over restarts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use weir_model::{Record, TenantId};
use weir_platform::{
    Bucket, ManualClock, MemoryBucket, NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError,
};
use weir_promql::Storage;
use weir_promql::memory::MemoryStorage;

use super::{Job, RuleBook, RuleLibrary, Run, RunError, Runner, RunnerPorts, Tenants};
use crate::evaluate::{AlertState, Settings};
use crate::file::RuleFile;

const MINUTE: i64 = 60_000;

struct Fixed(Arc<MemoryStorage>);

impl Tenants for Fixed {
    fn storage(&self, _: &TenantId) -> Arc<dyn Storage> {
        self.0.clone()
    }
}

#[derive(Default)]
struct Collected {
    records: Mutex<Vec<Record>>,
    fails: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Stream for Collected {
    async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
        if self.fails.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StreamError::Throttled { retry_after_ms: 1 });
        }
        let decoded = records.iter().map(|record| Record::decode(&record.data).unwrap());
        self.records.lock().unwrap().extend(decoded);
        Ok(records.iter().map(|_| Placed { shard: ShardId(0), sequence: SequenceNumber::from(0) }).collect())
    }
}

impl Collected {
    fn lines(&self) -> Vec<String> {
        let mut records = self.records.lock().unwrap();
        let mut lines = Vec::new();
        for record in records.drain(..) {
            for sample in &record.batch.floats {
                let value = if weir_model::is_stale_nan(sample.value) {
                    "stale".into()
                } else {
                    sample.value.to_string()
                };
                lines.push(format!(
                    "{}@{} {value}",
                    record.batch.labels_at(sample.series),
                    sample.timestamp_ms / 1000
                ));
            }
        }
        lines.sort();
        lines
    }
}

struct World {
    runner: Runner,
    stream: Arc<Collected>,
    bucket: Arc<dyn Bucket>,
    tenants: Arc<Fixed>,
}

fn world(rules: &str, load: &str, job: Job) -> World {
    let mut storage = MemoryStorage::new();
    storage.load(MINUTE, load).unwrap();
    let bucket: Arc<dyn Bucket> = Arc::new(MemoryBucket::new());
    let (stream, tenants) = (Arc::<Collected>::default(), Arc::new(Fixed(Arc::new(storage))));
    let runner = runner(rules, job, &tenants, &bucket, &stream);
    World { runner, stream, bucket, tenants }
}

fn runner(
    rules: &str,
    job: Job,
    tenants: &Arc<Fixed>,
    bucket: &Arc<dyn Bucket>,
    stream: &Arc<Collected>,
) -> Runner {
    let file = RuleFile::parse("r.yml", rules).unwrap();
    let ports = RunnerPorts {
        tenants: tenants.clone(),
        bucket: bucket.clone(),
        stream: stream.clone(),
        clock: Arc::new(ManualClock::new(5)),
        telemetry: Arc::default(),
    };
    let (bucket, telemetry) = (ports.bucket.clone(), ports.telemetry.clone());
    let library = RuleLibrary::new(vec![file], Settings::default(), bucket, telemetry);
    Runner::new(Arc::new(library), job, ports)
}

async fn run(runner: &Runner, at_ms: i64, again: bool) -> Result<Run, RunError> {
    run_of(runner, &TenantId::default(), at_ms, again).await
}

async fn run_of(runner: &Runner, tenant: &TenantId, at_ms: i64, again: bool) -> Result<Run, RunError> {
    let runs = runner.run(at_ms, again).await?;
    runs.into_iter().find(|(of, _)| of == tenant).unwrap().1
}

const ALERT: &str = "groups: [{name: g, rules: [{alert: High, expr: load > 1, for: 2m}]}]";

#[tokio::test]
async fn an_event_delivered_twice_is_handled_once() {
    let world = world(ALERT, "load 2x9", Job::Alert);
    assert!(!run(&world.runner, MINUTE, false).await.unwrap().repeated);
    assert_eq!(world.stream.lines().len(), 2);
    let again = run(&world.runner, MINUTE, false).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.alerts.len(), world.stream.lines().len()), (1, 0));
}

#[tokio::test]
async fn alerts_that_have_fired_say_what_they_mean_and_repeats_say_the_same() {
    let rules = "groups: [{name: g, rules: [{alert: High, expr: load > 1, for: 1m, annotations: {weir_priority: mine}}]}]";
    let world = world(rules, "load 2 2 2 2 0 0", Job::Alert);
    let told = |run: &Run, name: &str| run.alerts[0].annotations.get(name).map(str::to_owned);
    let pending = run(&world.runner, MINUTE, false).await.unwrap();
    assert_eq!(told(&pending, "weir_condition"), None);
    let firing = run(&world.runner, 2 * MINUTE, false).await.unwrap();
    let condition = "load is 2, limit > 1 (2.00 times the limit)".to_owned();
    assert_eq!(told(&firing, "weir_condition"), Some(condition.clone()));
    assert_eq!(told(&firing, "weir_priority"), Some("mine".to_owned()), "the rule's own word comes first");
    assert_eq!(told(&firing, "weir_false_positive_probability"), Some("0.25".to_owned()));
    let again = run(&world.runner, 2 * MINUTE, false).await.unwrap();
    assert_eq!((again.repeated, &again.alerts), (true, &firing.alerts));
    let resolved = run(&world.runner, 5 * MINUTE, false).await.unwrap();
    assert_eq!((resolved.report.firing, told(&resolved, "weir_condition")), (0, Some(condition)));
}

#[tokio::test]
async fn a_time_can_be_evaluated_again() {
    let world = world(ALERT, "load 2x9", Job::Alert);
    for minute in 1..=3 {
        run(&world.runner, minute * MINUTE, false).await.unwrap();
    }
    let third = world.stream.lines();
    let again = run(&world.runner, 3 * MINUTE, true).await.unwrap();
    assert!(!again.repeated);
    let lines = world.stream.lines();
    assert!(lines.iter().all(|line| third.contains(line)), "{lines:?} are not among {third:?}");
    assert_eq!(lines.len(), 3, "firing, its time, and the end of pending: {lines:?}");
}

#[tokio::test]
async fn state_goes_on_in_another_process_and_per_tenant() {
    let world = world(ALERT, "load 2x9", Job::Alert);
    for minute in 1..=2 {
        run(&world.runner, minute * MINUTE, false).await.unwrap();
    }
    let other = runner(ALERT, Job::Alert, &world.tenants, &world.bucket, &world.stream);
    let run = run(&other, 3 * MINUTE, false).await.unwrap();
    assert_eq!((run.report.firing, run.alerts[0].state), (1, AlertState::Firing));
    world.bucket.create("config/rules/tenant=b/r.yml", ALERT.into()).await.unwrap();
    let run = run_of(&other, &TenantId::new("b").unwrap(), 4 * MINUTE, false).await.unwrap();
    assert_eq!((run.report.pending, run.alerts[0].active_at_ms), (1, 4 * MINUTE));
}

#[tokio::test]
async fn a_run_that_could_not_write_is_done_again() {
    let world = world(ALERT, "load 2x9", Job::Alert);
    world.stream.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    run(&world.runner, MINUTE, false).await.unwrap_err();
    world.stream.fails.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(!run(&world.runner, MINUTE, false).await.unwrap().repeated);
    assert_eq!(world.stream.lines().len(), 2);
}

#[tokio::test]
async fn groups_keep_their_intervals_and_misses_are_counted() {
    let rules = "groups:\n- {name: fast, interval: 30s, rules: [{record: f, expr: load}]}\n- {name: slow, interval: 5m, rules: [{record: s, expr: load}, {alert: S, expr: load > 5}]}";
    let world = world(rules, "load 2x19", Job::Alert);
    for minute in 5..=6 {
        run(&world.runner, minute * MINUTE, false).await.unwrap();
    }
    assert_eq!(world.stream.lines(), ["f@300 2", "f@330 2", "f@360 2", "s@300 2"]);
    let run = run(&world.runner, 10 * MINUTE, false).await.unwrap();
    // Of the fast group the evaluations of minutes 6:30 to 9:00 did not take place.
    assert_eq!((run.report.evaluations, run.report.missed), (3, 6));
    assert_eq!(world.stream.lines(), ["f@570 2", "f@600 2", "s@600 2"]);
}

#[tokio::test]
async fn groups_that_are_gone_end_what_they_wrote() {
    let rules = "groups: [{name: a, interval: 5m, rules: [{record: x, expr: load}]}]";
    let world = world(rules, "load 2x19", Job::Kpi);
    run(&world.runner, 5 * MINUTE, false).await.unwrap();
    assert_eq!(world.stream.lines(), ["x@300 2"]);
    let other = runner("groups: []", Job::Kpi, &world.tenants, &world.bucket, &world.stream);
    run(&other, 10 * MINUTE, false).await.unwrap();
    assert_eq!(world.stream.lines(), ["x@600 stale"]);
    run(&other, 15 * MINUTE, false).await.unwrap();
    assert_eq!(world.stream.lines(), [""; 0]);
}

#[tokio::test]
async fn states_of_a_day_ago_are_deleted() {
    let world = world(ALERT, "load 2x9", Job::Alert);
    let day = 24 * 60;
    for minute in [1, 2, day + 1, day + 2] {
        run(&world.runner, minute * MINUTE, false).await.unwrap();
    }
    assert_eq!(world.bucket.list("rules/", None, 100).await.unwrap().len(), 3);
}

#[test]
fn groups_go_to_the_function_that_runs_often_enough() {
    let rules = "groups:\n- {name: kpi, interval: 5m, rules: [{record: a, expr: x}]}\n- {name: often, rules: [{record: b, expr: x}]}\n- {name: mixed, interval: 1h, rules: [{record: c, expr: x}, {alert: D, expr: x}]}";
    let book = RuleBook::new(vec![RuleFile::parse("r", rules).unwrap()], Settings::default());
    let names = |job| book.groups(job).iter().map(|group| group.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(Job::Kpi), ["kpi"]);
    assert_eq!(names(Job::Alert), ["often", "mixed"]);
}
