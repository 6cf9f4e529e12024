//! Writes the inputs that the fuzzers start from into `corpus`, and ends.
//!
//! It has the form of a target, since code built with libFuzzer's flags links against nothing else.
#![no_main]

use std::fs;
use std::path::Path;

use weir_formats::remote_write::Version;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_formats::statsd::GaugeTable;
use weir_formats::{Limits, encoding, json, remote_write, statsd, tsdb};
use weir_model::{DistributionBuilder, Histogram, MetricKind, Record, Span, TenantId};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Expressions from the reference manual's repertoire.
const QUERIES: [&str; 12] = [
    "up",
    "sum by (job) (rate(http_requests_total{job=~\"api.*\",code!=\"500\"}[5m]))",
    "histogram_quantile(0.99, sum(rate(latency_bucket[5m])) by (le))",
    "a / on (x) group_left (y) b > bool 1",
    "max_over_time(rate(x[1m])[1h:30s] offset 5m @ end())",
    "label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")",
    "topk(3, {\"my.metric\", \"a.b\"=\"c\"})",
    "-2 ^ 3 * 1e3 + 0x1F - +Inf",
    "absent(nonexistent{job=\"x\"}) or vector(time())",
    "avg without (cpu) (x) unless ignoring (mode) y and z",
    "quantile(0.5, x) atan2 1 % 2 == 3 != 4 <= 5",
    "count_values(\"v\", x @ 1609746000.5 offset -1h30m)",
];

/// Every form of a template.
const TEMPLATES: [&str; 6] = [
    "{{ $labels.job }} is at {{ $value | humanize }} of {{ printf \"%08.3f|%-5s|%q\" $value \"x\" \"y\" }}",
    "{{ range $i, $s := query \"up{job=\\\"a\\\"}\" }}{{ $i }} {{ .Labels.job }} {{ .Value }}{{ else }}none{{ end }}",
    "{{- with query \"a\" | first -}} {{ value . }} {{ label \"job\" . }} {{- else -}} x {{ end }}",
    "{{ define \"t\" }}{{ .arg0 }}{{ end }}{{ template \"t\" (args 1 2) }}",
    "{{ if and (gt $value 1.0) (not (eq $labels.zone \"b\")) }}{{ humanizePercentage 0.5 }}{{ else if true }}y{{ end }}",
    "{{ reReplaceAll \"(a)\" \"$1b\" $labels.job | toUpper }} {{ humanizeDuration 3.5 }} {{ sortByLabel \"job\" (query \"x\") | len }}",
];

libfuzzer_sys::fuzz_target!(init: write_and_end(), |_body: &[u8]| {});

fn write_and_end() {
    write(Path::new("../tests/fixtures"), Path::new("corpus")).expect("the fixtures can be read");
    std::process::exit(0);
}

