//! Whatever crashes and whatever comes twice: each firing and each resolution is told once, or again under the same
//! id only.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use weir_alert::{Dispatch, DispatchPorts};
use weir_model::{Labels, TenantId};
use weir_platform::{
    Bucket, BucketError, Created, MemoryBucket, Notification, Notifier, NotifyError, ObjectInfo, Placement,
    Telemetry,
};
use weir_routing::{Config, Dispatcher};
use weir_rules::{Alert, AlertState};

const START_MS: i64 = 1_795_168_800_000;
const MINUTE_MS: i64 = 60_000;
const CONFIG: &str = "
route: {receiver: r, group_by: [alertname], group_wait: 30s, group_interval: 2m, repeat_interval: 1y}
receivers: [{name: r, webhook_configs: [{url: 'http://x/'}]}]
";

/// A splitmix64 generator (Steele, Lea, Flood, 2014), shared by everything that fails.
struct Random(AtomicU64);

impl Random {
    fn one_in(&self, n: u64) -> bool {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).is_multiple_of(n)
    }
}

/// A bucket and receivers over which calls fail before or after they took effect.
struct Faulty {
    random: Random,
    calm: std::sync::atomic::AtomicBool,
    bucket: MemoryBucket,
    heard: Mutex<Vec<Notification>>,
}

impl Faulty {
    fn fails(&self) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.random.one_in(6)
    }
}

fn broken(key: &str) -> BucketError {
    BucketError::Unavailable { key: key.to_owned(), source: "injected".into() }
}

#[async_trait]
impl Bucket for Faulty {
    async fn create_in(
        &self,
        key: &str,
        bytes: Bytes,
        placement: &Placement,
    ) -> Result<Created, BucketError> {
        if self.fails() {
            return Err(broken(key));
        }
        let created = self.bucket.create_in(key, bytes, placement).await?;
        if self.fails() { Err(broken(key)) } else { Ok(created) }
    }

    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        if self.fails() { Err(broken(key)) } else { self.bucket.get(key).await }
    }

    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, BucketError> {
        self.bucket.get_range(key, range).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError> {
        if self.fails() { Err(broken(prefix)) } else { self.bucket.list(prefix, after, limit).await }
    }

    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        self.bucket.replace(key, bytes).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        if self.fails() { Err(broken(key)) } else { self.bucket.delete(key).await }
    }
}

#[async_trait]
impl Notifier for Faulty {
    async fn notify(&self, notifications: Vec<Notification>) -> Vec<Result<(), NotifyError>> {
        let one = |notification: Notification| {
            let lost = self.fails();
            let answer = if lost || self.fails() {
                Err(NotifyError::unavailable(&notification, "injected"))
            } else {
                Ok(())
            };
            // Lost before it arrived, or arrived with its answer lost.
            if !lost {
                self.heard.lock().unwrap().push(notification);
            }
            answer
        };
        let answers = notifications.into_iter().map(one).collect();
        tokio::task::yield_now().await;
        answers
    }
}

/// Another process: nothing but what lies in the bucket is known to it.
fn process(world: &Arc<Faulty>) -> Dispatch {
    let config = Config::parse("routing.yml", CONFIG).unwrap();
    let ports = DispatchPorts {
        bucket: world.clone(),
        notifier: world.clone(),
        telemetry: Arc::new(Telemetry::default()),
        environment: Arc::new(|_| None),
    };
    Dispatch::new(Dispatcher::new(Arc::new(config)), Vec::new(), "http://weir", ports)
}

fn alert(name: &str, fired_at_ms: i64) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Labels::empty(),
        state: AlertState::Firing,
        value: 1.0,
        active_at_ms: fired_at_ms,
        fired_at_ms: Some(fired_at_ms),
        resolved_at_ms: None,
        keep_firing_since_ms: None,
        flaps: Default::default(),
    }
}

/// What was said of which firing of which alert, and the ids it was said under.
fn told(heard: &[Notification]) -> BTreeMap<(String, String, String), BTreeSet<String>> {
    let mut told: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for notification in heard {
        let body: serde_json::Value = serde_json::from_str(&notification.body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let key = (text(&alert["labels"]["alertname"]), text(&alert["startsAt"]), text(&alert["status"]));
            told.entry(key).or_default().insert(notification.id.clone());
        }
    }
    told
}

#[tokio::test]
async fn each_firing_and_each_resolution_is_told_once_or_again_under_the_same_id() {
    let given = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let first = given.unwrap_or(clock);
    let worlds: u64 = std::env::var("WEIR_WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    for seed in (0..worlds).map(|n| first.wrapping_add(n)) {
        println!("WEIR_SEED={seed}");
        one_world(seed).await;
    }
}

async fn one_world(seed: u64) {
    let world = Arc::new(Faulty {
        random: Random(AtomicU64::new(seed)),
        calm: false.into(),
        bucket: MemoryBucket::default(),
        heard: Mutex::default(),
    });
    let tenant = TenantId::default();
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    let (mut firings, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for minute in 0..90 {
        let at_ms = START_MS + minute * MINUTE_MS;
        world.calm.store(minute > 70, Ordering::Relaxed);
        // Alerts fire and end no faster than their group has turns, or else nobody would hear of some.
        for name in ["a", "b", "c", "d", "e"] {
            let known = alerts.get_mut(name);
            let changes = minute % 10 == 0 && minute <= 60 && world.random.one_in(2);
            match known {
                _ if !changes => {}
                Some(alert) if alert.state == AlertState::Firing => {
                    (alert.state, alert.resolved_at_ms) = (AlertState::Inactive, Some(at_ms));
                    ends.insert((name.to_owned(), alert.fired_at_ms));
                }
                _ => {
                    alerts.insert(name.to_owned(), alert(name, at_ms));
                    firings.insert((name.to_owned(), Some(at_ms)));
                }
            }
        }
        let now: Vec<Alert> = alerts.values().cloned().collect();
        // The schedule starts it once, or twice, side by side or one after the other, and again when it fails.
        let (one, other) = (process(&world), process(&world));
        if world.random.one_in(3) {
            let _ = tokio::join!(one.run(&tenant, &now, at_ms), other.run(&tenant, &now, at_ms));
        }
        for _ in 0..3 {
            if one.run(&tenant, &now, at_ms).await.is_ok() && !world.random.one_in(4) {
                break;
            }
        }
    }
    let heard = world.heard.lock().unwrap().clone();
    let told = told(&heard);
    for (said, ids) in &told {
        assert_eq!(ids.len(), 1, "seed {seed}: {said:?} under several ids: {ids:?}");
    }
    let ids: BTreeSet<&str> = heard.iter().map(|notification| notification.id.as_str()).collect();
    assert_eq!(ids.len(), told.len(), "seed {seed}: an id says one thing");
    let count = |status: &str| told.keys().filter(|(_, _, said)| said == status).count();
    assert_eq!(count("firing"), firings.len(), "seed {seed}: every firing is told");
    assert_eq!(count("resolved"), ends.len(), "seed {seed}: every resolution is told");
}
