//! Malformed bodies of every format: each gets an error of its own that says what and where.

use weir_formats::remote_write::Version;
use weir_formats::remote_write::encode::{self, TimeSeries, put_varint};
use weir_formats::statsd::{GaugeTable, NoGaugeMemory};
use weir_formats::text::Dialect;
use weir_formats::{ErrorKind, FormatError, Limits, Parsed, batch, json, remote_write, statsd, text};

const NOW_MS: i64 = 1_760_000_000_000;

/// What a body comes to: the whole refused, or a first rejection.
fn told(result: Result<Parsed, FormatError>) -> String {
    match result {
        Err(error) => format!("{} {error}", error.kind.status()),
        Ok(parsed) => match parsed.rejections.first.first() {
            Some(first) => format!("{}: {first}", first.kind.name()),
            None => "accepted".to_owned(),
        },
    }
}

fn check(shows: &str, result: Result<Parsed, FormatError>, want: &str) {
    let told = told(result);
    assert!(told.contains(want), "{shows}: expected {want:?} in {told:?}");
}

fn series(labels: &[(&str, &str)]) -> TimeSeries {
    TimeSeries {
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        samples: vec![(NOW_MS, 1.0)],
        ..TimeSeries::default()
    }
}

/// A length-delimited field.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3 | 2);
    put_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn remote_write_1_bodies() {
    let up = series(&[("__name__", "up"), ("job", "a")]);
    let good = encode::v1(std::slice::from_ref(&up), &[]);
    let of = |labels: &[(&str, &str)]| encode::v1(&[series(labels)], &[]);
    let long = "x".repeat(5000);
    let many: Vec<(String, String)> = (0..70).map(|i| (format!("l{i:02}"), "v".to_owned())).collect();
    let many = TimeSeries {
        labels: [("__name__".to_owned(), "up".to_owned())].into_iter().chain(many).collect(),
        ..up.clone()
    };
    let broken_text = field(
        1,
        &join(&[field(1, &join(&[field(1, b"__name__"), field(2, b"u\xff")])), field(2, b"\x10\x01")]),
    );
    let name = join(&[field(1, b"__name__"), field(2, b"up")]);
    let second = |bytes: &[u8]| [good.as_slice(), bytes].concat();
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut in the second series", second(&good[..good.len() - 3]), "400 timeseries 1: field 1 needs"),
        ("an endless varint", second(&[0xff; 11]), "400 timeseries 1: a varint is longer"),
        ("a cut-off varint", second(&[0x0a, 0x80]), "400 timeseries 1: a varint is cut off"),
        (
            "a series that is a number",
            second(&[0x08, 1]),
            "400 timeseries 1: field 1 has wire type 0, expected 2",
        ),
        (
            "a sample value that is a varint",
            second(&field(1, &join(&[field(1, &name), field(2, &[0x08, 1])]))),
            "expected 1",
        ),
        ("a group", second(&[0x0b]), "wire type 3, which protobuf 3 does not have"),
        ("field zero", second(&[0x02, 0]), "field number 0 does not exist"),
        ("a 2.0 body", encode::v2(&[up]), "the content type says 1.0"),
        ("plain text", b"up 1\n".to_vec(), "400 the body is no prometheus.WriteRequest"),
        (
            "a repeated label",
            of(&[("__name__", "up"), ("job", "a"), ("job", "b")]),
            "labels: timeseries 0: label \"job\" stands twice",
        ),
        (
            "an empty label name",
            of(&[("", "x"), ("__name__", "up")]),
            "labels: timeseries 0: a label has an empty name",
        ),
        ("no metric name", of(&[("job", "a")]), "labels: timeseries 0: the series has no metric name"),
        ("an empty metric name", of(&[("__name__", ""), ("job", "a")]), "the series has no metric name"),
        (
            "a long value",
            of(&[("__name__", "up"), ("job", &long)]),
            "the value of label \"job\" has 5000 bytes, at most 4096",
        ),
        ("too many labels", encode::v1(&[many], &[]), "71 labels, at most 64"),
        (
            "a label that is not UTF-8",
            broken_text,
            "labels: timeseries 0: labels hold bytes that are not UTF-8",
        ),
    ];
    for (shows, body, want) in rows {
        check(shows, remote_write::parse(Version::V1, &body, NOW_MS, &Limits::default()), want);
    }
}

