//! What it costs to put the lake in order: compaction as its schedule does it, and the rollup of a day.

use serde_json::{Value, json};
use weir_tests::weir::note;

use crate::load::{self, Load, SCRAPES_PER_MINUTE};
use crate::process::{Function, Site};
use crate::stream::Record;
use crate::{enrich_all, take_in, tell};

/// Time between two runs, and from the hour's start to the first: runs keep to no clock, so that an hour has a
/// block more than it has runs.
const RUN_MINUTES: usize = 5;
const FIRST_RUN_MINUTES: usize = 2;
/// Records that enrich makes a hot segment of.
const BATCH: usize = 20;
/// Hosts of the fleet whose day is rolled up: 500 series, 2.9 million samples.
const DAY_HOSTS: usize = 5;

/// Compacts a load every five minutes of it, and in the end what has closed.
pub(crate) fn compactions(site: &Site<'_>, load: &Load, records: &[Record]) {
    const BUCKET: &str = "compacted";
    site.cloud.make_bucket(BUCKET);
    let (enrich, compact) = (site.start("enrich", BUCKET), site.start("compact", BUCKET));
    let of_minutes = |minutes: usize| (records.len() * SCRAPES_PER_MINUTE * minutes / load.scrapes).max(1);
    let (mut seconds, mut samples, mut merged) = (0.0, 0.0, 0.0);
    let mut run = |full: bool| {
        let count = |answer: &Value| {
            let of = |name: &str| answer["compacted"][name].as_f64().unwrap_or_else(|| panic!("{answer}"));
            samples += of("samples");
            merged += of("samples_merged");
        };
        seconds += compact.cost_of([json!({ "full": full }).to_string()], count);
    };
    let (mut left, mut next) = (records, of_minutes(FIRST_RUN_MINUTES));
    while !left.is_empty() {
        let (some, later) = left.split_at(next.min(left.len()));
        enrich_all(&enrich, 0, BATCH, some);
        run(false);
        (left, next) = (later, of_minutes(RUN_MINUTES));
    }
    run(true);
    assert_eq!(samples, load.samples(), "samples in blocks");
    tell("compact, every 5 minutes", seconds, samples, &compact);
    note(&format!("each sample is written {:.2} times", (samples + merged) / samples));
}

/// Rolls up a day, once its hours are a block each.
pub(crate) fn rollups(site: &Site<'_>, ingest: &Function, scrapes: usize) {
    const BUCKET: &str = "rolled-up";
    site.cloud.make_bucket(BUCKET);
    let day = Load { hosts: DAY_HOSTS, scrapes, start_ms: load::past_day_ms() };
    take_in(ingest, &day);
    enrich_all(&site.start("enrich", BUCKET), 0, BATCH, &site.stream.take());
    let full = [json!({ "full": true }).to_string()];
    let cost = site.start("compact", BUCKET).cost_of(full, |answer| {
        assert_eq!(answer["compacted"]["samples"].as_f64(), Some(day.samples()), "{answer}");
    });
    note(&format!(
        "compact, a day at once: {:.3} s of processor a million samples",
        cost / day.samples() * 1e6
    ));
    let rollup = site.start("rollup", BUCKET);
    let cost = rollup.cost_of(["{}".to_owned()], |answer| {
        assert_eq!(*answer, json!({ "days": 1, "left": 0 }));
    });
    tell("rollup, a day", cost, day.samples(), &rollup);
}
