//! Groups over time, and what a crash does.

use weir_model::Labels;

use super::*;
use crate::silence::{Silence, SilenceMatcher};

/// A Friday, 10:00 UTC.
const START: i64 = 1_795_168_800_000;
const SECOND: i64 = 1000;

const CONFIG: &str = "
route:
  receiver: all
  group_by: [alertname]
  group_wait: 10s
  group_interval: 60s
  repeat_interval: 300s
  routes:
  - matchers: [team=night]
    receiver: night
    active_time_intervals: [nights]
inhibit_rules:
- source_matchers: [severity=critical]
  target_matchers: [severity=~warning|critical]
  equal: [host]
time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]
receivers:
- name: all
  webhook_configs: [{url: 'http://x/'}]
- name: night
  webhook_configs: [{url: 'http://y/', send_resolved: false}]
";

/// A world of alerts, told to a dispatcher at chosen moments.
struct World {
    dispatcher: Dispatcher,
    state: DispatchState,
    alerts: Vec<Alert>,
    silences: Silences,
}

impl World {
    fn new() -> Self {
        let config = Config::parse("routing.yml", CONFIG).unwrap_or_else(|error| panic!("{error}"));
        Self {
            dispatcher: Dispatcher::new(Arc::new(config)),
            state: DispatchState::default(),
            alerts: Vec::new(),
            silences: Silences::default(),
        }
    }

    fn fire(&mut self, labels: &str, at_s: i64) {
        let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        let labels = Labels::from_pairs(pairs);
        self.alerts.retain(|alert| alert.labels != labels);
        self.alerts.push(Alert {
            labels,
            annotations: Labels::empty(),
            starts_ms: START + at_s * SECOND,
            ends_ms: None,
            generator_url: String::new(),
        });
    }

    fn resolve(&mut self, labels: &str, at_s: i64) {
        let labels = Labels::from_pairs(labels.split(',').filter_map(|pair| pair.split_once('=')));
        for alert in self.alerts.iter_mut().filter(|alert| alert.labels == labels) {
            alert.ends_ms = Some(START + at_s * SECOND);
        }
    }

    fn round(&self, at_s: i64) -> Round {
        self.dispatcher.round(self.state.clone(), &self.alerts, &self.silences, START + at_s * SECOND)
    }

    /// A round whose notifications all meet this fate; what it said: receiver, and each alert with its status.
    fn step_to(&mut self, at_s: i64, outcome: Outcome) -> Vec<String> {
        let round = self.round(at_s);
        let said = round.due().iter().map(said).collect();
        let outcomes = vec![outcome; round.due().len()];
        let state = round.finish(&outcomes);
        // What is kept is what is read again.
        self.state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(self.state, state);
        said
    }

    fn step(&mut self, at_s: i64) -> Vec<String> {
        self.step_to(at_s, Outcome::Sent)
    }
}

