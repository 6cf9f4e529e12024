//! JSON documents and the items of a batch.

use weir_formats::statsd::GaugeTable;
use weir_formats::{Limits, batch, json};

use super::{NOW_MS, check};

#[test]
fn json_documents() {
    let metric =
        |rest: &str| format!(r#"{{"custom_metrics":{{"metrics":[{{"name":"ok","value":1}},{{{rest}}}]}}}}"#);
    let at = "custom_metrics.metrics[1]";
    let rows: Vec<(&str, String, String)> = vec![
        ("nothing", String::new(), "400 the body is empty".into()),
        ("no JSON", "up 1".into(), "400 the body is not JSON".into()),
        ("a cut-off document", r#"{"custom_metrics":{"#.into(), "400 the body is not JSON: EOF".into()),
        ("a number", "17".into(), "type: the document: expected a document, found 17".into()),
        (
            "an unknown document",
            r#"{"a":1,"b":2}"#.into(),
            r#"type: the document: a document of no known kind, with members ["a", "b"]"#.into(),
        ),
        ("lists in lists", "[[[[[[1]]]]]]".into(), "nest deeper than 4".into()),
        (
            "no metrics",
            r#"{"custom_metrics":{"source":"x"}}"#.into(),
            "syntax: custom_metrics.metrics: expected a list of metrics, found nothing".into(),
        ),
        (
            "a time that is none",
            r#"{"custom_metrics":{"timestamp":"soon","metrics":[{"name":"a","value":1}]}}"#.into(),
            r#"timestamp: custom_metrics.timestamp: timestamp "soon" is neither"#.into(),
        ),
        (
            "a metric that is a text",
            r#"[{"custom_metrics":{"metrics":["x"]}}]"#.into(),
            "[0].custom_metrics.metrics[0]: expected a metric, found \"x\"".into(),
        ),
        (
            "no name",
            metric(r#""value":1"#),
            format!("labels: {at}.name: expected a metric name, found nothing"),
        ),
        ("no value", metric(r#""name":"a""#), format!("value: {at}.value: the value is missing")),
        (
            "a value that is a list",
            metric(r#""name":"a","value":[1]"#),
            format!("value: {at}.value: value a list is not a number"),
        ),
        (
            "a value that is a word",
            metric(r#""name":"a","value":"many""#),
            format!("value: {at}.value: value \"many\" is not a number"),
        ),
        (
            "an unknown type",
            metric(r#""name":"a","type":"rate","value":1"#),
            format!("type: {at}.type: metric type \"rate\""),
        ),
        (
            "labels that are a text",
            metric(r#""name":"a","value":1,"labels":"x""#),
            format!("labels: {at}.labels: expected an object of labels"),
        ),
        (
            "a label that is a list",
            metric(r#""name":"a","value":1,"labels":{"x":[1]}"#),
            format!("labels: {at}.labels: label \"x\" is a list"),
        ),
        (
            "the name among the labels",
            metric(r#""name":"a","value":1,"labels":{"__name__":"b"}"#),
            format!("labels: {at}.labels: label \"__name__\" has no usable name"),
        ),
        (
            "a tag that is a number",
            metric(r#""name":"a","value":1,"tags":[1]"#),
            format!("labels: {at}.tags: tag 1 is not a text"),
        ),
        (
            "a bucket bound that is a word",
            metric(r#""name":"a","type":"histogram","buckets":{"x":1}"#),
            format!("value: {at}.buckets: bucket bound \"x\""),
        ),
        (
            "buckets that are a list",
            metric(r#""name":"a","type":"histogram","buckets":[1]"#),
            format!("syntax: {at}.buckets: expected an object"),
        ),
        (
            "a summary of nothing",
            metric(r#""name":"a","type":"summary""#),
            format!("value: {at}.quantiles: a summary without"),
        ),
        (
            "a quantile above one",
            metric(r#""name":"a","type":"summary","quantiles":{"99":1}"#),
            format!("value: {at}.quantiles: quantile \"99\""),
        ),
        (
            "an unknown temporality",
            metric(r#""name":"a","type":"counter","value":1,"temporality":"x""#),
            format!("type: {at}.temporality: temporality \"x\""),
        ),
        (
            "a set of objects",
            metric(r#""name":"a","type":"set","value":[{}]"#),
            format!("value: {at}.value: member an object"),
        ),
        (
            "an infinite timing",
            metric(r#""name":"a","type":"timer","value":"inf""#),
            format!("value: {at}.value: value inf is not finite"),
        ),
        (
            "an event without type",
            r#"{"event_metrics":{"metrics":{}}}"#.into(),
            "labels: event_metrics.event_type: expected the name of an event".into(),
        ),
        (
            "an event with a list",
            r#"{"event_metrics":{"event_type":"e","metrics":[1]}}"#.into(),
            "syntax: event_metrics.metrics: expected an object of numbers".into(),
        ),
        (
            "an event member that is a list",
            r#"{"event_metrics":{"event_type":"e","metrics":{"a":[1]}}}"#.into(),
            "value: event_metrics.metrics[\"a\"]: expected a number".into(),
        ),
        (
            "a duration that is a word",
            r#"{"event_metrics":{"event_type":"e","duration_ms":"x"}}"#.into(),
            "value: event_metrics.duration_ms: value \"x\"".into(),
        ),
        (
            "an entry without value",
            r#"{"MetricName":"a"}"#.into(),
            "value: Value: the value is missing".into(),
        ),
        (
            "data that is no list",
            r#"{"MetricData":{}}"#.into(),
            "syntax: MetricData: expected a list of entries, found an object".into(),
        ),
        (
            "more counts than values",
            r#"{"MetricData":[{"MetricName":"a","Values":[1],"Counts":[1,2]}]}"#.into(),
            "value: MetricData[0].Values: 1 values with 2 counts".into(),
        ),
        (
            "a count of zero",
            r#"[{"MetricName":"a","Values":[1],"Counts":[0]}]"#.into(),
            "value: [0].Counts: count 0 is not above zero".into(),
        ),
        (
            "a dimension without value",
            r#"{"MetricName":"a","Value":1,"Dimensions":[{"Name":"x"}]}"#.into(),
            "labels: Dimensions: dimension 0".into(),
        ),
        (
            "half a statistic set",
            r#"{"MetricName":"a","StatisticValues":{"Sum":1}}"#.into(),
            "value: StatisticValues: SampleCount: the value is missing".into(),
        ),
        (
            "a second line that is broken",
            "{\"name\":\"a\",\"value\":1}\n{\"name\"\n".into(),
            "syntax: line 2: not a JSON document".into(),
        ),
        (
            "a second line with a bad value",
            "{\"name\":\"a\",\"value\":1}\n{\"name\":\"b\",\"value\":{}}\n".into(),
            "value: line 2: value: value an object is not a number".into(),
        ),
    ];
    for (shows, body, want) in rows {
        check(shows, json::parse(body.as_bytes(), NOW_MS, &Limits::default()), &want);
    }
    check(
        "not UTF-8",
        json::parse(b"{\"a\xff", NOW_MS, &Limits::default()),
        "400 byte 3: the body is not UTF-8",
    );
}

#[test]
fn batch_items() {
    let rows = [
        (
            "an unknown format",
            r#"[{"format":"graphite","data":"a 1"}]"#,
            r#"type: [0].format: format "graphite" is none of"#,
        ),
        ("no data", r#"[{"format":"statsd"}]"#, "type: [0].data: the item has no data"),
        (
            "data that is a number",
            r#"{"batch":[{"format":"statsd","data":1}]}"#,
            "type: batch[0].data: expected text, found 1",
        ),
        (
            "a bad line within",
            r#"[{"format":"statsd","data":"a:1|c\nb"}]"#,
            "syntax: [0].data: line 2: expected name:value|type",
        ),
        (
            "a bad line within a line",
            "{\"name\":\"a\",\"value\":1}\n{\"format\":\"prometheus\",\"data\":\"x\"}\n",
            "syntax: line 2: data: line 1: a metric name",
        ),
    ];
    for (shows, body, want) in rows {
        check(
            shows,
            batch::parse(body.as_bytes(), NOW_MS, &Limits::default(), &mut GaugeTable::new(10)),
            want,
        );
    }
}