fn write(fixtures: &Path, corpus: &Path) -> Outcome {
    let limits = Limits::default();
    let mut record_seeds = Vec::new();
    for entry in fs::read_dir(fixtures.join("remote_write"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "snappy") {
            let packed = fs::read(&path)?;
            let plain = encoding::decompress(&packed, "snappy", &limits)?;
            record_seeds.push(remote_write::parse(Version::V1, &plain, weir_fuzz::NOW_MS, &limits)?.batch);
            put(corpus, "remote_write_v1", &path, &plain)?;
            put(corpus, "encoding", &path, &[&[3], packed.as_slice()].concat())?;
        }
    }
    for entry in fs::read_dir(fixtures.join("seeds"))? {
        let path = entry?.path();
        let body = fs::read(&path)?;
        match (path.file_stem().and_then(|s| s.to_str()), path.extension().and_then(|s| s.to_str())) {
            (Some("prometheus"), _) => {
                put(corpus, "text", &path, &body)?;
                put(corpus, "openmetrics", &path, &[body.as_slice(), OPENMETRICS].concat())?;
            }
            (_, Some("txt")) => {
                let mut gauges = GaugeTable::new(16);
                record_seeds.push(statsd::parse(&body, weir_fuzz::NOW_MS, &limits, &mut gauges)?.batch);
                put(corpus, "statsd", &path, &body)?;
            }
            (_, Some("json" | "ndjson")) => {
                record_seeds.push(json::parse(&body, weir_fuzz::NOW_MS, &limits)?.batch);
                put(corpus, "json", &path, &body)?;
                put(corpus, "batch", &path, &body)?;
                let packed = zstd::bulk::compress(&body, 3)?;
                put(corpus, "encoding", &path, &[&[2], packed.as_slice()].concat())?;
            }
            _ => {}
        }
    }
    let series = every_kind();
    put(corpus, "remote_write_v1", Path::new("every-kind"), &encode::v1(&series, &[]))?;
    put(corpus, "remote_write_v2", Path::new("every-kind"), &encode::v2(&series))?;
    put(corpus, "remote_write_v2", Path::new("one"), &encode::v2(&series[..1]))?;
    for (index, (_, histogram)) in series.iter().flat_map(|one| &one.histograms).enumerate() {
        put(corpus, "histogram", Path::new(&format!("{index}")), &histogram.to_bytes())?;
    }
    for (index, batch) in record_seeds.into_iter().enumerate() {
        let record = Record { tenant: TenantId::new("t")?, key: None, received_ms: weir_fuzz::NOW_MS, batch };
        let bytes = record.encode()?;
        put(corpus, "record", Path::new(&format!("whole-{index}")), &bytes)?;
        // Behind the header of this tenant the packed body starts at a zstd frame's magic number.
        if let Some(at) = bytes.windows(4).position(|w| w == [0x28, 0xb5, 0x2f, 0xfd]) {
            let body = zstd::bulk::decompress(&bytes[at..], 1 << 20)?;
            put(corpus, "record", Path::new(&format!("body-{index}")), &body)?;
        }
    }
    for (index, text) in CSV.iter().enumerate() {
        put(corpus, "csv", Path::new(&format!("{index}")), text.as_bytes())?;
    }
    put(corpus, "series_lines", Path::new("every-kind"), SERIES_LINES)?;
    let block = fixtures.join("tsdb/prometheus-2.42");
    for (kind, name) in [(3, "index"), (4, "tombstones"), (5, "chunks/000001")] {
        let path = block.join(name);
        put(corpus, "tsdb", &path, &[&[kind], fs::read(&path)?.as_slice()].concat())?;
    }
    let (index, segment) = (fs::read(block.join("index"))?, fs::read(block.join("chunks/000001"))?);
    for (number, series) in tsdb::Index::open(&index)?.series().take(50).enumerate() {
        for (part, meta) in series?.chunks.iter().take(1).enumerate() {
            let chunk = tsdb::Segment::open(&segment)?.chunk(meta.offset)?;
            let kind = match chunk.encoding {
                tsdb::Encoding::Xor => 0,
                tsdb::Encoding::Histogram => 1,
                tsdb::Encoding::FloatHistogram => 2,
            };
            let seed = [&[kind], chunk.content].concat();
            put(corpus, "tsdb", Path::new(&format!("chunk-{number}-{part}")), &seed)?;
        }
    }
    for entry in fs::read_dir(fixtures.join("../../infra/config/rules"))? {
        let path = entry?.path();
        let target = if path.to_string_lossy().contains(".test.") { "rule_tests" } else { "rules" };
        put(corpus, target, &path, &fs::read(&path)?)?;
    }
    let guide = fixtures.join("../../infra/config/impact.yml");
    put(corpus, "rules", &guide, &fs::read(&guide)?)?;
    for (index, text) in TEMPLATES.iter().enumerate() {
        put(corpus, "template", Path::new(&format!("{index}")), text.as_bytes())?;
    }
    for (index, query) in QUERIES.iter().enumerate() {
        put(corpus, "promql", Path::new(&format!("{index}")), query.as_bytes())?;
    }
    Ok(())
}

const OPENMETRICS: &[u8] = b"# TYPE jobs counter\n# UNIT jobs jobs\n# HELP jobs Jobs \\\"done\\\".\n\
    jobs_total{a=\"b\\n\"} 17 1753525800.5 # {trace_id=\"4bf9\"} 0.5 1753525800.1\n\
    {\"my.metric\",\"a.b\"=\"c\"} +Inf\n# EOF\n";

const CSV: [&str; 3] = [
    "metric,host,timestamp,value\nload,\"a,b\",2026-01-01T00:00:00Z,0.5\n",
    "timestamp,value\n2014-04-01 00:00:00,20\n1700000000,NaN\n",
    "1700000000,1.5,EURUSD\n1700000001,,x\n",
];

const SERIES_LINES: &[u8] = b"{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"values\":[1,null,\"NaN\"],\"timestamps\":[1700000000000,1700000015000,1700000030000]}\n\
    {\"metric\":{\"__name__\":\"x\"},\"type\":\"counter\",\"values\":[2],\"timestamps\":[1]}\n";

fn put(corpus: &Path, target: &str, name: &Path, body: &[u8]) -> Outcome {
    let folder = corpus.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name.file_name().unwrap_or_default()), body)?;
    Ok(())
}

/// Series with everything that remote write can carry.
fn every_kind() -> Vec<TimeSeries> {
    let labels = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
    };
    let mut distribution = DistributionBuilder::new();
    [0.0, -3.5, 0.001, 17.0, 17.5, 1e9].iter().for_each(|value| distribution.observe(*value, 2.5));
    let custom = Histogram {
        schema: -53,
        count: 6.0,
        sum: 12.0,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        positive_buckets: vec![1.0, 2.0, 3.0],
        custom_values: vec![0.5, 2.0],
        ..Histogram::default()
    };
    vec![
        TimeSeries {
            labels: labels(&[("__name__", "up"), ("job", "api")]),
            samples: vec![
                (weir_fuzz::NOW_MS, 1.0),
                (weir_fuzz::NOW_MS + 1, f64::from_bits(0x7ff0_0000_0000_0002)),
            ],
            kind: MetricKind::Gauge,
            help: "Is it up?".to_owned(),
            ..TimeSeries::default()
        },
        TimeSeries {
            labels: labels(&[("__name__", "latency"), ("zone", "größe")]),
            histograms: vec![(weir_fuzz::NOW_MS, distribution.build()), (weir_fuzz::NOW_MS + 1, custom)],
            exemplars: vec![(weir_fuzz::NOW_MS, 0.5, labels(&[("trace_id", "4bf9")]))],
            kind: MetricKind::Histogram,
            unit: "seconds".to_owned(),
            ..TimeSeries::default()
        },
    ]
}
