//! Selections that read a tier where it is complete, and samples, rolled up on the fly, where it is not.
//!
//! The range is cut at days. A day is read from the tier if nothing was written to it since it was rolled up,
//! hot samples included; otherwise from its samples. So answers are those of the samples at any moment, and
//! never wait for a schedule.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_model::{
    AddedUp, Aggregate, Intervals, Samples, Temporality, TenantId, Tier, is_running_total, is_stale_nan,
};

use super::columns::{distributions, from_columns, intervals};
use super::cover::generations;
use super::{DAY_MS, day_of, partition_days, place};
use crate::block::Holds;
use crate::error::LakeError;
use crate::head::{Head, TimeRange};
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog, TenantBlocks};
use crate::reader::LakeReader;
use crate::select::{Builder, Found, LakeSelection, Selection, SeriesInfo, blocks_of};

/// Most stretches that a range is cut into; a range of more is read from its samples.
const MAX_STRETCHES: usize = 64;
/// Stands for a series that a part of a selection does not have.
const NONE: u32 = u32::MAX;

/// First and last of days in a row, and whether they are read from the tier.
type DayRun = (i64, i64, bool);

/// What a query can work with instead of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierWish {
    /// All windows begin and end at multiples of this, in milliseconds.
    pub grid_ms: i64,
    /// The aggregates of intervals that it needs; none if the last sample of each interval does.
    pub aggregates: Vec<Aggregate>,
    /// Which series without floats their sums answer, if it needs sums.
    pub added_up: AddedUp,
    /// The one tier to read, otherwise the coarsest that fits.
    pub tier: Option<Tier>,
}

/// The series that a selection found, with what reading them by intervals of a tier needs.
#[derive(Debug)]
pub struct TierSelection {
    tier: Tier,
    approximate: bool,
    series: Vec<SeriesInfo>,
    stretches: Vec<Stretch>,
    /// True when distributions were wished for.
    distributes: bool,
}

/// Some days in a row that are read alike.
#[derive(Debug)]
struct Stretch {
    /// [`Aggregate::Last`] first; of a stretch of samples the one selection there is.
    parts: Vec<Part>,
    of_tier: bool,
}

/// A selection, and where it has each series.
#[derive(Debug)]
struct Part {
    aggregate: Aggregate,
    selection: LakeSelection,
    places: Vec<u32>,
}

impl TierSelection {
    /// The series, ascending by labels; of two of the same labels the cumulative one comes first.
    #[must_use]
    pub fn series(&self) -> &[SeriesInfo] {
        &self.series
    }

    /// The tier that was read.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// True when it stands in for samples that have expired, and gives only the last one of each interval.
    #[must_use]
    pub fn is_approximate(&self) -> bool {
        self.approximate
    }

    /// Bytes of samples that it holds, compressed ones as such.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts().map(LakeSelection::bytes).sum()
    }

    /// Number of blocks that have something of it.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.parts().map(LakeSelection::blocks).sum()
    }

    /// How many of the blocks looked at had their index in memory already.
    #[must_use]
    pub fn cached_indexes(&self) -> usize {
        self.parts().map(LakeSelection::cached_indexes).sum()
    }

    /// A reader; several may work side by side.
    #[must_use]
    pub fn reader(&self) -> TierReader<'_> {
        TierReader {
            selection: self,
            readers: self
                .stretches
                .iter()
                .map(|stretch| stretch.parts.iter().map(|part| part.selection.reader()).collect())
                .collect(),
            columns: Vec::new(),
            scratch: Samples::default(),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &LakeSelection> {
        self.stretches.iter().flat_map(|stretch| &stretch.parts).map(|part| &part.selection)
    }
}

/// Reads series of a [`TierSelection`]; fastest in ascending order.
pub struct TierReader<'a> {
    selection: &'a TierSelection,
    readers: Vec<Vec<LakeReader<'a>>>,
    columns: Vec<(Aggregate, Samples)>,
    scratch: Samples,
}

