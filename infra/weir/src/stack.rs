//! The whole platform in one process: the functions, a folder as the bucket, a durable local stream,
//! and the template's schedules on timers.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use rustix::fs::FlockOperation;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use weir_api::Gate;
use weir_archive::Archive;
use weir_compact::{Compact, CompactEvent};
use weir_enrich::Enrich;
use weir_forward::Forward;
use weir_ingest::{Ingest, IngestOptions};
use weir_lake::{Lake, LakeOptions};
use weir_model::TenantId;
use weir_platform::{
    Bucket, Clock, Delivered, EventSource, EventSourceOptions, LocalBucket, LocalStream, LocalStreamOptions,
    ShardId, Stream, SystemClock, Telemetry,
};
use weir_query::{Query, QueryOptions};
use weir_reader::{TenantStorage, Tiers};
use weir_rollup::{Rollup, RollupEvent};
use weir_rules::RunnerPorts;

use crate::banner;
use crate::cli::Up;
use crate::events;
use crate::front;
use crate::own_metrics::OwnMetrics;
use crate::routing;
use crate::rules::{self, RuleFunctions};
use crate::sinks;
use crate::statsd::StatsdListener;
use crate::stop::Stop;
use crate::template::{Schedule, TEMPLATE, Wiring};

/// A write is to be visible 100 ms after it was acknowledged, so batches wait less here than a window
/// in the template may ask for.
const MAX_WINDOW: Duration = Duration::from_millis(20);
/// Batches are cut smaller here than Lambda would: decoded, a record takes some twenty times its size.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How often the amount of hot data is looked at.
const PRESSURE_CHECK: Duration = Duration::from_millis(200);
/// How often files of the stream that are done with are given up.
const TRIM_EVERY: Duration = Duration::from_secs(2);
/// How long the start may wait for the stream's backlog to reach the lake.
const MAX_CATCH_UP: Duration = Duration::from_secs(30);
/// How long requests under way may take after a signal.
const DRAIN_REQUESTS: Duration = Duration::from_secs(2);
/// How long the rest may take after that; all of it is durable, so nothing is lost by leaving.
const DRAIN_REST: Duration = Duration::from_secs(2);

/// Runs until Ctrl-C or SIGTERM, then drains.
pub(crate) async fn run(up: Up) -> Result<()> {
    std::fs::create_dir_all(&up.data)
        .with_context(|| format!("cannot make the data folder {}", up.data.display()))?;
    let _lock = lock(&up.data)?;
    let stack = Stack::open(&up).await?;
    let listener = TcpListener::bind(up.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", up.listen))?;
    let listen = listener.local_addr()?;
    let (stop, stopped) = Stop::channel();
    let mut background = JoinSet::new();
    let statsd = if up.no_statsd {
        None
    } else {
        let listener = StatsdListener::bind(up.statsd_listen, stack.ingest.clone()).await?;
        let address = listener.address();
        background.spawn(listener.run(stopped.clone()));
        address
    };
    let router = stack.router()?;
    let (source_stop, source_stopped) = Stop::channel();
    let source =
        tokio::spawn(stack.event_source().run(stack.consume(), stack.give_up(), source_stopped.receiver()));
    catch_up(&stack.stream).await;
    background.spawn(compact_under_pressure(
        stack.lake.clone(),
        stack.compact.clone(),
        up.hot_samples,
        stopped.clone(),
    ));
    background.spawn(trim(stack.stream.clone(), stopped.clone()));
    for schedule in stack.wiring.schedules.clone() {
        match schedule.function.as_str() {
            "Kpi" | "Alert" => {
                let (rules, clock) = (stack.rules.clone(), stack.clock.clone());
                background.spawn(rules.run(schedule.function, schedule.every, clock, stopped.clone()));
            }
            "Rollup" => {
                background.spawn(roll_up_on_schedule(stack.rollup.clone(), schedule.every, stopped.clone()));
            }
            "Archive" => {
                let (archive, clock) = (stack.archive.clone(), stack.clock.clone());
                let (file, stream) = (up.retention.clone(), stack.stream.clone());
                let (every, stopped) = (schedule.every, stopped.clone());
                background.spawn(archive_on_schedule(archive, file, stream, every, clock, stopped));
            }
            "Compact" => {
                background.spawn(compact_on_schedule(stack.compact.clone(), schedule, stopped.clone()));
            }
            other => bail!("template.yaml has a schedule for {other}, which the local stack does not run"),
        }
    }
    if !up.no_self {
        background.spawn(stack.own_metrics().run(up.self_interval, stopped.clone()));
    }
    banner::welcome(&up, listen, statsd);

    let mut serving_stopped = stopped.clone();
    let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            serving_stopped.said().await;
        });
    let serving = tokio::spawn(async move { serving.await });
    signal().await?;
    banner::say("stopping: draining what is under way");
    // First no more requests, then nothing that makes work by itself, then what the stream still holds.
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN_REQUESTS, serving).await.is_err() {
        tracing::warn!("requests under way were cut off; their senders will try again");
    }
    let rest = async {
        while background.join_next().await.is_some() {}
        source_stop.send_replace(true);
        source.await
    };
    match tokio::time::timeout(DRAIN_REST, rest).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => {
            tracing::warn!(%error, "the stream was not drained; the next start goes on from there");
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the stream's consumer failed; the next start goes on from there");
        }
        Err(_) => tracing::warn!("the stream was not drained in time; the next start goes on from there"),
    }
    Ok(())
}

