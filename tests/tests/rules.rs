//! The same rules over the same minutes here and in a real Prometheus: the same alerts, the same series, the
//! same texts. What came out here becomes a unit-test file, and promtool says whether Prometheus agrees.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};
use weir_model::{Labels, Samples};
use weir_promql::memory::MemoryStorage;
use weir_promql::{Query, SampleValue};
use weir_rules::{
    AlertState, GroupState, Health, Overlay, RuleFile, RuleSample, Settings, UnitTestFile, evaluate_group,
};
use weir_tests::peers;
use weir_tests::random::Random;
use weir_tests::weir::note;

const MINUTE_MS: i64 = 60_000;
const MINUTES: i64 = 45;

/// Every feature of alerts and as many functions of templates as Debian's Prometheus has.
const RULES: &str = r#"
groups:
- name: recorded
  rules:
  - {record: "job:load:sum", expr: "sum by (job) (load)"}
  - {record: "job:load:avg", expr: "job:load:sum / count by (job) (load)", labels: {kind: mean}}
- name: alerts
  rules:
  - {alert: Now, expr: "load > 5"}
  - {alert: Later, expr: "load > 4", for: 3m, labels: {severity: page, where: "{{ $labels.job }}/{{ $labels.host }}"}}
  - {alert: Kept, expr: "load > 8", keep_firing_for: 4m}
  - {alert: LaterKept, expr: "load > 6", for: 1m, keep_firing_for: 2m}
  - {alert: Recorded, expr: "job:load:avg > 5", for: 2m}
  - {alert: Absent, expr: "absent(load{host=\"a\"})", for: 1m}
  - {alert: OfAlerts, expr: "count by (job) (ALERTS{alertstate=\"firing\"}) > 2"}
  - {alert: Scalar, expr: "vector(time()) % 600 < 300", for: 2m}
  - alert: Texts
    expr: load > 7
    annotations:
      a: '{{ $value }} {{ .Value }} {{ $labels }} {{ $labels.nothing }}.'
      b: '{{ humanize $value }} {{ humanize1024 2000.5 }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ humanizeTimestamp $value }}'
      c: '{{ range query "load" | sortByLabel "host" }}{{ .Labels.host }}={{ .Value | printf "%.2f" }},{{ end }}'
      d: '{{ with query "sum(load)" }}{{ . | first | value | printf "%08.3f" }}{{ end }} {{ printf "%-8.1f|%e|%g|%v|%+.2f|%9.2e|%s|%d|%.3v|%6v" $value $value $value $value $value $value $value $value $value $value }}'
      e: '{{ if gt $value 8.0 }}high{{ else if gt $value 7.5 }}middle{{ else }}low{{ end }} {{ eq $labels.job "x" "y" }}'
      f: '{{ title "some words" }} {{ toUpper $labels.host }} {{ reReplaceAll "(.)" "<$1>" $labels.host }} {{ match "^x" $labels.job }}'
      g: '{{ $x := 1 }}{{ range $i, $s := query "load" }}{{ $x = $i }}{{ end }}{{ $x }} {{ len (query "load") }} {{- " trimmed" -}} '
      h: '{{ define "t" }}[{{ .arg0 }}-{{ .arg1 }}]{{ end }}{{ template "t" (args $labels.host 5) }} {{ print 1 2 "x" 3.5 }}'
      i: '{{ graphLink "load > 5" }} {{ tableLink "a b" }} {{ stripPort "h:90" }} {{ stripDomain "h.example.com:90" }}'
      j: '{{ and $labels.host "b" }} {{ or "" "c" }} {{ not true }} {{ index $labels "job" }} {{ printf "%q %5d %x %t %T" "q" 42 255 true 1.5 }}'
      k: '{{ parseDuration "1h30m" }} {{ toTime 1435065584.0 }} {{ 1e6 }} {{ 0.00001 }} {{ 123456789.5 }}'
"#;

/// Series that go up and down, have gaps and end.
fn series(random: &mut Random) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (job, host) in [("x", "a"), ("x", "b"), ("y", "c"), ("y", "d")] {
        let mut points = Vec::new();
        let mut value = random.below(100) as f64 / 10.0;
        for _ in 0..=MINUTES {
            value = (value + random.below(50) as f64 / 10.0 - 2.4).clamp(0.0, 11.0);
            points.push(match random.below(12) {
                0 => "_".to_owned(),
                1 => "stale".to_owned(),
                _ => format!("{value:.1}"),
            });
        }
        all.push((format!("load{{job=\"{job}\", host=\"{host}\"}}"), points.join(" ")));
    }
    all
}

