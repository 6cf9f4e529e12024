//! Remote write bodies of either version.

use weir_formats::Limits;
use weir_formats::remote_write::encode::{self, TimeSeries, put_varint};
use weir_formats::remote_write::{self, Version};

use super::{NOW_MS, check, field, join, series};

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
