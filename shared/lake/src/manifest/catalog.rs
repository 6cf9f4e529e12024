//! The catalog: what the manifest adds up to, as queries use it. Never changed in place, so that a
//! query keeps the one it began with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_model::{TenantId, Tier};
use weir_platform::{SequenceNumber, ShardId};

use crate::erase::{self, Counts, Erasure, ErasureState};
use crate::keys;
use crate::retention::{Floors, InForce, Swept};

use super::{BlockMeta, Checkpoint, Entry, Marks, Retired};
use crate::rollup;

/// How long past marks are remembered, in milliseconds: the longest useful grace period.
const MARKS_KEPT_MS: i64 = 60 * 60_000;
/// Most past marks, should entries come faster than one a second.
const MAX_MARKS: usize = 4_096;

/// The blocks of one hour, ascending by generation.
type HourBlocks = Vec<Arc<BlockMeta>>;

/// A partition of a rollup: the tier, and the hour (since 1970) that it begins with.
pub(crate) type RollupPlace = (Tier, i64);

/// One tenant's part of the catalog.
#[derive(Debug, Clone, Default)]
pub(crate) struct TenantBlocks {
    /// Blocks of one hour, by that hour (since 1970).
    pub hours: BTreeMap<i64, HourBlocks>,
    /// Archived blocks by their day (since 1970), ascending by generation.
    pub archived: BTreeMap<i64, Vec<Arc<BlockMeta>>>,
    /// Blocks of rollups by partition, in the order they were added.
    pub rollups: BTreeMap<RollupPlace, Vec<Arc<BlockMeta>>>,
    /// Key of the object with its metric families.
    pub metadata: Option<String>,
}

impl TenantBlocks {
    /// The generation of samples that a day of a tier was made of; `None` when it is not rolled up.
    pub(crate) fn rolled(&self, tier: Tier, day: i64) -> Option<u64> {
        let blocks = self.rollups.get(&rollup::place(tier, day))?;
        blocks.iter().find_map(|block| block.rollup.as_ref()?.days.get(&day).copied())
    }

    /// Every live block.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<BlockMeta>> {
        self.raw().chain(self.rollups.values().flatten())
    }

    /// The live blocks of samples as they came, in no order.
    pub(crate) fn raw(&self) -> impl Iterator<Item = &Arc<BlockMeta>> {
        self.hours.values().chain(self.archived.values()).flatten()
    }

    /// Those of some hours (inclusive), day by day and, of any one hour, in order of writes.
    pub(crate) fn raw_of_hours(&self, first: i64, last: i64) -> Vec<&Arc<BlockMeta>> {
        if first > last {
            return Vec::new();
        }
        let mut blocks: Vec<_> = self.hours.range(first..=last).flat_map(|(_, blocks)| blocks).collect();
        let days = first.div_euclid(24)..=last.div_euclid(24);
        let hourly = blocks.len();
        let archived = self.archived.range(days).flat_map(|(_, blocks)| blocks);
        blocks.extend(archived.filter(|block| block.hour <= last && block.end_hour() > first));
        if blocks.len() > hourly {
            // Where a day is archived, what came since may be of any of its hours.
            let written = |day: i64, block: &BlockMeta| {
                if self.archived.contains_key(&day) { block.generation } else { 0 }
            };
            blocks.sort_by_key(|block| {
                let day = block.hour.div_euclid(24);
                (day, written(day, block))
            });
        }
        blocks
    }
}

/// Where a block lies in a tenant's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Hour(i64),
    /// The day.
    Archived(i64),
    Rollup(RollupPlace),
}

impl Place {
    fn of(block: &BlockMeta) -> Self {
        match (&block.rollup, &block.archived) {
            (Some(rollup), _) => Self::Rollup((rollup.tier, block.hour)),
            (None, Some(_)) => Self::Archived(block.hour.div_euclid(24)),
            (None, None) => Self::Hour(block.hour),
        }
    }
}

