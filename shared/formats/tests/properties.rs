//! Properties over generated bodies: what an encoder wrote is read back, and no body makes a parser panic.

use proptest::prelude::*;
use weir_formats::remote_write::Version;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_formats::statsd::GaugeTable;
use weir_formats::text::Dialect;
use weir_formats::{Limits, batch, encoding, json, remote_write, statsd, text};
use weir_model::{
    CounterResetHint, DistributionBuilder, Histogram, Labels, LabelsRef, MetricKind, STALE_NAN_BITS, Span,
};

const NOW_MS: i64 = 1_760_000_000_000;

fn label_sets() -> impl Strategy<Value = Vec<(String, String)>> {
    let others = prop::collection::btree_map("[a-z][a-z0-9_.é]{0,12}", "\\PC{0,40}|[a-z]{100,300}", 0..8);
    ("[a-zA-Z_:][a-z0-9_:]{0,20}", others).prop_map(|(name, mut others)| {
        others.insert("__name__".to_owned(), name);
        others.into_iter().collect()
    })
}

fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::from_bits(STALE_NAN_BITS)),
        Just(-0.0),
        (0u32..1_000_000).prop_map(f64::from)
    ]
}

fn times() -> impl Strategy<Value = i64> {
    Limits::MIN_TIMESTAMP_MS..=Limits::MAX_TIMESTAMP_MS
}

fn histograms() -> impl Strategy<Value = Histogram> {
    let distribution =
        prop::collection::vec((-1e9f64..1e9, 1u32..40, any::<bool>()), 0..40).prop_map(|seen| {
            let mut builder = DistributionBuilder::new();
            for (value, weight, halved) in seen {
                builder.observe(value, f64::from(weight) / if halved { 2.0 } else { 1.0 });
            }
            Histogram { counter_reset_hint: CounterResetHint::NotReset, ..builder.build() }
        });
    let custom = prop::collection::vec(0u32..1000, 1..20).prop_map(|counts| Histogram {
        schema: -53,
        count: counts.iter().map(|c| f64::from(*c)).sum(),
        sum: 1.5,
        positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
        custom_values: (1..counts.len()).map(|bound| bound as f64).collect(),
        positive_buckets: counts.into_iter().map(f64::from).collect(),
        ..Histogram::default()
    });
    prop_oneof![distribution, custom]
}

fn all_series() -> impl Strategy<Value = Vec<TimeSeries>> {
    let exemplars = prop::collection::vec(
        (times(), values(), prop::collection::btree_map("[a-z]{1,8}", "[a-z0-9]{1,20}", 0..3)),
        0..3,
    );
    let one = (
        label_sets(),
        prop::collection::vec((times(), values()), 0..4),
        prop::collection::vec((times(), histograms()), 0..3),
        exemplars,
        0u8..8,
    );
    let one = one.prop_map(|(labels, samples, histograms, exemplars, kind)| TimeSeries {
        labels,
        samples,
        histograms,
        exemplars: exemplars.into_iter().map(|(t, v, labels)| (t, v, labels.into_iter().collect())).collect(),
        kind: MetricKind::from_code(kind).expect("it is there"),
        help: "Help.".to_owned(),
        unit: String::new(),
    });
    prop::collection::vec(one, 0..6)
}

/// Reads a body back and compares it with what was encoded, bit for bit.
fn same(version: Version, body: &[u8], series: &[TimeSeries]) -> Result<(), TestCaseError> {
    let parsed = remote_write::parse(version, body, NOW_MS, &Limits::default()).expect("the body is read");
    prop_assert!(parsed.rejections.is_empty(), "{:?}", parsed.rejections);
    let batch = &parsed.batch;
    let told: Vec<&TimeSeries> = series
        .iter()
        .filter(|s| !(s.samples.is_empty() && s.histograms.is_empty() && s.exemplars.is_empty()))
        .collect();
    prop_assert_eq!(batch.series().len(), told.len());
    let (mut floats, mut histograms, mut exemplars) =
        (batch.floats.iter(), batch.histograms.iter(), batch.exemplars.iter());
    for (place, (read, sent)) in batch.series().iter().zip(told).enumerate() {
        let labels = LabelsRef::check(batch.labels(read).as_bytes()).expect("it is there");
        prop_assert_eq!(labels.to_labels(), Labels::from_pairs(sent.labels.clone()));
        if version == Version::V2 && sent.kind != MetricKind::Unknown {
            prop_assert_eq!(read.kind, sent.kind);
        }
        for (timestamp_ms, value) in &sent.samples {
            let sample = floats.next().expect("it is there");
            prop_assert_eq!((sample.series as usize, sample.timestamp_ms), (place, *timestamp_ms));
            prop_assert_eq!(sample.value.to_bits(), value.to_bits());
        }
        for (timestamp_ms, histogram) in &sent.histograms {
            let sample = histograms.next().expect("it is there");
            prop_assert_eq!((sample.series as usize, sample.timestamp_ms), (place, *timestamp_ms));
            prop_assert_eq!(sample.histogram.as_ref(), histogram);
        }
        for (timestamp_ms, value, labels) in &sent.exemplars {
            let exemplar = exemplars.next().expect("it is there");
            prop_assert_eq!((exemplar.series as usize, exemplar.timestamp_ms), (place, *timestamp_ms));
            prop_assert_eq!(exemplar.value.to_bits(), value.to_bits());
            prop_assert_eq!(&exemplar.labels, &Labels::from_pairs(labels.clone()));
        }
    }
    prop_assert!(floats.next().is_none() && histograms.next().is_none() && exemplars.next().is_none());
    Ok(())
}

