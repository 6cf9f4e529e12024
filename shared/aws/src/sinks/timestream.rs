//! The sink port on Timestream for LiveAnalytics: WriteRecords with versions, so that a repetition changes nothing.
//!
//! AWS takes no new customers for it since 2025-06-20.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_timestreamwrite::Client;
use aws_sdk_timestreamwrite::error::BuildError;
use aws_sdk_timestreamwrite::operation::write_records::WriteRecordsError;
use aws_sdk_timestreamwrite::types::{
    Dimension, MeasureValue, MeasureValueType, Record, RejectedRecord, TimeUnit,
};
use weir_platform::{Clock, Observation, Point, PointKind, Sink, SinkError};

use super::{Answer, Requests, SinkOptions, answer, deliver};
use crate::account::Account;

/// WriteRecords' quotas: bytes of a record, dimensions of a table, bytes of their names and of a measure's.
const MAX_RECORD_BYTES: usize = 2_048;
const MAX_DIMENSIONS: usize = 128;
const MAX_DIMENSION_NAME_BYTES: usize = 60;
const MAX_MEASURE_NAME_BYTES: usize = 256;
/// How far ahead of now a record may be.
const MAX_AHEAD_MS: i64 = 15 * 60_000;
const NANOS_PER_MS: i64 = 1_000_000;
/// The dimension that tells tenants apart; a record has to have one.
const TENANT_DIMENSION: &str = "weir_tenant";
/// Codes of what will never be taken.
const WRONG: [&str; 2] = ["Validation", "Serialization"];

/// Writes points as records of a table: `measure_name` is the metric, labels are dimensions, the time is the
/// start of the interval. A level and an increase have the measure `value`: the last reading, and the sum; a
/// distribution has `count`, `sum`, `min`, `max`, `p50`, `p90` and `p99`.
///
/// A record that is there in the same or a later version counts as taken.
#[derive(Clone)]
pub struct TimestreamSink {
    client: Client,
    database: String,
    table: String,
    clock: Arc<dyn Clock>,
    options: SinkOptions,
}

impl TimestreamSink {
    /// Calls as the account, at the endpoint that the service names unless the account overrides it.
    ///
    /// # Errors
    /// When the service does not name one.
    pub async fn open(
        account: &Account,
        database: &str,
        table: &str,
        clock: Arc<dyn Clock>,
        options: SinkOptions,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (mut client, overridden) = account.timestream();
        if !overridden {
            // An emulator would name AWS' own.
            let (found, reload) = client.with_endpoint_discovery_enabled().await?;
            tokio::spawn(reload.reload_task());
            client = found;
        }
        Ok(Self { client, database: database.to_owned(), table: table.to_owned(), clock, options })
    }
}

#[async_trait]
impl Sink for TimestreamSink {
    fn name(&self) -> &'static str {
        "timestream"
    }

    async fn send(&self, points: &[Point]) -> Vec<Result<(), SinkError>> {
        let now_ms = self.clock.now_ms();
        let items = |point: &Point| record(point, now_ms).map(|record| vec![record]);
        deliver(self, points, items, self.options.deadline).await
    }
}

impl Requests for TimestreamSink {
    type Item = Record;
    const MAX_ITEMS: usize = 100;
    /// That many records of their largest size.
    const MAX_BYTES: usize = 100 * MAX_RECORD_BYTES;

    fn bytes(record: &Record) -> usize {
        size(record)
    }

    async fn put(&self, items: Vec<Record>) -> Answer {
        let (common, records) = shared(items);
        let request = self.client.write_records().database_name(&self.database).table_name(&self.table);
        match request.common_attributes(common).set_records(Some(records)).send().await {
            Ok(_) => Answer::Taken,
            Err(error) => match error.as_service_error() {
                Some(WriteRecordsError::RejectedRecordsException(rejected)) => {
                    Answer::TakenBut(rejected.rejected_records().iter().filter_map(reason).collect())
                }
                _ => answer(&error, &WRONG),
            },
        }
    }
}

/// Why a record was rejected; nothing when what is there is as good or better.
fn reason(rejected: &RejectedRecord) -> Option<(usize, String)> {
    if rejected.existing_version().is_some() {
        return None;
    }
    let at = usize::try_from(rejected.record_index()).ok()?;
    Some((at, rejected.reason().unwrap_or("no reason given").to_owned()))
}

