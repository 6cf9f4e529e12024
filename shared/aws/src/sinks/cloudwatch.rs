//! The sink port on CloudWatch metrics: PutMetricData with values and counts, so that percentiles work.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use weir_model::TenantId;
use weir_platform::{Clock, Point, Sink, SinkError};

use super::{Answer, Requests, SinkOptions, answer, deliver};
use crate::account::Account;

/// PutMetricData's quotas: distinct values of a datum, dimensions of a metric, characters of names and values.
const MAX_VALUES: usize = 150;
const MAX_DIMENSIONS: usize = 30;
const MAX_NAME_CHARS: usize = 255;
const MAX_VALUE_CHARS: usize = 1024;
/// How old a datum may be, and how far ahead.
const MAX_AGE_MS: i64 = 14 * 86_400_000;
const MAX_AHEAD_MS: i64 = 2 * 3_600_000;
/// Exponents of two between which magnitudes are told apart.
const MAX_EXPONENT: i32 = 360;
/// The dimension that tells tenants apart.
const TENANT_DIMENSION: &str = "weir_tenant";
/// Codes of what will never be taken.
const WRONG: [&str; 6] = [
    "InvalidParameter",
    "MissingParameter",
    "MissingRequired",
    "InvalidFormat",
    "Validation",
    "Serialization",
];

/// Puts points into a namespace of CloudWatch, each at the start of its interval, labels as dimensions; of
/// other tenants than `default` with a dimension more. Levels are all their readings, increases all steps (so
/// that their Sum is the increase), distributions their values: a datum holds values and counts.
///
/// CloudWatch adds up what it is given: a datum that is sent twice, since its reply was lost, counts twice in
/// SampleCount and Sum; Average, Minimum and Maximum of a level stay right.
#[derive(Clone)]
pub struct CloudWatchSink {
    client: Client,
    namespace: String,
    clock: Arc<dyn Clock>,
    options: SinkOptions,
}

impl CloudWatchSink {
    /// Calls as the account.
    #[must_use]
    pub fn new(account: &Account, namespace: &str, clock: Arc<dyn Clock>, options: SinkOptions) -> Self {
        Self { client: account.cloudwatch(), namespace: namespace.to_owned(), clock, options }
    }
}

#[async_trait]
impl Sink for CloudWatchSink {
    fn name(&self) -> &'static str {
        "cloudwatch"
    }

    async fn send(&self, points: &[Point]) -> Vec<Result<(), SinkError>> {
        let now_ms = self.clock.now_ms();
        deliver(self, points, |point| datums(point, now_ms), self.options.deadline).await
    }
}

impl Requests for CloudWatchSink {
    type Item = MetricDatum;
    const MAX_ITEMS: usize = 1_000;
    /// Of 1 MB; what the SDK compresses is less.
    const MAX_BYTES: usize = 950_000;

    fn bytes(datum: &MetricDatum) -> usize {
        let dimension = |it: &Dimension| 16 + it.name().map_or(0, str::len) + it.value().map_or(0, str::len);
        let dimensions: usize = datum.dimensions().iter().map(dimension).sum();
        // Names of members and ten bytes a number, as CBOR writes them.
        128 + datum.metric_name().map_or(0, str::len) + dimensions + 20 * datum.values().len()
    }

    async fn put(&self, items: Vec<MetricDatum>) -> Answer {
        let request = self.client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(items));
        match request.send().await {
            Ok(_) => Answer::Taken,
            Err(error) => answer(&error, &WRONG),
        }
    }
}

/// A point as data, one for each 150 of its values.
fn datums(point: &Point, now_ms: i64) -> Result<Vec<MetricDatum>, String> {
    if point.start_ms < now_ms - MAX_AGE_MS || point.start_ms > now_ms + MAX_AHEAD_MS {
        let at = point.start_ms;
        return Err(format!(
            "its time {at} ms is not within two weeks before and two hours after {now_ms} ms"
        ));
    }
    check_text("the name", &point.metric, MAX_NAME_CHARS)?;
    let tenant = (point.tenant != TenantId::DEFAULT).then_some((TENANT_DIMENSION, point.tenant.as_str()));
    let labels = point.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(tenant);
    let mut dimensions = Vec::with_capacity(point.labels.len() + 1);
    for (name, value) in labels {
        check_text("the label name", name, MAX_NAME_CHARS)?;
        check_text(&format!("the value of {name}"), value, MAX_VALUE_CHARS)?;
        if name.starts_with(':') {
            return Err(format!("the label name {name:?} begins with a colon"));
        }
        dimensions.push(Dimension::builder().name(name).value(value).build());
    }
    if dimensions.len() > MAX_DIMENSIONS {
        return Err(format!("it has {} labels, at most {MAX_DIMENSIONS}", dimensions.len()));
    }
    let (smallest, largest) = (2f64.powi(-MAX_EXPONENT), 2f64.powi(MAX_EXPONENT));
    let mut observations: Vec<(f64, f64)> = Vec::with_capacity(point.observations.len());
    for it in &point.observations {
        if it.value.abs() > largest {
            return Err(format!("its value {} is beyond 2^{MAX_EXPONENT}", it.value));
        }
        // Too small to be told from zero there.
        let value = if it.value.abs() < smallest { 0.0 } else { it.value };
        match observations.last_mut() {
            Some((last, count)) if *last == value => *count += it.count,
            _ => observations.push((value, it.count)),
        }
    }
    let datum = |chunk: &[(f64, f64)]| {
        MetricDatum::builder()
            .metric_name(&point.metric)
            .set_dimensions(Some(dimensions.clone()))
            .timestamp(DateTime::from_millis(point.start_ms))
            .set_values(Some(chunk.iter().map(|(value, _)| *value).collect()))
            .set_counts(Some(chunk.iter().map(|(_, count)| *count).collect()))
            .storage_resolution(if point.every_ms < 60_000 { 1 } else { 60 })
            .build()
    };
    Ok(observations.chunks(MAX_VALUES).map(datum).collect())
}

