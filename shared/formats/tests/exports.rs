//! What is written as lines of JSON, CSV or OpenMetrics reads back as the same series and samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use weir_formats::csv::{self, Columns};
use weir_formats::{Limits, Parsed, series_lines, text};
use weir_model::{
    DistributionBuilder, Labels, MetricKind, STALE_NAN, Samples, Temporality, UniqueSet, is_stale_nan,
};

const NOW_MS: i64 = 1_760_000_000_000;

#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    kind: MetricKind,
    temporality: Temporality,
    samples: Samples,
}

/// Everything of a body by series and time, in a form that compares bit for bit.
fn contents(parsed: &Parsed) -> BTreeMap<(String, i64), String> {
    assert!(parsed.rejections.is_empty(), "{:?}", parsed.rejections);
    let batch = &parsed.batch;
    let series = |place: u32| {
        let series = &batch.series()[place as usize];
        format!("{} {:?} {:?}", batch.labels_at(place).to_labels(), series.kind, series.temporality)
    };
    let floats = batch.floats.iter().map(|s| ((series(s.series), s.timestamp_ms), bits(s.value)));
    let histograms =
        batch.histograms.iter().map(|s| ((series(s.series), s.timestamp_ms), format!("{:?}", s.histogram)));
    let sets = batch.sets.iter().map(|s| ((series(s.series), s.timestamp_ms), s.set.count().to_string()));
    floats.chain(histograms).chain(sets).collect()
}

fn bits(value: f64) -> String {
    // NaNs other than the marker are all alike.
    let value = if value.is_nan() && !is_stale_nan(value) { f64::NAN } else { value };
    format!("{:016x}", value.to_bits())
}

fn expected(all: &[Series], keep: impl Fn(f64) -> bool, keeps_kind: bool) -> BTreeMap<(String, i64), String> {
    let mut found = BTreeMap::new();
    for one in all {
        let kind = if keeps_kind { one.kind } else { MetricKind::Unknown };
        let name = format!("{} {kind:?} {:?}", one.labels, one.temporality);
        for (at, value) in one.samples.timestamps.iter().zip(&one.samples.values) {
            if keep(*value) {
                found.insert((name.clone(), *at), bits(*value));
            }
        }
        for (at, histogram) in &one.samples.histograms {
            found.insert((name.clone(), *at), format!("{histogram:?}"));
        }
        for (at, set) in &one.samples.sets {
            found.insert((name.clone(), *at), set.count().to_string());
        }
    }
    found
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => any::<f64>().prop_filter("payloads of NaN are not kept", |v| !v.is_nan()),
        4 => (-1000i32..1000).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(STALE_NAN),
        1 => Just(-0.0),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn text_value() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z]{1,6}", 1 => "[ -~é\n\r\t\"\\\\,]{1,8}"]
}

fn series(floats_only: bool) -> impl Strategy<Value = Vec<Series>> {
    let names = prop_oneof![3 => "[a-z_]{1,8}", 1 => Just("value".to_owned()), 1 => "[ -~é]{1,6}"];
    let labels = prop::collection::btree_map(names, text_value(), 0..4);
    let times = prop::collection::btree_set(-4_000_000_000_000i64..4_000_000_000_000, 1..6);
    let one = (text_value(), labels, times, prop::collection::vec(value(), 6), 0..4usize, any::<bool>());
    let one = one.prop_map(move |(name, labels, times, values, shape, delta)| {
        let pairs =
            labels.into_iter().filter(|(name, _)| name != "__name__").chain([("__name__".to_owned(), name)]);
        let labels = Labels::from_pairs(pairs);
        let mut samples = Samples::default();
        for (at, value) in times.into_iter().zip(values) {
            match shape {
                2 if !floats_only => {
                    let mut builder = DistributionBuilder::new();
                    builder.observe(if value.is_finite() { value } else { 1.5 }, 2.0);
                    samples.histograms.push((at, Arc::new(builder.build())));
                }
                3 if !floats_only => {
                    let mut set = UniqueSet::new();
                    set.insert(&at.to_le_bytes());
                    samples.sets.push((at, Arc::new(set)));
                }
                _ => {
                    samples.timestamps.push(at);
                    samples.values.push(value);
                }
            }
        }
        let kind = if shape == 0 { MetricKind::Gauge } else { MetricKind::Unknown };
        let temporality = if delta && !floats_only { Temporality::Delta } else { Temporality::Cumulative };
        Series { labels, kind, temporality, samples }
    });
    prop::collection::vec(one, 1..5).prop_map(|mut all| {
        all.sort_by(|a, b| a.labels.metric_name().cmp(b.labels.metric_name()).then(a.labels.cmp(&b.labels)));
        all.dedup_by(|a, b| a.labels == b.labels);
        all
    })
}

