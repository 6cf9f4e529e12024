//! Alerts and silences that come and go, the same for the same seed.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_model::Labels;
use weir_routing::{Alert, Config, Silence, SilenceMatcher, Silences, parse_matchers, rfc3339_ms};
use weir_tests::random::Random;

/// An end that lies beyond the test: the alert fires.
const LATER_MS: i64 = 3_600_000;

/// The routing tree, with groups that first speak after 4 s and then every 8.
pub(crate) fn config(url: &str) -> String {
    format!(
        "
global: {{resolve_timeout: 1h}}
route:
  receiver: root
  group_by: [alertname, service]
  group_wait: 4s
  group_interval: 8s
  repeat_interval: 18s
  routes:
  - matchers: [team=a]
    receiver: a
    continue: true
    group_by: [service]
    routes:
    - matchers: ['severity=~\"critical|page\"', service!=s9]
      receiver: a-page
      group_by: ['...']
    - match_re: {{service: 's[0-4]'}}
      group_by: []
      receiver: a-low
      repeat_interval: 10s
  - matchers: ['team=~\"a|b\"', severity=warning]
    receiver: counted
    group_by: [severity, absent]
  - match: {{team: b}}
    receiver: firing-only
    group_by: [severity]
  - matchers: [team=c]
    receiver: root
    routes:
    - matchers: [service=s1]
      mute_time_intervals: [always]
    - matchers: [service=s2]
      active_time_intervals: [never]
    - matchers: [service=s3]
      active_time_intervals: [never, always]
      mute_time_intervals: [never]
  - matchers: [alertname=old]
    receiver: old
inhibit_rules:
- source_matchers: [severity=critical]
  target_matchers: ['severity=~\"warning|info\"']
  equal: [service, zone]
- source_match: {{alertname: n1}}
  target_match_re: {{alertname: 'n[12]'}}
  equal: [team, absent]
time_intervals:
- name: always
  time_intervals: [{{years: ['2000:2100']}}]
- name: never
  time_intervals: [{{years: ['1990'], months: ['january:december']}}]
receivers:
- name: root
  webhook_configs: [{{url: '{url}/root'}}]
- name: a
  webhook_configs: [{{url: '{url}/a-0'}}, {{url: '{url}/a-1', send_resolved: false}}]
- name: a-page
  webhook_configs: [{{url: '{url}/a-page'}}]
- name: a-low
  webhook_configs: [{{url: '{url}/a-low'}}]
- name: counted
  webhook_configs: [{{url: '{url}/counted', max_alerts: 7}}]
- name: firing-only
  webhook_configs: [{{url: '{url}/firing-only', send_resolved: false}}]
- name: old
  webhook_configs: [{{url: '{url}/old'}}]
"
    )
}

/// What changed at a moment.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Alerts as Alertmanager's API takes them.
    pub(crate) alerts: Vec<Value>,
    /// New silences, likewise, by our name for them.
    pub(crate) silences: Vec<(String, Value)>,
    /// Our names of silences that are expired by hand.
    pub(crate) expired: Vec<String>,
}

/// Everything that is the case.
pub(crate) struct World {
    /// When second 0 is, milliseconds since the Unix epoch.
    pub(crate) start_ms: i64,
    config: Arc<Config>,
    random: Random,
    alerts: Vec<Alert>,
    silences: Silences,
}

impl World {
    pub(crate) fn new(seed: u64, url: &str, start_ms: i64) -> Self {
        let config = Config::parse("routing.yml", &config(url)).unwrap_or_else(|error| panic!("{error}"));
        let (config, random) = (Arc::new(config), Random::new(seed));
        Self { start_ms, config, random, alerts: Vec::new(), silences: Silences::default() }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.clone()
    }

    pub(crate) fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    pub(crate) fn silences(&self) -> &Silences {
        &self.silences
    }

    /// Lets this second come: alerts change at 0, 8, 16 and 24, between the turns of their groups.
    pub(crate) fn changes(&mut self, second: i64) -> News {
        let at_ms = self.start_ms + second * 1000;
        let mut news = News::default();
        match second {
            0 => {
                self.fire_many(700, at_ms, &mut news);
                // One alert that began long ago: Alertmanager tells its group at once. Had it several, those that
                // reach it a moment after the first would be told a turn later: a race within it.
                let old = [("alertname", "old"), ("team", "d"), ("instance", "0")];
                self.fire(Labels::from_pairs(old), at_ms - 60_000, &mut news);
                self.silence("for good", "service=s5,severity!=page", (0, 3_600), &mut news);
                self.silence("until later", "{service=~\"s6|s7\"}", (0, 22), &mut news);
                self.silence("later", "service=s8", (16, 3_600), &mut news);
                self.silence("by hand", "alertname=~\"n[3-5]\",team=b", (0, 3_600), &mut news);
            }
            8 => {
                self.fire_many(350, at_ms, &mut news);
                self.resolve_some(4, at_ms, &mut news);
            }
            16 => {
                self.resolve_some(3, at_ms, &mut news);
                self.fire_again(at_ms, &mut news);
                news.expired.push("by hand".to_owned());
                let ended = self.silences.expire("by hand", at_ms).unwrap();
                ended.into_iter().for_each(|silence| self.silences.put(silence));
            }
            24 => {
                self.resolve_some(2, at_ms, &mut news);
                self.fire_many(50, at_ms, &mut news);
            }
            _ => {}
        }
        news
    }

