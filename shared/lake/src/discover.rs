//! Questions about series rather than samples: which there are, which labels, which values.

use std::collections::BTreeSet;

use weir_model::{Labels, Matcher, TenantId};

use crate::bitmap::Bitmap;
use crate::days::OpenBlock;
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
        self.each_index(tenant, any_of, TimeRange { start_ms, end_ms }, |index, live| {
            found.extend(live.ordinals().into_iter().map(|ordinal| index.get(ordinal).labels.clone()));
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
        self.each_index(tenant, any_of, TimeRange { start_ms, end_ms }, |index, live| {
            found.extend(index.names_among(live).map(str::to_owned));
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
        let mut found: BTreeSet<String> = BTreeSet::new();
        self.each_index(tenant, any_of, TimeRange { start_ms, end_ms }, |index, live| {
            found.extend(index.values_among(name, live).map(str::to_owned));
        })
        .await?;
        Ok(found.into_iter().take(limit).collect())
    }

    /// Visits each index that knows of matching series with samples about the range, with those series.
    pub(crate) async fn each_index(
        &self,
        tenant: &TenantId,
        any_of: &[Vec<Matcher>],
        range: TimeRange,
        mut visit: impl FnMut(&SeriesIndex, &Bitmap) + Send,
    ) -> Result<(), LakeError> {
        self.refresh_for_query().await?;
        let mut walked = 0;
        let mut count = |matched: &[u32]| {
            walked += matched.len();
            if walked <= MAX_SERIES {
                return Ok(());
            }
            Err(LakeError::Limit {
                what: "series that match",
                found: walked as u64,
                limit: MAX_SERIES as u64,
            })
        };
        let (metas, _guard) = {
            let state = self.state();
            if let Some(hot) = state.head.tenant(tenant) {
                let matched = matching_any(&hot.index, any_of);
                count(&matched)?;
                let mut live = Bitmap::new(hot.index.len());
                for ordinal in matched {
                    let series = &hot.series[ordinal as usize];
                    if !series.is_empty() && series.overlaps(range) {
                        live.insert(ordinal);
                    }
                }
                visit(&hot.index, &live);
            }
            let guard = self.snapshots.hold(state.catalog.version);
            (blocks_of(&state.catalog, tenant, range), guard)
        };
        for (number, metas) in by_day(&metas) {
            let day = self.days.day(tenant, number);
            let blocks = self.open_blocks(&day, metas).await?;
            let contents = day.contents();
            let mut live = Bitmap::new(contents.index.len());
            let within =
                |block: &OpenBlock| range.start_ms <= block.meta.min_ms && block.meta.max_ms <= range.end_ms;
            let mut rest = Vec::new();
            for block in blocks {
                if !any_of.is_empty() || !within(&block) {
                    rest.push(block);
                } else if !live.is_full(contents.index.len()) {
                    // All of it is asked for: no need to look at each series' own times.
                    block.places().iter().for_each(|(ordinal, _)| live.insert(*ordinal));
                }
            }
            if !rest.is_empty() {
                let matched = matching_any(&contents.index, any_of);
                count(&matched)?;
                for block in rest {
                    for (place, in_block) in block.find(&matched) {
                        let times = block.index.series_times(in_block);
                        if times.is_some_and(|(min_ms, max_ms)| range.overlaps(min_ms, max_ms)) {
                            live.insert(matched[place as usize]);
                        }
                    }
                }
            }
            visit(&contents.index, &live);
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
