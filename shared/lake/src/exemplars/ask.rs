//! Asking for exemplars: of the blocks hour by hour, and of the head.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use weir_model::{Labels, LabelsRef, Matcher, TenantId};

use super::{ExemplarLimits, ExemplarSeries, ExemplarSet, StoredExemplar};
use crate::block::decode_exemplars;
use crate::error::LakeError;
use crate::gather::gather;
use crate::head::TimeRange;
use crate::keys::HOUR_MS;
use crate::lake::Lake;
use crate::manifest::{Catalog, ExemplarsMeta};

impl Lake {
    /// Exemplars within the range (both ends inclusive, milliseconds) of the series that pass all matchers of
    /// at least one of `any_of`, by ascending labels of the series. Those of a cumulative and a delta
    /// series of the same labels appear as one series'.
    ///
    /// # Errors
    /// [`LakeError::Limit`] when there are more than `limit` exemplars, or more bytes to read than
    /// [`LakeOptions::max_select_bytes`](crate::LakeOptions::max_select_bytes); otherwise when the bucket
    /// fails or an object is damaged.
    pub async fn exemplars(
        self: &Arc<Self>,
        tenant: &TenantId,
        any_of: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<ExemplarSeries>, LakeError> {
        let range = TimeRange { start_ms, end_ms };
        if end_ms < start_ms {
            return Ok(Vec::new());
        }
        self.refresh_for_query().await?;
        let any_of: Arc<[Vec<Matcher>]> = any_of.into();
        // Of whole hours: which ones of an hour are kept must not depend on the range asked for.
        let first_ms = start_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS);
        let last_ms = end_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS).saturating_add(HOUR_MS - 1);
        let floors;
        let (hot, stored, _guard) = {
            let state = self.state();
            let whole = TimeRange { start_ms: first_ms, end_ms: last_ms };
            let hot = state.head.tenant(tenant).map_or_else(ExemplarSet::default, |hot| {
                hot.exemplars.copy(state.head.records(), whole, None, |labels| matches(&any_of, labels))
            });
            let guard = self.snapshots.hold(state.catalog.version);
            floors = state.catalog.floors(tenant, self.clock.now_ms());
            (hot, stored(&state.catalog, tenant, range), guard)
        };
        let bytes = stored.iter().flat_map(|(_, metas)| metas).map(|meta| meta.bytes).sum::<u64>();
        if bytes > self.options.max_select_bytes {
            let limit = self.options.max_select_bytes;
            return Err(LakeError::Limit { what: "bytes of exemplars of a query", found: bytes, limit });
        }
        let mut hours: BTreeMap<i64, ExemplarSet> = BTreeMap::new();
        for (key, exemplars) in hot {
            for of_hour in exemplars.chunk_by(|a, b| a.hour() == b.hour()) {
                let set = hours.entry(of_hour[0].hour()).or_default();
                set.extend(key.clone(), of_hour.iter().cloned());
            }
        }
        let mut found = Found { range, limit, count: 0, series: BTreeMap::new() };
        for (of_hours, metas) in stored {
            let mut set = ExemplarSet::default();
            for (key, exemplars) in of_hours.filter_map(|hour| hours.remove(&hour)).flatten() {
                set.extend(key, exemplars);
            }
            for (key, exemplars) in self.read_exemplars(metas, &any_of).await? {
                set.extend(key, exemplars);
            }
            found.take(set, self)?;
        }
        for (_, set) in hours {
            found.take(set, self)?;
        }
        let mut found = found.series();
        if floors.complete_from() > start_ms {
            for series in &mut found {
                let floor = floors.of(series.labels.borrowed());
                series.exemplars.retain(|exemplar| exemplar.timestamp_ms >= floor);
            }
            found.retain(|series| !series.exemplars.is_empty());
        }
        Ok(found)
    }

    /// What blocks hold that are still to be merged may be more than is kept of an hour. Only the bound of a
    /// series applies to an answer: for that of a tenant one would have to read all its series.
    fn limits_of_answers(&self) -> ExemplarLimits {
        ExemplarLimits { per_tenant: usize::MAX, ..self.options.exemplar_limits() }
    }

    /// The matching exemplars of the objects of one hour, or of some hours of an archived day.
    async fn read_exemplars(
        self: &Arc<Self>,
        metas: Vec<ExemplarsMeta>,
        any_of: &Arc<[Vec<Matcher>]>,
    ) -> Result<ExemplarSet, LakeError> {
        let read = |meta: ExemplarsMeta| {
            let (bucket, any_of) = (self.bucket.clone(), any_of.clone());
            async move {
                let object = bucket.get(&meta.key).await?;
                let decode = move || {
                    decode_exemplars(&object, |labels| matches(&any_of, labels), |_, _| true)
                        .map_err(|error| LakeError::damaged(&meta.key, error))
                };
                tokio::task::spawn_blocking(decode).await?
            }
        };
        let mut united = ExemplarSet::default();
        for some in metas.chunks(self.options.concurrency.max(1)) {
            for set in gather(some.len(), some.iter().cloned().map(read)).await? {
                for (key, exemplars) in set? {
                    united.extend(key, exemplars);
                }
            }
            united.bound(self.limits_of_answers());
        }
        Ok(united)
    }
}

