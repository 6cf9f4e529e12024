//! Questions about series rather than samples: which there are, which labels, which values.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashSet;
use weir_model::{Labels, Matcher, SeriesId, TenantId};

use crate::error::LakeError;
use crate::head::TimeRange;
use crate::lake::Lake;
use crate::select::{blocks_of, by_day};
use crate::series_index::SeriesIndex;

/// Most series that one question may walk through.
const MAX_SERIES: usize = 10_000_000;

impl Lake {
    /// Labels of the series that pass all matchers of at least one of `any_of` (all series when it is
    /// empty) and have samples about the range (both ends inclusive, milliseconds): ascending, the first
    /// `limit`. A cumulative and a delta series of the same labels appear as one.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails, an object is damaged, or ten million series match.
    pub async fn series(
        &self,
        tenant: &TenantId,
        any_of: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<Labels>, LakeError> {
        let mut found = BTreeSet::new();
        self.each_series(tenant, any_of, TimeRange { start_ms, end_ms }, |labels| {
            found.insert(labels.clone());
        })
        .await?;
        Ok(found.into_iter().take(limit).collect())
    }

    /// Names of the labels of those series, ascending, the first `limit`; see [`Lake::series`].
    ///
    /// # Errors
    /// As [`Lake::series`].
    pub async fn label_names(
        &self,
        tenant: &TenantId,
        any_of: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<String>, LakeError> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        self.each_series(tenant, any_of, TimeRange { start_ms, end_ms }, |labels| {
            for (name, _) in labels.iter() {
                if !found.contains(name) {
                    found.insert(name.to_owned());
                }
            }
        })
        .await?;
        Ok(found.into_iter().take(limit).collect())
    }

    /// Values that label `name` has among those series, ascending, the first `limit`; see
    /// [`Lake::series`].
    ///
    /// # Errors
    /// As [`Lake::series`].
    pub async fn label_values(
        &self,
        tenant: &TenantId,
        name: &str,
        any_of: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<String>, LakeError> {
        let mut found: HashSet<String> = HashSet::new();
        self.each_series(tenant, any_of, TimeRange { start_ms, end_ms }, |labels| {
            if let Some(value) = labels.get(name)
                && !found.contains(value)
            {
                found.insert(value.to_owned());
            }
        })
        .await?;
        let mut values: Vec<String> = found.into_iter().collect();
        values.sort_unstable();
        values.truncate(limit);
        Ok(values)
    }

    /// Visits each series once that matches and has samples about the range.
    async fn each_series(
        &self,
        tenant: &TenantId,
        any_of: &[Vec<Matcher>],
        range: TimeRange,
        mut visit: impl FnMut(&Labels) + Send,
    ) -> Result<(), LakeError> {
        self.refresh_for_query().await?;
        let mut seen: HashSet<SeriesId> = HashSet::new();
        let mut visit_once = |index: &SeriesIndex, ordinal: u32| {
            let series = index.get(ordinal);
            if seen.insert(series.id) {
                visit(&series.labels);
            }
            if seen.len() <= MAX_SERIES {
                return Ok(());
            }
            let (found, limit) = (seen.len() as u64, MAX_SERIES as u64);
            Err(LakeError::Limit { what: "series that match", found, limit })
        };
        let (metas, _guard) = {
            let state = self.state();
            if let Some(hot) = state.head.tenant(tenant) {
                for ordinal in matching_any(&hot.index, any_of) {
                    let series = &hot.series[ordinal as usize];
                    if !series.is_empty() && series.overlaps(range) {
                        visit_once(&hot.index, ordinal)?;
                    }
                }
            }
            let guard = self.snapshots.hold(state.catalog.version);
            (blocks_of(&state.catalog, tenant, range), guard)
        };
        for (number, metas) in by_day(&metas) {
            let day = self.days.day(tenant, number);
            let blocks = self.open_blocks(&day, metas).await?;
            let day = Arc::clone(&day);
            let contents = day.contents();
            let matched = matching_any(&contents.index, any_of);
            for block in blocks {
                for (place, in_block) in block.find(&matched) {
                    let times = block.index.series_times(in_block);
                    if times.is_some_and(|(min_ms, max_ms)| range.overlaps(min_ms, max_ms)) {
                        visit_once(&contents.index, matched[place as usize])?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Ordinals of the series that pass all matchers of at least one list, ascending.
fn matching_any(index: &SeriesIndex, any_of: &[Vec<Matcher>]) -> Vec<u32> {
    match any_of {
        [] => index.matching(&[]),
        [only] => index.matching(only),
        several => {
            let mut all: Vec<u32> = several.iter().flat_map(|matchers| index.matching(matchers)).collect();
            all.sort_unstable();
            all.dedup();
            all
        }
    }
}
