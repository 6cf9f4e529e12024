//! Which days are archived, and of which of their blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_model::TenantId;
use weir_platform::StorageClass;

use crate::manifest::{BlockMeta, Catalog, TenantBlocks};
use crate::options::LakeOptions;
use crate::retention::RetentionPolicy;
use crate::rollup::{DAY_MS, is_dirty, is_rollable, sources};

/// Archived blocks are merged with what came late once they are no larger than so many times that.
const SIZE_RATIO: u64 = 4;
/// Most exemplars of the blocks that become one.
const MAX_EXEMPLARS: u64 = 1 << 20;
/// A day that has expired within so much time, or within what its storage class makes one pay for, is left to
/// expire as it is, in milliseconds.
const WORTH_MS: i64 = 7 * DAY_MS;

/// Blocks of a day of a tenant that become one.
#[derive(Debug)]
pub(super) struct Due {
    pub tenant: TenantId,
    /// Days since 1970.
    pub day: i64,
    /// Where its samples are to lie.
    pub class: StorageClass,
    /// In order of writes. Of the same hours there is no other block between them in that order.
    pub inputs: Vec<Arc<BlockMeta>>,
}

/// What is due, the oldest days of each tenant first, tenants taking turns.
pub(super) fn due(catalog: &Catalog, options: &LakeOptions, now_ms: i64) -> Vec<Due> {
    let mut due: Vec<(usize, Due)> = Vec::new();
    for (tenant, blocks) in &catalog.tenants {
        let policy = catalog.retention_of(tenant).map(|policy| policy.stored.policy.archive);
        let rule = policy.unwrap_or(RetentionPolicy::default().archive);
        let Some(after_ms) = rule.after_ms else { continue };
        let mut days: BTreeSet<i64> = blocks.hours.keys().map(|hour| hour.div_euclid(24)).collect();
        let is_cut = |blocks: &&Vec<Arc<BlockMeta>>| written(blocks).any(are_hours);
        days.extend(blocks.archived.iter().filter(|(_, blocks)| is_cut(blocks)).map(|(day, _)| *day));
        let floors = catalog.floors(tenant, now_ms);
        let sources = sources(blocks);
        // One that is rolled up, as its samples are now, or is not going to be.
        let is_rolled = |day: &i64| {
            let generation = sources.get(day).map_or(0, |source| source.generation);
            !is_dirty(blocks, *day, generation) || !is_rollable(blocks, &floors, *day)
        };
        let mut turn = 0;
        let least_ms = rule.storage_class.least_days() * DAY_MS;
        // An age that passes the day, or will while its storage class makes one pay for it: some of it goes by the hour.
        let is_expiring = |end_ms: i64| {
            let in_force = catalog.retention_of(tenant);
            in_force.into_iter().flat_map(|policy| policy.compiled.finite_ms(None)).any(|age_ms| {
                let floor_ms = now_ms.saturating_sub(age_ms);
                floor_ms <= end_ms && floor_ms > end_ms.saturating_sub(DAY_MS + least_ms)
            })
        };
        for day in days {
            let end_ms = day.saturating_add(1).saturating_mul(DAY_MS);
            let is_old = end_ms.saturating_add(after_ms) <= now_ms;
            let worth_ms = WORTH_MS.max(least_ms);
            let has_gone_soon = end_ms.saturating_sub(worth_ms) < floors.nothing_before();
            if !is_old || has_gone_soon || is_expiring(end_ms) {
                continue;
            }
            let Some(inputs) = inputs(blocks, day, options) else { continue };
            let all = || blocks.raw_of_hours(day * 24, day * 24 + 23).into_iter();
            let ready = inputs.iter().flat_map(|block| block.days().into_keys()).all(|day| is_rolled(&day));
            if !ready || all().any(|block| catalog.awaits_erasure(tenant, block)) {
                continue;
            }
            for inputs in groups(inputs, options.archive_bytes) {
                due.push((turn, Due { tenant: tenant.clone(), day, class: rule.storage_class, inputs }));
                turn += 1;
            }
        }
    }
    due.sort_by_key(|(turn, _)| *turn);
    due.into_iter().map(|(_, due)| due).collect()
}

