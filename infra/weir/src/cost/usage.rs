//! How much of each service a load takes in a month: what the design does, counted.

use anyhow::Result;

use super::load::{Assumptions, Load, MONTH_SECONDS, Mode};
use super::sinks::SinkUsage;
use crate::template::{Schedule, Wiring};

/// Bytes that Lambda, S3 and Kinesis call a GB.
pub(super) const GB: f64 = (1u64 << 30) as f64;
/// Bytes of a PUT unit of a provisioned stream.
const PUT_UNIT_BYTES: f64 = 25.0 * 1024.0;
/// Bytes that the HTTP API meters as one request.
const METERED_REQUEST_BYTES: f64 = 512.0 * 1024.0;
/// What a shard takes in a second: bytes, and records.
const SHARD_BYTES: f64 = 1_048_576.0;
const SHARD_RECORDS: f64 = 1_000.0;
/// Bytes of records that fit into an invocation once they are base64.
const BATCH_BYTES: f64 = 4.5e6;
/// Largest record, in bytes.
const RECORD_BYTES: f64 = 1_048_576.0;
/// Shards that a new on-demand stream has.
const ON_DEMAND_SHARDS: f64 = 4.0;
/// Most shards of hot segments that direct mode spreads writers over.
const DIRECT_SHARDS: f64 = 8.0;
/// How long a hot segment is there: until it is compacted, and a grace period longer.
const HOT_SECONDS: f64 = 1_200.0;
/// Keys that S3 lists at once.
const LISTED_KEYS: f64 = 1_000.0;
/// Bytes of a line of the HTTP API's access log.
const ACCESS_LOG_BYTES: f64 = 250.0;
/// Megabytes of memory for which a function has one processor.
const MB_PER_PROCESSOR: f64 = 1769.0;

/// What the template says that a bill depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deployment {
    /// Runs of schedules in a month.
    pub(super) scheduled_runs: f64,
    /// Those of them that compact.
    pub(super) compactions: f64,
    /// Longest wait for a batch of stream records, in seconds, and most records of one.
    pub(super) window_seconds: f64,
    pub(super) batch_records: f64,
    /// The same wait where batches go to sinks.
    pub(super) sink_window_seconds: f64,
    /// Alarms of CloudWatch.
    pub(super) alarms: f64,
}

impl Deployment {
    /// Reads a template.
    pub(super) fn read(template: &str, alarms: usize) -> Result<Self> {
        let wiring = Wiring::parse(template)?;
        let consumer = |function: &str| wiring.consumers.iter().find(|c| c.function == function);
        let (enrich, forward) = (consumer("Enrich"), consumer("Forward"));
        let runs = |schedule: &Schedule| MONTH_SECONDS / schedule.every.as_secs_f64();
        let compactions = wiring.schedules.iter().filter(|schedule| schedule.function == "Compact");
        Ok(Self {
            scheduled_runs: wiring.schedules.iter().map(runs).sum(),
            compactions: compactions.map(runs).sum(),
            window_seconds: enrich.map_or(1.0, |c| c.window.as_secs_f64()),
            batch_records: enrich.map_or(1.0, |c| c.batch_size as f64),
            sink_window_seconds: forward.map_or(60.0, |c| c.window.as_secs_f64()),
            alarms: alarms as f64,
        })
    }
}

/// Quantities of a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) write_requests: f64,
    pub(super) metered_requests: f64,
    pub(super) queries: f64,
    pub(super) scheduled_runs: f64,
    /// Records put into the stream, or written at once.
    pub(super) records: f64,
    pub(super) put_units: f64,
    /// Bytes into an on-demand stream, in GB, each record rounded up to 1 KB.
    pub(super) stream_gb: f64,
    pub(super) shards: f64,
    /// Hot segments: one for each batch of the stream, or each request in direct mode.
    pub(super) segments: f64,
    pub(super) invocations: f64,
    /// Time functions compute on samples, in GB-seconds.
    pub(super) sample_gb_seconds: f64,
    /// Time functions wait for the stream and S3 while writing, in GB-seconds.
    pub(super) waiting_gb_seconds: f64,
    /// Time of queries and scheduled runs, in GB-seconds.
    pub(super) reading_gb_seconds: f64,
    pub(super) s3_writes: f64,
    pub(super) s3_lists: f64,
    pub(super) s3_reads: f64,
    /// What is stored once samples have been kept as long as they are.
    pub(super) stored_gb: f64,
    pub(super) log_gb: f64,
    /// Nothing without a stream, or without series that go there.
    pub(super) sinks: SinkUsage,
}