/// The state after one manifest entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// The entry; 0 before the first.
    pub version: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub written_ms: i64,
    /// Tenants that have blocks.
    pub tenants: BTreeMap<TenantId, Arc<TenantBlocks>>,
    /// The last sequence number that blocks hold, by shard.
    pub compacted: BTreeMap<ShardId, SequenceNumber>,
    /// Replaced objects that may still be there, by ascending version.
    pub retired: Vec<Retired>,
    /// Retention policies by tenant; under the empty name, that of tenants without one.
    pub retention: BTreeMap<String, Arc<InForce>>,
    /// What has been looked at for expired samples, by tenant.
    pub swept: BTreeMap<String, Swept>,
    /// Erasures that count, by number.
    pub erasures: BTreeMap<u64, Arc<Erasure>>,
    /// Number of each tenant's newest erasure, settled ones among them.
    pub last_erasure: BTreeMap<String, u64>,
    /// Past states of `compacted`, oldest first.
    pub marks: Vec<Marks>,
    /// Where each block lies in `tenants`.
    places: BTreeMap<String, (TenantId, Place)>,
}

impl Catalog {
    /// The state after `entry`.
    ///
    /// # Errors
    /// What is wrong with the entry.
    pub(crate) fn after(&self, entry: &Entry) -> Result<Self, String> {
        if entry.version != self.version + 1 {
            return Err(format!("it has version {} where {} is due", entry.version, self.version + 1));
        }
        let mut next = self.clone();
        next.version = entry.version;
        next.written_ms = entry.written_ms;
        let mut keys = Vec::new();
        for id in &entry.remove {
            keys.extend(next.remove(id)?.keys());
        }
        for block in &entry.add {
            next.add(Arc::new(block.clone()))?;
        }
        // A block may take over objects of the one that it replaces.
        let taken_over: BTreeSet<String> = entry.add.iter().flat_map(BlockMeta::keys).collect();
        keys.retain(|key| !taken_over.contains(key));
        for (name, key) in &entry.metadata {
            let tenant = TenantId::new(name).map_err(|error| error.to_string())?;
            let blocks = Arc::make_mut(next.tenants.entry(tenant).or_default());
            keys.extend(blocks.metadata.replace(key.clone()));
        }
        for (scope, stored) in &entry.retention {
            let policy = InForce::new(scope, stored.clone())?;
            next.retention.insert(scope.clone(), Arc::new(policy));
        }
        next.swept.extend(entry.swept.clone());
        next.note_erasures(entry)?;
        if !entry.compacted.is_empty() {
            for (shard, sequence) in marks(&entry.compacted)? {
                let mark = next.compacted.entry(shard).or_insert(sequence);
                *mark = sequence.max(*mark);
            }
            next.remember_marks();
        }
        next.retired.retain(|r| !entry.forget.contains(&r.version));
        if !keys.is_empty() {
            next.retired.push(Retired { version: entry.version, written_ms: entry.written_ms, keys });
        }
        Ok(next)
    }

    fn note_erasures(&mut self, entry: &Entry) -> Result<(), String> {
        if let Some(stored) = &entry.erase {
            let (number, stored) = (entry.version, stored.clone());
            let state = ErasureState { number, stored, counts: Counts::new(), done_ms: None, frozen: 0 };
            let erasure = Erasure::new(state)?;
            self.last_erasure.insert(erasure.tenant.to_string(), number);
            self.erasures.insert(number, Arc::new(erasure));
        }
        for (number, counts) in &entry.erasing {
            if let Some(erasure) = self.erasures.get_mut(number).map(Arc::make_mut) {
                counts.iter().for_each(|(kind, more)| erase::count(&mut erasure.counts, kind, more));
            }
        }
        for (number, frozen) in &entry.awaiting {
            if let Some(erasure) = self.erasures.get_mut(number).map(Arc::make_mut) {
                erasure.frozen = *frozen;
            }
        }
        for number in &entry.erased {
            if let Some(erasure) = self.erasures.get_mut(number).map(Arc::make_mut) {
                erasure.frozen = 0;
                erasure.done_ms.get_or_insert(entry.written_ms);
            }
        }
        self.erasures.retain(|number, _| !entry.settled.contains(number));
        Ok(())
    }

    /// Number of a tenant's newest erasure; 0 when there never was one.
    pub(crate) fn last_erasure(&self, tenant: &TenantId) -> u64 {
        self.last_erasure.get(tenant.as_str()).copied().unwrap_or(0)
    }

    /// True while an erasure still has to go through a block, which then is left alone by all others.
    pub(crate) fn awaits_erasure(&self, tenant: &TenantId, block: &BlockMeta) -> bool {
        let waits = |e: &Arc<Erasure>| e.done_ms.is_none() && e.tenant == *tenant && block.erased < e.number;
        self.erasures.values().any(waits)
    }

