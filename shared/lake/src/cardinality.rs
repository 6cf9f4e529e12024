//! How many series there are of what: by metric, by label, by value, counted from postings.

use hashbrown::{HashMap, HashSet};
use weir_model::{METRIC_NAME, SeriesId, TenantId};

use crate::bitmap::Bitmap;
use crate::error::LakeError;
use crate::head::TimeRange;
use crate::lake::Lake;

/// What counts as now: the day before the newest sample.
const SPAN_MS: i64 = 24 * 3_600_000;

/// Counts of a tenant's series with samples in the day before its newest one; lists are descending by count
/// and then ascending by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cardinality {
    /// Series.
    pub series: u64,
    /// Pairs of a label's name and a value of it.
    pub label_pairs: u64,
    /// Blocks that hold their samples, hot ones not counted.
    pub blocks: u64,
    /// First and last timestamp of the tenant's samples within the span, milliseconds since the Unix epoch,
    /// as blocks and series state them; `None` without samples.
    pub times_ms: Option<(i64, i64)>,
    /// Series by metric.
    pub by_metric: Vec<(String, u64)>,
    /// Values by label name.
    pub values_by_label: Vec<(String, u64)>,
    /// Bytes that names and values take, a copy for each series, by label name.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Series by `name=value`.
    pub by_pair: Vec<(String, u64)>,
}

/// Series by value, by label name.
type Pairs = HashMap<Box<str>, HashMap<Box<str>, u64>>;

impl Lake {
    /// Counts a tenant's recent series; each list has the `limit` largest.
    ///
    /// # Errors
    /// As [`Lake::series`].
    pub async fn cardinality(&self, tenant: &TenantId, limit: usize) -> Result<Cardinality, LakeError> {
        self.refresh_for_query().await?;
        let Some((first_ms, last_ms)) = self.times(tenant) else { return Ok(Cardinality::default()) };
        let range = TimeRange { start_ms: first_ms.max(last_ms.saturating_sub(SPAN_MS)), end_ms: last_ms };
        let mut seen: HashSet<SeriesId> = HashSet::new();
        let mut pairs = Pairs::new();
        self.each_index(tenant, &[], range, |index, live| {
            // A series that an index before this one had is counted already.
            let mut fresh = Bitmap::new(index.len());
            live.ordinals(index.len())
                .into_iter()
                .filter(|o| seen.insert(index.get(*o).id))
                .for_each(|o| fresh.insert(o));
            index.each_pair_among(&fresh, |name, value, series| {
                let values = match pairs.get_mut(name) {
                    Some(values) => values,
                    None => pairs.entry(name.into()).or_default(),
                };
                match values.get_mut(value) {
                    Some(count) => *count += series,
                    None => _ = values.insert(value.into(), series),
                }
            });
        })
        .await?;
        let blocks = crate::select::blocks_of(&self.catalog(), tenant, range).len() as u64;
        Ok(Cardinality {
            series: seen.len() as u64,
            blocks,
            times_ms: Some((range.start_ms, range.end_ms)),
            ..ranked(&pairs, limit)
        })
    }

    /// First and last timestamp of a tenant's samples, as far as blocks and hot series state them.
    fn times(&self, tenant: &TenantId) -> Option<(i64, i64)> {
        let state = self.state();
        let hot = state.head.tenant(tenant).into_iter().flat_map(|hot| &hot.series);
        let hot = hot.filter(|series| !series.is_empty()).map(crate::head::HeadSeries::bounds);
        let stored = state.catalog.tenants.get(tenant).into_iter().flat_map(|t| t.raw());
        let stored = stored.map(|block| (block.min_ms, block.max_ms));
        hot.chain(stored).reduce(|(first, last), (min_ms, max_ms)| (first.min(min_ms), last.max(max_ms)))
    }
}

fn ranked(pairs: &Pairs, limit: usize) -> Cardinality {
    let metrics = pairs.get(METRIC_NAME).into_iter().flatten();
    let weighed = pairs.iter().map(|(name, values)| {
        let bytes = values.iter().map(|(value, series)| (name.len() + value.len()) as u64 * series);
        (&**name, values.len() as u64, bytes.sum::<u64>())
    });
    let weighed: Vec<(&str, u64, u64)> = weighed.collect();
    let of_pairs = pairs
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |(value, series)| ((&**name, &**value), *series)));
    Cardinality {
        label_pairs: weighed.iter().map(|(_, values, _)| values).sum(),
        by_metric: largest(metrics.map(|(metric, series)| (&**metric, *series)), limit, str::to_owned),
        values_by_label: largest(weighed.iter().map(|w| (w.0, w.1)), limit, str::to_owned),
        bytes_by_label: largest(weighed.iter().map(|w| (w.0, w.2)), limit, str::to_owned),
        by_pair: largest(of_pairs, limit, |(name, value)| format!("{name}={value}")),
        ..Cardinality::default()
    }
}

/// The `limit` largest, their names written out.
fn largest<K: Ord + Copy>(
    all: impl Iterator<Item = (K, u64)>,
    limit: usize,
    name: impl Fn(K) -> String,
) -> Vec<(String, u64)> {
    let descending = |a: &(K, u64), b: &(K, u64)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
    let mut all: Vec<(K, u64)> = all.collect();
    if all.len() > limit {
        all.select_nth_unstable_by(limit, descending);
        all.truncate(limit);
    }
    all.sort_unstable_by(descending);
    all.into_iter().map(|(key, count)| (name(key), count)).collect()
}