impl Usage {
    /// Counts a month; `shards` as given, or as many as the load needs.
    pub(super) fn of(load: &Load, mode: Mode, shards: Option<u32>, d: &Deployment, a: &Assumptions) -> Self {
        let samples = load.samples();
        // A sender sends when it has enough samples, or has waited long enough.
        let collected = load.samples_per_second * a.send_deadline_seconds / a.senders;
        let samples_per_request = collected.clamp(1.0, a.samples_per_request.max(1.0));
        let write_requests = samples / samples_per_request;
        let request_bytes = samples_per_request * a.request_bytes_per_sample;
        let record_bytes = samples_per_request * a.record_bytes_per_sample;
        let records_per_request = (record_bytes / RECORD_BYTES).ceil().max(1.0);
        let record_bytes = record_bytes / records_per_request;
        let records = write_requests * records_per_request;
        let queries = a.queries_per_minute * MONTH_SECONDS / 60.0;

        let needed = needed_shards(records / MONTH_SECONDS, record_bytes, a.peak_ratio);
        let shards = match mode {
            Mode::Direct => 0.0,
            Mode::Provisioned => shards.map_or(needed, f64::from),
            Mode::OnDemand => needed.max(ON_DEMAND_SHARDS),
        };
        let segments = match mode {
            Mode::Direct => write_requests,
            Mode::Provisioned | Mode::OnDemand => batches(records, record_bytes, shards, d),
        };
        let enrich_invocations = if mode == Mode::Direct { 0.0 } else { segments };
        let sinks = a.sinks() && mode != Mode::Direct;
        let sink_batches = match sinks {
            true => batches_within(records, record_bytes, shards, d.sink_window_seconds, d.batch_records),
            false => 0.0,
        };
        let invocations = write_requests + enrich_invocations + sink_batches + queries + d.scheduled_runs;

        let memory_gb = a.memory_mb / 1024.0;
        // A thread has at most one processor, and less of one below its memory.
        let gb_seconds_per_cpu_second = a.memory_mb.max(MB_PER_PROCESSOR) / 1024.0;
        let sink_cpu = if sinks { a.sink_cpu_seconds_per_million_samples } else { 0.0 };
        let per_sample = a.cpu_seconds_per_million_samples() + sink_cpu;
        // A run finds at most one new sample of each series where they come more seldom.
        let compacted_series = samples.min(load.series * d.compactions);
        let cpu_seconds =
            (samples * per_sample + compacted_series * a.compact_cpu_microseconds_per_series) / 1e6;
        let ingest_wait_ms = if mode == Mode::Direct { a.segment_wait_ms } else { a.stream_wait_ms };
        let waits = write_requests * ingest_wait_ms / 1e3 + enrich_invocations * a.segment_wait_ms / 1e3;
        let reads = queries + d.scheduled_runs;
        let read_waits = queries * a.query_wait_ms / 1e3 + d.scheduled_runs * a.scheduled_wait_seconds;

        // Each look at the lake lists the manifest, and all hot segments; a shard with more than a listing holds
        // is gone on with from what is known of it.
        let hot_shards = if mode == Mode::Direct { DIRECT_SHARDS } else { shards };
        let kept = segments / MONTH_SECONDS * HOT_SECONDS;
        let lists_per_look = 2.0 + (kept / LISTED_KEYS).floor().min(hot_shards);
        Self {
            write_requests,
            metered_requests: write_requests * (request_bytes / METERED_REQUEST_BYTES).ceil().max(1.0)
                + queries,
            queries,
            scheduled_runs: d.scheduled_runs,
            records,
            put_units: records * (record_bytes / PUT_UNIT_BYTES).ceil().max(1.0),
            stream_gb: records * (record_bytes / 1024.0).ceil().max(1.0) * 1024.0 / GB,
            shards,
            segments,
            invocations,
            sample_gb_seconds: cpu_seconds * gb_seconds_per_cpu_second,
            waiting_gb_seconds: waits * memory_gb,
            reading_gb_seconds: reads * a.query_cpu_ms / 1e3 * gb_seconds_per_cpu_second
                + read_waits * memory_gb,
            s3_writes: segments + d.scheduled_runs * a.writes_per_scheduled_run,
            s3_lists: segments * a.lists_per_segment + reads * lists_per_look,
            s3_reads: segments * a.readers + reads * a.gets_per_query,
            stored_gb: samples
                * a.stored_bytes_per_sample
                * (1.0 + a.rollup_bytes_ratio)
                * a.retention_months
                / GB,
            sinks: match sinks {
                true => SinkUsage::of(load, sink_batches, shards, a),
                false => SinkUsage::default(),
            },
            log_gb: (invocations * a.log_bytes_per_invocation
                + (write_requests + queries) * ACCESS_LOG_BYTES)
                / GB,
        }
    }
}

/// Shards that take a load at its highest.
fn needed_shards(records_per_second: f64, record_bytes: f64, peak_ratio: f64) -> f64 {
    let by_bytes = records_per_second * record_bytes * peak_ratio / SHARD_BYTES;
    let by_records = records_per_second * peak_ratio / SHARD_RECORDS;
    by_bytes.max(by_records).ceil().max(1.0)
}

/// Batches that a stream's records are delivered in: a shard's is cut when its window ends, or when it is
/// full, and none is empty.
fn batches(records: f64, record_bytes: f64, shards: f64, d: &Deployment) -> f64 {
    batches_within(records, record_bytes, shards, d.window_seconds, d.batch_records)
}