/// The blocks of a day worth merging: all those of one hour, which have the greatest generations, and of the
/// archived ones the newest, as long as they can be read and are not much larger than what they are merged with,
/// or were cut into hours while some of their samples expired.
fn inputs(blocks: &TenantBlocks, day: i64, options: &LakeOptions) -> Option<Vec<Arc<BlockMeta>>> {
    let hours = blocks.hours.range(day * 24..=day * 24 + 23);
    let mut inputs: Vec<Arc<BlockMeta>> = hours.flat_map(|(_, blocks)| blocks).cloned().collect();
    let archived = blocks.archived.get(&day).map_or(&[][..], Vec::as_slice);
    let size = |blocks: &[Arc<BlockMeta>]| blocks.iter().map(|block| block.bytes()).sum::<u64>();
    let mut bytes = size(&inputs);
    let few = inputs.len() < options.merge_fan_in.max(2);
    let cut = written(archived).rev().position(are_hours);
    for (place, written) in written(archived).rev().enumerate() {
        let more = size(written);
        let frozen = written.iter().any(|block| block.is_frozen());
        let large =
            more > bytes.saturating_mul(SIZE_RATIO) || bytes.saturating_add(more) > options.archive_bytes;
        if frozen || (large && cut.is_none_or(|cut| place > cut)) {
            if place == 0 && few {
                return None;
            }
            break;
        }
        inputs.extend(written.iter().cloned());
        bytes += more;
    }
    (!inputs.is_empty()).then_some(inputs)
}

/// Archived blocks of a day by when they were written, ascending.
fn written(archived: &[Arc<BlockMeta>]) -> impl DoubleEndedIterator<Item = &[Arc<BlockMeta>]> {
    archived.chunk_by(|a, b| a.generation == b.generation)
}

/// True of what retention has cut into hours.
fn are_hours(written: &[Arc<BlockMeta>]) -> bool {
    let apart = written.windows(2).any(|two| two[0].hour != two[1].hour);
    apart && written.iter().all(|block| block.hours() == 1)
}

/// Cuts what is merged, between hours as far as possible, so that no part passes the bound in bytes unless it
/// is one block.
fn groups(mut inputs: Vec<Arc<BlockMeta>>, limit: u64) -> Vec<Vec<Arc<BlockMeta>>> {
    inputs.sort_by_key(|block| (block.hour, block.generation));
    // Blocks that have hours in common.
    let mut units: Vec<Vec<Arc<BlockMeta>>> = Vec::new();
    let mut end_hour = i64::MIN;
    for block in inputs {
        let block_end = block.end_hour();
        match units.last_mut().filter(|_| block.hour < end_hour) {
            Some(unit) => unit.push(block),
            None => units.push(vec![block]),
        }
        end_hour = end_hour.max(block_end);
    }
    let mut groups: Vec<Vec<Arc<BlockMeta>>> = Vec::new();
    let mut filled = Filled::default();
    for mut unit in units {
        let whole = Filled::of(&unit);
        if let Some(group) = groups.last_mut().filter(|_| filled.fits(&whole, limit)) {
            filled.add(&whole);
            group.append(&mut unit);
            continue;
        }
        // Consecutive writes, so that what later ones overwrite stays overwritten.
        unit.sort_by_key(|block| (block.generation, block.hour));
        filled = Filled::default();
        groups.push(Vec::new());
        for block in unit {
            let one = Filled::of(std::slice::from_ref(&block));
            if filled.bytes > 0 && !filled.fits(&one, limit) {
                filled = Filled::default();
                groups.push(Vec::new());
            }
            filled.add(&one);
            groups.last_mut().into_iter().for_each(|group| group.push(block.clone()));
        }
    }
    groups.iter_mut().for_each(|group| group.sort_by_key(|block| (block.generation, block.hour)));
    // What is archived and has no company, unless of its like, stays as it is.
    let place = |block: &BlockMeta| (block.archived.is_some(), block.hour, block.hours(), block.generation);
    groups.retain(|group| {
        let alike = group.windows(2).all(|two| place(&two[0]) == place(&two[1]));
        !alike || group.iter().any(|block| block.archived.is_none())
    });
    groups
}

/// How much a group holds.
#[derive(Default)]
struct Filled {
    bytes: u64,
    exemplars: u64,
}

impl Filled {
    fn of(blocks: &[Arc<BlockMeta>]) -> Self {
        let exemplars = |block: &Arc<BlockMeta>| block.exemplars.as_ref().map_or(0, |e| e.count);
        Self {
            bytes: blocks.iter().map(|block| block.bytes()).sum(),
            exemplars: blocks.iter().map(exemplars).sum(),
        }
    }

    fn fits(&self, more: &Self, limit: u64) -> bool {
        self.bytes + more.bytes <= limit && self.exemplars + more.exemplars <= MAX_EXEMPLARS
    }

