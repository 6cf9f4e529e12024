//! Formats of lines: text, OpenMetrics, StatsD.

use weir_formats::Limits;
use weir_formats::statsd::{self, NoGaugeMemory};
use weir_formats::text::{self, Dialect};

use super::{NOW_MS, check};

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