impl TierReader<'_> {
    /// Replaces `into` by the intervals of a series, ascending; what was not wished for is not filled in.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when stored bytes are damaged.
    pub fn read_intervals(&mut self, index: usize, into: &mut Intervals) -> Result<(), LakeError> {
        into.clear();
        let tier = self.selection.tier;
        for (stretch, readers) in self.selection.stretches.iter().zip(&mut self.readers) {
            self.columns.resize_with(stretch.parts.len(), || (Aggregate::Last, Samples::default()));
            for ((part, reader), column) in stretch.parts.iter().zip(readers).zip(&mut self.columns) {
                column.0 = part.aggregate;
                column.1.clear();
                if let Some(place) = part.places.get(index).filter(|place| **place != NONE) {
                    reader.read(*place as usize, &mut column.1)?;
                }
            }
            if stretch.of_tier {
                from_columns(&self.columns, tier, into);
            } else if let Some((_, samples)) = self.columns.first() {
                let (timestamps, values) = (&samples.timestamps, &samples.values);
                intervals(timestamps, values, tier, &mut into.floats);
                // Those of a window add up to the same one by one.
                let histograms = samples.histograms.iter().filter(|(_, h)| !is_stale_nan(h.sum));
                into.histograms.extend(histograms.cloned());
                into.sets.extend(samples.sets.iter().cloned());
                if self.selection.distributes {
                    distributions(timestamps, values, tier, &mut into.distributions);
                }
            }
        }
        Ok(())
    }

    /// Replaces `into` by samples of a series, ascending: at each multiple of the tier the newest one so far,
    /// and what ended the series, are those of all its samples.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when stored bytes are damaged.
    pub fn read_last(&mut self, index: usize, into: &mut Samples) -> Result<(), LakeError> {
        into.clear();
        for (stretch, readers) in self.selection.stretches.iter().zip(&mut self.readers) {
            let Some((part, reader)) = stretch.parts.first().zip(readers.first_mut()) else { continue };
            let Some(place) = part.places.get(index).filter(|place| **place != NONE) else { continue };
            reader.read(*place as usize, &mut self.scratch)?;
            crate::merge::join(into, &mut self.scratch, Temporality::Cumulative);
        }
        Ok(())
    }
}

/// The days that hot samples of matching series may lie in, and the generation of each day's blocks.
fn touched(head: &Head, catalog: &Catalog, tenant: &TenantId, wish: &Selection) -> BTreeMap<i64, u64> {
    let range = TimeRange { start_ms: wish.start_ms, end_ms: wish.end_ms };
    let blocks = catalog.tenants.get(tenant);
    let mut days = blocks.map(|blocks| generations(blocks, range)).unwrap_or_default();
    if let Some(hot) = head.tenant(tenant) {
        for ordinal in hot.index.matching(&wish.matchers) {
            let series = &hot.series[ordinal as usize];
            if !series.overlaps(range) {
                continue;
            }
            let (min_ms, max_ms) = series.bounds();
            for day in day_of(min_ms.max(range.start_ms))..=day_of(max_ms.min(range.end_ms)) {
                days.insert(day, u64::MAX);
            }
        }
    }
    days
}

/// What a choice of days rests on.
struct Known<'a> {
    blocks: &'a TenantBlocks,
    /// From when on no sample has expired.
    complete_from_ms: i64,
    /// From when on no interval of a tier has expired.
    tier_from: &'a dyn Fn(Tier) -> i64,
    /// See [`touched`].
    touched: &'a dyn Fn() -> BTreeMap<i64, u64>,
}

impl Known<'_> {
    fn has_expired(&self, day: i64) -> bool {
        day.saturating_mul(DAY_MS) < self.complete_from_ms
    }
}