/// CloudWatch takes ASCII without control characters that is not blank.
fn check_text(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(format!("{what} has {} bytes, at most {limit}", text.len()));
    }
    if !text.chars().all(|c| (' '..='~').contains(&c)) || text.trim().is_empty() {
        return Err(format!("{what} {text:?} is not printable ASCII, which CloudWatch takes alone"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use weir_platform::{Observation, PointKind};

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn point() -> Point {
        Point {
            tenant: "default".to_owned(),
            metric: "latency".to_owned(),
            labels: vec![("job".to_owned(), "api".to_owned())],
            start_ms: NOW_MS,
            every_ms: 60_000,
            kind: PointKind::Level,
            observations: vec![Observation { value: 1.5, count: 2.0 }],
            sum: 3.0,
            last: 1.5,
            version: NOW_MS,
            part: 0,
        }
    }

    fn with(change: impl FnOnce(&mut Point)) -> Point {
        let mut one = point();
        change(&mut one);
        one
    }

    #[test]
    fn a_point_becomes_data_of_at_most_150_values_with_their_counts() {
        let many = with(|it| {
            it.tenant = "acme".to_owned();
            it.every_ms = 10_000;
            it.observations = (0..400).map(|n| Observation { value: f64::from(n), count: 2.0 }).collect();
        });
        let datums = datums(&many, NOW_MS).unwrap();
        assert_eq!(datums.iter().map(|it| it.values().len()).collect::<Vec<_>>(), [150, 150, 100]);
        let [first, ..] = &datums[..] else { panic!("none") };
        assert_eq!(
            (first.values()[149], first.counts()[149], first.storage_resolution()),
            (149.0, 2.0, Some(1))
        );
        let dimensions: Vec<_> =
            first.dimensions().iter().map(|it| (it.name().unwrap(), it.value().unwrap())).collect();
        assert_eq!(dimensions, [("job", "api"), ("weir_tenant", "acme")]);
    }

    #[test]
    fn magnitudes_below_what_cloudwatch_tells_apart_are_zero() {
        let tiny = with(|it| {
            it.observations =
                [-1e-200, 0.0, 1e-200, 1.0].map(|value| Observation { value, count: 1.0 }).into();
        });
        let datums = datums(&tiny, NOW_MS).unwrap();
        assert_eq!((datums[0].values(), datums[0].counts()), (&[0.0, 1.0][..], &[3.0, 1.0][..]));
    }

    #[test]
    fn what_cloudwatch_does_not_take_is_told_with_the_limit() {
        let labels = |count: usize| (0..count).map(|n| (format!("l{n}"), "v".to_owned())).collect::<Vec<_>>();
        let label = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let rows = [
            (with(|it| it.start_ms -= MAX_AGE_MS + 1), "two weeks"),
            (with(|it| it.start_ms += MAX_AHEAD_MS + 1), "two hours"),
            (with(|it| it.metric = "m".repeat(256)), "the name has 256 bytes, at most 255"),
            (with(|it| it.metric = "größe".to_owned()), "printable ASCII"),
            (with(|it| it.labels = labels(31)), "31 labels, at most 30"),
            (with(|it| it.labels = label(":a", "v")), "colon"),
            (with(|it| it.labels = label("a", " ")), "printable ASCII"),
            (with(|it| it.labels = label("a", &"v".repeat(1025))), "the value of a has 1025 bytes"),
            (with(|it| it.observations[0].value = 1e120), "beyond 2^360"),
        ];
        for (point, want) in rows {
            let error = datums(&point, NOW_MS).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        assert_eq!(datums(&with(|it| it.labels = labels(30)), NOW_MS).unwrap().len(), 1);
    }
}