    fn add(&mut self, more: &Self) {
        self.bytes += more.bytes;
        self.exemplars += more.exemplars;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::ArchivedMeta;

    /// First hour, how many hours it is archived of (0 is not at all), generation, bytes.
    type Row = (i64, i64, u64, u64);

    fn block((hour, hours, generation, bytes): Row) -> Arc<BlockMeta> {
        let class = StorageClass::Standard;
        let archived = (hours > 0).then(|| ArchivedMeta { hours, days: BTreeMap::new(), class });
        Arc::new(BlockMeta {
            id: format!("{hour}+{hours}g{generation}"),
            tenant: "t".into(),
            hour,
            min_ms: 0,
            max_ms: 1,
            series: 1,
            samples: 1,
            samples_bytes: bytes,
            series_bytes: 0,
            samples_key: String::new(),
            series_key: String::new(),
            generation,
            complete: true,
            exemplars: None,
            rollup: None,
            erased: 0,
            archived,
        })
    }

    fn names(blocks: &[Arc<BlockMeta>]) -> String {
        blocks.iter().map(|block| block.id.clone()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_day_is_cut_between_hours_and_writes_of_one_hour_stay_in_order() {
        let rows: &[(&str, &[Row], &[&str])] = &[
            ("what fits is one", &[(1, 0, 9, 40), (0, 0, 5, 40)], &["0+0g5 1+0g9"]),
            ("a cut", &[(0, 0, 5, 60), (1, 0, 6, 60), (2, 0, 7, 30)], &["0+0g5", "1+0g6 2+0g7"]),
            ("in order of writes", &[(0, 0, 9, 10), (1, 0, 6, 10)], &["1+0g6 0+0g9"]),
            ("one block may be too large", &[(0, 0, 5, 300), (1, 0, 6, 10)], &["0+0g5", "1+0g6"]),
            ("an hour too large", &[(0, 0, 7, 60), (0, 0, 5, 60), (0, 0, 6, 30)], &["0+0g5 0+0g6", "0+0g7"]),
            (
                "archived hours keep together",
                &[(0, 9, 3, 50), (4, 0, 8, 40), (9, 0, 7, 60)],
                &["0+9g3 4+0g8", "9+0g7"],
            ),
            ("what is archived stays alone", &[(0, 9, 3, 90), (9, 0, 8, 40)], &["9+0g8"]),
            ("and so do parts of one", &[(0, 1, 3, 40), (0, 1, 3, 40), (1, 1, 3, 40), (1, 1, 3, 40)], &[]),
        ];
        for (shows, blocks, want) in rows {
            let groups = groups(blocks.iter().copied().map(block).collect(), 100);
            assert_eq!(groups.iter().map(|group| names(group)).collect::<Vec<_>>(), *want, "{shows}");
        }
    }

    #[test]
    fn late_blocks_wait_until_they_are_worth_it() {
        let options = LakeOptions { merge_fan_in: 3, archive_bytes: 1_000, ..LakeOptions::default() };
        let rows: &[(&str, &[Row], Option<&str>)] = &[
            ("all hours the first time", &[(0, 0, 5, 1), (3, 0, 6, 1)], Some("0+0g5 3+0g6")),
            ("little waits", &[(0, 24, 6, 90), (3, 0, 8, 5)], None),
            ("much is merged with the day", &[(0, 24, 6, 90), (3, 0, 8, 30)], Some("3+0g8 0+24g6")),
            (
                "many are merged by themselves",
                &[(0, 24, 6, 90), (3, 0, 8, 1), (4, 0, 9, 1), (5, 0, 10, 1)],
                Some("3+0g8 4+0g9 5+0g10"),
            ),
            (
                "only the newest archived ones",
                &[(0, 24, 6, 900), (0, 24, 9, 20), (3, 0, 12, 10)],
                Some("3+0g12 0+24g9"),
            ),
            ("never more than the bound", &[(0, 24, 6, 900), (3, 0, 8, 300)], None),
            ("two parts of one hour were not cut", &[(0, 1, 6, 90), (0, 1, 6, 90)], None),
            ("what was cut is put together", &[(0, 1, 6, 90), (1, 1, 6, 90)], Some("0+1g6 1+1g6")),
            (
                "with what was written later",
                &[(0, 1, 6, 9), (1, 1, 6, 9), (0, 24, 7, 99), (3, 0, 8, 1)],
                Some("3+0g8 0+24g7 0+1g6 1+1g6"),
            ),
            (
                "much that was written before stays",
                &[(0, 24, 5, 90), (0, 1, 6, 9), (1, 1, 6, 9)],
                Some("0+1g6 1+1g6"),
            ),
        ];
        for (shows, blocks, want) in rows {
            let mut tenant = TenantBlocks::default();
            for block in blocks.iter().copied().map(block) {
                match &block.archived {
                    Some(_) => tenant.archived.entry(0).or_default().push(block),
                    None => tenant.hours.entry(block.hour).or_default().push(block),
                }
            }
            let found = inputs(&tenant, 0, &options);
            assert_eq!(found.as_deref().map(names).as_deref(), *want, "{shows}");
            // Of any hour, what is left out was written before.
            let left =
                tenant.raw().filter(|b| found.as_ref().is_some_and(|f| f.iter().all(|i| i.id != b.id)));
            let first = found.iter().flatten().map(|block| block.generation).min();
            assert!(left.into_iter().all(|block| Some(block.generation) < first), "{shows}");
        }
    }
}