    /// False when an entry adds what was planned before an erasure, which may be among it.
    pub(crate) fn may_take(&self, entry: &Entry) -> bool {
        if self.last_erasure.is_empty() {
            return true;
        }
        let after = |tenant: &String, version: Option<u64>| {
            self.last_erasure.get(tenant).is_none_or(|number| version >= Some(*number))
        };
        entry.add.iter().all(|block| after(&block.tenant, keys::planned(&block.id)))
            && entry.metadata.iter().all(|(tenant, key)| after(tenant, keys::planned_metadata(key)))
    }

    fn add(&mut self, block: Arc<BlockMeta>) -> Result<(), String> {
        let tenant = TenantId::new(&block.tenant).map_err(|error| error.to_string())?;
        if self.places.insert(block.id.clone(), (tenant.clone(), Place::of(&block))).is_some() {
            return Err(format!("it adds block {:?} twice", block.id));
        }
        let blocks = Arc::make_mut(self.tenants.entry(tenant).or_default());
        let in_order = |list: &mut Vec<Arc<BlockMeta>>, block: Arc<BlockMeta>| {
            let at = list.partition_point(|other| other.generation <= block.generation);
            list.insert(at, block);
        };
        match Place::of(&block) {
            Place::Hour(hour) => in_order(blocks.hours.entry(hour).or_default(), block),
            Place::Archived(day) => in_order(blocks.archived.entry(day).or_default(), block),
            Place::Rollup(place) => blocks.rollups.entry(place).or_default().push(block),
        }
        Ok(())
    }

    fn remove(&mut self, id: &str) -> Result<Arc<BlockMeta>, String> {
        let unknown = || format!("it removes block {id:?}, which is not there");
        let (tenant, place) = self.places.remove(id).ok_or_else(unknown)?;
        let blocks = Arc::make_mut(self.tenants.get_mut(&tenant).ok_or_else(unknown)?);
        let removed = match place {
            Place::Hour(hour) => take(&mut blocks.hours, &hour, id),
            Place::Archived(day) => take(&mut blocks.archived, &day, id),
            Place::Rollup(place) => take(&mut blocks.rollups, &place, id),
        };
        removed.ok_or_else(unknown)
    }

    fn remember_marks(&mut self) {
        let compacted = self.compacted.iter().map(|(shard, to)| (shard.0, to.to_string())).collect();
        self.marks.push(Marks { version: self.version, written_ms: self.written_ms, compacted });
        // The newest of the old ones stays: it is what may go by now.
        let old = |m: &Marks| m.written_ms <= self.written_ms.saturating_sub(MARKS_KEPT_MS);
        let surplus = self.marks.iter().take_while(|m| old(m)).count().saturating_sub(1);
        let excess = self.marks.len().saturating_sub(MAX_MARKS);
        self.marks.drain(..surplus.max(excess));
    }

    /// The retention policy that counts for a tenant.
    pub(crate) fn retention_of(&self, tenant: &TenantId) -> Option<&Arc<InForce>> {
        self.retention.get(tenant.as_str()).or_else(|| self.retention.get(""))
    }

    /// From when on a tenant's samples are shown.
    pub(crate) fn floors(&self, tenant: &TenantId, now_ms: i64) -> Floors {
        Floors::new(self.retention_of(tenant), now_ms)
    }

    /// True when a block of that id is live.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// Ids of all live blocks.
    #[cfg(test)]
    fn ids(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// How far shards were compacted `grace_ms` before `now_ms`: what readers of then do not need.
    pub(crate) fn marks_before(&self, limit_ms: i64) -> BTreeMap<ShardId, SequenceNumber> {
        let newest = self.marks.iter().rev().find(|m| m.written_ms <= limit_ms);
        newest.and_then(|m| marks(&m.compacted).ok()).unwrap_or_default().into_iter().collect()
    }

    /// The state as a checkpoint.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let blocks = self.tenants.values().flat_map(|t| t.blocks());
        let metadata = self.tenants.iter().filter_map(|(tenant, t)| Some((tenant, t.metadata.as_ref()?)));
        Checkpoint {
            version: self.version,
            written_ms: self.written_ms,
            blocks: blocks.map(|block| BlockMeta::clone(block)).collect(),
            compacted: self.compacted.iter().map(|(shard, to)| (shard.0, to.to_string())).collect(),
            metadata: metadata.map(|(tenant, key)| (tenant.to_string(), key.clone())).collect(),
            retention: self.retention.iter().map(|(s, policy)| (s.clone(), policy.stored.clone())).collect(),
            swept: self.swept.clone(),
            erasures: self.erasures.values().map(|erasure| erasure.state()).collect(),
            last_erasure: self.last_erasure.clone(),
            retired: self.retired.clone(),
            marks: self.marks.clone(),
        }
    }