/// A point as a record.
fn record(point: &Point, now_ms: i64) -> Result<Record, String> {
    if point.start_ms > now_ms + MAX_AHEAD_MS {
        return Err(format!("its time {} ms is more than 15 minutes after {now_ms} ms", point.start_ms));
    }
    let time = point.start_ms.checked_mul(NANOS_PER_MS).and_then(|ns| ns.checked_add(i64::from(point.part)));
    let time = time.filter(|ns| *ns >= 0).ok_or(format!("its time {} ms is out of range", point.start_ms))?;
    if point.metric.len() > MAX_MEASURE_NAME_BYTES || reserved(&point.metric) {
        return Err(format!(
            "the name {:?} is reserved there or has more than {MAX_MEASURE_NAME_BYTES} bytes",
            point.metric
        ));
    }
    let built = |error: BuildError| error.to_string();
    let labels = point.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut dimensions = Vec::with_capacity(point.labels.len() + 1);
    for (name, value) in labels.chain([(TENANT_DIMENSION, point.tenant.as_str())]) {
        if name.len() > MAX_DIMENSION_NAME_BYTES || reserved(name) {
            return Err(format!(
                "the label name {name:?} is reserved there or has more than {MAX_DIMENSION_NAME_BYTES} bytes"
            ));
        }
        dimensions.push(Dimension::builder().name(name).value(value).build().map_err(built)?);
    }
    if dimensions.len() > MAX_DIMENSIONS {
        return Err(format!("it has {} labels, at most {MAX_DIMENSIONS}", dimensions.len()));
    }
    let measure = |(name, value): (&str, f64)| {
        let measure = MeasureValue::builder().name(name).value(value.to_string());
        measure.r#type(MeasureValueType::Double).build()
    };
    let measures = measures(point).into_iter().map(measure).collect::<Result<_, _>>().map_err(built)?;
    let record = Record::builder()
        .set_dimensions(Some(dimensions))
        .measure_name(&point.metric)
        .measure_value_type(MeasureValueType::Multi)
        .set_measure_values(Some(measures))
        .time(time.to_string())
        .version(point.version)
        .build();
    match size(&record) {
        bytes if bytes > MAX_RECORD_BYTES => {
            Err(format!("its names and labels make a record of {bytes} bytes, at most {MAX_RECORD_BYTES}"))
        }
        _ => Ok(record),
    }
}

fn measures(point: &Point) -> Vec<(&'static str, f64)> {
    match point.kind {
        PointKind::Level => vec![("value", point.last)],
        PointKind::Increase => vec![("value", point.sum)],
        PointKind::Distribution => {
            let value = |at: Option<&Observation>| at.map_or(0.0, |it| it.value);
            let quantile = |q: f64| quantile(&point.observations, q * point.count());
            vec![
                ("count", point.count()),
                ("sum", point.sum),
                ("min", value(point.observations.first())),
                ("max", value(point.observations.last())),
                ("p50", quantile(0.5)),
                ("p90", quantile(0.9)),
                ("p99", quantile(0.99)),
            ]
        }
    }
}

/// The smallest value that so many observations do not exceed (nearest rank).
fn quantile(observations: &[Observation], rank: f64) -> f64 {
    let mut seen = 0.0;
    let reached = observations.iter().find(|it| {
        seen += it.count;
        seen >= rank
    });
    reached.or(observations.last()).map_or(0.0, |it| it.value)
}

/// Names that Timestream keeps to itself.
fn reserved(name: &str) -> bool {
    name == "time" || name.starts_with("ts_") || name.starts_with("measure_")
}

/// Bytes as they count against a record's quota: names and values of dimensions and measures.
fn size(record: &Record) -> usize {
    let dimensions = record.dimensions().iter().map(|it| it.name().len() + it.value().len());
    let measures = record.measure_values().iter().map(|it| it.name().len() + size_of::<f64>());
    let name = record.measure_name().map_or(0, str::len);
    dimensions.chain(measures).sum::<usize>() + name + size_of::<i64>()
}

