//! What a sample weighs at rest, in each tier, beside the JSON that brought it.
//!
//! Documents as applications post them go the whole way: parsed, appended as records, compacted as scheduled,
//! rolled up day by day. `-- --days N` and `--hosts N` set the size (8 days, 1 host).

mod host;
mod mixes;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use tokio::runtime::Runtime;
use weir_formats::{Limits, json};
use weir_lake::{CompactMode, Incoming, Lake, LakeOptions, RollupWish};
use weir_model::{Record, TenantId};
use weir_platform::{Bucket, Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId};

use host::must;
use mixes::{Mix, Weights};

/// 2026-01-27T00:00:00Z, where a partition of every tier begins.
const START_MS: i64 = 1_769_472_000_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

struct World {
    bucket: Arc<MemoryBucket>,
    clock: Arc<ManualClock>,
    lake: Arc<Lake>,
    sequence: u128,
    samples: u64,
}

impl World {
    async fn new() -> Self {
        let bucket = Arc::new(MemoryBucket::new());
        let clock = Arc::new(ManualClock::new(START_MS));
        let lake = must(Lake::open(bucket.clone(), clock.clone(), LakeOptions::default()).await);
        Self { bucket, clock, lake, sequence: 1, samples: 0 }
    }

    /// One request.
    async fn post(&mut self, body: &[u8]) {
        let received_ms = self.clock.now_ms();
        let parsed = must(json::parse(body, received_ms, &Limits::default()));
        assert_eq!(parsed.rejections.total, 0, "{:?}", parsed.rejections);
        let batch = parsed.batch;
        self.samples += (batch.floats.len() + batch.histograms.len() + batch.sets.len()) as u64;
        let record = Record { tenant: TenantId::default(), key: None, received_ms, batch };
        let sequence = SequenceNumber::from(self.sequence);
        self.sequence += 1;
        let incoming = Incoming { sequence, payload: must(record.encode()).into(), record };
        must(self.lake.append(ShardId(0), vec![incoming]).await);
    }

    async fn settle(&self) {
        must(self.lake.compact(CompactMode::Full).await);
        must(self.lake.roll_up(&RollupWish::default(), |_| {}).await);
        self.clock.advance(2 * HOUR_MS);
        must(self.lake.collect_garbage().await);
    }

    /// Objects and bytes by tier, and by aggregate within the tier.
    async fn sizes(&self) -> BTreeMap<String, (usize, u64)> {
        let mut sizes: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for object in must(self.bucket.list("", None, usize::MAX).await) {
            let part = |prefix| object.key.split('/').find_map(|part| part.strip_prefix(prefix));
            let tier = part("res=").unwrap_or("manifest and the rest");
            let names = part("agg=").map(|aggregate| format!("{tier} {aggregate}"));
            for name in [Some(tier.to_owned()), names].into_iter().flatten() {
                let size = sizes.entry(name).or_default();
                size.0 += 1;
                size.1 += object.size;
            }
        }
        sizes
    }
}

async fn measure(mut mix: Mix, step_ms: i64, days: i64) {
    let mut world = World::new().await;
    let mut weights = Weights::default();
    for hour in 0..days * 24 {
        let from_ms = START_MS + hour * HOUR_MS;
        for body in mix.hour(from_ms, step_ms, &mut weights) {
            world.post(&body).await;
        }
        world.clock.advance(HOUR_MS);
        must(world.lake.compact(CompactMode::Scheduled).await);
        if hour % 24 == 2 {
            world.settle().await;
        }
    }
    world.clock.advance(2 * HOUR_MS);
    world.settle().await;
    world.settle().await;
    print(&mix, step_ms, days, &world, &weights, &world.sizes().await);
}

fn print(
    mix: &Mix,
    step_ms: i64,
    days: i64,
    world: &World,
    weights: &Weights,
    sizes: &BTreeMap<String, (usize, u64)>,
) {
    let mut out = std::io::stdout().lock();
    let samples = world.samples as f64;
    let name = mix.name();
    must(writeln!(
        out,
        "\n{name}, {} s, {days} days: {} samples of {} series\nJSON, bytes a sample: documents {:.1}, \
         without spaces {:.1}, an object a sample {:.1}, an hour of a series a line {:.1}",
        step_ms / 1000,
        world.samples,
        mix.series(),
        weights.document as f64 / samples,
        weights.dense as f64 / samples,
        weights.single as f64 / samples,
        weights.lines as f64 / samples,
    ));
    must(writeln!(
        out,
        "{:24} {:>7} {:>11} {:>8}   ratio to documents, dense, single, lines",
        "", "objects", "bytes", "B/sample"
    ));
    let mut all = (0, 0);
    for (tier, size) in sizes.iter().filter(|(tier, _)| !tier.starts_with(['1', 'm']) || tier.len() == 2) {
        all = (all.0 + size.0, all.1 + size.1);
        row(&mut out, tier, *size, samples, weights);
        for (aggregate, size) in sizes.iter().filter(|(name, _)| name.starts_with(&format!("{tier} "))) {
            must(writeln!(
                out,
                "  {aggregate:22} {:7} {:11} {:8.4}",
                size.0,
                size.1,
                size.1 as f64 / samples
            ));
        }
    }
    if let Some(rest) = sizes.get("manifest and the rest") {
        all = (all.0 + rest.0, all.1 + rest.1);
        row(&mut out, "manifest", *rest, samples, weights);
    }
    row(&mut out, "all", all, samples, weights);
}

fn row(out: &mut impl Write, name: &str, size: (usize, u64), samples: f64, weights: &Weights) {
    let ratio = |json: u64| match json {
        0 => "-".to_owned(),
        _ => format!("{:.0}", json as f64 / size.1 as f64),
    };
    must(writeln!(
        out,
        "{name:24} {:7} {:11} {:8.4}   {} {} {} {}",
        size.0,
        size.1,
        size.1 as f64 / samples,
        ratio(weights.document),
        ratio(weights.dense),
        ratio(weights.single),
        ratio(weights.lines),
    ));
}

fn setting(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(default, |text| must(text.parse()))
}

fn main() {
    let (days, hosts) = (setting("--days", 8), setting("--hosts", 1));
    let runtime = must(Runtime::new());
    for step_ms in [15_000, 60_000] {
        let ticks = (days as i64 * DAY_MS / step_ms) as usize;
        for mix in [Mix::hosts(hosts, ticks), Mix::business(ticks), Mix::events(), Mix::random(ticks)] {
            runtime.block_on(measure(mix, step_ms, days as i64));
        }
    }
}