fn matches(any_of: &[Vec<Matcher>], labels: LabelsRef<'_>) -> bool {
    let passes = |m: &Matcher| m.matches(labels.get(m.name()).unwrap_or(""));
    any_of.iter().any(|matchers| matchers.iter().all(passes))
}

/// Exemplars objects of the hours of the range, hour by hour, and together where a day is archived. Those of the
/// first and the last hour count even when nothing of theirs lies in the range: what they hold may be why an older
/// one is not kept.
fn stored(
    catalog: &Catalog,
    tenant: &TenantId,
    range: TimeRange,
) -> Vec<(RangeInclusive<i64>, Vec<ExemplarsMeta>)> {
    let Some(blocks) = catalog.tenants.get(tenant) else { return Vec::new() };
    let (first, last) = (range.start_ms.div_euclid(HOUR_MS), range.end_ms.div_euclid(HOUR_MS));
    let mut stored: Vec<(RangeInclusive<i64>, Vec<ExemplarsMeta>)> = Vec::new();
    for block in blocks.raw_of_hours(first, last) {
        let Some(meta) = &block.exemplars else { continue };
        let day = block.hour.div_euclid(24);
        let hours = match blocks.archived.contains_key(&day) {
            true => first.max(day * 24)..=last.min(day * 24 + 23),
            false => block.hour..=block.hour,
        };
        match stored.last_mut().filter(|(of, _)| *of == hours) {
            Some((_, metas)) => metas.push(meta.clone()),
            None => stored.push((hours, vec![meta.clone()])),
        }
    }
    stored
}

/// An answer in the making.
struct Found {
    range: TimeRange,
    limit: usize,
    count: usize,
    series: BTreeMap<Labels, Vec<StoredExemplar>>,
}

impl Found {
    /// Takes the exemplars of whole hours.
    fn take(&mut self, mut set: ExemplarSet, lake: &Lake) -> Result<(), LakeError> {
        set.bound(lake.limits_of_answers());
        for (key, mut exemplars) in set {
            exemplars.retain(|exemplar| self.range.contains(exemplar.timestamp_ms));
            if exemplars.is_empty() {
                continue;
            }
            self.count += exemplars.len();
            if self.count > self.limit {
                let (found, limit) = (self.count as u64, self.limit as u64);
                return Err(LakeError::Limit { what: "exemplars of a query", found, limit });
            }
            self.series.entry(key.labels).or_default().extend(exemplars);
        }
        Ok(())
    }

    fn series(self) -> Vec<ExemplarSeries> {
        let series = self.series.into_iter().map(|(labels, mut exemplars)| {
            exemplars.sort_unstable();
            exemplars.dedup();
            ExemplarSeries { labels, exemplars }
        });
        series.collect()
    }
}
