//! Rules evaluated minute by minute over series in memory.

use weir_promql::SampleValue;
use weir_promql::memory::MemoryStorage;

use super::{AlertState, GroupState, Health, Overlay, RuleSample, Settings, evaluate_group};
use crate::file::{Group, RuleFile};

const MINUTE: i64 = 60_000;

fn group(rules: &str) -> Group {
    let text = format!("groups:\n- name: g\n  rules:\n  - {}\n", rules.trim().replace('\n', "\n    "));
    RuleFile::parse("rules.yml", &text).unwrap().groups.remove(0)
}

/// What a group writes at each minute, one line a sample.
async fn minutes(
    group: &Group,
    state: &mut GroupState,
    load: &str,
    range: std::ops::Range<i64>,
) -> Vec<Vec<String>> {
    let mut storage = MemoryStorage::new();
    storage.load(MINUTE, load).unwrap();
    let mut all = Vec::new();
    for minute in range {
        let mut overlay = Overlay::new(&storage);
        let written = evaluate_group(group, state, &mut overlay, &Settings::default(), minute * MINUTE).await;
        let mut lines: Vec<String> = written.iter().map(line).collect();
        lines.sort();
        all.push(lines);
    }
    all
}

fn line(sample: &RuleSample) -> String {
    let value = match &sample.value {
        SampleValue::Float(x) if weir_model::is_stale_nan(*x) => "stale".to_owned(),
        SampleValue::Float(x) => x.to_string(),
        SampleValue::Histogram(_) => "histogram".to_owned(),
    };
    format!("{} {value}", sample.labels)
}

#[tokio::test]
async fn an_alert_is_pending_then_fires_and_ends_stale() {
    let group = group("alert: High\nexpr: load > 1\nfor: 2m\nlabels: {severity: '{{ $labels.host }}!'}");
    let mut state = GroupState::default();
    let lines = minutes(&group, &mut state, "load{host=\"a\"} 0 2 2 2 0 0", 0..6).await;
    let tell = |alertstate: &str| {
        format!("ALERTS{{alertname=\"High\", alertstate=\"{alertstate}\", host=\"a\", severity=\"a!\"}}")
    };
    let since = "ALERTS_FOR_STATE{alertname=\"High\", host=\"a\", severity=\"a!\"}";
    let active = |state: &str| vec![format!("{since} 60"), format!("{} 1", tell(state))];
    assert_eq!(lines[0], [""; 0]);
    assert_eq!(lines[1], active("pending"));
    assert_eq!(lines[2], active("pending"));
    assert_eq!(
        lines[3],
        [format!("{since} 60"), format!("{} 1", tell("firing")), format!("{} stale", tell("pending"))]
    );
    assert_eq!(lines[4], [format!("{since} stale"), format!("{} stale", tell("firing"))]);
    assert_eq!(lines[5], [""; 0]);
    let alert = state.rules[0].alerts.values().next().unwrap();
    assert_eq!(
        (alert.state, alert.fired_at_ms, alert.resolved_at_ms),
        (AlertState::Inactive, Some(180_000), Some(240_000))
    );
}

#[tokio::test]
async fn an_alert_is_kept_firing_through_a_gap() {
    let group = group("alert: Down\nexpr: up == 0\nkeep_firing_for: 3m");
    let mut state = GroupState::default();
    let lines = minutes(&group, &mut state, "up 0 1 0 1 1 1 1 1", 0..8).await;
    let firing: Vec<bool> =
        lines.iter().map(|l| l.iter().any(|s| s.contains("firing") && s.ends_with(" 1"))).collect();
    assert_eq!(firing, [true, true, true, true, true, true, false, false]);
}