/// Waits until what the stream kept over a crash is in the lake, so that the first answers hold
/// everything that was acknowledged before.
async fn catch_up(stream: &LocalStream) {
    let started = tokio::time::Instant::now();
    while stream.waiting().1 > 0 {
        if started.elapsed() > MAX_CATCH_UP {
            tracing::warn!(
                records = stream.waiting().1,
                "serving while the stream is still being caught up with"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The functions and what they stand on.
struct Stack {
    wiring: Wiring,
    telemetry: Arc<Telemetry>,
    clock: Arc<dyn Clock>,
    stream: LocalStream,
    lake: Arc<Lake>,
    ingest: Ingest,
    enrich: Enrich,
    /// What sinks are to have, when rules of them are tried.
    forward: Option<Forward>,
    compact: Compact,
    rollup: Rollup,
    archive: Archive,
    gate: Gate,
    query: Query,
    rules: RuleFunctions,
}

impl Stack {
    async fn open(up: &Up) -> Result<Self> {
        let wiring = Wiring::parse(TEMPLATE)?;
        let telemetry = Arc::new(Telemetry::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let at = |what: &str| format!("cannot open the {what} in {}", up.data.display());
        let bucket = LocalBucket::open(up.data.join("lake")).with_context(|| at("lake"))?;
        let options = LocalStreamOptions { shards: up.shards, ..LocalStreamOptions::default() };
        let stream = LocalStream::open(up.data.join("stream"), &options).with_context(|| at("stream"))?;
        let options = LakeOptions { sole_writer: true, ..LakeOptions::default() };
        let bucket: Arc<dyn Bucket> = Arc::new(bucket);
        let lake = Lake::open(bucket.clone(), clock.clone(), options).await.with_context(|| at("lake"))?;
        let port: Arc<dyn Stream> = Arc::new(stream.clone());
        let ingest = Ingest::new(port.clone(), clock.clone(), telemetry.clone(), ingest_options(up)?);
        let enrich = Enrich::new(lake.clone(), telemetry.clone());
        let forward = sinks::forward(up, telemetry.clone())?;
        let compact = Compact::new(lake.clone(), telemetry.clone());
        let rollup = Rollup::new(lake.clone(), telemetry.clone());
        let mut archive = Archive::new(lake.clone(), telemetry.clone()).at_once();
        if let Some(file) = &up.retention {
            archive = archive.ruled_by(&format!("file {}", file.display()));
        }
        let limits = &up.limits;
        let options = QueryOptions {
            timeout: limits.query_timeout,
            max_samples: limits.query_max_samples,
            max_series: limits.query_max_series,
            max_bytes: limits.query_max_bytes,
            result_cache_bytes: limits.query_cache_bytes,
            max_concurrent: limits.query_concurrency,
            ..QueryOptions::default()
        };
        let library = Arc::new(rules::library(up, bucket.clone(), telemetry.clone())?);
        let query = Query::new(lake.clone(), clock.clone(), telemetry.clone(), options);
        query.show_rules(library.clone(), bucket.clone());
        let routes = Arc::new(routing::config(up)?);
        query.show_routing(routes.clone(), routing::windows(up)?, bucket.clone());
        let asked = lake.clone();
        let storage = move |tenant: &TenantId| -> Arc<dyn weir_promql::Storage> {
            let (lake, tenant) = (asked.clone(), tenant.clone());
            Arc::new(TenantStorage { lake, tenant, bypass_cache: false, tiers: Tiers::Any })
        };
        let ports = RunnerPorts {
            tenants: Arc::new(storage),
            bucket,
            stream: port,
            clock: clock.clone(),
            telemetry: telemetry.clone(),
        };
        let dispatch = routing::dispatch(up, routes, ports.bucket.clone(), telemetry.clone(), clock.clone())?;
        let rules = RuleFunctions::new(&library, &ports, dispatch);
        Ok(Self {
            wiring,
            telemetry,
            clock,
            stream,
            lake,
            ingest,
            enrich,
            forward,
            compact,
            rollup,
            archive,
            gate: Gate::local(up.api_key.as_deref(), up.admin_key.as_deref())?,
            query,
            rules,
        })
    }

    fn router(&self) -> Result<Router> {
        let functions = HashMap::from([
            ("Ingest", weir_ingest::router(self.ingest.clone())),
            ("Query", weir_query::router(self.query.clone())),
            ("Compact", self.compact.clone().router()),
            ("Archive", self.archive.clone().router()),
        ]);
        let routes = front::router(&self.wiring, &functions, self.telemetry.clone())?;
        Ok(self.gate.clone().guard(routes))
    }

    fn event_source(&self) -> EventSource {
        let mut options = EventSourceOptions::default();
        if let Some(consumer) = self.wiring.consumers.iter().find(|c| c.function == "Enrich") {
            options.window = consumer.window.min(MAX_WINDOW);
            options.max_records = consumer.batch_size;
            options.max_attempts = consumer.max_attempts;
            options.max_bytes = MAX_BATCH_BYTES;
        }
        EventSource::new(self.stream.clone(), options)
    }

    fn consume(&self) -> impl Fn(weir_platform::Batch) -> ConsumeFuture + Clone + Send + Sync + 'static {
        let (enrich, forward) = (self.enrich.clone(), self.forward.clone());
        move |batch| {
            let (enrich, forward) = (enrich.clone(), forward.clone());
            Box::pin(async move {
                let copy = forward.as_ref().map(|_| batch.clone());
                let outcome = enrich.handle(batch).await.map_err(|error| chain(&error))?;
                if let (Some(forward), Some(copy)) = (forward, copy) {
                    // A trial of rules must not hold up the lake; what is not written is told and counted.
                    let _ = forward.handle(copy).await;
                }
                Ok(outcome)
            })
        }
    }

    fn give_up(&self) -> impl Fn(ShardId, Delivered, String) -> GiveUpFuture + Clone + Send + Sync + 'static {
        let lake = self.lake.clone();
        move |shard, record, reason| {
            let lake = lake.clone();
            Box::pin(async move {
                let kept = lake.quarantine(shard, record.sequence, record.data, &reason).await;
                if let Err(error) = &kept {
                    tracing::error!(%shard, sequence = %record.sequence, %error, "a record that cannot be written cannot be set aside either; it stays in the stream");
                }
                kept.is_ok()
            })
        }
    }

    fn own_metrics(&self) -> OwnMetrics {
        OwnMetrics {
            ingest: self.ingest.clone(),
            lake: self.lake.clone(),
            stream: self.stream.clone(),
            telemetry: self.telemetry.clone(),
            clock: self.clock.clone(),
        }
    }
}

type ConsumeFuture =
    std::pin::Pin<Box<dyn Future<Output = Result<weir_platform::BatchOutcome, String>> + Send + 'static>>;
type GiveUpFuture = std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'static>>;

fn ingest_options(up: &Up) -> Result<IngestOptions> {
    let mut options = IngestOptions::default();
    options.limits.compressed_bytes = up.limits.max_body_bytes;
    options.limits.body_bytes = up.limits.max_decoded_bytes;
    options.limits.samples = up.limits.max_write_samples;
    options.max_age = up.limits.max_sample_age;
    options.max_future = up.limits.max_sample_future;
    options.events = Some(Arc::new(events::mapping(up.events.as_deref())?));
    Ok(options)
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Keeps a second process off the folder, for as long as the file is held.
pub(crate) fn lock(data: &Path) -> Result<File> {
    let path = data.join("lock");
    let file =
        File::create(&path).with_context(|| format!("cannot write to the data folder {}", data.display()))?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another weir is using {}; stop it, or choose another folder with --data", data.display());
    }
    Ok(file)
}

async fn signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn run_compaction(compact: &Compact, event: CompactEvent) {
    match compact.handle(event).await {
        Ok(outcome) => tracing::debug!(?outcome, "compacted"),
        Err(error) => tracing::error!(error = chain(&error), "compaction failed; it is tried again"),
    }
}

async fn compact_on_schedule(compact: Compact, schedule: Schedule, mut stop: Stop) {
    if schedule.function != "Compact" {
        tracing::warn!(
            function = schedule.function,
            "the template schedules a function that this build does not run"
        );
        return;
    }
    let event = serde_json::from_str(&schedule.input).unwrap_or_else(|error| {
        tracing::warn!(%error, input = schedule.input, "the schedule's input is not an event; using the default one");
        CompactEvent::default()
    });
    let mut ticks = tokio::time::interval(schedule.every);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => run_compaction(&compact, event).await,
            () = stop.said() => return,
        }
    }
}

/// At the start, too, since a laptop is not always on; a run that finds nothing due costs nothing.
async fn roll_up_on_schedule(rollup: Rollup, every: Duration, mut stop: Stop) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.said() => return,
        }
        let run = rollup.handle(RollupEvent::default());
        // What was committed stays, so that a run can be left at any moment.
        tokio::select! {
            outcome = run => match outcome {
                Ok(report) => tracing::debug!(?report, "rolled up"),
                Err(error) => tracing::error!(error = chain(&error), "rollups failed; they are tried again"),
            },
            () = stop.said() => return,
        }
    }
}

