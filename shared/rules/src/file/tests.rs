//! Rule files read as Prometheus reads them, and what is wrong is told with its place.

use super::{RuleFile, duplicates};

#[test]
fn a_rule_file_reads_whole() {
    let text = r#"
# A comment.
groups:
  - name: api
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: web, tier: "1"}
    rules:
      - record: job:requests:rate5m
        expr: sum by (job) (rate(requests_total[5m]))
        labels: {tier: 2}
      - alert: Slow
        expr: |
          latency > 2
        for: 5m
        keep_firing_for: 1h
        labels:
          severity: page
        annotations:
          summary: "{{ $labels.job }} is slow: {{ $value | humanizeDuration }}"
  - name: empty
"#;
    let file = RuleFile::parse("a.yml", text).unwrap();
    assert_eq!(file.groups.len(), 2);
    assert_eq!(file.rule_count(), 2);
    let group = &file.groups[0];
    assert_eq!((group.interval_ms, group.query_offset_ms, group.limit), (Some(30_000), 60_000, 10));
    let [record, alert] = group.rules.as_slice() else { panic!("{group:?}") };
    assert_eq!((record.name.as_str(), record.line), ("job:requests:rate5m", 10));
    assert_eq!(record.label_texts(), [("team", "web"), ("tier", "2")]);
    assert_eq!((alert.query.as_str(), alert.line), ("latency > 2", 13));
    let alerting = alert.alert.as_ref().unwrap();
    assert_eq!((alerting.for_ms, alerting.keep_firing_for_ms), (300_000, 3_600_000));
    assert_eq!(alerting.annotations[0].0, "summary");
}

#[test]
fn files_without_rules_are_fine() {
    for text in ["", "# nothing\n", "groups:\n", "groups: []\n"] {
        assert_eq!(RuleFile::parse("a.yml", text).unwrap().rule_count(), 0, "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let rule = |rule: &str| format!("groups:\n- name: g\n  rules:\n  - {}\n", rule.replace('\n', "\n    "));
    let rows = [
        ("not yaml".to_owned(), "a.yml:1:1: "),
        ("groups: [\n".to_owned(), "a.yml:"),
        ("group: []".to_owned(), "a.yml:1:1: unknown field"),
        ("groups:\n- name: a\n  rule: []".to_owned(), "a.yml:3:3: unknown field"),
        (
            "groups:\n- name: a\n- name: a\n".to_owned(),
            "a.yml:3:3: groupname \"a\" is repeated in the same file, first on line 2",
        ),
        ("groups:\n- rules: []\n".to_owned(), "a.yml:2:3: groupname must not be empty"),
        (
            "groups:\n- name: a\n  interval: 5x\n".to_owned(),
            "a.yml:3:13: interval is not a valid duration string: \"5x\"",
        ),
        ("groups:\n- name: a\n  limit: -1\n".to_owned(), "a.yml:3:10: limit -1 is below zero"),
        ("groups:\n- name: a\n  name: b\n".to_owned(), "a.yml:3:3: duplicate"),
        (
            "groups:\n- name: a\n  labels: {__name__: x}\n".to_owned(),
            "a.yml:3:22: invalid label name: __name__",
        ),
        (rule("expr: up"), "a.yml:4:5: one of 'record' or 'alert' must be set in group \"g\""),
        (rule("record: a\nalert: b\nexpr: up"), "a.yml:4:13: only one of 'record' and 'alert' must be set"),
        (rule("record: a"), "a.yml:4:13: field 'expr' must be set in rule \"a\""),
        (rule("record: a-b\nexpr: up"), "a.yml:4:13: invalid recording rule name: a-b"),
        (rule("record: a{b=\"c\"}\nexpr: up"), "a.yml:4:13: braces present in the recording rule name"),
        (
            rule("record: a\nexpr: sum(\nfor: 5m"),
            "a.yml:5:11: could not parse expression of \"a\": 1:5: parse error",
        ),
        (rule("record: a\nexpr: up[5m]"), "a.yml:5:11: expression of \"a\" gives a range vector"),
        (rule("record: a\nexpr: up\nfor: 5m"), "a.yml:6:10: invalid field 'for' in recording rule \"a\""),
        (rule("record: a\nexpr: up\nannotations: {a: b}"), "a.yml:6:22: invalid field 'annotations'"),
        (rule("alert: a\nexpr: up\nfor: 5"), "a.yml:6:10: for is not a valid duration string: \"5\""),
        (rule("alert: a\nexpr: up\nlabels:\n  a-b: c"), "a.yml:7:12: invalid label name: a-b"),
        (rule("alert: a\nexpr: up\nannotations:\n  a-b: c"), "a.yml:7:12: invalid annotation name: a-b"),
        (
            rule("alert: a\nexpr: up\nannotations:\n  a: '{{ nope }}'"),
            "a.yml:7:10: annotation \"a\": template line 1: function \"nope\" not defined",
        ),
        (
            rule("alert: a\nexpr: up\nlabels:\n  a: '{{ $x }}'"),
            "a.yml:7:10: label \"a\": template line 1: undefined variable",
        ),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .map(|(text, want)| (text, want, RuleFile::parse("a.yml", text).map(drop).map_err(|e| e.to_string())))
        .filter(|(_, want, got)| !got.as_ref().is_err_and(|error| error.starts_with(*want)))
        .map(|(text, want, got)| format!("{text}\n  gave {got:?}\n  not  {want:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "groups:\n- name: g\n  rules:\n  - record: a\n    expr: '('\n  - record: b\n    expr: ')'\n";
    assert_eq!(RuleFile::parse("a.yml", text).unwrap_err().problems.len(), 2);
}

#[test]
fn rules_that_overwrite_each_other_are_found() {
    let text = "groups:\n- name: g\n  rules:\n  - {record: a, expr: up}\n  - {record: a, expr: down}\n  - {alert: a, expr: up}\n  - {record: a, expr: up, labels: {x: y}}\n";
    let file = RuleFile::parse("a.yml", text).unwrap();
    let found = duplicates([&file]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].first.as_str(), found[0].second.as_str()), ("a.yml:4", "a.yml:5"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics(text: String, soup in "(groups:|- name: a|rules:|- record: a| expr: up|\n|  |&a|\\*a|\\{|\\}|'|\"|: |- ){0,30}") {
        let _ = RuleFile::parse("a", &text);
        let _ = RuleFile::parse("a", &soup);
    }
}
