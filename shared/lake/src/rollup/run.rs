//! Rolls up the days that are due: reads a few days of samples at once and writes all tiers in one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use weir_model::{
    Aggregate, LabelsRef, MetricKind, Samples, SeriesId, Temporality, TenantId, Tier, is_running_total,
};

use super::columns::Rolled;
use super::{DAY_MS, day_of, partition_days, place};
use crate::block::{EncodedBlock, SeriesEntry, series_order};
use crate::compact::{NewBlock, Parts, Planned};
use crate::error::LakeError;
use crate::keys::HOUR_MS;
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, Entry, RollupMeta, TenantBlocks};
use crate::reader::{LakeReader, drop_before};
use crate::retention::Floors;
use crate::select::{Builder, LakeSelection, Selection, SeriesInfo};

/// Most samples of the days that are rolled up at once; one day of more is rolled up alone.
const SAMPLES_AT_A_TIME: u64 = 64_000_000;
/// Series that are encoded before their blocks are written.
const SERIES_AT_A_TIME: usize = 32_768;

/// Which days to roll up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollupWish {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only days that overlap `(from, to]`, in milliseconds since the Unix epoch; `None` is every day.
    pub range_ms: Option<(i64, i64)>,
    /// True rolls up again what is up to date.
    pub again: bool,
    /// Most days of one run; 0 is no bound. What is left is done by the next run.
    pub max_days: usize,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RollupReport {
    /// Days of a tenant rolled up, for all tiers.
    pub days: u64,
    /// Samples read for them.
    pub samples: u64,
    /// Blocks written.
    pub blocks_written: u64,
    /// Blocks replaced.
    pub blocks_replaced: u64,
    /// Size of the blocks written, in bytes.
    pub bytes_written: u64,
    /// Days left to the next run, since their blocks changed meanwhile.
    pub days_changed: u64,
    /// Days left to a later run, since their samples have to be restored from their storage class first.
    pub days_frozen: u64,
    /// Days left to the next run by the bound of this one.
    pub days_left: u64,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupProgress {
    /// Days done.
    pub done: u64,
    /// Days due in all.
    pub total: u64,
}

/// Days of one tenant that share their partition of every tier.
struct Batch {
    tenant: TenantId,
    /// Day and what it is made of.
    days: BTreeMap<i64, Source>,
}

/// The blocks that have samples of a day.
#[derive(Default, Clone)]
pub(crate) struct Source {
    blocks: Vec<Arc<BlockMeta>>,
    /// The greatest of their samples of that day.
    pub generation: u64,
    samples: u64,
}

/// The days that have samples, with their blocks.
pub(crate) fn sources(blocks: &TenantBlocks) -> BTreeMap<i64, Source> {
    let mut days: BTreeMap<i64, Source> = BTreeMap::new();
    for block in blocks.raw_of_hours(i64::MIN, i64::MAX) {
        for (day, generation) in block.days() {
            let source = days.entry(day).or_default();
            source.generation = source.generation.max(generation);
            source.samples += block.samples;
            source.blocks.push(block.clone());
        }
    }
    days
}

/// True when a tier has less than is there, or no tier has the day. A tier that lacks it alone was dropped.
pub(crate) fn is_dirty(blocks: &TenantBlocks, day: i64, generation: u64) -> bool {
    let rolled = Tier::ALL.map(|tier| blocks.rolled(tier, day));
    rolled.iter().all(Option::is_none) || rolled.iter().flatten().any(|made_of| *made_of < generation)
}

/// False for a day that is not made (again): one of which nothing would be kept, and one whose samples have all
/// expired after they were rolled up, since the rollup is what is left of them.
pub(crate) fn is_rollable(blocks: &TenantBlocks, floors: &Floors, day: i64) -> bool {
    let end_ms = day.saturating_add(1).saturating_mul(DAY_MS);
    let has_rollup = || Tier::ALL.iter().any(|tier| blocks.rolled(*tier, day).is_some());
    // No tier outlives that of days.
    end_ms >= floors.of_tier(Tier::Day).nothing_before()
        && (end_ms >= floors.nothing_before() || !has_rollup())
}

fn ids(blocks: &[Arc<BlockMeta>]) -> BTreeSet<&str> {
    blocks.iter().map(|block| block.id.as_str()).collect()
}

/// The batches due, and how many days a bound leaves.
fn due(catalog: &Catalog, wish: &RollupWish, settled_ms: i64, now_ms: i64) -> (Vec<Batch>, u64) {
    let mut batches: Vec<Batch> = Vec::new();
    let (mut days, mut left) = (0, 0);
    for (tenant, blocks) in &catalog.tenants {
        if wish.tenant.as_ref().is_some_and(|wanted| wanted != tenant) {
            continue;
        }
        let mut batch: Option<Batch> = None;
        let floors = catalog.floors(tenant, now_ms);
        for (day, source) in sources(blocks) {
            let (start_ms, end_ms) =
                (day.saturating_mul(DAY_MS), day.saturating_add(1).saturating_mul(DAY_MS));
            let wanted = wish.range_ms.is_none_or(|(from, to)| start_ms < to && end_ms > from);
            if end_ms > settled_ms || !wanted || !(wish.again || is_dirty(blocks, day, source.generation)) {
                continue;
            }
            if !is_rollable(blocks, &floors, day) {
                continue;
            }
            if wish.max_days > 0 && days >= wish.max_days {
                left += 1;
                continue;
            }
            days += 1;
            let fits = |batch: &Batch| {
                let samples: u64 = batch.days.values().map(|s| s.samples).sum();
                let near = batch.days.keys().all(|d| {
                    // Hours are the finest tier whose partitions hold several days.
                    place(Tier::Hour, *d) == place(Tier::Hour, day)
                });
                near && samples + source.samples <= SAMPLES_AT_A_TIME
            };
            if let Some(full) = batch.take_if(|batch| !fits(batch)) {
                batches.push(full);
            }
            let batch = batch.get_or_insert_with(|| Batch { tenant: tenant.clone(), days: BTreeMap::new() });
            batch.days.insert(day, source);
        }
        batches.extend(batch);
    }
    (batches, left)
}

impl Lake {
    /// Rolls up days whose samples have settled and changed since they were last rolled up. Running it twice
    /// changes nothing, and runs side by side do no harm: a batch of days is one entry of the manifest, and is
    /// given up if its samples or its rollups have changed meanwhile.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails, a block is damaged, or a day has more bytes of samples than a
    /// selection may hold; what was committed before stays.
    pub async fn roll_up(
        self: &Arc<Self>,
        wish: &RollupWish,
        mut progress: impl FnMut(RollupProgress) + Send,
    ) -> Result<RollupReport, LakeError> {
        let _one_at_a_time = self.rolling.lock().await;
        self.refresh_for_maintenance().await?;
        let (catalog, _guard) = {
            let state = self.state();
            (state.catalog.clone(), self.snapshots.hold(state.catalog.version))
        };
        // The sample at the very end of a day lies in the first hour of the next one, which closes, too.
        let settled_ms = self.clock.now_ms().saturating_sub(HOUR_MS + self.options.close_after_ms);
        let (batches, days_left) = due(&catalog, wish, settled_ms, self.clock.now_ms());
        let total = batches.iter().map(|batch| batch.days.len() as u64).sum();
        let mut report = RollupReport { days_left, ..RollupReport::default() };
        let mut done = 0;
        progress(RollupProgress { done, total });
        for batch in &batches {
            self.roll_thawed(batch, &mut report).await?;
            done += batch.days.len() as u64;
            progress(RollupProgress { done, total });
        }
        if report.days > 0 {
            self.write_due_checkpoint(catalog.version).await?;
            self.forget_replaced_blocks();
        }
        Ok(report)
    }

    /// Rolls up a batch, or of one with frozen samples the days that have none.
    async fn roll_thawed(
        self: &Arc<Self>,
        batch: &Batch,
        report: &mut RollupReport,
    ) -> Result<(), LakeError> {
        match self.roll_batch(batch, report).await {
            Err(LakeError::Frozen { reason, .. }) if batch.days.len() == 1 => {
                tracing::info!(tenant = %batch.tenant, reason, "late samples are not rolled up yet");
                report.days_frozen += 1;
                Ok(())
            }
            Err(LakeError::Frozen { .. }) => {
                for (day, source) in &batch.days {
                    let days = BTreeMap::from([(*day, source.clone())]);
                    let one = Batch { tenant: batch.tenant.clone(), days };
                    Box::pin(self.roll_thawed(&one, report)).await?;
                }
                Ok(())
            }
            done => done,
        }
    }

    async fn roll_batch(self: &Arc<Self>, batch: &Batch, report: &mut RollupReport) -> Result<(), LakeError> {
        // As of now: the batch before may have written to the same partitions.
        let (catalog, _guard) = {
            let state = self.state();
            (state.catalog.clone(), self.snapshots.hold(state.catalog.version))
        };
        let Some(blocks) = catalog.tenants.get(&batch.tenant) else { return Ok(()) };
        let samples = batch.days.values().flat_map(|source| &source.blocks);
        let old = batch.days.keys().flat_map(|day| {
            Tier::ALL.into_iter().filter_map(|tier| blocks.rollups.get(&place(tier, *day))).flatten()
        });
        if samples.chain(old).any(|block| catalog.awaits_erasure(&batch.tenant, block)) {
            // Nothing may be made of what is to go; the next run finds it done.
            report.days_changed += batch.days.len() as u64;
            return Ok(());
        }
        let floors = catalog.floors(&batch.tenant, self.clock.now_ms());
        let everything = |start_ms, end_ms| Selection {
            matchers: Vec::new(),
            start_ms,
            end_ms,
            max_series: usize::MAX,
            // Each is read once.
            bypass_cache: true,
        };
        let mut inputs = Vec::new();
        for (day, source) in &batch.days {
            let wish = everything(day * DAY_MS + 1, (day + 1) * DAY_MS);
            let builder = Builder::new(&wish);
            let selection = self.complete(&batch.tenant, builder, &source.blocks).await?;
            inputs.push((Input::Day(*day), selection));
        }
        let mut partitions = Vec::new();
        for tier in Tier::ALL {
            let mut days = batch.days.keys().map(|day| place(tier, *day)).collect::<Vec<_>>();
            days.dedup();
            for place in days {
                let old = blocks.rollups.get(&place).cloned().unwrap_or_default();
                let partition = Partition::new(tier, place.1, old, &batch.days, floors.complete_from());
                let tier_from = floors.of_tier(tier).nothing_before();
                if partition.old.is_empty() && partition.end_ms() < tier_from {
                    continue;
                }
                if partition.keeps_days {
                    for aggregate in Aggregate::ALL {
                        let metas: Vec<_> =
                            partition.old.iter().filter(|b| holds(b, aggregate)).cloned().collect();
                        let wish = everything(i64::MIN, i64::MAX);
                        let kept = self.complete(&batch.tenant, Builder::new(&wish), &metas).await?;
                        inputs.push((Input::Kept(tier, aggregate), kept));
                    }
                }
                partitions.push(partition);
            }
        }
        let partitions = Arc::new(partitions);
        let has_rollup = |day: &i64| Tier::ALL.iter().any(|tier| blocks.rolled(*tier, *day).is_some());
        let renewal = Arc::new(Renewal {
            days: batch.days.keys().copied().collect(),
            rolled: batch.days.keys().copied().filter(has_rollup).collect(),
            floors: floors.clone(),
        });
        let inputs = Arc::new(inputs);
        let order = {
            let inputs = inputs.clone();
            Arc::new(tokio::task::spawn_blocking(move || order_of(&inputs)).await?)
        };
        let planned = Planned::under(&catalog, &batch.tenant);
        let generation = batch.days.values().map(|source| source.generation).max().unwrap_or(0);
        let mut add = Vec::new();
        let mut from = 0;
        while from < order.groups.len() {
            let to = (from + SERIES_AT_A_TIME.min(self.options.block_series())).min(order.groups.len());
            let task = (self.clone(), inputs.clone(), order.clone(), partitions.clone(), renewal.clone());
            let encoded = tokio::task::spawn_blocking(move || {
                let (lake, inputs, order, partitions, renewal) = task;
                lake.encode(planned.version, &inputs, &order, from..to, &partitions, &renewal)
            });
            for (partition, aggregate, encoded) in encoded.await?? {
                let partition = &partitions[partition];
                let days = match aggregate {
                    Aggregate::Last => partition.days.clone(),
                    _ => BTreeMap::new(),
                };
                let new = NewBlock {
                    tenant: batch.tenant.clone(),
                    hour: partition.hour,
                    generation,
                    complete: true,
                    rollup: Some(RollupMeta { tier: partition.tier, aggregate, days }),
                    archived: None,
                    planned,
                };
                add.push(self.write_block(&new, encoded).await?);
            }
            from = to;
        }
        let entry = |now: &Catalog| {
            let blocks = now.tenants.get(&batch.tenant)?;
            let sources = sources(blocks);
            let same_samples = batch
                .days
                .iter()
                .all(|(day, then)| sources.get(day).is_some_and(|now| ids(&now.blocks) == ids(&then.blocks)));
            let same_rollups = partitions.iter().all(|partition| {
                let now = blocks.rollups.get(&(partition.tier, partition.hour));
                ids(now.map_or(&[], Vec::as_slice)) == ids(&partition.old)
            });
            let remove = partitions.iter().flat_map(|p| &p.old).map(|block| block.id.clone()).collect();
            (same_samples && same_rollups).then(|| Entry { add: add.clone(), remove, ..Entry::default() })
        };
        let days = batch.days.len() as u64;
        if self.commit(entry).await?.is_none() {
            report.days_changed += days;
            return Ok(());
        }
        report.days += days;
        report.samples += batch.days.values().map(|source| source.samples).sum::<u64>();
        report.blocks_written += add.len() as u64;
        report.blocks_replaced += partitions.iter().map(|p| p.old.len() as u64).sum::<u64>();
        report.bytes_written += add.iter().map(BlockMeta::bytes).sum::<u64>();
        Ok(())
    }

    /// Encodes some of the series for all partitions.
    fn encode(
        self: &Arc<Self>,
        version: u64,
        inputs: &[(Input, LakeSelection)],
        order: &Order,
        groups: std::ops::Range<usize>,
        partitions: &[Partition],
        renewal: &Renewal,
    ) -> Result<Vec<(usize, Aggregate, EncodedBlock)>, LakeError> {
        let unwritable = |error| LakeError::damaged("rollup", error);
        let parts = || {
            let lake = self.clone();
            Parts::new(move || lake.new_name(version), self.options.block_series())
        };
        let mut outputs: Vec<Vec<Parts>> =
            partitions.iter().map(|_| Aggregate::ALL.iter().map(|_| parts()).collect()).collect();
        let mut readers: Vec<LakeReader<'_>> = inputs.iter().map(|(_, input)| input.reader()).collect();
        let (mut samples, mut column) = (Samples::default(), Samples::default());
        for group in &order.groups[groups] {
            let members = &order.members[group.clone()];
            let mut infos = members.iter().map(|(input, series)| info(inputs, *input, *series));
            let Some(info) = infos.next() else { continue };
            // Declared once is declared.
            let kinds = [info.kind].into_iter().chain(infos.map(|info| info.kind));
            let kind = kinds.into_iter().find(|kind| *kind != MetricKind::Unknown).unwrap_or_default();
            let is_total = is_running_total(info.labels.metric_name(), kind, info.temporality);
            let floor = renewal.floors.of(info.labels.borrowed());
            let mut new: Vec<(usize, Rolled)> = Vec::new();
            let mut kept: BTreeMap<(Tier, Aggregate), Samples> = BTreeMap::new();
            for (input, series) in members {
                readers[*input as usize].read(*series as usize, &mut samples)?;
                match inputs[*input as usize].0 {
                    Input::Kept(tier, aggregate) => {
                        drop_days(&mut samples, |day| renewal.renews(day, floor));
                        kept.insert((tier, aggregate), std::mem::take(&mut samples));
                    }
                    Input::Day(day) if !renewal.renews(day, floor) => {}
                    Input::Day(day) => {
                        let minutes = Rolled::of(&samples, Tier::Minute, is_total);
                        let hours = minutes.coarser(&samples, Tier::Hour);
                        let day_long = hours.coarser(&samples, Tier::Day);
                        for (tier, rolled) in Tier::ALL.into_iter().zip([minutes, hours, day_long]) {
                            let at = (tier, place(tier, day).1);
                            let found = partitions.iter().position(|p| (p.tier, p.hour) == at);
                            new.extend(found.map(|partition| (partition, rolled)));
                        }
                    }
                }
            }
            let entry = SeriesEntry {
                id: SeriesId::of(info.labels.borrowed(), info.temporality),
                labels: info.labels.borrowed(),
                kind,
                temporality: info.temporality,
                unit: "",
            };
            for (at, partition) in partitions.iter().enumerate() {
                let tier_floor = renewal.floors.of_tier(partition.tier).of(info.labels.borrowed());
                for (aggregate, parts) in Aggregate::ALL.into_iter().zip(&mut outputs[at]) {
                    let mut all = kept.remove(&(partition.tier, aggregate)).unwrap_or_default();
                    for (_, rolled) in new.iter().filter(|(partition, _)| *partition == at) {
                        rolled.column(aggregate, &mut column);
                        crate::merge::join(&mut all, &mut column, Temporality::Cumulative);
                    }
                    drop_before(&mut all, tier_floor);
                    if !all.is_empty() {
                        parts.push(&entry, &all).map_err(unwritable)?;
                    }
                }
            }
        }
        let mut encoded = Vec::new();
        for (at, outputs) in outputs.into_iter().enumerate() {
            for (aggregate, parts) in Aggregate::ALL.into_iter().zip(outputs) {
                let blocks = parts.finish().map_err(unwritable)?;
                encoded.extend(blocks.into_iter().map(|block| (at, aggregate, block)));
            }
        }
        Ok(encoded)
    }
}

/// What a selection is read for.
#[derive(Debug, Clone, Copy)]
enum Input {
    /// The samples of a day.
    Day(i64),
    /// What a partition holds of the days that stay as they are.
    Kept(Tier, Aggregate),
}

/// Which days are rolled up, and what stays of them as it is.
struct Renewal {
    days: BTreeSet<i64>,
    /// Those that have been rolled up before.
    rolled: BTreeSet<i64>,
    floors: Floors,
}

impl Renewal {
    /// True for a day that is made of its samples: unless some of a series' samples, which there are none of
    /// before `floor`, have expired since they were rolled up. Then what was made of all of them stays.
    fn renews(&self, day: i64, floor: i64) -> bool {
        self.days.contains(&day) && !(self.rolled.contains(&day) && day.saturating_mul(DAY_MS) < floor)
    }
}

/// A partition that is written anew.
struct Partition {
    tier: Tier,
    hour: i64,
    old: Vec<Arc<BlockMeta>>,
    /// The days that it will hold, with their generations.
    days: BTreeMap<i64, u64>,
    /// True when some of them come from the old blocks.
    keeps_days: bool,
}

impl Partition {
    fn new(
        tier: Tier,
        hour: i64,
        old: Vec<Arc<BlockMeta>>,
        new: &BTreeMap<i64, Source>,
        complete_from_ms: i64,
    ) -> Self {
        let first = hour.div_euclid(24);
        let known = old.iter().filter_map(|block| block.rollup.as_ref()).flat_map(|rollup| &rollup.days);
        let mut days: BTreeMap<i64, u64> = known.map(|(day, generation)| (*day, *generation)).collect();
        let keeps_days = days.keys().any(|day| !new.contains_key(day) || day * DAY_MS < complete_from_ms);
        let own = new.range(first..first + partition_days(tier));
        days.extend(own.map(|(day, source)| (*day, source.generation)));
        Self { tier, hour, old, days, keeps_days }
    }

    /// The end of its last day.
    fn end_ms(&self) -> i64 {
        (self.hour.div_euclid(24) + partition_days(self.tier)).saturating_mul(DAY_MS)
    }
}

fn holds(block: &BlockMeta, aggregate: Aggregate) -> bool {
    block.rollup.as_ref().is_some_and(|rollup| rollup.aggregate == aggregate)
}

/// Removes the samples of days.
fn drop_days(samples: &mut Samples, goes: impl Fn(i64) -> bool) {
    let stays = |at: i64| !goes(day_of(at));
    let kept: (Vec<i64>, Vec<f64>) = samples
        .timestamps
        .iter()
        .copied()
        .zip(samples.values.iter().copied())
        .filter(|(t, _)| stays(*t))
        .unzip();
    (samples.timestamps, samples.values) = kept;
    samples.histograms.retain(|(at, _)| stays(*at));
    samples.sets.retain(|(at, _)| stays(*at));
}

/// Every series of the inputs in the order of blocks, and which inputs have it.
struct Order {
    /// Input and series in it, the same series side by side.
    members: Vec<(u32, u32)>,
    /// The members of each series.
    groups: Vec<std::ops::Range<usize>>,
}

fn info(inputs: &[(Input, LakeSelection)], input: u32, series: u32) -> &SeriesInfo {
    &inputs[input as usize].1.series()[series as usize]
}

fn order_of(inputs: &[(Input, LakeSelection)]) -> Order {
    let key = |(input, series): (u32, u32)| -> (LabelsRef<'_>, Temporality) {
        let info = info(inputs, input, series);
        (info.labels.borrowed(), info.temporality)
    };
    let all = |(at, (_, input)): (usize, &(Input, LakeSelection))| {
        (0..input.series().len() as u32).map(move |series| (at as u32, series)).collect::<Vec<_>>()
    };
    let mut members: Vec<(u32, u32)> = inputs.iter().enumerate().flat_map(all).collect();
    members.sort_by(|a, b| series_order(key(*a), key(*b)).then(a.cmp(b)));
    let mut groups = Vec::new();
    let mut from = 0;
    for group in members.chunk_by(|a, b| series_order(key(*a), key(*b)).is_eq()) {
        groups.push(from..from + group.len());
        from += group.len();
    }
    Order { members, groups }
}