proptest! {
    #[test]
    fn lines_of_series_read_back_as_they_were(all in series(false)) {
        let mut out = Vec::new();
        for one in &all {
            series_lines::write(&mut out, one.labels.borrowed(), one.kind, one.temporality, &one.samples);
        }
        let parsed = series_lines::parse(&out, NOW_MS, &Limits::default()).unwrap();
        prop_assert_eq!(contents(&parsed), expected(&all, |_| true, true));
    }

    #[test]
    fn csv_reads_back_as_it_was(all in series(false)) {
        let names: Vec<String> = all.iter().flat_map(|s| s.labels.iter().map(|(n, _)| n.to_owned())).collect();
        let mut writer = csv::Writer::new(names.iter().map(String::as_str));
        let mut out = Vec::new();
        writer.header(&mut out);
        for one in &all {
            writer.series(&mut out, one.labels.borrowed(), one.kind, one.temporality, &one.samples);
        }
        let parsed = csv::parse(&out, None, None, NOW_MS, &Limits::default()).unwrap();
        prop_assert_eq!(contents(&parsed), expected(&all, |_| true, true));
    }

    #[test]
    fn openmetrics_reads_back_but_for_staleness(all in series(true)) {
        let mut writer = text::Writer::default();
        let mut out = Vec::new();
        for one in &all {
            writer.series(&mut out, one.labels.borrowed(), MetricKind::Unknown, one.temporality, &one.samples).unwrap();
        }
        writer.end(&mut out);
        let parsed = text::parse(&out, text::Dialect::OpenMetrics, NOW_MS, &Limits::default()).unwrap();
        prop_assert_eq!(contents(&parsed), expected(&all, |value| !is_stale_nan(value), false));
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = series_lines::parse(&body, NOW_MS, &Limits::default());
        let _ = csv::parse(&body, None, Some("m"), NOW_MS, &Limits::default());
        let columns = Columns::from_format("1:metric:a,2:time:unix_s,3:label:b").unwrap();
        let _ = csv::parse(&body, Some(columns), None, NOW_MS, &Limits::default());
        let _ = Columns::from_format(&String::from_utf8_lossy(&body));
    }
}

#[test]
fn openmetrics_says_which_series_it_cannot_carry() {
    let mut samples = Samples { timestamps: vec![1], values: vec![1.0], ..Samples::default() };
    let labels = Labels::from_pairs([("__name__", "hits"), ("a", "b")]);
    let mut writer = text::Writer::default();
    let mut out = Vec::new();
    let mut told = |temporality, samples: &Samples| {
        writer
            .series(&mut out, labels.borrowed(), MetricKind::Counter, temporality, samples)
            .unwrap_err()
            .to_string()
    };
    let delta = told(Temporality::Delta, &samples);
    assert!(delta.contains("hits") && delta.contains("changes instead of totals"), "{delta}");
    samples.histograms.push((2, Arc::new(DistributionBuilder::new().build())));
    assert!(told(Temporality::Cumulative, &samples).contains("native histograms"));
    assert!(out.is_empty());
}