fn said(due: &Due) -> String {
    let one = |alert: &Alert| {
        let name: String = alert.labels.iter().map(|(_, value)| value).collect::<Vec<_>>().join(".");
        if alert.status(due.at_ms) == Status::Firing { name } else { format!("-{name}") }
    };
    format!("{}: {}", due.receiver, due.alerts.iter().map(one).collect::<Vec<_>>().join(" "))
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_group_waits_then_tells_then_tells_of_changes_and_repeats() {
    let mut world = World::new();
    world.fire("alertname=a,i=1", 0);
    assert_eq!(world.step(0), NOTHING, "it waits");
    world.fire("alertname=a,i=2", 5);
    assert_eq!(world.step(10), ["all: a.1 a.2"]);
    world.fire("alertname=a,i=3", 20);
    assert_eq!(world.step(60), NOTHING, "not before the interval");
    assert_eq!(world.step(70), ["all: a.1 a.2 a.3"]);
    world.resolve("alertname=a,i=2", 80);
    assert_eq!(world.step(130), ["all: a.1 -a.2 a.3"]);
    assert_eq!(world.step(190), NOTHING, "nothing new");
    for at_s in [250, 310, 370, 430] {
        assert_eq!(world.step(at_s), NOTHING, "{at_s}");
    }
    assert_eq!(world.step(490), ["all: a.1 a.3"], "the interval of repetition has passed");
    world.resolve("alertname=a,i=1", 500);
    world.resolve("alertname=a,i=3", 500);
    assert_eq!(world.step(550), ["all: -a.1 -a.3"]);
    assert_eq!(world.step(610), NOTHING);
    assert!(world.state.groups.is_empty());
}

#[test]
fn an_alert_that_fires_for_long_does_not_wait() {
    let mut world = World::new();
    world.fire("alertname=a", -60);
    assert_eq!(world.step(0), ["all: a"]);
}

#[test]
fn what_fired_and_ended_before_its_turn_is_never_told_of() {
    let mut world = World::new();
    world.fire("alertname=a", 0);
    world.step(0);
    world.resolve("alertname=a", 5);
    assert_eq!(world.step(10), NOTHING);
    assert_eq!(world.step(70), NOTHING);
}

#[test]
fn an_alert_that_nobody_speaks_of_any_more_has_ended() {
    let mut world = World::new();
    world.fire("alertname=a", 0);
    world.step(0);
    assert_eq!(world.step(10), ["all: a"]);
    world.alerts.clear();
    assert_eq!(world.step(70), ["all: -a"]);
}

#[test]
fn a_source_that_fires_inhibits_targets_of_the_same_host_but_not_others_of_its_own_kind() {
    let mut world = World::new();
    world.fire("alertname=down,host=h,severity=critical", 0);
    world.fire("alertname=gone,host=h,severity=critical", 0);
    world.fire("alertname=slow,host=h,severity=warning", 0);
    world.fire("alertname=slow,host=i,severity=warning", 0);
    world.step(0);
    assert_eq!(world.step(10), ["all: down.h.critical", "all: gone.h.critical", "all: slow.i.warning"]);
    world.resolve("alertname=down,host=h,severity=critical", 20);
    world.resolve("alertname=gone,host=h,severity=critical", 20);
    let said = world.step(70);
    assert_eq!(
        said,
        ["all: -down.h.critical", "all: -gone.h.critical", "all: slow.h.warning slow.i.warning"]
    );
}

#[test]
fn silences_and_time_intervals_keep_alerts_quiet() {
    let mut world = World::new();
    world.silences = Silences::new([Silence {
        id: "s".to_owned(),
        matchers: vec![SilenceMatcher {
            name: "i".to_owned(),
            value: "1".to_owned(),
            is_regex: false,
            is_equal: true,
        }],
        starts_ms: START,
        ends_ms: START + 60 * SECOND,
        updated_ms: 0,
        created_by: String::new(),
        comment: String::new(),
    }]);
    world.fire("alertname=a,i=1", 0);
    world.fire("alertname=b,i=1,team=night", 0);
    world.step(0);
    assert_eq!(world.step(10), NOTHING);
    assert_eq!(world.step(70), ["all: a.1"], "the silence has ended, the night has not begun");
    let night_s = 12 * 3600;
    let said = world.step(night_s);
    assert_eq!(said, ["all: a.1", "night: b.1.night"]);
    world.resolve("alertname=b,i=1,team=night", night_s + 1);
    assert_eq!(world.step(night_s + 60), NOTHING, "it does not ask for what is resolved");
    assert!(!world.state.groups.keys().any(|id| id.contains("alertname=\"b\"")), "and its group is gone");
}

#[test]
fn what_was_not_sent_is_sent_in_the_next_round_under_the_same_id() {
    let mut world = World::new();
    world.fire("alertname=a", 0);
    world.step(0);
    let first = world.round(10).due()[0].id.clone();
    assert_eq!(world.step_to(10, Outcome::Unknown), ["all: a"]);
    assert_eq!(world.round(11).due()[0].id, first);
    assert_eq!(world.step_to(11, Outcome::Refused), ["all: a"]);
    assert_eq!(world.step(12), NOTHING, "what is refused waits for its turn");
    let second = world.round(71).due()[0].id.clone();
    assert_eq!((world.step(71).len(), second), (1, first.clone()));
    world.resolve("alertname=a", 80);
    let resolved = world.round(131).due()[0].id.clone();
    assert_ne!(resolved, first);
    world.step_to(131, Outcome::Unknown);
    assert_eq!(world.round(132).due()[0].id, resolved);
}

#[test]
fn a_body_that_is_too_large_counts_the_alerts_it_leaves_out() {
    let mut world = World::new();
    for i in 0..500 {
        world.fire(&format!("alertname=a,i={i:04}"), -60);
    }
    let round = world.round(0);
    let body = round.due()[0].body("http://weir", 20_000);
    assert!(body.len() <= 20_000 && body.len() > 19_000, "{}", body.len());
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    let told = json["alerts"].as_array().unwrap().len();
    assert_eq!(json["truncatedAlerts"], 500 - told);
    assert_eq!(json["groupKey"], "{}:{alertname=\"a\"}");
    assert_eq!(json["commonLabels"]["alertname"], "a");
}