    /// Reads [`Catalog::checkpoint`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self, String> {
        let mut catalog = Self {
            version: checkpoint.version,
            written_ms: checkpoint.written_ms,
            compacted: marks(&checkpoint.compacted)?.into_iter().collect(),
            swept: checkpoint.swept,
            last_erasure: checkpoint.last_erasure,
            retired: checkpoint.retired,
            marks: checkpoint.marks,
            ..Self::default()
        };
        for (scope, stored) in checkpoint.retention {
            let policy = InForce::new(&scope, stored)?;
            catalog.retention.insert(scope, Arc::new(policy));
        }
        for state in checkpoint.erasures {
            catalog.erasures.insert(state.number, Arc::new(Erasure::new(state)?));
        }
        for block in checkpoint.blocks {
            catalog.add(Arc::new(block))?;
        }
        for (name, key) in checkpoint.metadata {
            let tenant = TenantId::new(&name).map_err(|error| error.to_string())?;
            Arc::make_mut(catalog.tenants.entry(tenant).or_default()).metadata = Some(key);
        }
        Ok(catalog)
    }
}

/// Takes a block out of its list, and the list out of the map when it was the last.
fn take<K: Ord>(lists: &mut BTreeMap<K, Vec<Arc<BlockMeta>>>, place: &K, id: &str) -> Option<Arc<BlockMeta>> {
    let list = lists.get_mut(place)?;
    let at = list.iter().position(|block| block.id == id)?;
    let removed = list.remove(at);
    if list.is_empty() {
        lists.remove(place);
    }
    Some(removed)
}