fn batches_within(records: f64, record_bytes: f64, shards: f64, window: f64, most: f64) -> f64 {
    let per_batch = (BATCH_BYTES / record_bytes).clamp(1.0, most.max(1.0));
    let by_size = records / per_batch;
    let by_time = if window > 0.0 { shards * MONTH_SECONDS / window } else { records };
    by_size.max(by_time).min(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn deployment() -> Deployment {
        Deployment {
            scheduled_runs: 1000.0,
            compactions: 500.0,
            window_seconds: 1.0,
            batch_records: 10_000.0,
            sink_window_seconds: 60.0,
            alarms: 0.0,
        }
    }

    fn close(found: f64, want: f64) -> bool {
        (found - want).abs() <= want.abs() * 1e-9
    }

    #[test]
    fn requests_and_batches_are_what_hand_computation_gives() {
        // A month has 2,628,000 s.
        let a = Assumptions::default();
        for (series, interval_s, mode, requests, segments, shards) in [
            // 5 s collect 833.3 samples: a request every 5 s, each a batch of its own.
            (10_000, 60, Mode::Provisioned, 525_600.0, 525_600.0, 1.0),
            (10_000, 60, Mode::Direct, 525_600.0, 525_600.0, 0.0),
            // 6,666.7 samples/s in requests of 2,000: 3.33 a second, in a batch a second.
            (100_000, 15, Mode::Provisioned, 8_760_000.0, 2_628_000.0, 1.0),
            (100_000, 15, Mode::Direct, 8_760_000.0, 8_760_000.0, 0.0),
            // On demand 4 shards could cut 4 batches a second, but there are 3.33 records.
            (100_000, 15, Mode::OnDemand, 8_760_000.0, 8_760_000.0, 4.0),
            (1_000_000, 15, Mode::OnDemand, 87_600_000.0, 10_512_000.0, 4.0),
            // 3,333 requests of 12,800 bytes a second, 64 MB with the peak: 62 shards.
            (100_000_000, 15, Mode::Provisioned, 8.76e9, 62.0 * 2_628_000.0, 62.0),
        ] {
            let load = Load::new(series, Duration::from_secs(interval_s));
            let usage = Usage::of(&load, mode, None, &deployment(), &a);
            assert!(close(usage.write_requests, requests), "{series} {mode:?}: {}", usage.write_requests);
            assert!(close(usage.segments, segments), "{series} {mode:?}: {}", usage.segments);
            assert!(close(usage.shards, shards), "{series} {mode:?}: {}", usage.shards);
        }
    }

    #[test]
    fn sinks_cost_an_invocation_a_minute_and_shard_at_least_and_nothing_without_a_stream() {
        let load = Load::new(10_000, Duration::from_secs(60));
        let usage = |mode, sink_cloudwatch_series| {
            let a = Assumptions { sink_cloudwatch_series, ..Assumptions::default() };
            Usage::of(&load, mode, None, &deployment(), &a)
        };
        let none = usage(Mode::Provisioned, 0.0);
        let some = usage(Mode::Provisioned, 100.0);
        assert!(close(some.invocations - none.invocations, 43_800.0));
        assert!(close(some.sinks.cloudwatch_requests, 43_800.0));
        assert_eq!(none.sinks, SinkUsage::default());
        assert_eq!(usage(Mode::Direct, 100.0), usage(Mode::Direct, 0.0));
    }

    #[test]
    fn computing_and_waiting_are_billed_by_memory() {
        let a = Assumptions::default();
        let load = Load { series: 1.0, samples_per_second: 1e6 / MONTH_SECONDS };
        let usage = Usage::of(&load, Mode::Provisioned, None, &deployment(), &a);
        // Those CPU-seconds at 1,769 / 1,024 GB a processor, with a series in 500 compactions.
        let cpu_seconds =
            a.cpu_seconds_per_million_samples() + 500.0 * a.compact_cpu_microseconds_per_series / 1e6;
        assert!(close(usage.sample_gb_seconds, cpu_seconds * 1769.0 / 1024.0));
        // A million samples, 1.9026 a request of 5 s: 525,600 of them wait 20 ms, their batches 100 ms.
        assert!(close(usage.waiting_gb_seconds, 525_600.0 * 0.12));
        let larger = Assumptions { memory_mb: 2048.0, ..a };
        let larger = Usage::of(&load, Mode::Provisioned, None, &deployment(), &larger);
        assert!(close(larger.sample_gb_seconds, cpu_seconds * 2.0));
    }

    #[test]
    fn full_batches_and_large_records_are_cut_where_the_services_cut_them() {
        let d = deployment();
        // 1 MB records, 10 a second in one shard: 4.5 fit a batch.
        assert!(close(batches(26_280_000.0, 1e6, 1.0, &d), 26_280_000.0 / 4.5));
        // Records of 100 bytes: 10,000 a batch, though more would fit.
        assert!(close(batches(1e12, 100.0, 1.0, &d), 1e8));
        assert_eq!(needed_shards(0.0, 0.0, 1.5), 1.0);
        assert_eq!(needed_shards(1500.0, 10.0, 1.5), 3.0);
    }
}
