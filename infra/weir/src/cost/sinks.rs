//! How much of CloudWatch and Timestream sinks take in a month.
//!
//! Sources: PutMetricData's quota of metrics; WriteRecords' of records; Timestream's page on how writes are
//! metered, by which a request is rounded up to whole KiB.

use super::load::{Assumptions, Load, MONTH_SECONDS};
use super::usage::GB;

/// Most metrics of a request of PutMetricData.
const CLOUDWATCH_POINTS: f64 = 1_000.0;
/// Most records of a request of WriteRecords.
const TIMESTREAM_POINTS: f64 = 100.0;
/// Bytes of the unit that Timestream counts writes in.
const TIMESTREAM_WRITE_BYTES: f64 = 1_024.0;

/// Quantities of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct SinkUsage {
    pub(super) cloudwatch_metrics: f64,
    pub(super) cloudwatch_requests: f64,
    /// In Timestream's unit.
    pub(super) timestream_writes: f64,
    pub(super) timestream_memory_gb_hours: f64,
    /// What the magnetic store holds once points have been kept as long as they are.
    pub(super) timestream_gb: f64,
}

impl SinkUsage {
    /// Counts a month in which the stream's records come in so many batches, over so many shards.
    pub(super) fn of(load: &Load, batches: f64, shards: f64, a: &Assumptions) -> Self {
        let samples = load.samples() / load.series;
        let intervals = MONTH_SECONDS / a.sink_interval_seconds;
        // A series comes through any shard, and each batch that has something of an interval sends a point.
        let sent = samples.min(batches.max(shards * intervals));
        // Timestream keeps one of them.
        let kept = samples.min(intervals);

        let records = a.sink_timestream_series * sent;
        let requests = requests(records, batches, TIMESTREAM_POINTS);
        let request_bytes =
            if requests > 0.0 { records / requests * a.sink_timestream_bytes_per_point } else { 0.0 };
        let kept_gb = a.sink_timestream_series * kept * a.sink_timestream_bytes_per_point / GB;
        Self {
            cloudwatch_metrics: a.sink_cloudwatch_series,
            cloudwatch_requests: self::requests(a.sink_cloudwatch_series * sent, batches, CLOUDWATCH_POINTS),
            timestream_writes: requests * (request_bytes / TIMESTREAM_WRITE_BYTES).ceil(),
            timestream_memory_gb_hours: kept_gb * a.timestream_memory_hours,
            timestream_gb: kept_gb * a.retention_months,
        }
    }
}

/// Requests that points take when no request goes beyond a batch, at most: points of one time may share a batch.
fn requests(points: f64, batches: f64, most: f64) -> f64 {
    if points <= batches { points } else { batches * (points / batches / most).ceil() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_requests_and_writes_are_what_hand_computation_gives() {
        // A month has 43,800 minutes, and so has a shard batches. Points of 150 bytes, kept for 12 h in memory.
        let cases = [
            // Series, seconds between samples and between points, shards: requests to CloudWatch; to
            // Timestream, and KiB of each; points a series that Timestream keeps.
            (100.0, 60.0, 60.0, 1.0, 43_800.0, 43_800.0, 15.0, 43_800.0),
            (1.0, 60.0, 60.0, 1.0, 43_800.0, 43_800.0, 1.0, 43_800.0),
            (5_000.0, 60.0, 60.0, 1.0, 5.0 * 43_800.0, 50.0 * 43_800.0, 15.0, 43_800.0),
            // No more points than samples.
            (100.0, 300.0, 60.0, 1.0, 43_800.0, 43_800.0, 3.0, 8_760.0),
            (1.0, 300.0, 60.0, 1.0, 8_760.0, 8_760.0, 1.0, 8_760.0),
            // Each batch sends what it has of a longer interval; the last one is kept.
            (100.0, 15.0, 300.0, 1.0, 43_800.0, 43_800.0, 15.0, 8_760.0),
            // Six points a batch of each series.
            (100.0, 1.0, 10.0, 1.0, 43_800.0, 6.0 * 43_800.0, 15.0, 262_800.0),
            // Four samples a minute, that any of eight shards may have: half a point a batch.
            (100.0, 15.0, 60.0, 8.0, 8.0 * 43_800.0, 8.0 * 43_800.0, 8.0, 43_800.0),
        ];
        for case in cases {
            let (series, sample_s, point_s, shards, cloudwatch, timestream, kib, kept) = case;
            let load = Load { series: 10_000.0, samples_per_second: 10_000.0 / sample_s };
            let a = Assumptions {
                sink_cloudwatch_series: series,
                sink_timestream_series: series,
                sink_interval_seconds: point_s,
                sink_timestream_bytes_per_point: 150.0,
                ..Assumptions::default()
            };
            let found = SinkUsage::of(&load, shards * 43_800.0, shards, &a);
            let gb = series * kept * 150.0 / 1_073_741_824.0;
            let want = SinkUsage {
                cloudwatch_metrics: series,
                cloudwatch_requests: cloudwatch,
                timestream_writes: timestream * kib,
                timestream_memory_gb_hours: gb * 12.0,
                timestream_gb: gb * 12.0,
            };
            for (found, want) in [
                (found.cloudwatch_metrics, want.cloudwatch_metrics),
                (found.cloudwatch_requests, want.cloudwatch_requests),
                (found.timestream_writes, want.timestream_writes),
                (found.timestream_memory_gb_hours, want.timestream_memory_gb_hours),
                (found.timestream_gb, want.timestream_gb),
            ] {
                assert!((found - want).abs() <= want * 1e-9, "{case:?}: {found}, not {want}");
            }
        }
    }

    #[test]
    fn no_series_take_nothing() {
        let load = Load { series: 10.0, samples_per_second: 1.0 };
        assert_eq!(SinkUsage::of(&load, 43_800.0, 1.0, &Assumptions::default()), SinkUsage::default());
    }
}
