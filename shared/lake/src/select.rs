//! Selection: the series that match, and what reading their samples needs, fetched once.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use weir_model::{Labels, Matcher, MetricKind, Samples, SeriesId, Temporality, TenantId};
use weir_platform::BucketError;

use crate::block::BlockPages;
use crate::block::Holds;
use crate::days::{Day, DayKey, OpenBlock};
use crate::error::LakeError;
use crate::gather::gather;
use crate::head::{Head, TimeRange};
use crate::keys::HOUR_MS;
use crate::lake::Lake;
use crate::manifest::{BlockMeta, Catalog};
use crate::reader::LakeReader;
use crate::retention::Floors;
use crate::series_index::IndexedSeries;

/// What a query wants of one tenant.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Conditions on labels, all of which must hold.
    pub matchers: Vec<Matcher>,
    /// Earliest timestamp, inclusive, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Latest timestamp, inclusive.
    pub end_ms: i64,
    /// Most series the selection may have.
    pub max_series: usize,
    /// True reads everything anew from the bucket instead of using what earlier queries left in memory.
    pub bypass_cache: bool,
}

/// A series of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesInfo {
    /// Its labels, the metric's name included.
    pub labels: Labels,
    /// Declared type, as far as known.
    pub kind: MetricKind,
    /// Whether samples are states or changes.
    pub temporality: Temporality,
}

/// The series that a selection found, and the bytes that hold their samples: whatever happens to the
/// lake meanwhile, they stay as they were.
pub struct LakeSelection {
    pub(crate) series: Vec<SeriesInfo>,
    /// Where the sources of each series begin in `sources`; one more than there are series.
    pub(crate) starts: Vec<u32>,
    /// In order of writes.
    pub(crate) sources: Vec<Source>,
    pub(crate) blocks: Vec<FetchedBlock>,
    pub(crate) hot: HotSamples,
    pub(crate) range: TimeRange,
    /// From when on samples of each series are shown; empty when none of the range has expired.
    pub(crate) floors: Vec<i64>,
    bytes: u64,
    cached_indexes: usize,
}

/// Where some samples of a series are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// In a block, under that ordinal.
    Block { place: u32, ordinal: u32 },
    /// In the columns of hot floats.
    Plain { start: usize, end: usize },
    /// Among the hot series that needed sorting.
    Sorted(u32),
}

/// A block with the pages that the selection needs.
pub(crate) struct FetchedBlock {
    pub key: String,
    pub pages: BlockPages,
}

/// Hot samples, copied out of the head.
#[derive(Default)]
pub(crate) struct HotSamples {
    pub timestamps: Vec<i64>,
    pub values: Vec<f64>,
    pub sorted: Vec<Samples>,
}

impl LakeSelection {
    /// The series, ascending by labels; of two of the same labels the cumulative one comes first. A
    /// series may turn out to have no sample within the range.
    #[must_use]
    pub fn series(&self) -> &[SeriesInfo] {
        &self.series
    }

    /// A reader; several may work side by side.
    #[must_use]
    pub fn reader(&self) -> LakeReader<'_> {
        LakeReader::new(self)
    }

    /// Bytes of samples that the selection holds, compressed ones as such.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of the blocks looked at had their index in memory already.
    #[must_use]
    pub fn cached_indexes(&self) -> usize {
        self.cached_indexes
    }

    /// True when no histogram or set is among the samples, as far as can be told without reading them.
    pub(crate) fn has_only_floats(&self) -> bool {
        self.sources.iter().map(|source| self.source_holds(source)).all(|held| !held.histograms && !held.sets)
    }

    /// Which kinds of samples a series has, as far as can be told without reading them.
    pub(crate) fn holds(&self, series: usize) -> Holds {
        let bounds = self.starts.get(series).zip(self.starts.get(series + 1));
        let own = bounds.and_then(|(from, to)| self.sources.get(*from as usize..*to as usize));
        let each = own.unwrap_or_default().iter().map(|source| self.source_holds(source));
        each.fold(Holds::default(), Holds::or)
    }

    fn source_holds(&self, source: &Source) -> Holds {
        match source {
            Source::Block { place, ordinal } => self.blocks[*place as usize].pages.index().holds(*ordinal),
            Source::Plain { .. } => Holds { floats: true, ..Holds::default() },
            Source::Sorted(place) => {
                let samples = &self.hot.sorted[*place as usize];
                Holds {
                    floats: !samples.timestamps.is_empty(),
                    histograms: !samples.histograms.is_empty(),
                    sets: !samples.sets.is_empty(),
                }
            }
        }
    }

    /// Number of blocks that have something of the selection.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }
}

