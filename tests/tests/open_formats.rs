//! The lake without Weir: DuckDB's SQL answers over the blocks equal PromQL's, and the tables for Athena
//! name the columns that the blocks have.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_tests::{Weir, body, peers};

const START_S: i64 = 1_760_000_400;
/// An hour's edge after the last sample: PromQL's windows are open on the left.
const END_S: f64 = (START_S + 288 * 600) as f64;
const VIEW: &str = include_str!("../../infra/duckdb/weir.sql");
const DUCKDB: &str = "2.0.0";
const CFN_LINT: &str = "1.58.0";

/// Two days: decimals, full precision, one value only, infinities; late data that makes a second block and changes
/// values of the first.
fn fill(weir: &Weir) {
    let post = |series: &[TimeSeries]| {
        let request = body::snappy(&encode::v1(series, &[]));
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        let reply = weir.post("/api/v1/write", &headers, &request).unwrap();
        assert_eq!(reply.status, 204, "{}", reply.text());
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    };
    let series = |name: &str, host: i64, values: &dyn Fn(i64) -> f64, late: bool| TimeSeries {
        labels: [("__name__", name.to_owned()), ("host", format!("h{host}")), ("ort", "Möhnesee".to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
        samples: (0..288)
            .filter(|i| (i % 10 == 3) == late || i % 10 == 5)
            .map(|i| ((START_S + i * 600) * 1000 + 7, values(i) + f64::from(u8::from(late && i % 10 == 5))))
            .collect(),
        ..TimeSeries::default()
    };
    for late in [false, true] {
        let mut all = Vec::new();
        for host in 0..4 {
            all.push(series("litres_total", host, &|i| (i * 3 + host) as f64 / 10.0, late));
            all.push(series("level", host, &|i| ((i * host) as f64).sin() * 1e7, late));
            all.push(series("size_bytes", host, &|_| 4096.0, late));
            if !late {
                all.push(series("gone", host, &|i| i as f64, late));
            }
            all.push(series("odd", host, &|i| if i % 9 == 0 { f64::INFINITY } else { -0.5 }, late));
        }
        post(&all);
    }
}

/// Rows of each query over a view, run in a data folder's lake; every cell as text.
fn ask_duckdb(python: &Path, data: &Path, view: &str, queries: &[&str]) -> Vec<Vec<[String; 3]>> {
    let script = "import duckdb, json, sys\nview, *queries = json.load(sys.stdin)\ndb = duckdb.connect()\ndb.execute(view)\nprint(json.dumps([[[str(c) for c in row] for row in db.execute(q).fetchall()] for q in queries]))";
    let mut child = Command::new(python)
        .args(["-c", script])
        .current_dir(data.join("lake"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let asked: Vec<&str> = std::iter::once(view).chain(queries.iter().copied()).collect();
    serde_json::to_writer(child.stdin.take().unwrap(), &asked).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// PromQL and SQL that ask the same.
const ROWS: [(&str, &str); 5] = [
    (
        "sum by (host) (sum_over_time(litres_total[3d]))",
        "SELECT '', labels['host'], sum(value) FROM weir WHERE latest AND metric = 'litres_total' GROUP BY ALL",
    ),
    (
        "max by (host) (max_over_time(level[3d]))",
        "SELECT '', labels['host'], max(value) FROM weir WHERE latest AND metric = 'level' GROUP BY ALL",
    ),
    (
        "avg by (host) (avg_over_time(size_bytes[3d]))",
        "SELECT '', labels['host'], avg(value) FROM weir WHERE latest AND metric = 'size_bytes' GROUP BY ALL",
    ),
    (
        "sum by (host) (count_over_time(odd[3d]))",
        "SELECT '', labels['host'], count(value) FROM weir WHERE latest AND metric = 'odd' AND labels['ort'] = 'Möhnesee' GROUP BY ALL",
    ),
    (
        "max by (host) (max_over_time(odd[3d]))",
        "SELECT '', labels['host'], max(value) FROM weir WHERE latest AND metric = 'odd' AND tenant = 'default' AND res = 'raw' GROUP BY ALL",
    ),
];
/// Compares what SQL and PromQL answer.
fn compare(weir: &Weir, python: &Path, data: &Path, when: &str) {
    let answers = ask_duckdb(python, data, VIEW, &ROWS.map(|(_, sql)| sql));
    for ((promql, sql), answer) in ROWS.iter().zip(answers) {
        let by_sql: BTreeMap<String, f64> =
            answer.into_iter().map(|[_, host, value]| (host, value.parse().unwrap())).collect();
        let result = weir.query_at(promql, END_S).unwrap();
        let by_promql: BTreeMap<String, f64> = result
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| {
                let value = sample["value"][1].as_str().unwrap().replace("Inf", "inf").parse().unwrap();
                (sample["metric"]["host"].as_str().unwrap().to_owned(), value)
            })
            .collect();
        assert_eq!(by_sql.len(), 4, "{sql}, {when}");
        assert_eq!(by_sql.keys().collect::<Vec<_>>(), by_promql.keys().collect::<Vec<_>>());
        for (host, want) in &by_promql {
            let got = by_sql[host];
            assert!(
                got == *want || (got - want).abs() <= 1e-12 * want.abs(),
                "{when}, {sql}: {got}, {promql}: {want}"
            );
        }
    }
}

#[test]
fn sql_answers_equal_promql_answers() {
    let Some(python) = peers::pypi("python3", "duckdb", DUCKDB) else { return };
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    fill(&weir);
    compare(&weir, &python, folder.path(), "by the hour");
    // The same view of rollups, made as its comment says, from one hour's sums and from one day's.
    let (promql, sql) = (
        "sum by (host) (sum_over_time(litres_total[3d]))",
        "SELECT '', labels['host'], sum(value) FROM weir WHERE latest AND metric = 'litres_total' AND agg = 'sum' GROUP BY ALL",
    );
    let want = weir.query_at(promql, END_S).unwrap();
    weir.stop().unwrap();
    let run = |args: &[&str]| {
        let ran =
            Command::new(weir_tests::weir::binary()).args(args).arg("--data").arg(folder.path()).status();
        assert!(ran.unwrap().success(), "{args:?}");
    };
    run(&["rollup"]);
    for tier in ["1h", "1d"] {
        let view = VIEW.replace("res=raw", &format!("res={tier}/agg=*")).replace("r.res,", "r.res, r.agg,");
        let sums = ask_duckdb(&python, folder.path(), &view, &[sql]).remove(0);
        assert_eq!(sums.len(), 4, "{tier}");
        for [_, host, sum] in sums {
            let same =
                want.as_array().unwrap().iter().find(|sample| sample["metric"]["host"] == host.as_str());
            let want: f64 = same.unwrap()["value"][1].as_str().unwrap().parse().unwrap();
            let sum: f64 = sum.parse().unwrap();
            assert!((sum - want).abs() <= 1e-12 * want.abs(), "{tier} {host}: {sum}, not {want}");
        }
    }
    run(&["erase", "--yes", "--matcher", r#"{__name__="gone"}"#]);
    let weir = Weir::start(folder.path()).unwrap();
    compare(&weir, &python, folder.path(), "after an erasure");
    // Done at the start, since the samples are old; what was replaced goes with the next compaction.
    let raw = folder.path().join("lake/blocks/tenant=default/res=raw");
    peers::wait_until("all days are archived", 60, || {
        assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
        let days = std::fs::read_dir(&raw).unwrap().map(|day| day.unwrap().path());
        let files = |hour: &Path| std::fs::read_dir(hour).unwrap().count();
        let hours = days.flat_map(|day| std::fs::read_dir(day).unwrap()).map(|hour| hour.unwrap().path());
        hours.into_iter().all(|hour| hour.ends_with("hour=24") || files(&hour) == 0)
    });
    compare(&weir, &python, folder.path(), "archived");
}

/// A table's columns with their types, as the block's schema has them.
fn schema_columns(schema: &str) -> Vec<(String, &'static str)> {
    let source = include_str!("../../shared/lake/src/block/schema.rs");
    let (_, rest) = source.split_once(&format!("message {schema} {{")).unwrap();
    let (body, _) = rest.split_once("\n}\"").unwrap();
    let mut columns = Vec::new();
    for line in body.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let words: Vec<&str> = line.trim().trim_end_matches(';').split(' ').collect();
        let [_, kind, name, ..] = words[..] else { continue };
        let glue = match (kind, line) {
            ("group", _) => "map<string,string>",
            (_, line) if line.contains("(STRING)") => "string",
            (_, line) if line.contains("TIMESTAMP") => "timestamp",
            ("int32", _) => "int",
            ("int64", _) => "bigint",
            ("double", _) => "double",
            _ => "binary",
        };
        columns.push((name.to_owned(), glue));
    }
    columns
}

#[test]
fn the_tables_for_athena_have_the_columns_of_the_blocks() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/athena/template.yaml");
    let Some(python) = peers::pypi("python3", "cfn-lint", CFN_LINT) else { return };
    let lint = python.with_file_name("cfn-lint");
    let output = Command::new(lint).arg(&template).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let script = "import cfnlint.decode, json, sys\ntemplate, _ = cfnlint.decode.decode(sys.argv[1])\nprint(json.dumps({name: r['Properties']['TableInput']['StorageDescriptor']['Columns'] for name, r in template['Resources'].items() if r['Type'] == 'AWS::Glue::Table'}))";
    let output = Command::new(python).args(["-c", script]).arg(&template).output().unwrap();
    let tables: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (table, schema) in [("Samples", "samples"), ("Series", "series")] {
        let named: Vec<(String, &str)> = tables[table]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["Name"].as_str().unwrap().to_owned(), c["Type"].as_str().unwrap()))
            .collect();
        assert_eq!(named, schema_columns(schema), "{table}");
    }
}