/// The coarsest tier that gives the answers of samples, with the days to read from it. Distributions, which do not
/// quite, are read where a tier is asked for or samples have expired.
fn exact(
    known: &Known<'_>,
    wish: &TierWish,
    days: &std::ops::RangeInclusive<i64>,
) -> Option<(Tier, Vec<DayRun>)> {
    let is_rough = wish.aggregates.contains(&Aggregate::Distribution) && wish.tier.is_none();
    if is_rough && !known.has_expired(*days.start()) {
        return None;
    }
    let fits = |tier: &Tier| {
        wish.tier.is_none_or(|only| only == *tier)
            && wish.aggregates.iter().all(|aggregate| aggregate.is_of(*tier))
            && wish.grid_ms > 0
            && wish.grid_ms % tier.width_ms() == 0
            && days.clone().any(|day| known.blocks.rolled(*tier, day).is_some())
    };
    let tiers: Vec<Tier> = Tier::ALL.into_iter().rev().filter(fits).collect();
    if tiers.is_empty() {
        return None;
    }
    let touched = (known.touched)();
    let mut best: Option<(Tier, Vec<DayRun>, i64)> = None;
    for tier in tiers {
        let runs = runs(days, |day, before| {
            let generation = touched.get(&day).copied();
            match known.blocks.rolled(tier, day) {
                // What is left of expired samples says less than their rollup.
                Some(made_of) => {
                    let is_current = generation.is_none_or(|generation| made_of >= generation);
                    known.has_expired(day) || (is_current && !is_rough)
                }
                // A day without samples is as well read from the tier.
                None => generation.is_none() && before.unwrap_or(true),
            }
        });
        let covered: i64 = runs.iter().filter(|run| run.2).map(|(first, last, _)| last - first + 1).sum();
        let better = best.as_ref().is_none_or(|(_, _, most)| covered > *most);
        if covered > 0 && runs.len() <= MAX_STRETCHES && better {
            best = Some((tier, runs, covered));
        }
    }
    best.map(|(tier, runs, _)| (tier, runs))
}

/// The finest tier that has days whose samples have expired, with those days: of all series, or else of some.
fn left(known: &Known<'_>, days: &std::ops::RangeInclusive<i64>) -> Option<(Tier, Vec<DayRun>)> {
    if !known.has_expired(*days.start()) {
        return None;
    }
    let of = |tier| {
        let runs = runs(days, |day, _| known.has_expired(day) && known.blocks.rolled(tier, day).is_some());
        let any = runs.iter().any(|run| run.2) && runs.len() <= MAX_STRETCHES;
        any.then_some((tier, runs))
    };
    let is_whole = |tier: &Tier| days.start().saturating_mul(DAY_MS) >= (known.tier_from)(*tier);
    Tier::ALL.into_iter().filter(is_whole).find_map(of).or_else(|| Tier::ALL.into_iter().find_map(of))
}

/// Days in a row that are read alike. `of_tier` is told the day, and whether the one before is of the tier.
fn runs(days: &std::ops::RangeInclusive<i64>, of_tier: impl Fn(i64, Option<bool>) -> bool) -> Vec<DayRun> {
    let mut runs: Vec<DayRun> = Vec::new();
    for day in days.clone() {
        let of_tier = of_tier(day, runs.last().map(|run| run.2));
        match runs.last_mut().filter(|run| run.2 == of_tier) {
            Some(run) => run.1 = day,
            None => runs.push((day, day, of_tier)),
        }
    }
    runs
}

/// Blocks of an aggregate of a tier that overlap the range, in order of time.
fn blocks_of_tier(
    blocks: &TenantBlocks,
    tier: Tier,
    aggregate: Aggregate,
    range: TimeRange,
) -> Vec<Arc<BlockMeta>> {
    let first = place(tier, day_of(range.start_ms));
    let last = place(tier, day_of(range.end_ms).saturating_add(partition_days(tier)));
    let partitions = blocks.rollups.range(first..=last).flat_map(|(_, blocks)| blocks);
    let of_aggregate = |b: &&Arc<BlockMeta>| b.rollup.as_ref().is_some_and(|r| r.aggregate == aggregate);
    partitions.filter(of_aggregate).filter(|b| range.overlaps(b.min_ms, b.max_ms)).cloned().collect()
}

/// A part in the making: the range and the blocks of a selection.
struct Plan {
    stretch: usize,
    aggregate: Aggregate,
    wish: Selection,
    metas: Vec<Arc<BlockMeta>>,
    of_samples: bool,
}