impl std::fmt::Debug for LakeSelection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeSelection")
            .field("series", &self.series.len())
            .field("blocks", &self.blocks.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A block and the ordinals of its series that a selection wants, with their slots.
struct Pick {
    block: Arc<OpenBlock>,
    ordinals: Vec<u32>,
    slots: Vec<u32>,
}

/// A selection in the making.
pub(crate) struct Builder<'a> {
    wish: &'a Selection,
    range: TimeRange,
    pub(crate) found: Found,
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Found {
    /// From when on samples are shown.
    pub floors: Floors,
    slots: HashMap<SeriesId, u32>,
    series: Vec<SeriesInfo>,
    /// Sources in order of writes, with the slot of their series.
    sources: Vec<(u32, Source)>,
    hot_sources: Vec<(u32, Source)>,
    hot: HotSamples,
}

impl<'a> Builder<'a> {
    /// Nothing found yet.
    pub(crate) fn new(wish: &'a Selection) -> Self {
        Self {
            wish,
            range: TimeRange { start_ms: wish.start_ms, end_ms: wish.end_ms },
            found: Found::default(),
        }
    }

    fn slot(&mut self, series: &IndexedSeries) -> Result<u32, LakeError> {
        if let Some(&slot) = self.found.slots.get(&series.id) {
            return Ok(slot);
        }
        let slot = self.found.series.len();
        if slot >= self.wish.max_series {
            let limit = self.wish.max_series as u64;
            return Err(LakeError::Limit { what: "series of a selection", found: slot as u64 + 1, limit });
        }
        let (labels, kind, temporality) = (series.labels.clone(), series.kind, series.temporality);
        self.found.series.push(SeriesInfo { labels, kind, temporality });
        self.found.slots.insert(series.id, slot as u32);
        Ok(slot as u32)
    }

    /// Copies the matching hot samples.
    pub(crate) fn add_head(&mut self, head: &Head, tenant: &TenantId) -> Result<(), LakeError> {
        let Some(hot) = head.tenant(tenant) else { return Ok(()) };
        for ordinal in hot.index.matching(&self.wish.matchers) {
            let series = &hot.series[ordinal as usize];
            if !series.overlaps(self.range) {
                continue;
            }
            let known = hot.index.get(ordinal);
            let source = if series.is_plain() {
                let start = self.found.hot.timestamps.len();
                series.copy_plain(self.range, &mut self.found.hot.timestamps, &mut self.found.hot.values);
                let end = self.found.hot.timestamps.len();
                if start == end {
                    continue;
                }
                Source::Plain { start, end }
            } else {
                let mut samples = Samples::default();
                series.read(head.records(), self.range, None, known.temporality, &mut samples);
                if samples.is_empty() {
                    continue;
                }
                self.found.hot.sorted.push(samples);
                Source::Sorted(self.found.hot.sorted.len() as u32 - 1)
            };
            let slot = self.slot(known)?;
            self.found.hot_sources.push((slot, source));
        }
        Ok(())
    }

    /// Finds the matching series of a day's blocks, which are given in order of writes.
    fn add_day(&mut self, day: &Day, blocks: Vec<Arc<OpenBlock>>) -> Result<Vec<Pick>, LakeError> {
        let contents = day.contents();
        let matched = contents.index.matching(&self.wish.matchers);
        let mut slots: Vec<Option<u32>> = vec![None; matched.len()];
        let mut picks = Vec::new();
        for block in blocks {
            let mut found = block.find(&matched);
            found.retain(|(_, in_block)| {
                let Some((min_ms, max_ms)) = block.index.series_times(*in_block) else { return false };
                self.range.overlaps(min_ms, max_ms)
            });
            if found.is_empty() {
                continue;
            }
            found.sort_unstable_by_key(|(_, in_block)| *in_block);
            let mut pick = Pick {
                block,
                ordinals: Vec::with_capacity(found.len()),
                slots: Vec::with_capacity(found.len()),
            };
            for (place, in_block) in found {
                let slot = match slots[place as usize] {
                    Some(slot) => slot,
                    None => {
                        let slot = self.slot(contents.index.get(matched[place as usize]))?;
                        slots[place as usize] = Some(slot);
                        slot
                    }
                };
                pick.ordinals.push(in_block);
                pick.slots.push(slot);
            }
            picks.push(pick);
        }
        Ok(picks)
    }
}

/// Blocks of a tenant that have samples and overlap the range, day by day and, of any one hour, in order of
/// writes.
pub(crate) fn blocks_of(catalog: &Catalog, tenant: &TenantId, range: TimeRange) -> Vec<Arc<BlockMeta>> {
    let Some(blocks) = catalog.tenants.get(tenant) else { return Vec::new() };
    if range.start_ms > range.end_ms {
        return Vec::new();
    }
    let (first, last) = (range.start_ms.div_euclid(HOUR_MS), range.end_ms.div_euclid(HOUR_MS));
    let within = blocks.raw_of_hours(first, last).into_iter();
    within.filter(|b| b.has_samples() && range.overlaps(b.min_ms, b.max_ms)).cloned().collect()
}

/// Groups blocks, which are in order of time, by day or partition of a rollup.
pub(crate) fn by_day(blocks: &[Arc<BlockMeta>]) -> impl Iterator<Item = (DayKey, &[Arc<BlockMeta>])> {
    let day = |block: &BlockMeta| (block.rollup.as_ref().map(|r| r.tier), block.hour.div_euclid(24));
    blocks.chunk_by(move |a, b| day(a) == day(b)).map(move |group| (day(&group[0]), group))
}

impl Lake {
    /// Finds the series of a tenant that match, and fetches what reading their samples needs.
    ///
    /// # Errors
    /// [`LakeError::Limit`] when there are more series than wanted, or more bytes than the options
    /// allow; otherwise when the bucket fails or an object is damaged.
    pub async fn select(&self, tenant: &TenantId, selection: &Selection) -> Result<LakeSelection, LakeError> {
        self.refresh_for_query().await?;
        let mut builder = Builder::new(selection);
        // Head and catalog under one lock: a sample is in the one or in the other, never in both. The
        // guard keeps the catalog's objects in the bucket until their bytes are here.
        let (metas, _guard) = {
            let state = self.state();
            let guard = self.snapshots.hold(state.catalog.version);
            let floors = state.catalog.floors(tenant, self.clock.now_ms());
            builder.range.start_ms = builder.range.start_ms.max(floors.nothing_before());
            builder.found.floors = floors;
            builder.add_head(&state.head, tenant)?;
            (blocks_of(&state.catalog, tenant, builder.range), guard)
        };
        self.complete(tenant, builder, &metas).await
    }

    /// Adds what blocks have, which are in order of time and, within, of writes, to what was found so far.
    pub(crate) async fn complete(
        &self,
        tenant: &TenantId,
        mut builder: Builder<'_>,
        metas: &[Arc<BlockMeta>],
    ) -> Result<LakeSelection, LakeError> {
        let mut picks = Vec::new();
        let mut cached_indexes = 0;
        for (number, metas) in by_day(metas) {
            let day = match builder.wish.bypass_cache {
                true => Arc::new(Day::default()),
                false => self.days.day(tenant, number),
            };
            cached_indexes += day.known(metas);
            let blocks = self.open_blocks(&day, metas).await?;
            picks.extend(builder.add_day(&day, blocks)?);
        }
        let sorted: usize = builder.found.hot.sorted.iter().map(Samples::len).sum();
        let hot_bytes = (builder.found.hot.timestamps.len() + sorted) as u64 * 16;
        let (blocks, bytes) = self.fetch(&mut builder, picks, hot_bytes).await?;
        let floors = builder.found.floors.clone();
        let mut selection = LakeSelection { cached_indexes, ..finish(builder, blocks, bytes) };
        if floors.complete_from() > selection.range.start_ms {
            selection.floors = selection.series.iter().map(|s| floors.of(s.labels.borrowed())).collect();
        }
        Ok(selection)
    }

    /// Reads the byte ranges that the picked series lie in.
    async fn fetch(
        &self,
        builder: &mut Builder<'_>,
        picks: Vec<Pick>,
        mut bytes: u64,
    ) -> Result<(Vec<FetchedBlock>, u64), LakeError> {
        let range = builder.range;
        let mut plans = Vec::with_capacity(picks.len());
        let mut reads = Vec::new();
        for pick in &picks {
            let meta = &pick.block.meta;
            let plan = pick
                .block
                .index
                .plan(&pick.ordinals, range.start_ms, range.end_ms)
                .map_err(|error| LakeError::damaged(&meta.series_key, error))?;
            for part in plan.ranges() {
                bytes += part.end - part.start;
                reads.push((meta.samples_key.clone(), part.clone()));
            }
            plans.push(plan);
        }
        if bytes > self.options.max_select_bytes {
            let limit = self.options.max_select_bytes;
            return Err(LakeError::Limit { what: "bytes of samples of a selection", found: bytes, limit });
        }
        let read = |(key, part): (String, std::ops::Range<u64>)| {
            let bucket = self.bucket.clone();
            async move { bucket.get_range(&key, part).await }
        };
        let parts = gather(self.options.concurrency, reads.into_iter().map(read)).await?;
        let frozen = |part: &Result<_, BucketError>| match part {
            Err(BucketError::Frozen { key }) => Some(key.clone()),
            _ => None,
        };
        let frozen: HashSet<String> = parts.iter().filter_map(frozen).collect();
        if !frozen.is_empty() {
            let metas = picks.iter().map(|pick| &pick.block.meta);
            return Err(self.restore(metas.filter(|meta| frozen.contains(&meta.samples_key))).await);
        }
        let mut parts = parts.into_iter();
        let mut blocks = Vec::with_capacity(picks.len());
        for (place, (pick, plan)) in picks.into_iter().zip(plans).enumerate() {
            let parts = parts.by_ref().take(plan.ranges().len()).collect::<Result<Vec<_>, _>>()?;
            let key = pick.block.meta.samples_key.clone();
            let pages = BlockPages::new(plan, parts).map_err(|error| LakeError::damaged(&key, error))?;
            blocks.push(FetchedBlock { key, pages });
            let sources = pick.ordinals.iter().zip(&pick.slots);
            builder
                .found
                .sources
                .extend(sources.map(|(ordinal, slot)| {
                    (*slot, Source::Block { place: place as u32, ordinal: *ordinal })
                }));
        }
        Ok((blocks, bytes))
    }
}

/// Sorts the series and lays each one's sources side by side.
fn finish(builder: Builder<'_>, blocks: Vec<FetchedBlock>, bytes: u64) -> LakeSelection {
    let Builder { range, found, .. } = builder;
    let Found { mut sources, hot_sources, series, hot, .. } = found;
    // What is hot was written after what is in blocks.
    sources.extend(hot_sources);
    let mut order: Vec<u32> = (0..series.len() as u32).collect();
    let key = |slot: u32| {
        let info = &series[slot as usize];
        (&info.labels, info.temporality == Temporality::Delta)
    };
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    let mut rank = vec![0u32; series.len()];
    for (place, slot) in order.iter().enumerate() {
        rank[*slot as usize] = place as u32;
    }
    // A counting sort, which keeps the order of writes within a series.
    let mut starts = vec![0u32; series.len() + 1];
    for (slot, _) in &sources {
        starts[rank[*slot as usize] as usize + 1] += 1;
    }
    for place in 1..starts.len() {
        starts[place] += starts[place - 1];
    }
    let mut next = starts.clone();
    let mut sorted = vec![Source::Sorted(0); sources.len()];
    for (slot, source) in sources {
        let at = &mut next[rank[slot as usize] as usize];
        sorted[*at as usize] = source;
        *at += 1;
    }
    let mut by_slot: Vec<Option<SeriesInfo>> = series.into_iter().map(Some).collect();
    let series = order.iter().filter_map(|slot| by_slot[*slot as usize].take()).collect();
    LakeSelection {
        series,
        starts,
        sources: sorted,
        blocks,
        hot,
        range,
        floors: Vec::new(),
        bytes,
        cached_indexes: 0,
    }
}
