//! What evaluating many rules costs: recording and alerting rules over the lake, by the alert function's runner.
//!
//! 100 hosts with 52 series each, 15 s apart over an hour, blocks and hot segments. Of each hundred rules 59
//! are alerts on one gauge of one host, 40 record rates of one host's processor, one sums rates of all hosts.
//! `cargo bench -p weir-tests --bench rules -- --rules 10000`

#![expect(clippy::unwrap_used, reason = "a bench that cannot start should say so at once")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use weir_lake::{CompactMode, Incoming, Lake, LakeOptions};
use weir_model::{Batch, FloatSample, Labels, MetricKind, Record, Temporality, TenantId};
use weir_platform::{
    Bucket, Clock, ManualClock, MemoryBucket, NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError,
};
use weir_reader::{TenantStorage, Tiers};
use weir_rules::{Job, RuleFile, RuleLibrary, Runner, RunnerPorts, Settings};
use weir_tests::weir::note;

const HOSTS: usize = 100;
const TICKS: i64 = 240;
const INTERVAL_MS: i64 = 15_000;
/// The start of an hour.
const START_MS: i64 = 1_795_219_200_000;
const MINUTE_MS: i64 = 60_000;
const RULES_PER_GROUP: usize = 100;

/// A stream that takes everything and keeps nothing.
struct Sink;

#[async_trait::async_trait]
impl Stream for Sink {
    async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
        Ok(records.iter().map(|_| Placed { shard: ShardId(0), sequence: SequenceNumber::from(0) }).collect())
    }
}

fn all_labels() -> Vec<Labels> {
    let modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
    let of = |host: usize| {
        let pairs = move |name: String, cpu: String, mode: &str| {
            let instance = format!("prod-{host:03}.eu-west-1.example.com:9100");
            let labels =
                [("__name__", name), ("instance", instance), ("job", "node".to_owned()), ("cpu", cpu)];
            Labels::from_pairs(labels.into_iter().chain([("mode", mode.to_owned())]))
        };
        let processor = (0..32)
            .map(move |at| pairs("node_cpu_seconds_total".into(), (at / 8).to_string(), modes[at % 8]));
        let gauges = (0..20).map(move |at| pairs(format!("node_gauge_{at}"), String::new(), ""));
        processor.chain(gauges)
    };
    (0..HOSTS).flat_map(of).collect()
}

async fn lake(bucket: Arc<dyn Bucket>, clock: Arc<dyn Clock>) -> Arc<Lake> {
    let lake = Lake::open(bucket, clock, LakeOptions::default()).await.unwrap();
    let labels = all_labels();
    for tick in 0..TICKS {
        let mut batch = Batch::new();
        let timestamp_ms = START_MS + tick * INTERVAL_MS;
        for (at, labels) in labels.iter().enumerate() {
            let series = batch.push_series(labels.borrowed(), MetricKind::Counter, Temporality::Cumulative);
            let value = (tick * (at as i64 * 7 % 13) + (tick * 31 + at as i64) % 5) as f64 / 100.0;
            batch.floats.push(FloatSample { series, timestamp_ms, value });
        }
        let record = Record { tenant: TenantId::default(), key: None, received_ms: timestamp_ms, batch };
        let payload = Bytes::from(record.encode().unwrap());
        let sequence = SequenceNumber::from(tick as u128 + 1);
        lake.append(ShardId(0), vec![Incoming { sequence, payload, record }]).await.unwrap();
        if tick == TICKS - 40 {
            lake.compact(CompactMode::Full).await.unwrap();
        }
    }
    lake
}

fn rules(count: usize) -> RuleFile {
    let mut text = "groups:\n".to_owned();
    for at in 0..count {
        if at % RULES_PER_GROUP == 0 {
            text.push_str(&format!("- name: g{at}\n  rules:\n"));
        }
        let host = format!("instance=\"prod-{:03}.eu-west-1.example.com:9100\"", at * 37 % HOSTS);
        text.push_str(&match at % 100 {
            0 => "  - {record: all, expr: 'sum by (mode) (rate(node_cpu_seconds_total[5m]))'}\n".to_owned(),
            1..41 => format!("  - {{record: r{at}, expr: 'sum by (mode) (rate(node_cpu_seconds_total{{{host}}}[5m]))'}}\n"),
            _ => format!("  - {{alert: A{at}, expr: 'node_gauge_{}{{{host}}} > 0.02', for: 5m, annotations: {{a: '{{{{ $value }}}}'}}}}\n", at % 20),
        });
    }
    RuleFile::parse("bench.yml", &text).unwrap()
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let given = args.iter().position(|arg| arg == "--rules").and_then(|at| args.get(at + 1)?.parse().ok());
    // Run with the tests, it only shows that it runs.
    let small = !args.iter().any(|arg| arg == "--bench");
    let count = given.unwrap_or(if small { 100 } else { 10_000 });
    let (bucket, clock) = (Arc::new(MemoryBucket::new()), Arc::new(ManualClock::new(START_MS)));
    let lake = lake(bucket.clone(), clock.clone()).await;
    let storage = move |tenant: &TenantId| -> Arc<dyn weir_promql::Storage> {
        Arc::new(TenantStorage {
            lake: lake.clone(),
            tenant: tenant.clone(),
            bypass_cache: false,
            tiers: Tiers::Any,
        })
    };
    let ports = RunnerPorts {
        tenants: Arc::new(storage),
        bucket,
        stream: Arc::new(Sink),
        clock,
        telemetry: Arc::default(),
    };
    let (bucket, telemetry) = (ports.bucket.clone(), ports.telemetry.clone());
    let library = RuleLibrary::new(vec![rules(count)], Settings::default(), bucket, telemetry);
    let runner = Runner::new(Arc::new(library), Job::Alert, ports);
    for minute in 58..61 {
        let started = Instant::now();
        let mut runs = runner.run(START_MS + minute * MINUTE_MS, false).await.unwrap();
        let report = runs.remove(0).1.unwrap().report;
        assert_eq!(report.failed_rules, 0);
        note(&format!(
            "{count} rules in {} groups: {:.2} s, {} samples, {} alerts firing, {} pending",
            report.evaluations,
            started.elapsed().as_secs_f64(),
            report.samples,
            report.firing,
            report.pending
        ));
    }
}