/// Hands a body to every parser; what they say does not matter here.
fn read_by_all(body: &[u8]) {
    let limits = Limits { samples: 1_000, ..Limits::default() };
    let mut gauges = GaugeTable::new(4);
    for version in [Version::V1, Version::V2] {
        let _ = remote_write::parse(version, body, NOW_MS, &limits);
    }
    for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
        let _ = text::parse(body, dialect, NOW_MS, &limits);
    }
    let _ = statsd::parse(body, NOW_MS, &limits, &mut gauges);
    let _ = json::parse(body, NOW_MS, &limits);
    let _ = batch::parse(body, NOW_MS, &limits, &mut gauges);
    for name in ["gzip", "deflate", "zstd", "snappy"] {
        let _ = encoding::decompress(body, name, &limits);
    }
}

/// Sound bodies of every format, to be spoilt.
const SOUND: [&str; 5] = [
    "# TYPE a histogram\n# HELP a b \\n c\na_bucket{le=\"0.5\",x=\"é\\\"\"} 17 1753525800000\n{\"a.b\",\"c\"=\"d\"} NaN\n",
    "# TYPE a counter\na_total{x=\"y\"} 1 1753525800.5 # {trace=\"1\"} 0.5 1\n# UNIT a seconds\n# EOF\n",
    "a.b:1:2.5|ms|@0.5|#x:y,z|c:1|T1753525800\nb:-3|g\nc:é|s\n_e{1,1}:a|b\nd:1|c\n",
    r#"[{"custom_metrics":{"timestamp":"2025-07-26T10:30:00Z","metrics":[{"name":"a","type":"histogram","buckets":{"1":2,"+Inf":3},"sum":1.5,"count":3,"labels":{"x":"\u00e9"}}]}},{"format":"statsd","data":"a:1|c"}]"#,
    r#"{"MetricData":[{"MetricName":"a","Values":[1,2],"Counts":[3,4],"Dimensions":[{"Name":"x","Value":"y"}]},{"MetricName":"b","Value":1}],"Namespace":"n"}"#,
];

proptest! {
    #[test]
    fn remote_write_1_survives_a_round_trip(series in all_series()) {
        same(Version::V1, &encode::v1(&series, &[]), &series)?;
    }

    #[test]
    fn remote_write_2_survives_a_round_trip(series in all_series()) {
        same(Version::V2, &encode::v2(&series), &series)?;
    }

    #[test]
    fn labels_in_any_order_become_the_same_series(labels in label_sets(), swap: prop::sample::Index, by: prop::sample::Index) {
        let mut shuffled = labels.clone();
        let (a, b) = (swap.index(labels.len()), by.index(labels.len()));
        shuffled.swap(a, b);
        let body = |labels: Vec<(String, String)>| {
            encode::v1(&[TimeSeries { labels, samples: vec![(NOW_MS, 1.0)], ..TimeSeries::default() }], &[])
        };
        let read = |labels| remote_write::parse(Version::V1, &body(labels), NOW_MS, &Limits::default()).expect("it is there").batch;
        prop_assert_eq!(read(labels), read(shuffled));
    }

    #[test]
    fn spoilt_remote_write_never_panics(series in all_series(), at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
        for mut body in [encode::v1(&series, &[]), encode::v2(&series)] {
            if body.is_empty() {
                continue;
            }
            let at = at.index(body.len());
            body[at] = to;
            read_by_all(&body);
            read_by_all(&body[..cut.index(body.len())]);
        }
    }

    #[test]
    fn spoilt_texts_never_panic(which in 0usize..SOUND.len(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut: prop::sample::Index) {
        let mut body = SOUND[which].as_bytes().to_vec();
        for (at, to) in edits {
            let at = at.index(body.len());
            body[at] = to;
        }
        read_by_all(&body);
        read_by_all(&body[..cut.index(body.len())]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_by_all(&body);
    }

    #[test]
    fn a_text_page_of_any_labels_is_read_back(labels in label_sets(), value in values(), timestamp_ms in times()) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let pairs: Vec<_> = labels
            .iter()
            .filter(|(name, _)| name != "__name__")
            .map(|(name, value)| format!("\"{}\"=\"{}\"", escape(name), escape(value)))
            .collect();
        let name = labels.iter().find(|(name, _)| name == "__name__").map(|(_, value)| value.as_str()).expect("it is there");
        let page = format!("{{\"{name}\",{}}} {value} {timestamp_ms}\n", pairs.join(","));
        let parsed = text::parse(page.as_bytes(), Dialect::Prometheus, NOW_MS, &Limits::default()).expect("it is there");
        prop_assert!(parsed.rejections.is_empty(), "{page}: {:?}", parsed.rejections);
        prop_assert_eq!(parsed.batch.labels_at(0).to_labels(), Labels::from_pairs(labels.clone()));
        let sample = parsed.batch.floats[0];
        prop_assert_eq!(sample.timestamp_ms, timestamp_ms);
        prop_assert!(sample.value == value || (value.is_nan() && sample.value.is_nan()));
    }
}
