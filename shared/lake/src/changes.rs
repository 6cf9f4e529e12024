//! Marks: what a tenant's data within a range of time was when somebody looked, and where it has changed
//! since, so that answers can be kept until something that they were made of changes.
//!
//! Hot samples are told apart by the minute they are of: each write notes its minutes. Blocks are told apart by
//! the hour, by the names of those that hold it. A mark is good in the process that made it, for its life.

use std::collections::BTreeMap;

use weir_model::TenantId;
use xxhash_rust::xxh3::Xxh3;

use crate::error::LakeError;
use crate::head::TimeRange;
use crate::keys::HOUR_MS;
use crate::lake::Lake;
use crate::manifest::Catalog;
use crate::select::blocks_of;

/// Width of the spans of time in which writes are told apart, in milliseconds.
const SPAN_MS: i64 = 60_000;
/// Most spans of a tenant that are remembered: eleven days of minutes. One more forgets them all, which makes
/// every mark made before count as changed.
const MAX_SPANS: usize = 16_384;
/// A batch that covers at most so many spans has all between its ends noted, without a look at each sample.
const NEAR_SPANS: i64 = 64;

/// When the spans of a tenant's time were last written to.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Rises with every write.
    version: u64,
    /// Spans written up to this version are forgotten.
    floor: u64,
    spans: BTreeMap<i64, u64>,
}

impl Writes {
    /// Notes the timestamps of a write.
    pub(crate) fn note(&mut self, timestamps: impl Iterator<Item = i64> + Clone) {
        let ends = timestamps.clone().fold((i64::MAX, i64::MIN), |(a, b), t| (a.min(t), b.max(t)));
        let (first, last) = (ends.0.div_euclid(SPAN_MS), ends.1.div_euclid(SPAN_MS));
        if first > last {
            return;
        }
        self.version += 1;
        if last - first <= NEAR_SPANS {
            (first..=last).for_each(|span| self.touch(span));
            return;
        }
        let mut known = first - 1;
        for span in timestamps.map(|t| t.div_euclid(SPAN_MS)) {
            if span != known {
                self.touch(span);
                known = span;
            }
        }
    }

    /// Makes every mark made before count as changed.
    pub(crate) fn forget(&mut self) {
        self.version += 1;
        self.floor = self.version;
        self.spans.clear();
    }

    fn touch(&mut self, span: i64) {
        if self.spans.len() >= MAX_SPANS && !self.spans.contains_key(&span) {
            self.spans.clear();
            self.floor = self.version;
        }
        self.spans.insert(span, self.version);
    }

    /// The spans of a range that were written to after that version, as inclusive milliseconds.
    fn since(&self, version: u64, range: TimeRange) -> Vec<(i64, i64)> {
        if version < self.floor {
            return vec![(i64::MIN, i64::MAX)];
        }
        let spans = range.start_ms.div_euclid(SPAN_MS)..=range.end_ms.div_euclid(SPAN_MS);
        let later = self.spans.range(spans).filter(|(_, at)| **at > version);
        later.map(|(span, _)| (span * SPAN_MS, span * SPAN_MS + (SPAN_MS - 1))).collect()
    }
}

/// What a tenant's data within a range was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    hot: u64,
    /// Key of the retention policy; empty for none.
    policy: String,
    /// Numbers of the erasures under way, and of the last one.
    erasures: Vec<u64>,
    /// Before this, samples may have expired since any mark.
    complete_from_ms: i64,
    /// A hash of the names of the blocks of each hour that has any, ascending by hour.
    hours: Vec<(i64, u64)>,
}

impl Mark {
    /// Memory that it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.policy.len()
            + self.erasures.len() * 8
            + self.hours.len() * size_of::<(i64, u64)>()
    }

    /// The hours whose blocks differ, as inclusive milliseconds.
    fn differing(&self, other: &Self) -> Vec<(i64, i64)> {
        let mut all: BTreeMap<i64, (u64, u64)> =
            self.hours.iter().map(|(h, hash)| (*h, (*hash, 0))).collect();
        for (hour, hash) in &other.hours {
            all.entry(*hour).or_default().1 = *hash;
        }
        let changed = all.into_iter().filter(|(_, (then, now))| then != now);
        changed.map(|(hour, _)| (hour * HOUR_MS, hour * HOUR_MS + (HOUR_MS - 1))).collect()
    }
}