fn store(storage: &mut MemoryStorage, written: &[RuleSample]) {
    for sample in written {
        let SampleValue::Float(value) = sample.value else { panic!("{sample:?}") };
        let samples =
            Samples { timestamps: vec![sample.timestamp_ms], values: vec![value], ..Samples::default() };
        storage.push(sample.labels.clone(), samples);
    }
}

async fn ask(storage: &MemoryStorage, text: &str, at_ms: i64) -> Vec<(Labels, f64)> {
    let query = Query::instant(weir_promql::parse(text).unwrap(), text, at_ms);
    let answer = weir_promql::evaluate(storage, &query, &weir_promql::Limits::default()).await.unwrap();
    let weir_promql::Value::Vector(samples) = answer.value else { panic!("{text} gives no vector") };
    let float = |value| if let SampleValue::Float(value) = value { value } else { panic!("{text}") };
    samples.into_iter().map(|s| (s.labels, float(s.value))).collect()
}

fn pairs(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().filter(|(name, _)| *name != weir_rules::ALERT_NAME).collect()
}

/// A unit-test file that expects what came out here.
async fn expectations(input: &[(String, String)]) -> Value {
    let rules = RuleFile::parse("rules.yml", RULES).unwrap();
    let mut storage = MemoryStorage::new();
    for (name, points) in input {
        storage.load(MINUTE_MS, &format!("{name} {points}")).unwrap();
    }
    let mut states = vec![GroupState::default(); rules.groups.len()];
    let (mut queries, mut alerts) = (Vec::new(), Vec::new());
    for minute in 0..=MINUTES {
        let at_ms = minute * MINUTE_MS;
        for (group, state) in rules.groups.iter().zip(&mut states) {
            let written = {
                let mut overlay = Overlay::new(&storage);
                evaluate_group(group, state, &mut overlay, &Settings::default(), at_ms).await
            };
            store(&mut storage, &written);
            let failed = state.rules.iter().find(|rule| rule.health != Health::Ok);
            assert!(failed.is_none(), "{}", failed.unwrap().last_error);
        }
        for text in ["ALERTS", "ALERTS_FOR_STATE", "{__name__=~\"job:.*\"}"] {
            let found = ask(&storage, text, at_ms).await;
            let samples: Vec<Value> =
                found.iter().map(|(l, value)| json!({ "labels": l.to_string(), "value": value })).collect();
            queries.push(json!({ "expr": text, "eval_time": format!("{minute}m"), "exp_samples": samples }));
        }
        for rule in rules.groups[1].rules.iter().zip(&states[1].rules) {
            let firing = rule.1.alerts.values().filter(|alert| alert.state == AlertState::Firing);
            let firing: Vec<Value> = firing
                .map(|a| json!({ "exp_labels": pairs(&a.labels), "exp_annotations": pairs(&a.annotations) }))
                .collect();
            alerts.push(
                json!({ "eval_time": format!("{minute}m"), "alertname": rule.0.name, "exp_alerts": firing }),
            );
        }
    }
    let input: Vec<Value> = input.iter().map(|(s, v)| json!({ "series": s, "values": v })).collect();
    json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": ["recorded", "alerts"],
        "tests": [{
            "interval": "1m",
            "input_series": input,
            "alert_rule_test": alerts,
            "promql_expr_test": queries,
        }],
    })
}

#[tokio::test]
async fn prometheus_gives_the_same_alerts_series_and_texts() {
    let mut random = Random::from_env();
    let Some(promtool) = peers::debian("promtool", "prometheus") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    for round in 0..4 {
        let tests = expectations(&series(&mut random)).await.to_string();
        let path = folder.path().join(format!("round-{round}.yml"));
        std::fs::write(&path, &tests).unwrap();
        let output = Command::new(&promtool).args(["test", "rules"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "Prometheus has it otherwise:\n{}",
            said.chars().take(4000).collect::<String>()
        );
        let expected = tests.matches("\"value\"").count();
        note(&format!("round {round}: Prometheus gives the same {expected} samples"));
        // And our own runner of unit tests agrees with promtool that they pass.
        let file = UnitTestFile::parse(&tests).unwrap();
        let failures = file.run(&[RuleFile::parse("rules.yml", RULES).unwrap()]).await;
        assert_eq!(failures, []);
    }
}