/// The parts of each stretch.
fn plans(
    blocks: &TenantBlocks,
    catalog: &Catalog,
    tenant: &TenantId,
    selection: &Selection,
    aggregates: &[Aggregate],
    (tier, stretches): (Tier, &[DayRun]),
) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (stretch, (first, last, of_tier)) in stretches.iter().enumerate() {
        let start_ms = selection.start_ms.max(first.saturating_mul(DAY_MS).saturating_add(1));
        let end_ms = selection.end_ms.min(last.saturating_add(1).saturating_mul(DAY_MS));
        let range = TimeRange { start_ms, end_ms };
        let part = |aggregate, metas| Plan {
            stretch,
            aggregate,
            wish: Selection { start_ms, end_ms, ..selection.clone() },
            metas,
            of_samples: !of_tier,
        };
        if !of_tier {
            plans.push(part(Aggregate::Last, blocks_of(catalog, tenant, range)));
            continue;
        }
        let always = match aggregates.is_empty() {
            true => &[Aggregate::Last][..],
            false => &[Aggregate::Last, Aggregate::Count][..],
        };
        let extremes = aggregates.iter().any(|a| matches!(a, Aggregate::Min | Aggregate::Max));
        let follows = (extremes && !aggregates.contains(&Aggregate::First)).then_some(&Aggregate::First);
        let others = aggregates.iter().filter(|aggregate| !always.contains(aggregate));
        for aggregate in always.iter().chain(follows).chain(others) {
            plans.push(part(*aggregate, blocks_of_tier(blocks, tier, *aggregate, range)));
        }
    }
    plans
}

impl Lake {
    /// Like [`Lake::select`], but from a tier as far as that gives the same answers. Where samples have expired,
    /// and no tier gives the answers that they would have given, it gives the last sample of each interval of the
    /// finest tier left for them. `None` when samples are to be read.
    ///
    /// # Errors
    /// As [`Lake::select`].
    pub async fn select_tier(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        wish: &TierWish,
    ) -> Result<Option<TierSelection>, LakeError> {
        self.refresh_for_query().await?;
        let days = day_of(selection.start_ms)..=day_of(selection.end_ms);
        // Tiers hold little of what lies farther apart than any data: then it is not worth the walk.
        if selection.start_ms > selection.end_ms || days.end().saturating_sub(*days.start()) > 366 * 100 {
            return Ok(None);
        }
        let exact = |known: &Known<'_>| exact(known, wish, &days);
        if let Some(found) = self.select_runs(tenant, selection, wish, exact).await? {
            return Ok(Some(found));
        }
        if wish.tier.is_some() {
            return Ok(None);
        }
        let left = |known: &Known<'_>| left(known, &days);
        let only_last = TierWish { aggregates: Vec::new(), ..wish.clone() };
        let found = self.select_runs(tenant, selection, &only_last, left).await?;
        Ok(found.map(|found| TierSelection { approximate: true, ..found }))
    }

