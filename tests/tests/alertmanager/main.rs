//! One thousand alerts through a routing tree here and through a real Alertmanager: the same notifications at the
//! same turns of their groups.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod peer;
mod world;

use std::collections::BTreeMap;

use serde_json::Value;
use weir_routing::{Channel, DispatchState, Dispatcher, Outcome};

use peer::Alertmanager;
use weir_tests::Random;
use world::World;

/// Length of the test in seconds: groups first speak 4 s after they began and then every 8 s.
const SECONDS: i64 = 30;
/// Turns of groups, and moments at which alerts change, lie this far apart, so that neither side's haste or delay
/// matters as long as it is less than half of it.
const SLOT_MS: i64 = 4_000;

/// What was said to whom in which slot of time.
type Said = BTreeMap<(i64, String, String), Value>;

fn note(said: &mut Said, at_ms: i64, path: &str, message: Value) {
    let slot = (at_ms + SLOT_MS / 2).div_euclid(SLOT_MS);
    let group = message["groupKey"].as_str().unwrap_or_default().to_owned();
    let twice = said.insert((slot, path.to_owned(), group), message);
    assert!(twice.is_none(), "told twice in one turn: {twice:?}");
}

/// Runs the dispatcher over the same world, second by second.
fn here(world: &mut World) -> Said {
    let dispatcher = Dispatcher::new(world.config());
    let mut state = DispatchState::default();
    let mut said = Said::new();
    for second in 0..SECONDS {
        world.changes(second);
        let at_ms = world.start_ms + second * 1000;
        let round = dispatcher.round(state, world.alerts(), world.silences(), at_ms);
        for due in round.due() {
            let Channel::Webhook { url, .. } = &due.integration.channel else {
                panic!("only webhooks are tested")
            };
            let path = url.rsplit('/').next().unwrap_or_default();
            let message = serde_json::from_str(&due.body("http://weir", usize::MAX)).unwrap();
            note(&mut said, second * 1000, path, message);
        }
        let outcomes = vec![Outcome::Sent; round.due().len()];
        // Every second another process goes on with what was kept.
        let kept = serde_json::to_vec(&round.finish(&outcomes)).unwrap();
        state = serde_json::from_slice(&kept).unwrap();
    }
    said
}

/// What is compared: all but the address of whoever sends.
fn comparable(mut message: Value) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.remove("externalURL");
    }
    message
}

#[test]
fn a_thousand_alerts_make_the_notifications_that_alertmanager_makes() {
    let seed = Random::from_env().number();
    let Some(mut peer) = Alertmanager::start(world::config) else { return };
    let start_ms = peer.begin();
    let mut world = World::new(seed, &peer.receiver_url, start_ms);
    for second in 0..SECONDS {
        peer.wait_for(second);
        peer.tell(&world.changes(second));
    }
    peer.wait_for(SECONDS);
    let mut there = Said::new();
    for (at_ms, path, message) in peer.heard() {
        note(&mut there, at_ms, &path, message);
    }
    let here = here(&mut World::new(seed, &peer.receiver_url, start_ms));
    assert!(world.alerts().len() >= 1000, "{} alerts", world.alerts().len());
    assert!(here.len() > 300, "{} notifications", here.len());
    let mut wrong = Vec::new();
    for key in here.keys().chain(there.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (ours, theirs) = (here.get(key).cloned(), there.get(key).cloned());
        match (ours.map(comparable), theirs.map(comparable)) {
            (ours, theirs) if ours == theirs => {}
            (ours, theirs) => wrong.push(format!("{key:?}\n  here  {ours:?}\n  there {theirs:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        here.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}