    fn fire_many(&mut self, count: u64, at_ms: i64, news: &mut News) {
        for _ in 0..count {
            let mut pick = |prefix: &str, count| format!("{prefix}{}", self.random.below(count));
            let (name, service, zone) = (pick("n", 12), pick("s", 10), pick("z", 40));
            let severity = ["critical", "page", "warning", "warning", "info"][self.random.below(5) as usize];
            let team = ["a", "b", "c", "d"][self.random.below(4) as usize];
            let instance = format!("i-{:04}", self.alerts.len());
            let mut pairs = vec![
                ("alertname", name),
                ("service", service),
                ("zone", zone),
                ("severity", severity.to_owned()),
                ("team", team.to_owned()),
                ("instance", instance),
            ];
            if self.random.below(3) == 0 {
                pairs.push(("job", format!("j \"{}\"\\", self.random.below(3))));
            }
            self.fire(Labels::from_pairs(pairs), at_ms, news);
        }
    }

    fn fire(&mut self, labels: Labels, starts_ms: i64, news: &mut News) {
        let annotations = Labels::from_pairs([
            ("summary", format!("{} is ill: <é>", labels.get("service").unwrap_or_default())),
            ("same", "for all".to_owned()),
        ]);
        let generator_url = format!("http://weir/graph?i={}", self.alerts.len());
        let alert = Alert { labels, annotations, starts_ms, ends_ms: None, generator_url };
        news.alerts.push(self.json(&alert));
        self.alerts.push(alert);
    }

    /// Resolves one of so many that fire.
    fn resolve_some(&mut self, one_in: u64, at_ms: i64, news: &mut News) {
        for index in 0..self.alerts.len() {
            let fires = self.alerts[index].ends_ms.is_none()
                && self.alerts[index].labels.get("alertname") != Some("old");
            if fires && self.alerts[index].starts_ms < at_ms && self.random.below(one_in) == 0 {
                self.alerts[index].ends_ms = Some(at_ms);
                news.alerts.push(self.json(&self.alerts[index]));
            }
        }
    }

    /// Alerts that were resolved a while ago fire again.
    fn fire_again(&mut self, at_ms: i64, news: &mut News) {
        for index in 0..self.alerts.len() {
            let ended = self.alerts[index].ends_ms.is_some_and(|end| end < at_ms);
            if ended && self.random.below(5) == 0 {
                (self.alerts[index].starts_ms, self.alerts[index].ends_ms) = (at_ms, None);
                news.alerts.push(self.json(&self.alerts[index]));
            }
        }
    }

    fn silence(&mut self, id: &str, matchers: &str, (from_s, to_s): (i64, i64), news: &mut News) {
        let matchers: Vec<_> = parse_matchers(matchers).unwrap().iter().map(SilenceMatcher::from).collect();
        let (starts_ms, ends_ms) = (self.start_ms + from_s * 1000, self.start_ms + to_s * 1000);
        let json = json!({
            "matchers": matchers, "startsAt": rfc3339_ms(starts_ms), "endsAt": rfc3339_ms(ends_ms),
            "createdBy": "test", "comment": id,
        });
        news.silences.push((id.to_owned(), json));
        let (created_by, comment) = ("test".to_owned(), id.to_owned());
        self.silences.put(Silence {
            id: id.to_owned(),
            matchers,
            starts_ms,
            ends_ms,
            updated_ms: self.start_ms,
            created_by,
            comment,
        });
    }

    fn json(&self, alert: &Alert) -> Value {
        let object = |labels: &Labels| {
            labels.iter().map(|(n, v)| (n.to_owned(), json!(v))).collect::<serde_json::Map<_, _>>()
        };
        json!({
            "labels": object(&alert.labels),
            "annotations": object(&alert.annotations),
            "startsAt": rfc3339_ms(alert.starts_ms),
            "endsAt": rfc3339_ms(alert.ends_ms.unwrap_or(self.start_ms + LATER_MS)),
            "generatorURL": alert.generator_url,
        })
    }
}