#[test]
fn native_histograms_of_either_version() {
    let histogram = |fields: &[Vec<u8>]| {
        let name = join(&[field(1, b"__name__"), field(2, b"h")]);
        field(1, &join(&[field(1, &name), field(4, &join(fields))]))
    };
    let number = |field: u64, value: u64| {
        let mut out = Vec::new();
        put_varint(&mut out, field << 3);
        put_varint(&mut out, value);
        out
    };
    let time = number(15, NOW_MS as u64);
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("an unknown schema", histogram(&[number(4, 18), time.clone()]), "schema 9 is neither"),
        (
            "counts without spans",
            histogram(&[field(12, &[2]), time.clone()]),
            "spans cover 0 buckets, 1 counts",
        ),
        (
            "a negative count",
            histogram(&[field(11, &[0x10, 1]), field(12, &[1]), time.clone()]),
            "count -1 is not",
        ),
        (
            "integers and floats at once",
            histogram(&[field(11, &[0x10, 1]), field(12, &[2]), field(13, &[0; 8]), time.clone()]),
            "both as integers and as floats",
        ),
        ("half a float", histogram(&[field(13, &[0; 7]), time.clone()]), "field 13 holds 7 bytes"),
        ("an unknown hint", histogram(&[number(14, 9), time.clone()]), "reset hint 9"),
        ("too many buckets", histogram(&[field(12, &[0; 10_001]), time]), "more than 10000 buckets"),
    ];
    for (shows, body, want) in rows {
        check(shows, remote_write::parse(Version::V1, &body, NOW_MS, &Limits::default()), want);
    }
}

#[test]
fn remote_write_2_bodies() {
    let up = series(&[("__name__", "up"), ("job", "a")]);
    let good = encode::v2(std::slice::from_ref(&up));
    let symbols = |texts: &[&[u8]]| texts.iter().map(|text| field(4, text)).collect::<Vec<_>>().concat();
    let refs = |numbers: &[u8]| field(5, &join(&[field(1, numbers), field(2, b"\x10\x01")]));
    let table = symbols(&[b"", b"__name__", b"up"]);
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a reference past the table",
            join(&[table.clone(), refs(&[1, 2]), refs(&[1, 3])]),
            "400 timeseries 1: symbol reference 3 in a table of 3 symbols",
        ),
        (
            "a name without value",
            join(&[table.clone(), refs(&[1, 2, 0])]),
            "400 timeseries 0: 3 label references",
        ),
        (
            "a first symbol with text",
            join(&[symbols(&[b"x"]), refs(&[0, 0])]),
            "400 symbol 0: the first symbol must be the empty text",
        ),
        ("no symbols", refs(&[0, 0]), "400 symbol 0: there is no symbol table"),
        ("a symbol that is not UTF-8", symbols(&[b"", b"a\xff"]), "400 symbol 1: not UTF-8 from its byte 1"),
        (
            "a help reference past the table",
            join(&[table.clone(), field(5, &join(&[field(1, &[1, 2]), field(5, &[0x18, 9])]))]),
            "symbol reference 9",
        ),
        (
            "a cut-off reference",
            join(&[table.clone(), refs(&[0x80])]),
            "400 timeseries 0: a varint is cut off",
        ),
        ("cut at the end", good[..good.len() - 1].to_vec(), "400 timeseries 0: field 5 needs"),
        ("a 1.0 body", encode::v1(&[up], &[]), "the content type says 2.0"),
        (
            "no metric name",
            join(&[table.clone(), refs(&[])]),
            "labels: timeseries 0: the series has no metric name",
        ),
        (
            "a repeated label",
            join(&[table, refs(&[1, 2, 1, 2])]),
            "labels: timeseries 0: label \"__name__\" stands twice",
        ),
    ];
    for (shows, body, want) in rows {
        check(shows, remote_write::parse(Version::V2, &body, NOW_MS, &Limits::default()), want);
    }
}