#[test]
fn csv_of_other_tools_is_read() {
    let nab = b"timestamp,value\n2014-04-01 00:00:00,18.324\n2014-04-01 00:05:00,21.97\n";
    let parsed = csv::parse(nab, None, Some("cpu"), NOW_MS, &Limits::default()).unwrap();
    assert_eq!((parsed.batch.floats.len(), parsed.batch.series().len()), (2, 1));
    assert_eq!(parsed.batch.floats[1].timestamp_ms, 1_396_310_700_000);
    let format = Columns::from_format("2:metric:ask,3:metric:bid,1:time:unix_s,4:label:pair").unwrap();
    let rates = b"1700000000,1.5,1.4,EURUSD\n1700000001,2.5,,GBPPLN\n";
    let parsed = csv::parse(rates, Some(format), None, NOW_MS, &Limits::default()).unwrap();
    let found: Vec<_> = parsed
        .batch
        .floats
        .iter()
        .map(|s| (parsed.batch.labels_at(s.series).to_labels().to_string(), s.timestamp_ms, s.value))
        .collect();
    assert_eq!(
        found,
        [
            (r#"ask{pair="EURUSD"}"#.to_owned(), 1_700_000_000_000, 1.5),
            (r#"bid{pair="EURUSD"}"#.to_owned(), 1_700_000_000_000, 1.4),
            (r#"ask{pair="GBPPLN"}"#.to_owned(), 1_700_000_001_000, 2.5),
        ]
    );
}

#[test]
fn bad_rows_and_lines_say_where_and_spare_the_rest() {
    let rows: &[(&str, &[u8], &str, usize)] = &[
        ("a value that is none", b"metric,value\na,1\na,x\na,3\n", "line 3: value \"x\" is not a number", 2),
        (
            "a field too few",
            b"metric,host,value\na,h,1\na,1\n",
            "line 3: the row has 2 fields, the header 3",
            1,
        ),
        (
            "a time that is none",
            b"metric,time,value\na,soon,1\na,1700000000,2\n",
            "timestamp \"soon\" is neither",
            1,
        ),
        ("an unknown type", b"metric,type,value\na,gage,1\n", "metric type \"gage\" is unknown", 0),
    ];
    for (shows, body, want, kept) in rows {
        let parsed = csv::parse(body, None, None, NOW_MS, &Limits::default()).unwrap();
        let told = parsed.rejections.first[0].to_string();
        assert!(told.contains(want), "{shows}: {told}");
        assert_eq!(parsed.batch.floats.len(), *kept, "{shows}");
    }
    for (shows, header, metric, want) in [
        ("no name", "value\n1\n", None, "no column \"metric\""),
        ("no samples", "metric,host\na,b\n", None, "no column holds samples"),
        ("twice the same", "metric,value,value\n", None, "two columns of the header mean the same"),
        ("empty", "", Some("m"), "the body is empty"),
    ] {
        let told = csv::parse(header.as_bytes(), None, metric, NOW_MS, &Limits::default()).unwrap_err();
        assert!(told.to_string().contains(want), "{shows}: {told}");
    }
    for (format, want) in [
        ("", "does not begin with a column"),
        ("1:metric", "names nothing"),
        ("1:time:soon", "is none of unix_s"),
        ("1:label:a", "no column holds samples"),
        ("1:metric:a,1:metric:b", "names a column again"),
        ("0:metric:a", "does not begin with a column"),
    ] {
        let told = Columns::from_format(format).unwrap_err().to_string();
        assert!(told.contains(want), "{format:?}: {told}");
    }
    let lines = concat!(
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1]}\n",
        "nonsense\n",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1,2],\"timestamps\":[1]}\n",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1,\"x\"],\"timestamps\":[1,2]}\n",
        "{\"metric\":{\"__name__\":\"a\",\"__name__\":\"b\"},\"values\":[1],\"timestamps\":[1]}\n",
        "{\"metric\":{\"__name__\":\"a\"},\"sets\":[{\"timestamp\":1,\"set\":\"!\"}]}\n",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[3],\"timestamps\":[3],\"temporality\":\"odd\"}\n",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[3],\"timestamps\":[3]}\n",
    );
    let parsed = series_lines::parse(lines.as_bytes(), NOW_MS, &Limits::default()).unwrap();
    let told: Vec<String> = parsed.rejections.first.iter().map(ToString::to_string).collect();
    for (told, want) in told.iter().zip([
        "line 2: not a series in JSON",
        "line 3: 2 values and 1 timestamps",
        "line 4: not a series in JSON: invalid value: string \"x\"",
        "line 5: label",
        "line 6, sets[0]: a set in base64",
        "line 7: temporality \"odd\"",
    ]) {
        assert!(told.starts_with(want), "{told} does not begin with {want}");
    }
    assert_eq!((told.len(), parsed.batch.floats.len()), (6, 2));
}
