//! Which series there are is asked of rollups where they say the same: one index of weeks instead of one an hour.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_model::{Aggregate, Tier};

use super::DAY_MS;
use crate::head::TimeRange;
use crate::keys::HOUR_MS;
use crate::manifest::{BlockMeta, TenantBlocks};

/// The greatest generation of the blocks of each day of a range that has samples in blocks.
pub(super) fn generations(blocks: &TenantBlocks, range: TimeRange) -> BTreeMap<i64, u64> {
    let mut days: BTreeMap<i64, u64> = BTreeMap::new();
    let (first, last) = (range.start_ms.div_euclid(HOUR_MS), range.end_ms.div_euclid(HOUR_MS));
    for block in blocks.raw_of_hours(first, last.saturating_add(24)) {
        for (day, generation) in block.days() {
            let known = days.entry(day).or_default();
            *known = generation.max(*known);
        }
    }
    days
}

/// Partitions of rollups, the longest first, of which every day lies within the range and is as its samples are
/// (or were, before `complete_from_ms`): their blocks of last samples, in order of time, and those days.
pub(crate) fn cover(
    blocks: &TenantBlocks,
    range: TimeRange,
    complete_from_ms: i64,
) -> (Vec<Arc<BlockMeta>>, BTreeSet<i64>) {
    let (mut found, mut covered) = (Vec::new(), BTreeSet::new());
    if blocks.rollups.is_empty() || range.start_ms > range.end_ms {
        return (found, covered);
    }
    let generations = generations(blocks, range);
    let is_whole = |day: i64, made_of: u64| {
        let (start_ms, end_ms) = (day.saturating_mul(DAY_MS), day.saturating_add(1).saturating_mul(DAY_MS));
        let current = generations.get(&day).is_none_or(|generation| *generation <= made_of);
        range.start_ms <= start_ms.saturating_add(1)
            && end_ms <= range.end_ms
            && (current || start_ms < complete_from_ms)
    };
    for tier in Tier::ALL.into_iter().rev() {
        for partition in blocks.rollups.range((tier, i64::MIN)..=(tier, i64::MAX)).map(|(_, blocks)| blocks) {
            let of_last = |block: &&Arc<BlockMeta>| {
                block.rollup.as_ref().is_some_and(|rollup| rollup.aggregate == Aggregate::Last)
            };
            let days = || partition.iter().filter_map(|b| b.rollup.as_ref()).flat_map(|rollup| &rollup.days);
            let whole = days().all(|(day, made_of)| is_whole(*day, *made_of));
            if whole && days().any(|(day, _)| !covered.contains(day)) {
                covered.extend(days().map(|(day, _)| *day));
                found.extend(partition.iter().filter(of_last).cloned());
            }
        }
    }
    (found, covered)
}
