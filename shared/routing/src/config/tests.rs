//! What a configuration means, and what is wrong with one.

use weir_model::Labels;

use super::*;

const BASE: &str = "receivers: [{name: a}, {name: b}]\n";

fn parse(text: &str) -> Config {
    Config::parse("routing.yml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn receivers(config: &Config, labels: &[(&str, &str)]) -> Vec<String> {
    let labels = Labels::from_pairs(labels.iter().copied());
    config.route.matching(&labels).iter().map(|route| format!("{} {}", route.receiver, route.key)).collect()
}

#[test]
fn an_alert_goes_to_the_deepest_routes_that_match() {
    let config = parse(&format!(
        "{BASE}route:\n  receiver: a\n  routes:\n  - match: {{team: x}}\n    receiver: b\n    continue: true\n    routes:\n    - \
         matchers: ['severity=~\"page|call\"', 'b!=c']\n  - match_re: {{team: 'x|y'}}\n  - matchers: [team=x]\n    receiver: b\n"
    ));
    type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let rows: [Row; 4] = [
        (&[], &["a {}"]),
        (&[("team", "x")], &["b {}/{team=\"x\"}", "a {}/{team=~\"^(?:x|y)$\"}"]),
        (
            &[("team", "x"), ("severity", "page")],
            &["b {}/{team=\"x\"}/{b!=\"c\",severity=~\"page|call\"}", "a {}/{team=~\"^(?:x|y)$\"}"],
        ),
        (&[("team", "y")], &["a {}/{team=~\"^(?:x|y)$\"}"]),
    ];
    for (labels, want) in rows {
        assert_eq!(receivers(&config, labels), want, "{labels:?}");
    }
}

#[test]
fn routes_inherit_what_they_do_not_say_but_time_intervals() {
    let config = parse(&format!(
        "{BASE}time_intervals: [{{name: n, time_intervals: []}}]\nroute:\n  receiver: a\n  group_by: [x, y]\n  group_wait: 5s\n  \
         routes:\n  - matchers: [t=u]\n    group_by: ['...']\n    mute_time_intervals: [n]\n    repeat_interval: 1h\n    \
         routes: [{{matchers: [v=w]}}]\n"
    ));
    let all = config.route.walk();
    assert_eq!(all.iter().map(|route| route.index).collect::<Vec<_>>(), [0, 1, 2]);
    let leaf = all[2];
    assert_eq!(
        (leaf.group_wait_ms, leaf.group_interval_ms, leaf.repeat_interval_ms),
        (5_000, 300_000, 3_600_000)
    );
    assert_eq!((&leaf.group_by, leaf.mute_time_intervals.len()), (&GroupBy::All, 0));
    assert_eq!(all[1].mute_time_intervals, ["n"]);
    let labels = Labels::from_pairs([("x", "1"), ("z", "2")]);
    assert_eq!(config.route.group_labels(&labels), Labels::from_pairs([("x", "1")]));
    assert_eq!(leaf.group_labels(&labels), labels);
}

#[test]
fn receivers_are_topics_and_webhooks() {
    let config = parse(
        "route: {receiver: a}\nreceivers:\n- name: a\n  sns_configs:\n  - topic_arn: arn:aws:sns:us-east-1:123456789012:alerts\n    \
         attributes: {s: '{{ .Status }}'}\n    send_resolved: false\n  webhook_configs:\n  - url: http://x/y\n    max_alerts: 3\n    \
         secret_env: KEY\n",
    );
    let receiver = &config.receivers["a"];
    assert_eq!(receiver.integrations.iter().map(Integration::kind).collect::<Vec<_>>(), ["sns", "webhook"]);
    assert!(!receiver.integrations[0].send_resolved && receiver.integrations[1].send_resolved);
    let Channel::Webhook { max_alerts, secret, .. } = &receiver.integrations[1].channel else {
        panic!("it is one")
    };
    assert_eq!((*max_alerts, secret), (3, &Some(SecretSource::Environment("KEY".to_owned()))));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let rows = [
        ("receivers: []\n", "routing.yml:0: no route"),
        ("route: {receiver: a}\n", ":1: undefined receiver \"a\""),
        ("route:\n  receiver: a\n  group_by: [x, x]\n", ":3: label \"x\" is repeated"),
        ("route:\n  receiver: a\n  group_by: [x, '...']\n", ":3: group_by holds '...'"),
        ("route:\n  receiver: a\n  matchers: [x=y]\n", "must not have matchers"),
        ("route:\n  receiver: a\n  continue: true\n", "cannot have continue"),
        ("route:\n  receiver: a\n  mute_time_intervals: [z]\n", ":3: undefined time interval"),
        ("route:\n  receiver: a\n  group_interval: 0s\n", ":3: group_interval cannot be zero"),
        ("route:\n  receiver: a\n  group_wait: soon\n", ":3: group_wait \"soon\" is no duration"),
        ("route:\n  receiver: a\n  routes:\n  - matchers: ['x=~(']\n", ":4: bad regular expression"),
        ("route:\n  receiver: a\n  routes:\n  - matchers: [x]\n", ":4: bad matcher format"),
        ("route:\n  receiver: a\n  colour: red\n", "colour"),
        ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n", ":2: receiver \"a\" is not unique"),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs:\n  - channel: c\n",
            ":5: slack_configs is not built: use sns_configs or webhook_configs",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  sns_configs:\n  - topic_arn: alerts\n",
            "names no topic",
        ),
        ("route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: x\n", ":5: url \"x\""),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  sns_configs:\n  - topic_arn: ${A}\n    subject: '{{ template \"x\" }}'\n",
            ":6: {{ template \"x\" }} is not built",
        ),
        ("route: {receiver: a}\ninhibit_rules:\n- source_matchers: ['=']\n", ":3: bad matcher"),
        ("time_intervals:\n- name: t\n  time_intervals:\n  - months: [may:april]\n", ":4: the range ends"),
        ("templates: ['*.tmpl']\n", ":1: template files are not built"),
    ];
    for (text, want) in rows {
        let error = Config::parse("routing.yml", text).unwrap_err();
        let without_column = |p: &Problem| format!("routing.yml:{}: {}", p.line, p.message);
        let texts: Vec<_> = error.problems.iter().map(without_column).collect();
        assert!(texts.iter().any(|text| text.contains(want)), "{text}\n{error}\nwants {want}");
    }
}

#[test]
fn the_shipped_configuration_is_good() {
    let config = Config::shipped().unwrap();
    assert_eq!(receivers(&config, &[("severity", "critical")])[0].split(' ').next(), Some("oncall"));
    assert_eq!(config.inhibit_rules.len(), 2);
}