    /// Selects days from the tier that `choose` says, or from samples.
    async fn select_runs(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        wish: &TierWish,
        choose: impl FnOnce(&Known<'_>) -> Option<(Tier, Vec<DayRun>)>,
    ) -> Result<Option<TierSelection>, LakeError> {
        let aggregates = &wish.aggregates[..];
        let planned = {
            let state = self.state();
            let Some(blocks) = state.catalog.tenants.get(tenant) else { return Ok(None) };
            let floors = state.catalog.floors(tenant, self.clock.now_ms());
            let touched = || touched(&state.head, &state.catalog, tenant, selection);
            let tier_from = |tier| floors.of_tier(tier).complete_from();
            let known = Known {
                blocks,
                complete_from_ms: floors.complete_from(),
                tier_from: &tier_from,
                touched: &touched,
            };
            let Some((tier, stretches)) = choose(&known) else { return Ok(None) };
            let plans = plans(blocks, &state.catalog, tenant, selection, aggregates, (tier, &stretches));
            let guard = self.snapshots.hold(state.catalog.version);
            // Hot samples under the same lock as the blocks: in the one or in the other, never in both.
            let mut heads = Vec::with_capacity(plans.len());
            for plan in &plans {
                let mut found = Found::default();
                if plan.of_samples {
                    let mut builder = Builder::new(&plan.wish);
                    builder.add_head(&state.head, tenant)?;
                    found = builder.found;
                    found.floors = floors.clone();
                } else {
                    found.floors = floors.of_tier(tier);
                }
                heads.push(found);
            }
            (tier, stretches, plans, heads, guard)
        };
        let (tier, of, plans, heads, _guard) = planned;
        let mut stretches: Vec<Stretch> =
            of.iter().map(|(_, _, of_tier)| Stretch { parts: Vec::new(), of_tier: *of_tier }).collect();
        for (plan, found) in plans.iter().zip(heads) {
            let mut builder = Builder::new(&plan.wish);
            builder.found = found;
            let selection = self.complete(tenant, builder, &plan.metas).await?;
            let only_floats = !aggregates.is_empty() && wish.added_up == AddedUp::None;
            if only_floats && plan.aggregate == Aggregate::Last && !selection.has_only_floats() {
                return Ok(None);
            }
            let part = Part { aggregate: plan.aggregate, selection, places: Vec::new() };
            stretches[plan.stretch].parts.push(part);
        }
        let series = unite(&mut stretches);
        if series.len() > selection.max_series {
            let limit = selection.max_series as u64;
            return Err(LakeError::Limit {
                what: "series of a selection",
                found: series.len() as u64,
                limit,
            });
        }
        let is_total = |s: &SeriesInfo| is_running_total(s.labels.metric_name(), s.kind, s.temporality);
        if !aggregates.iter().all(|aggregate| aggregate.is_of_totals()) && series.iter().any(is_total) {
            return Ok(None);
        }
        let adds_up = |(at, info): (usize, &SeriesInfo)| adds_up(wish.added_up, info, &stretches, at);
        if !aggregates.is_empty() && !series.iter().enumerate().all(adds_up) {
            return Ok(None);
        }
        let distributes = aggregates.contains(&Aggregate::Distribution);
        Ok(Some(TierSelection { tier, approximate: false, series, stretches, distributes }))
    }
}

/// True when intervals of a series are what a wish takes them for: floats, or nothing but what adds up.
fn adds_up(wish: AddedUp, info: &SeriesInfo, stretches: &[Stretch], at: usize) -> bool {
    let of = |stretch: &Stretch| {
        let part = stretch.parts.first()?;
        let place = part.places.get(at).filter(|place| **place != NONE)?;
        Some(part.selection.holds(*place as usize))
    };
    let all = stretches.iter().filter_map(of).fold(Holds::default(), Holds::or);
    let only_histograms = all.histograms && !all.floats && !all.sets;
    match wish {
        AddedUp::Sets => true,
        _ if !all.histograms && !all.sets => true,
        AddedUp::None => false,
        AddedUp::Histograms => only_histograms,
        AddedUp::Changes => only_histograms && info.temporality == Temporality::Delta,
    }
}

/// The series of all parts, and in each part where it has them.
fn unite(stretches: &mut [Stretch]) -> Vec<SeriesInfo> {
    let key = |info: &SeriesInfo| (info.labels.clone(), info.temporality == Temporality::Delta);
    let mut all: Vec<SeriesInfo> = Vec::new();
    for stretch in &*stretches {
        // Every series of a tier has a last sample.
        let Some(part) = stretch.parts.first() else { continue };
        all.extend(part.selection.series().iter().cloned());
    }
    all.sort_by_key(&key);
    all.dedup_by(|later, first| {
        let same = key(later) == key(first);
        if same && first.kind == weir_model::MetricKind::Unknown {
            first.kind = later.kind;
        }
        same
    });
    for part in stretches.iter_mut().flat_map(|stretch| &mut stretch.parts) {
        let own = part.selection.series();
        let mut next = 0;
        part.places = Vec::with_capacity(all.len());
        for info in &all {
            let here =
                own.get(next).is_some_and(|o| o.labels == info.labels && o.temporality == info.temporality);
            part.places.push(if here { next as u32 } else { NONE });
            next += usize::from(here);
        }
    }
    all
}