/// Reads marks, whose sequence numbers are text.
fn marks(text: &BTreeMap<u32, String>) -> Result<Vec<(ShardId, SequenceNumber)>, String> {
    let read = |(shard, to): (&u32, &String)| {
        let sequence = to.parse().map_err(|_| format!("shard {shard} is compacted to {to:?}"))?;
        Ok((ShardId(*shard), sequence))
    };
    text.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::RollupMeta;
    use weir_model::Aggregate;

    fn block(id: &str, hour: i64, generation: u64) -> BlockMeta {
        BlockMeta {
            id: id.into(),
            tenant: "t".into(),
            hour,
            min_ms: 0,
            max_ms: 1,
            series: 1,
            samples: 2,
            samples_bytes: 3,
            series_bytes: 4,
            samples_key: format!("s-{id}"),
            series_key: format!("l-{id}"),
            generation,
            complete: false,
            exemplars: None,
            rollup: None,
            erased: 0,
            archived: None,
        }
    }

    fn rollup(id: &str, day: i64, days: &[(i64, u64)]) -> BlockMeta {
        let hour = rollup::place(Tier::Hour, day).1;
        let days = days.iter().copied().collect();
        let rollup = RollupMeta { tier: Tier::Hour, aggregate: Aggregate::Last, days };
        BlockMeta { rollup: Some(rollup), ..block(id, hour, 1) }
    }

    fn entry(version: u64, add: Vec<BlockMeta>, remove: &[&str]) -> Entry {
        Entry {
            version,
            written_ms: version as i64 * 1000,
            add,
            remove: remove.iter().map(|id| (*id).to_owned()).collect(),
            compacted: [(1, u128::from(version).to_string())].into(),
            metadata: [("t".to_owned(), format!("m-{version}"))].into(),
            ..Entry::default()
        }
    }

    fn grown() -> Catalog {
        let catalog = Catalog::default();
        let catalog = catalog.after(&entry(1, vec![block("a", 5, 1), block("b", 6, 1)], &[])).unwrap();
        let catalog = catalog.after(&entry(2, vec![block("c", 5, 2)], &[])).unwrap();
        catalog.after(&entry(3, vec![block("d", 5, 2)], &["a", "c"])).unwrap()
    }

    #[test]
    fn entries_add_up_to_the_live_blocks() {
        let catalog = grown();
        assert_eq!(catalog.ids().collect::<Vec<_>>(), ["b", "d"]);
        let tenant = &catalog.tenants[&TenantId::new("t").unwrap()];
        assert_eq!(tenant.metadata.as_deref(), Some("m-3"));
        assert_eq!(tenant.hours[&5].iter().map(|b| b.id.as_str()).collect::<Vec<_>>(), ["d"]);
        let retired: Vec<_> = catalog.retired.iter().map(|r| (r.version, r.keys.join(" "))).collect();
        assert_eq!(retired, [(2, "m-1".to_owned()), (3, "s-a l-a s-c l-c m-2".to_owned())]);
        assert_eq!(catalog.compacted[&ShardId(1)], SequenceNumber::from(3));
        assert_eq!(catalog.marks_before(2_500)[&ShardId(1)], SequenceNumber::from(2));
        assert!(catalog.marks_before(500).is_empty());
    }

    #[test]
    fn objects_that_a_block_takes_over_are_replaced_only_with_it() {
        let catalog = grown();
        let heir = BlockMeta { series_key: "l-heir".into(), id: "heir".into(), ..block("d", 5, 2) };
        let catalog = catalog.after(&entry(4, vec![heir], &["d"])).unwrap();
        let retired = |catalog: &Catalog| catalog.retired.last().unwrap().keys.join(" ");
        assert_eq!(retired(&catalog), "l-d m-3");
        let catalog = catalog.after(&entry(5, vec![], &["heir"])).unwrap();
        assert_eq!(retired(&catalog), "s-d l-heir m-4");
    }

    #[test]
    fn a_checkpoint_holds_the_whole_state() {
        let catalog = grown();
        let text = serde_json::to_string(&catalog.checkpoint()).unwrap();
        let back = Catalog::from_checkpoint(serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(back.checkpoint(), catalog.checkpoint());
        assert_eq!(back.places, catalog.places);
    }

    #[test]
    fn rollups_lie_beside_the_hours_and_survive_a_checkpoint() {
        let add = vec![rollup("r", 20_000, &[(20_000, 2), (20_001, 3)])];
        let catalog = grown().after(&entry(4, add, &[])).unwrap();
        let back = Catalog::from_checkpoint(catalog.checkpoint()).unwrap();
        let tenant = &back.tenants[&TenantId::new("t").unwrap()];
        assert_eq!((tenant.hours.len(), tenant.rollups.len()), (2, 1));
        let rolled = |tier, day| tenant.rolled(tier, day);
        assert_eq!((rolled(Tier::Hour, 20_001), rolled(Tier::Hour, 20_002)), (Some(3), None));
        assert_eq!(rolled(Tier::Minute, 20_000), None);
        let gone = back.after(&entry(5, vec![], &["r"])).unwrap();
        assert!(gone.tenants[&TenantId::new("t").unwrap()].rollups.is_empty());
    }

    #[test]
    fn forgotten_objects_leave_the_state() {
        let forget = Entry { version: 4, forget: vec![2, 3], ..Entry::default() };
        assert!(grown().after(&forget).unwrap().retired.is_empty());
    }

    #[test]
    fn entries_that_do_not_fit_are_refused() {
        let catalog = grown();
        let rows = [
            ("a gap", entry(6, vec![], &[])),
            ("a removed block", entry(4, vec![], &["a"])),
            ("a block added twice", entry(4, vec![block("b", 6, 4)], &[])),
            (
                "a mark that is no number",
                Entry { compacted: [(1, "x".into())].into(), ..entry(4, vec![], &[]) },
            ),
            (
                "a tenant that is none",
                entry(4, vec![BlockMeta { tenant: "..".into(), ..block("e", 1, 4) }], &[]),
            ),
        ];
        for (shows, bad) in rows {
            assert!(catalog.after(&bad).is_err(), "{shows}");
        }
    }

    #[test]
    fn old_marks_go_but_the_newest_of_them_stays() {
        let mut catalog = Catalog::default();
        for version in 1..=10 {
            let entry = Entry {
                version,
                written_ms: version as i64 * MARKS_KEPT_MS / 3,
                compacted: [(1, version.to_string())].into(),
                ..Entry::default()
            };
            catalog = catalog.after(&entry).unwrap();
        }
        let kept: Vec<_> = catalog.marks.iter().map(|m| m.version).collect();
        assert_eq!(kept, [7, 8, 9, 10]);
    }
}
