//! The sink port's conformance suite on CloudWatch and Timestream as emulators have them, and with faults
//! between the adapters and AWS: refusals, lost replies, records rejected in part.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "../../platform/tests/conformance/sink.rs"]
mod conformance;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use serde_json::{Value, json};
use weir_aws::{Account, CloudWatchSink, SinkOptions, TimestreamSink};
use weir_platform::{Point, PointKind, Sink, SystemClock};
use weir_tests::cloud::Cloud;
use weir_tests::{Random, http};

/// Queries of one GetMetricData request: its quota.
const MAX_QUERIES: usize = 500;

/// Two minutes ago, at a minute's start.
fn start_ms() -> i64 {
    (UNIX_EPOCH.elapsed().unwrap().as_millis() as i64).div_euclid(60_000) * 60_000 - 120_000
}

/// The adapters' account, at the endpoint or at a proxy before it.
fn account(cloud: &Cloud, url: &str) -> Account {
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(url.to_owned()),
        _ => cloud.variable(name),
    };
    Account::from_variables(variable).unwrap()
}

/// Sum and sample count of each point's metric over its minute, by its number; none where nothing arrived.
async fn statistics(account: &Account, namespace: &str, points: &[Point]) -> BTreeMap<usize, (f64, f64)> {
    let query = |at: usize, statistic: &str| {
        let point = &points[at];
        let mut metric = Metric::builder().namespace(namespace).metric_name(&point.metric);
        for (name, value) in &point.labels {
            metric = metric.dimensions(Dimension::builder().name(name).value(value).build());
        }
        let stat = MetricStat::builder().metric(metric.build()).period(60).stat(statistic).build();
        MetricDataQuery::builder().id(format!("{}{at}", statistic.to_lowercase())).metric_stat(stat).build()
    };
    let queries = (0..points.len()).flat_map(|at| [query(at, "Sum"), query(at, "SampleCount")]);
    let queries: Vec<MetricDataQuery> = queries.collect();
    let begin = points[0].start_ms;
    let mut found = BTreeMap::new();
    for some in queries.chunks(MAX_QUERIES) {
        let request = account.cloudwatch().get_metric_data().set_metric_data_queries(Some(some.to_vec()));
        let request = request.start_time(DateTime::from_millis(begin));
        let answer = request.end_time(DateTime::from_millis(begin + 60_000)).send().await.unwrap();
        for result in answer.metric_data_results() {
            found.extend(result.values().first().map(|value| (result.id().unwrap().to_owned(), *value)));
        }
    }
    let pair = |at: usize| Some((*found.get(&format!("sum{at}"))?, *found.get(&format!("samplecount{at}"))?));
    (0..points.len()).filter_map(|at| Some((at, pair(at)?))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudwatch_is_a_sink_whose_statistics_are_those_of_the_samples() {
    let Some(cloud) = Cloud::start() else { return };
    let (sound, start_ms) = (account(&cloud, &cloud.url), start_ms());
    let namespace = format!("Weir/sound-{}", std::process::id());
    let sink = CloudWatchSink::new(&sound, &namespace, Arc::new(SystemClock), SinkOptions::default());
    let arrived: BTreeSet<usize> = conformance::run(&sink, start_ms).await.into_iter().collect();
    let points: Vec<Point> =
        (0..conformance::POINTS).map(|number| conformance::point(number, start_ms)).collect();
    let found = statistics(&sound, &namespace, &points).await;
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), arrived);
    for (number, (sum, count)) in found {
        let point = &points[number];
        assert!((sum - point.sum).abs() < 1e-6 * point.sum, "{number}: {sum}, not {}", point.sum);
        assert!((count - point.count()).abs() < 1e-6, "{number}: {count}, not {}", point.count());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_refusals_and_lost_replies_each_point_is_in_cloudwatch_or_told_and_only_lost_replies_repeat()
{
    let Some(cloud) = Cloud::start() else { return };
    let (sound, start_ms) = (account(&cloud, &cloud.url), start_ms());
    let faults = json!([
        { "target": "PutMetricData", "percent": 30, "status": 400, "type": "ThrottlingException" },
        { "target": "PutMetricData", "percent": 10, "status": 503, "type": "ServiceUnavailable" },
        { "target": "PutMetricData", "percent": 20, "lose": true },
    ]);
    let mut random = Random::from_env();
    let (_proxy, url) = cloud.faults(&faults, random.number());
    let namespace = format!("Weir/faulty-{}", std::process::id());
    let faulty = account(&cloud, &url);
    let sink = CloudWatchSink::new(&faulty, &namespace, Arc::new(SystemClock), SinkOptions::default());
    let points: Vec<Point> = (0..60).map(|number| conformance::point(number, start_ms)).collect();
    let mut results = Vec::new();
    for some in points.chunks(10) {
        results.extend(sink.send(some).await);
    }
    let found = statistics(&sound, &namespace, &points).await;
    for (number, result) in results.iter().enumerate() {
        match (result, found.get(&number)) {
            // A repetition counts again as a whole.
            (Ok(()), Some((sum, _))) => {
                let times = sum / points[number].sum;
                assert!(
                    times >= 1.0 - 1e-9 && (times - times.round()).abs() < 1e-6,
                    "{number}: {times} times"
                );
            }
            (Ok(()), None) => panic!("{number} was said to have arrived"),
            (Err(error), _) => assert!(error.retryable(), "{error}"),
        }
    }
    assert!(results.iter().any(Result::is_ok));
}

/// Where the tests' tables are.
const DATABASE: &str = "weir";

/// moto's records of a table: those of each write, as they came.
fn written(url: &str, table: &str) -> Vec<Value> {
    let data = http::get(&format!("{url}/moto-api/data.json"), &[]).unwrap().json();
    let tables = data["timestreamwrite"]["TimestreamTable"].as_array().cloned().unwrap_or_default();
    let table = tables.into_iter().find(|found| found["name"] == table).unwrap();
    table["records"].as_array().cloned().unwrap_or_default()
}

async fn new_table(account: &Account, table: &str) {
    let (client, _) = account.timestream();
    // Another test may have made it.
    let _ = client.create_database().database_name(DATABASE).send().await;
    client.create_table().database_name(DATABASE).table_name(table).send().await.unwrap();
}

async fn timestream(account: &Account, table: &str, deadline: Duration) -> TimestreamSink {
    let options = SinkOptions { deadline };
    TimestreamSink::open(account, DATABASE, table, Arc::new(SystemClock), options).await.unwrap()
}

/// The numbers of the points that records are of, from their dimensions.
fn number(record: &Value) -> usize {
    let dimensions = record["Dimensions"].as_array().unwrap();
    let number = dimensions.iter().find(|dimension| dimension["Name"] == "number").unwrap();
    number["Value"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn timestream_is_a_sink_whose_records_have_their_version() {
    let Some(cloud) = Cloud::start() else { return };
    let Some((_moto, url)) = Cloud::moto() else { return };
    let (sound, start_ms) = (account(&cloud, &url), start_ms());
    new_table(&sound, "sound").await;
    let sink = timestream(&sound, "sound", SinkOptions::default().deadline).await;
    let mut arrived = conformance::run(&sink, start_ms).await;
    let records = written(&url, "sound");
    let mut found: Vec<usize> = records.iter().map(number).collect();
    found.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(found, arrived);
    for record in &records {
        let point = conformance::point(number(record), start_ms);
        assert_eq!(record["MeasureName"], point.metric.as_str());
        assert_eq!(record["Version"], point.version);
        let time = start_ms * 1_000_000 + i64::from(point.part);
        assert_eq!(record["Time"], time.to_string());
        let measures = record["MeasureValues"].as_array().unwrap();
        let value = |at: usize| measures[at]["Value"].as_str().unwrap().parse::<f64>().unwrap();
        match point.kind {
            PointKind::Level => assert_eq!((measures.len(), value(0)), (1, point.last)),
            PointKind::Increase => assert_eq!((measures.len(), value(0)), (1, point.sum)),
            PointKind::Distribution => {
                assert_eq!((measures.len(), value(0), value(1)), (7, 200.0, point.sum));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_timestream_rejects_are_told_one_by_one_and_what_passes_is_sent_again_as_it_was() {
    let Some(cloud) = Cloud::start() else { return };
    let Some((_moto, url)) = Cloud::moto() else { return };
    let (sound, start_ms) = (account(&cloud, &url), start_ms());
    new_table(&sound, "faulty").await;
    let points: Vec<Point> = (0..250).map(|number| conformance::point(number, start_ms)).collect();
    let mut random = Random::from_env();
    let send = async |faults: Value, seed: u64| {
        let (_proxy, url) = cloud.faults_before(&url, &faults, seed);
        let sink = timestream(&account(&cloud, &url), "faulty", Duration::from_secs(20)).await;
        sink.send(&points).await
    };
    // The second request of three, of which two records are not wanted.
    let results = send(json!([{ "target": "WriteRecords", "every": 2, "reject": 2 }]), 0).await;
    let refused: Vec<usize> = (0..250).filter(|at| results[*at].is_err()).collect();
    assert_eq!(refused, [100, 101]);
    assert!(results[100].as_ref().unwrap_err().to_string().contains("injected"));
    assert_eq!(written(&url, "faulty").len(), 248);

    let faults = json!([
        { "target": "WriteRecords", "percent": 30, "status": 400, "type": "ThrottlingException" },
        { "target": "WriteRecords", "percent": 30, "lose": true },
    ]);
    let results = send(faults, random.number()).await;
    let all = written(&url, "faulty");
    // A repetition is the same record in the same version, which Timestream takes once.
    let mut distinct: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for record in &all {
        distinct.entry(number(record)).or_default().insert(record.to_string());
    }
    for (at, result) in results.iter().enumerate() {
        match result {
            Ok(()) => assert!(distinct.contains_key(&at), "{at} was said to have arrived"),
            Err(error) => assert!(error.retryable(), "{error}"),
        }
    }
    assert!(distinct.values().all(|forms| forms.len() == 1));

    let missing = timestream(&sound, "nowhere", Duration::from_secs(5)).await.send(&points[..1]).await;
    assert!(missing[0].as_ref().is_err_and(weir_platform::SinkError::retryable), "{missing:?}");
}
