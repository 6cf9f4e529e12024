//! Questions about series rather than samples: which there are, which labels, which values.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashSet;
use weir_model::{Labels, Matcher, TenantId};

use crate::bitmap::Bitmap;
use crate::days::OpenBlock;
use crate::error::LakeError;
use crate::head::TimeRange;
use crate::lake::Lake;
use crate::rollup::{cover, day_of};
use crate::select::{blocks_of, by_day};
use crate::series_index::{Live, SeriesIndex};

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
            found.extend(
                live.ordinals(index.len()).into_iter().map(|ordinal| index.get(ordinal).labels.clone()),
            );
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
        let mut found = Texts::default();
        self.each_index(tenant, any_of, TimeRange { start_ms, end_ms }, |index, live| {
            found.add(index.names_among(live));
        })
        .await?;
        Ok(found.first(limit))
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
        let mut found = Texts::default();
        self.each_index(tenant, any_of, TimeRange { start_ms, end_ms }, |index, live| {
            found.add(index.values_among(name, live));
        })
        .await?;
        Ok(found.first(limit))
    }

    /// Visits each index that knows of matching series with samples about the range, with those series.
    pub(crate) async fn each_index(
        &self,
        tenant: &TenantId,
        any_of: &[Vec<Matcher>],
        range: TimeRange,
        mut visit: impl FnMut(&SeriesIndex, Live<'_>) + Send,
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
        let floors;
        let mut range = range;
        let asked = range;
        let (metas, _guard) = {
            let state = self.state();
            floors = state.catalog.floors(tenant, self.clock.now_ms());
            range.start_ms = range.start_ms.max(floors.nothing_before());
            if let Some(hot) = state.head.tenant(tenant) {
                let extent = hot.extent();
                let (min_ms, max_ms) = extent.times_ms;
                let all_live = extent.live == hot.index.len();
                if extent.live == 0 || !range.overlaps(min_ms, max_ms) {
                    // Series that pause, or nothing of that time.
                } else if any_of.is_empty()
                    && all_live
                    && range.start_ms <= min_ms
                    && max_ms <= range.end_ms
                    && floors.complete_from() <= min_ms
                {
                    visit(&hot.index, Live::All);
                } else {
                    let matched = matching_any(&hot.index, any_of);
                    count(&matched)?;
                    let mut live = Bitmap::new(hot.index.len());
                    for ordinal in matched {
                        let series = &hot.series[ordinal as usize];
                        let floor = || floors.of(hot.index.get(ordinal).labels.borrowed());
                        let expired = !series.is_empty()
                            && series.bounds().0 < floors.complete_from()
                            && series.bounds().1 < floor();
                        if !series.is_empty() && series.overlaps(range) && !expired {
                            live.insert(ordinal);
                        }
                    }
                    visit(&hot.index, Live::Some(&live));
                }
            }
            let guard = self.snapshots.hold(state.catalog.version);
            let mut metas = blocks_of(&state.catalog, tenant, range);
            if let Some(blocks) = state.catalog.tenants.get(tenant) {
                let (rollups, days) = cover(blocks, asked, floors.complete_from());
                let known = |at_ms: i64| days.contains(&day_of(at_ms));
                metas.retain(|block| !(known(block.min_ms) && known(block.max_ms)));
                metas.splice(0..0, rollups);
            }
            (metas, guard)
        };
        for (number, metas) in by_day(&metas) {
            let day = self.days.day(tenant, number);
            let blocks = self.open_blocks(&day, metas).await?;
            let contents = day.contents();
            // Rollups outlive the samples that they were made of.
            let floors = number.0.map_or_else(|| floors.clone(), |tier| floors.of_tier(tier));
            let range = if number.0.is_some() { asked } else { range };
            let within = |block: &OpenBlock| {
                range.start_ms.max(floors.complete_from()) <= block.meta.min_ms
                    && block.meta.max_ms <= range.end_ms
            };
            // Often every hour has every series of its day.
            let is_all =
                |block: &Arc<OpenBlock>| within(block) && block.places().len() == contents.index.len();
            if any_of.is_empty() && blocks.iter().any(is_all) {
                visit(&contents.index, Live::All);
                continue;
            }
            let mut live = Bitmap::new(contents.index.len());
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
                        let ordinal = matched[place as usize];
                        let floor = || floors.of(contents.index.get(ordinal).labels.borrowed());
                        let shown = |(min_ms, max_ms): (i64, i64)| {
                            range.overlaps(min_ms, max_ms)
                                && (min_ms >= floors.complete_from() || max_ms >= floor())
                        };
                        if times.is_some_and(shown) {
                            live.insert(ordinal);
                        }
                    }
                }
            }
            visit(&contents.index, Live::Some(&live));
        }
        Ok(())
    }
}

/// Names or values out of several indexes, each once.
#[derive(Default)]
struct Texts(HashSet<Box<str>>);

impl Texts {
    fn add<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        for text in texts {
            // Most indexes repeat what others had.
            if !self.0.contains(text) {
                self.0.insert(text.into());
            }
        }
    }

    /// Ascending, the first `limit`.
    fn first(self, limit: usize) -> Vec<String> {
        let mut texts: Vec<String> = self.0.into_iter().map(String::from).collect();
        texts.sort_unstable();
        texts.truncate(limit);
        texts
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