/// At once, since the file may have changed while nothing ran, and then as the schedule says.
async fn archive_on_schedule(
    archive: Archive,
    file: Option<PathBuf>,
    stream: LocalStream,
    every: Duration,
    clock: Arc<dyn Clock>,
    mut stop: Stop,
) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                run_archive(&archive, file.as_deref(), clock.now_ms()).await;
                // What was erased must not stay in records that the lake has long had.
                let stream = stream.clone();
                if let Ok(Err(error)) = tokio::task::spawn_blocking(move || stream.trim_delivered()).await {
                    tracing::warn!(%error, "delivered records could not be dropped from the stream");
                }
            }
            () = stop.said() => return,
        }
    }
}

async fn run_archive(archive: &Archive, file: Option<&Path>, at_ms: i64) {
    let mut policy = None;
    if let Some(path) = file {
        match tokio::fs::read_to_string(path).await {
            Ok(text) => policy = Some((format!("file {}", path.display()), text)),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the retention policy cannot be read; nothing is expired");
                return;
            }
        }
    }
    let policy = policy.as_ref().map(|(by, text)| (by.as_str(), text.as_str()));
    match archive.handle(at_ms, policy).await {
        Ok(report) => tracing::debug!(?report, "expired and archived"),
        Err(error) => tracing::error!(error = chain(&error), "nothing was expired; it is tried again"),
    }
}

async fn compact_under_pressure(lake: Arc<Lake>, compact: Compact, max_samples: u64, mut stop: Stop) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PRESSURE_CHECK) => {}
            () = stop.said() => return,
        }
        if lake.hot().samples >= max_samples {
            run_compaction(&compact, CompactEvent::default()).await;
        }
    }
}

async fn trim(stream: LocalStream, mut stop: Stop) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TRIM_EVERY) => {}
            () = stop.said() => return,
        }
        if stream.waiting().1 == 0 {
            let stream = stream.clone();
            let trimmed = tokio::task::spawn_blocking(move || stream.trim()).await;
            if let Ok(Err(error)) = trimmed {
                tracing::warn!(%error, "files of the stream could not be given up");
            }
        }
    }
}