#[test]
fn text_lines() {
    let rows = [
        ("no value", "up", "syntax: line 1: a metric name is followed by the end of the line"),
        ("no value behind labels", "up{a=\"b\"}", "value: line 1: the value is missing"),
        ("a value that is a word", "up one", "value: line 1: value \"one\" is not a number"),
        (
            "a timestamp with a fraction",
            "up 1 1.5",
            "timestamp: line 1: timestamp \"1.5\" is not a whole number of milliseconds",
        ),
        ("a timestamp out of all bounds", "up 1 9223372036854775807", "outside the years 1 to 9999"),
        ("an open quote", "up{a=\"b} 1", "syntax: line 1: a quoted text does not end"),
        ("an open escape", "up{a=\"b\\", "a backslash stands before neither"),
        ("an unknown escape", "up{a=\"\\x\"} 1", "a backslash stands before neither"),
        ("an open brace", "up{a=\"b\" 1", "expected , or }, found \"1\""),
        ("a bare value", "up{a=b} 1", "expected a quoted value of label \"a\", found \"b} 1\""),
        ("no equals sign", "up{a} 1", "expected = after label \"a\", found \"} 1\""),
        ("a label that starts with a digit", "up{1a=\"b\"} 1", "expected a label name or }"),
        ("a name that starts with a digit", "1up 1", "expected a metric name, found \"1up 1\""),
        ("a dash in a name", "a-b 1", "a metric name is followed by \"-b 1\""),
        ("two names", "{\"a\",\"b\"} 1", "\"b\" is a second metric name"),
        ("no name", "{a=\"b\"} 1", "labels: line 1: the series has no metric name"),
        ("a repeated label", "up{a=\"1\",a=\"2\"} 1", "labels: line 1: label \"a\" stands twice"),
        ("something behind", "up 1 2 3", "expected the end of the line, found \"3\""),
        ("an exemplar", "up 1 # {a=\"b\"} 1", "exemplars belong to OpenMetrics"),
        ("an unknown type", "# TYPE up ratio", "type: line 1: metric type \"ratio\" is unknown"),
        ("a declaration of no name", "# HELP 1 x", "expected a metric name, found \"1 x\""),
        ("a later line", "ok 1\n\n# fine\nbad", "line 4: "),
    ];
    for (shows, body, want) in rows {
        check(shows, text::parse(body.as_bytes(), Dialect::Prometheus, NOW_MS, &Limits::default()), want);
    }
    let parsed =
        text::parse(b"good 1\nbad \xff 1\ngood 2\n", Dialect::Prometheus, NOW_MS, &Limits::default());
    assert_eq!(parsed.as_ref().map(|parsed| parsed.accepted.samples), Ok(2), "the rest proceeds");
    check("a line that is not UTF-8", parsed, "syntax: line 2: the line is not UTF-8");
}

#[test]
fn openmetrics_pages() {
    let rows = [
        ("a page cut off", "up 1\n", "syntax: line 1: the page ends without # EOF"),
        ("a line behind the end", "# EOF\nup 1\n", "syntax: line 2: the line stands after # EOF"),
        ("a timestamp that is a word", "up 1 now\n# EOF\n", "timestamp \"now\" is not a number of seconds"),
        (
            "an exemplar without labels",
            "up 1 # 1\n# EOF\n",
            "expected the labels of an exemplar, found \"1\"",
        ),
        ("an exemplar without value", "up 1 # {a=\"b\"}\n# EOF\n", "value: line 1: the value is missing"),
        ("a named exemplar", "up 1 # {\"x\"} 1\n# EOF\n", "an exemplar has no metric name"),
    ];
    for (shows, body, want) in rows {
        check(shows, text::parse(body.as_bytes(), Dialect::OpenMetrics, NOW_MS, &Limits::default()), want);
    }
}