#[tokio::test]
async fn later_rules_see_what_earlier_ones_gave() {
    let text = "groups:\n- name: g\n  rules:\n  - {record: a, expr: m * 2}\n  - {record: b, expr: a + 1}\n  - {alert: B, expr: b > 4}\n  - {alert: C, expr: 'ALERTS{alertname=\"B\"} == 1'}\n";
    let group = RuleFile::parse("r", text).unwrap().groups.remove(0);
    let lines = minutes(&group, &mut GroupState::default(), "m 1 2", 0..2).await;
    assert_eq!(lines[0], ["a 2", "b 3"]);
    assert!(lines[1].contains(&"b 5".to_owned()), "{lines:?}");
    assert!(
        lines[1].iter().any(|l| l.starts_with("ALERTS{alertname=\"C\", alertstate=\"firing\"")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn series_that_vanish_end_with_a_marker() {
    let group = group("record: a\nexpr: sum by (x) (m)\nlabels: {kind: t}");
    let load = "m{x=\"1\"} 1 1 stale\nm{x=\"2\"} 1 1 1";
    let lines = minutes(&group, &mut GroupState::default(), load, 0..4).await;
    assert_eq!(lines[1], [r#"a{kind="t", x="1"} 1"#, r#"a{kind="t", x="2"} 1"#]);
    assert_eq!(lines[2], [r#"a{kind="t", x="1"} stale"#, r#"a{kind="t", x="2"} 1"#]);
    assert_eq!(lines[3], [r#"a{kind="t", x="2"} 1"#]);
}

#[tokio::test]
async fn a_rule_that_fails_is_marked_and_the_rest_goes_on() {
    let text = "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: same, expr: 'label_replace(m, \"x\", \"\", \"\", \"\")', labels: {x: y}}\n  - {record: many, expr: m}\n  - {record: one, expr: sum(m)}\n  - {alert: A, expr: m > 0}\n";
    let group = RuleFile::parse("r", text).unwrap().groups.remove(0);
    let mut state = GroupState::default();
    let lines = minutes(&group, &mut state, "m{x=\"1\"} 1\nm{x=\"2\"} 1", 0..1).await;
    assert_eq!(lines[0], ["one 2"]);
    let errors: Vec<_> = state.rules.iter().map(|r| (r.health, r.last_error.as_str())).collect();
    assert_eq!(errors[0], (Health::Err, "vector cannot contain metrics with the same labelset"));
    assert_eq!(errors[1], (Health::Err, "exceeded limit of 1 with 2 series"));
    assert_eq!(errors[2], (Health::Ok, ""));
    assert_eq!(errors[3], (Health::Err, "exceeded limit of 1 with 2 alerts"));
}

#[tokio::test]
async fn annotations_are_expanded_and_may_ask() {
    let rules = "alert: High\nexpr: load > 1\nannotations:\n  a: '{{ $value | humanize }} on {{ $labels.host }}'\n  b: '{{ range query \"limit\" }}{{ .Value }}{{ end }}'\n  c: '{{ first (query \"absent_metric\") }}'";
    let mut state = GroupState::default();
    minutes(&group(rules), &mut state, "load{host=\"a\"} 2500\nlimit 7", 0..1).await;
    let alert = state.rules[0].alerts.values().next().unwrap();
    assert_eq!(alert.annotations.get("a"), Some("2.5k on a"));
    assert_eq!(alert.annotations.get("b"), Some("7"));
    let failed = alert.annotations.get("c").unwrap();
    assert!(
        failed.starts_with("<error expanding template: error executing template __alert_High:"),
        "{failed}"
    );
}

#[tokio::test]
async fn samples_stand_where_the_query_offset_put_them() {
    let text = "groups:\n- name: g\n  query_offset: 1m\n  rules:\n  - {record: a, expr: m}\n";
    let group = RuleFile::parse("r", text).unwrap().groups.remove(0);
    let mut storage = MemoryStorage::new();
    storage.load(MINUTE, "m 1 2 3").unwrap();
    let mut overlay = Overlay::new(&storage);
    let written =
        evaluate_group(&group, &mut GroupState::default(), &mut overlay, &Settings::default(), 2 * MINUTE)
            .await;
    assert_eq!((written[0].timestamp_ms, line(&written[0])), (MINUTE, "a 2".to_owned()));
}

#[tokio::test]
async fn state_survives_being_written_and_changed_rules() {
    let before = group("alert: High\nexpr: load > 1\nfor: 2m");
    let mut state = GroupState::default();
    minutes(&before, &mut state, "load 2 2 2 2", 0..2).await;
    let json = serde_json::to_string(&state).unwrap();
    let mut state: GroupState = serde_json::from_str(&json).unwrap();
    // Another expression and a new rule in front: the alert is still the same one.
    let after = RuleFile::parse(
        "r",
        "groups:\n- name: g\n  rules:\n  - {record: n, expr: load}\n  - {alert: High, expr: load > 0, for: 2m}\n",
    );
    let after = after.unwrap().groups.remove(0);
    let lines = minutes(&after, &mut state, "load 2 2 2 2", 2..3).await;
    assert!(
        lines[0].iter().any(|l| l.starts_with("ALERTS{alertname=\"High\", alertstate=\"firing\"")),
        "{lines:?}"
    );
    // Without the rule, what it wrote ends.
    let gone = group("record: n\nexpr: load");
    let lines = minutes(&gone, &mut state, "load 2 2 2 2", 3..4).await;
    assert_eq!(lines[0].iter().filter(|l| l.ends_with("stale")).count(), 2, "{lines:?}");
}

#[tokio::test]
async fn an_alert_that_comes_back_within_fifteen_minutes_counts_as_flapping() {
    let group = group("alert: A\nexpr: x > 0");
    let mut state = GroupState::default();
    // On, off, on, off, on; then off for longer than ended alerts are remembered, and on.
    let load = "x 1 0 1 0 1 0x16 1";
    let mut flaps = Vec::new();
    for minute in 0..23 {
        minutes(&group, &mut state, load, minute..minute + 1).await;
        let alert = state.rules[0].alerts.values().find(|alert| alert.state == AlertState::Firing);
        flaps.extend(alert.map(|alert| alert.flaps));
    }
    assert_eq!(flaps, [0, 1, 2, 0]);
}