/// Hashes the names of the blocks that a selection of that range would read, hour by hour.
fn hours_of(catalog: &Catalog, tenant: &TenantId, range: TimeRange) -> Vec<(i64, u64)> {
    // Whole hours: which blocks of an hour hold the range must not depend on the range.
    let start_ms = range.start_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS);
    let end_ms = range.end_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS).saturating_add(HOUR_MS - 1);
    let mut hours: BTreeMap<i64, Xxh3> = BTreeMap::new();
    for block in blocks_of(catalog, tenant, TimeRange { start_ms, end_ms }) {
        let (first_ms, last_ms) = (block.min_ms.max(start_ms), block.max_ms.min(end_ms));
        for hour in first_ms.div_euclid(HOUR_MS)..=last_ms.div_euclid(HOUR_MS) {
            let hasher = hours.entry(hour).or_default();
            hasher.update(block.id.as_bytes());
            hasher.update(b"/");
        }
    }
    hours.into_iter().map(|(hour, hasher)| (hour, hasher.digest())).collect()
}

impl Lake {
    /// Marks what a tenant's data within a range is now. A selection made later shows this state or a later
    /// one, so an answer made of it may be kept under this mark.
    ///
    /// # Errors
    /// [`LakeError`] when others write to the lake, too, and it cannot be told what.
    pub async fn mark(&self, tenant: &TenantId, start_ms: i64, end_ms: i64) -> Result<Mark, LakeError> {
        self.refresh_for_query().await?;
        let state = self.state();
        let hot = state.head.tenant(tenant).map_or(0, |head| head.writes.version);
        let hours = hours_of(&state.catalog, tenant, TimeRange { start_ms, end_ms });
        let policy = state.catalog.retention_of(tenant).map_or_else(String::new, |policy| policy.key.clone());
        let complete_from_ms = state.catalog.floors(tenant, self.clock.now_ms()).complete_from();
        let under_way =
            state.catalog.erasures.values().filter(|e| e.tenant == *tenant && e.done_ms.is_none());
        let last = state.catalog.last_erasure(tenant);
        let erasures = under_way.map(|erasure| erasure.number).chain((last > 0).then_some(last)).collect();
        Ok(Mark { hot, policy, erasures, complete_from_ms, hours })
    }

    /// Where a tenant's data within a range may differ between two marks, as inclusive milliseconds in no
    /// order; nothing outside of these spans does. Both marks must cover the range.
    #[must_use]
    pub fn changed(
        &self,
        tenant: &TenantId,
        (then, now): (&Mark, &Mark),
        start_ms: i64,
        end_ms: i64,
    ) -> Vec<(i64, i64)> {
        if then.policy != now.policy || then.erasures != now.erasures {
            return vec![(start_ms, end_ms)];
        }
        let mut changed = then.differing(now);
        if now.complete_from_ms > i64::MIN {
            changed.push((i64::MIN, now.complete_from_ms - 1));
        }
        if let Some(head) = self.state().head.tenant(tenant) {
            changed.extend(head.writes.since(then.hot, TimeRange { start_ms, end_ms }));
        }
        changed.retain(|(first, last)| *first <= end_ms && *last >= start_ms);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(writes: &Writes, version: u64) -> Vec<i64> {
        let all = TimeRange { start_ms: -1_000 * SPAN_MS, end_ms: 100_000_000 * SPAN_MS };
        writes.since(version, all).into_iter().map(|(first, _)| first.div_euclid(SPAN_MS)).collect()
    }

    #[test]
    fn writes_are_told_apart_by_their_minutes() {
        let mut writes = Writes::default();
        writes.note([61_000, 119_999].into_iter());
        writes.note([-1].into_iter());
        writes.note([0, 1_000 * SPAN_MS, 5].into_iter());
        writes.note(std::iter::empty());
        assert_eq!(writes.version, 3);
        assert_eq!(since(&writes, 0), [-1, 0, 1, 1_000]);
        assert_eq!(since(&writes, 1), [-1, 0, 1_000]);
        assert_eq!(since(&writes, 2), [0, 1_000]);
        assert!(since(&writes, 3).is_empty());
    }

    #[test]
    fn when_there_are_too_many_spans_everything_counts_as_changed() {
        let mut writes = Writes::default();
        writes.note([0].into_iter());
        let before = writes.version;
        writes.note((0..=MAX_SPANS as i64).map(|i| i * SPAN_MS));
        assert!(writes.spans.len() <= MAX_SPANS);
        assert_eq!(writes.since(before, TimeRange { start_ms: 0, end_ms: 1 }), [(i64::MIN, i64::MAX)]);
        let now = writes.version;
        writes.note([0].into_iter());
        assert_eq!(since(&writes, now), [0]);
    }

    #[test]
    fn hours_differ_when_they_come_go_or_change() {
        let mark = |hours: &[(i64, u64)]| Mark { hours: hours.to_vec(), ..Mark::default() };
        let hour = |h: i64| (h * HOUR_MS, (h + 1) * HOUR_MS - 1);
        let (then, now) = (mark(&[(1, 7), (2, 8), (3, 9)]), mark(&[(2, 8), (3, 10), (4, 1)]));
        assert_eq!(then.differing(&now), [hour(1), hour(3), hour(4)]);
        assert!(now.differing(&now).is_empty());
    }
}