#[test]
fn statsd_lines() {
    let rows = [
        ("no colon", "page.views", "syntax: line 1: expected name:value|type"),
        ("no type", "a:1", "type: line 1: \"a\" has no type"),
        ("an unknown type", "a:1|kv", "type: line 1: metric type \"kv\""),
        ("no value", "a:|c", "value: line 1: \"a\" has no value"),
        ("a value that is a word", "a:one|c", "value: line 1: value \"one\" is not a finite number"),
        ("a value that is no number", "a:NaN|g", "value \"NaN\" is not a finite number"),
        ("one bad packed value", "a:1:x:3|ms", "value: line 1: value \"x\""),
        ("a rate above one", "a:1|c|@1.5", "sample rate \"@1.5\" is not above 0 and at most 1"),
        ("a timestamp that is a word", "a:1|c|Tnow", "timestamp: line 1: timestamp \"Tnow\""),
        ("a timestamp out of all bounds", "a:1|c|T1e15", "timestamp: line 1: timestamp \"T1e15\""),
        ("an unknown field", "a:1|c|!", "syntax: line 1: field \"!\""),
        ("a tag without name", "a:1|c|#:v", "labels: line 1: tag \":v\" has no usable name"),
        ("a tag that is the name", "a:1|c|#__name__:v", "labels: line 1: tag \"__name__:v\""),
        ("two types of one series", "a:1|c\na:1|h", "type: line 2: series \"a\" has another type"),
        ("a relative gauge without memory", "a:+1|g", "value: line 1: relative gauge value \"+1\""),
    ];
    for (shows, body, want) in rows {
        check(shows, statsd::parse(body.as_bytes(), NOW_MS, &Limits::default(), &mut NoGaugeMemory), want);
    }
    let body = b"a:1|c\n\xff:1|c\na:1:x:3|ms\n";
    let parsed = statsd::parse(body, NOW_MS, &Limits::default(), &mut NoGaugeMemory).unwrap();
    assert_eq!((parsed.accepted.samples, parsed.rejections.total), (1, 4), "{:?}", parsed.rejections);
}

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

#[test]
fn requests_past_a_bound_are_too_large_in_every_format() {
    let limits = Limits { samples: 3, ..Limits::default() };
    let series: Vec<_> = (0..5).map(|i| series(&[("__name__", "up"), ("i", &i.to_string())])).collect();
    let lines = |line: &dyn Fn(u32) -> String| (0..5).map(line).collect::<String>();
    let results = [
        remote_write::parse(Version::V1, &encode::v1(&series, &[]), NOW_MS, &limits),
        remote_write::parse(Version::V2, &encode::v2(&series), NOW_MS, &limits),
        text::parse(lines(&|i| format!("a{i} 1\n")).as_bytes(), Dialect::Prometheus, NOW_MS, &limits),
        text::parse(
            lines(&|i| format!("# TYPE a{i} gauge\n")).as_bytes(),
            Dialect::OpenMetrics,
            NOW_MS,
            &limits,
        ),
        statsd::parse(lines(&|i| format!("a{i}:1|c\n")).as_bytes(), NOW_MS, &limits, &mut NoGaugeMemory),
        json::parse(lines(&|i| format!("{{\"name\":\"a{i}\",\"value\":1}}\n")).as_bytes(), NOW_MS, &limits),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
        let told = error.to_string();
        assert!(told.contains("more than 3 ") && told.ends_with("send it in pieces"), "{told}");
    }
}