/// What all records share, said once: the unit of time, and dimensions of the same value.
fn shared(mut records: Vec<Record>) -> (Record, Vec<Record>) {
    let everywhere = |it: &Dimension| records.iter().all(|record| record.dimensions().contains(it));
    let first = records.first().map_or(&[][..], |record| record.dimensions());
    let common: Vec<Dimension> = first.iter().filter(|it| everywhere(it)).cloned().collect();
    for record in &mut records {
        if let Some(dimensions) = &mut record.dimensions {
            dimensions.retain(|it| !common.contains(it));
        }
    }
    let common = Record::builder().time_unit(TimeUnit::Nanoseconds).set_dimensions(Some(common)).build();
    (common, records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn point(kind: PointKind) -> Point {
        let observations = [(1.0, 1.0), (2.0, 8.0), (7.0, 1.0)];
        Point {
            tenant: "default".to_owned(),
            metric: "latency".to_owned(),
            labels: vec![("job".to_owned(), "api".to_owned())],
            start_ms: NOW_MS,
            every_ms: 60_000,
            kind,
            observations: observations.map(|(value, count)| Observation { value, count }).into(),
            sum: 24.0,
            last: 2.0,
            version: 5,
            part: 17,
        }
    }

    fn with(change: impl FnOnce(&mut Point)) -> Point {
        let mut one = point(PointKind::Level);
        change(&mut one);
        one
    }

    #[test]
    fn a_record_has_the_measures_of_its_kind_at_its_time_in_its_version() {
        let rows = [
            (PointKind::Level, vec![("value", "2")]),
            (PointKind::Increase, vec![("value", "24")]),
            (
                PointKind::Distribution,
                vec![
                    ("count", "10"),
                    ("sum", "24"),
                    ("min", "1"),
                    ("max", "7"),
                    ("p50", "2"),
                    ("p90", "2"),
                    ("p99", "7"),
                ],
            ),
        ];
        for (kind, want) in rows {
            let record = record(&point(kind), NOW_MS).unwrap();
            let measures: Vec<_> = record.measure_values().iter().map(|it| (it.name(), it.value())).collect();
            assert_eq!(measures, want);
            assert_eq!((record.measure_name(), record.version()), (Some("latency"), Some(5)));
            assert_eq!(record.time(), Some("1800000000000000017"));
        }
    }

    #[test]
    fn what_all_records_of_a_request_share_is_said_once() {
        let records = ["a", "b"].map(|host| {
            let one = with(|it| it.labels.push(("host".to_owned(), host.to_owned())));
            record(&one, NOW_MS).unwrap()
        });
        let (common, records) = shared(records.into());
        let names = |record: &Record| {
            let pairs = record.dimensions().iter().map(|it| format!("{}={}", it.name(), it.value()));
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&common), "job=api weir_tenant=default");
        assert_eq!(records.iter().map(names).collect::<Vec<_>>(), ["host=a", "host=b"]);
        assert_eq!(common.time_unit(), Some(&TimeUnit::Nanoseconds));
    }

    #[test]
    fn a_rejected_record_is_told_unless_what_is_there_is_as_good() {
        let rejected = |version: Option<i64>| {
            reason(
                &RejectedRecord::builder()
                    .record_index(3)
                    .reason("too old")
                    .set_existing_version(version)
                    .build(),
            )
        };
        assert_eq!(rejected(None), Some((3, "too old".to_owned())));
        assert_eq!(rejected(Some(7)), None);
    }

    #[test]
    fn what_timestream_does_not_take_is_told_with_the_limit() {
        let label = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let labels = |count: usize| (0..count).map(|n| (format!("l{n}"), "v".to_owned())).collect::<Vec<_>>();
        let rows = [
            (with(|it| it.start_ms += MAX_AHEAD_MS + 1), "15 minutes"),
            (with(|it| it.start_ms = -1), "out of range"),
            (with(|it| it.metric = "m".repeat(257)), "more than 256 bytes"),
            (with(|it| it.metric = "ts_x".to_owned()), "reserved"),
            (with(|it| it.labels = label("time", "v")), "reserved"),
            (with(|it| it.labels = label(&"n".repeat(61), "v")), "more than 60 bytes"),
            (with(|it| it.labels = label("a", &"v".repeat(2_048))), "at most 2048"),
            (with(|it| it.labels = labels(128)), "129 labels, at most 128"),
        ];
        for (point, want) in rows {
            let error = record(&point, NOW_MS).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