#[test]
fn symbols_that_are_referred_to_too_often_are_too_large() {
    let long = "v".repeat(4000);
    let series: Vec<_> = (0..50).map(|_| series(&[("__name__", "up"), ("x", &long)])).collect();
    let body = encode::v2(&series);
    assert!(body.len() < 10_000);
    let limits = Limits { label_bytes: 100_000, ..Limits::default() };
    let error = remote_write::parse(Version::V2, &body, NOW_MS, &limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[test]
fn samples_from_the_future_are_rejected_when_a_limit_says_so() {
    let limits = Limits { future_ms: Some(60_000), ..Limits::default() };
    let body = format!("a 1 {}\nb 1 {}\n", NOW_MS + 60_000, NOW_MS + 60_001);
    let parsed = text::parse(body.as_bytes(), Dialect::Prometheus, NOW_MS, &limits).unwrap();
    assert_eq!(parsed.accepted.samples, 1);
    assert_eq!(
        parsed.rejections.first[0].to_string(),
        "line 2: timestamp 1760000060001 lies more than 60000 ms after its arrival at 1760000000000"
    );
}

#[test]
fn one_metric_cannot_multiply_its_labels_past_the_bound() {
    let long = "v".repeat(4000);
    let buckets: Vec<_> = (0..1000).map(|bound| format!("\"{bound}\":1")).collect();
    let members: Vec<_> = (0..1000).map(|member| format!("\"m{member}\":1")).collect();
    let limits = Limits { label_bytes: 100_000, ..Limits::default() };
    for body in [
        format!(
            r#"{{"name":"a","type":"histogram","labels":{{"x":"{long}"}},"buckets":{{{}}}}}"#,
            buckets.join(",")
        ),
        format!(
            r#"{{"event_metrics":{{"event_type":"a","labels":{{"x":"{long}"}},"metrics":{{{}}}}}}}"#,
            members.join(",")
        ),
    ] {
        let error = json::parse(body.as_bytes(), NOW_MS, &limits).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
    }
}

#[test]
fn labels_without_number_are_refused_without_being_kept() {
    let many = field(1, &[]).repeat(60_000);
    let endless = field(1, &[]).repeat(100_000);
    let sample = field(2, b"\x10\x01");
    let exemplar =
        field(3, &join(&[field(1, &join(&[field(1, b"a"), field(2, b"b")])).repeat(1000), vec![0x18, 1]]));
    let name = field(1, &join(&[field(1, b"__name__"), field(2, b"up")]));
    let rows = [
        ("endless labels", field(1, &endless), "400 timeseries 0: field 1 stands more than 65536 times"),
        (
            "labels",
            field(1, &join(&[many, sample.clone()])),
            "labels: timeseries 0: 60000 labels, at most 64",
        ),
        (
            "an exemplar's labels",
            field(1, &join(&[name, sample, exemplar])),
            "labels: timeseries 0, exemplar 0: an exemplar has at most 64 labels",
        ),
    ];
    for (shows, body, want) in rows {
        check(shows, remote_write::parse(Version::V1, &body, NOW_MS, &Limits::default()), want);
    }
    let line = format!("up{{{}}} 1", "a=\"\",".repeat(2000));
    let told = text::parse(line.as_bytes(), Dialect::Prometheus, NOW_MS, &Limits::default());
    check("labels of a line", told, "labels: line 1: more than 1000 labels");
}

#[test]
fn a_body_of_nothing_but_mistakes_is_given_up() {
    let limits = Limits { samples: 100, ..Limits::default() };
    let results = [
        text::parse(&b"?\n".repeat(1000), Dialect::Prometheus, NOW_MS, &limits),
        statsd::parse(&b"?\n".repeat(1000), NOW_MS, &limits, &mut NoGaugeMemory),
        json::parse(format!("[{}0]", "0,".repeat(1000)).as_bytes(), NOW_MS, &limits),
        json::parse(&b"0\n".repeat(1000), NOW_MS, &limits),
        remote_write::parse(
            Version::V1,
            &encode::v1(&vec![series(&[("a", "b")]); 1000], &[]),
            NOW_MS,
            &limits,
        ),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadRequest);
        assert!(error.to_string().starts_with("more than 100 entries are wrong; the first at "), "{error}");
    }
}
