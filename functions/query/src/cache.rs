//! Answers of range queries, kept for the steps at which nothing that they were made of has changed since.
//!
//! An answer is kept with a mark of the tenant's data (`Lake::mark`) made before it was computed. The next query
//! of the same expression and step, on the same multiples of it, asks the lake where the data differs from that
//! mark by now, takes the longest run of steps that look at none of it, and computes the rest. So late, repeated
//! and deleted data change an answer at once, whatever time they are of.
//!
//! Not kept: what depends on where the query begins or ends (`Query::reach`), and answers with warnings or infos,
//! since it is not known which of their steps these belong to.

use std::cmp::Ordering;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync::DefaultLifecycle};
use weir_lake::{Lake, LakeError, Mark};
use weir_model::{Labels, TenantId};
use weir_promql::{Query, RangeSeries, Reach};

/// Fewer steps than this are not worth keeping or reusing.
const MIN_STEPS: i64 = 8;
/// A kept answer is used when it saves at least one step in so many: looking up both parts of a query costs
/// two selections instead of one.
const MIN_SHARE: i64 = 4;
/// The largest answer that is kept, as a share of the whole cache.
const MAX_SHARE_OF_CACHE: u64 = 4;

/// What must be equal for answers to be comparable step by step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    /// The expression as it is printed, so that spaces do not count.
    expr: String,
    step_ms: i64,
    /// Where between two multiples of the step the steps lie.
    phase_ms: i64,
    lookback_ms: i64,
}

/// An answer for the steps from `first_ms` to `last_ms`.
struct Kept {
    first_ms: i64,
    last_ms: i64,
    series: Vec<RangeSeries>,
    mark: Mark,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Kept>> for ByBytes {
    fn weight(&self, _: &Key, kept: &Arc<Kept>) -> u64 {
        kept.bytes
    }
}

/// The kept answers of all tenants, bounded by their memory.
pub(crate) struct ResultCache {
    kept: Cache<Key, Arc<Kept>, ByBytes>,
    capacity_bytes: u64,
}

/// How a query is to be answered: which steps are kept, which are to be computed.
pub(crate) struct Plan {
    key: Key,
    mark: Mark,
    first_ms: i64,
    last_ms: i64,
    kept: Option<Run>,
    /// First and last step of each run of steps to compute, ascending.
    pub(crate) missing: Vec<(i64, i64)>,
}

/// Steps of a kept answer.
struct Run {
    of: Arc<Kept>,
    first_ms: i64,
    last_ms: i64,
}

impl ResultCache {
    /// A cache of at most so many bytes; `None` for zero.
    pub(crate) fn new(capacity_bytes: u64) -> Option<Self> {
        if capacity_bytes == 0 {
            return None;
        }
        // In one shard: an answer may take a good share of the whole, and is looked up once a query.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(1_000)
            .weight_capacity(capacity_bytes)
            .build()
            .ok()?;
        let hasher = DefaultHashBuilder::default();
        let kept = Cache::with_options(options, ByBytes, hasher, DefaultLifecycle::default());
        Some(Self { kept, capacity_bytes })
    }

    /// Says which steps of a range query are kept; `None` when its answer cannot be.
    pub(crate) async fn plan(
        &self,
        lake: &Lake,
        tenant: &TenantId,
        query: &Query,
    ) -> Result<Option<Plan>, LakeError> {
        let Some(reach) = query.reach().filter(|_| query.step_ms > 0) else { return Ok(None) };
        let (first_ms, step_ms) = (query.start_ms, query.step_ms);
        let steps = (query.end_ms - first_ms) / step_ms + 1;
        if steps < MIN_STEPS {
            return Ok(None);
        }
        let last_ms = first_ms + (steps - 1) * step_ms;
        let key = Key {
            tenant: tenant.clone(),
            expr: query.expr.to_string(),
            step_ms,
            phase_ms: first_ms.rem_euclid(step_ms),
            lookback_ms: query.lookback_ms,
        };
        // Before anything is read, so that it is not newer than what is read.
        let mark =
            lake.mark(tenant, first_ms - reach.before_ms, last_ms.saturating_add(reach.after_ms)).await?;
        let kept = self.kept.get(&key).and_then(|kept| {
            let (first, last) = (first_ms.max(kept.first_ms), last_ms.min(kept.last_ms));
            if first > last {
                return None;
            }
            let data = (first.saturating_sub(reach.before_ms), last.saturating_add(reach.after_ms));
            let changed = lake.changed(tenant, (&kept.mark, &mark), data.0, data.1);
            let run = longest_run((first, last), step_ms, affected(changed, reach))?;
            widen_gaps(run, (first_ms, last_ms), step_ms, steps).map(|(first_ms, last_ms)| Run {
                of: kept,
                first_ms,
                last_ms,
            })
        });
        let missing = match &kept {
            None => vec![(first_ms, last_ms)],
            Some(run) => [(first_ms, run.first_ms - step_ms), (run.last_ms + step_ms, last_ms)]
                .into_iter()
                .filter(|(first, last)| first <= last)
                .collect(),
        };
        Ok(Some(Plan { key, mark, first_ms, last_ms, kept, missing }))
    }

    /// Keeps an answer; what it was computed of must have been read after its plan was made.
    pub(crate) fn keep(&self, plan: Plan, series: Vec<RangeSeries>) {
        let Plan { key, mark, first_ms, last_ms, .. } = plan;
        let own = size_of::<Kept>() + size_of::<Key>() + key.expr.len() + mark.bytes();
        let bytes = own as u64 + series.iter().map(bytes_of).sum::<u64>();
        if bytes <= self.capacity_bytes / MAX_SHARE_OF_CACHE {
            self.kept.insert(key, Arc::new(Kept { first_ms, last_ms, series, mark, bytes }));
        }
    }

    /// Bytes of the answers kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.kept.weight()
    }
}

impl Plan {
    /// How many steps are kept.
    pub(crate) fn kept_steps(&self) -> u64 {
        self.kept.as_ref().map_or(0, |run| {
            u64::try_from((run.last_ms - run.first_ms) / self.key.step_ms + 1).unwrap_or_default()
        })
    }

    /// Puts the kept steps and the computed ones, in the order of `missing`, together.
    pub(crate) fn join(&self, computed: Vec<Vec<RangeSeries>>) -> Vec<RangeSeries> {
        let Some(run) = &self.kept else { return computed.into_iter().next().unwrap_or_default() };
        let mut kept = Some(slice(&run.of.series, run.first_ms, run.last_ms));
        let mut all = Vec::new();
        for ((first_ms, _), series) in self.missing.iter().zip(computed) {
            if *first_ms > run.last_ms
                && let Some(kept) = kept.take()
            {
                all = append(all, kept);
            }
            all = append(all, series);
        }
        append(all, kept.unwrap_or_default())
    }
}

fn bytes_of(series: &RangeSeries) -> u64 {
    let histograms = series.histograms.iter().map(|(_, h)| {
        let slots = h.positive_buckets.len() + h.negative_buckets.len() + h.positive_spans.len();
        size_of::<weir_model::Histogram>() + 8 * (slots + h.negative_spans.len() + 2)
    });
    let labels = series.labels.iter().map(|(name, value)| name.len() + value.len() + 2);
    let own = size_of::<RangeSeries>() + 16 * series.floats.len();
    (own + histograms.sum::<usize>() + labels.sum::<usize>()) as u64
}

/// The steps that look at changed data, as inclusive times, ascending.
fn affected(changed: Vec<(i64, i64)>, reach: Reach) -> Vec<(i64, i64)> {
    let around = |(first, last): (i64, i64)| {
        (first.saturating_sub(reach.after_ms), last.saturating_add(reach.before_ms))
    };
    let mut spans: Vec<(i64, i64)> = changed.into_iter().map(around).collect();
    spans.sort_unstable();
    spans
}

/// The longest run of steps outside of all spans.
fn longest_run((first, last): (i64, i64), step: i64, spans: Vec<(i64, i64)>) -> Option<(i64, i64)> {
    let mut best: Option<(i64, i64)> = None;
    let mut offer = |from: i64, to: i64| {
        if from <= to && best.is_none_or(|(a, b)| to - from > b - a) {
            best = Some((from, to));
        }
    };
    let mut from = first;
    for (start, end) in spans {
        if from > last {
            return best;
        }
        if start > from {
            // The last step before the span.
            let to = from + (start.min(last + 1) - 1 - from).div_euclid(step) * step;
            offer(from, to);
        }
        if end >= from {
            // The first step after it.
            let Some(past) = end.checked_sub(from) else { return best };
            from = from.saturating_add((past / step + 1).saturating_mul(step));
        }
    }
    offer(from, last);
    best
}

/// Gives up a kept step where else a single one would be computed: a range of one step is an instant, of which
/// `step()` is zero. `None` when what remains is not worth it.
fn widen_gaps(run: (i64, i64), asked: (i64, i64), step: i64, steps: i64) -> Option<(i64, i64)> {
    let (mut first, mut last) = run;
    if first - asked.0 == step {
        first += step;
    }
    if asked.1 - last == step {
        last -= step;
    }
    let kept = (last - first).div_euclid(step) + 1;
    (kept >= MIN_STEPS.min(steps) && kept >= steps / MIN_SHARE).then_some((first, last))
}

/// The points of series within a range of time.
fn slice(series: &[RangeSeries], first: i64, last: i64) -> Vec<RangeSeries> {
    let part = |series: &RangeSeries| {
        let (floats, histograms) = (&series.floats, &series.histograms);
        let from = floats.partition_point(|(t, _)| *t < first);
        let to = floats.partition_point(|(t, _)| *t <= last);
        let hfrom = histograms.partition_point(|(t, _)| *t < first);
        let hto = histograms.partition_point(|(t, _)| *t <= last);
        (from < to || hfrom < hto).then(|| RangeSeries {
            labels: series.labels.clone(),
            floats: floats[from..to].to_vec(),
            histograms: histograms[hfrom..hto].to_vec(),
        })
    };
    series.iter().filter_map(part).collect()
}

/// Adds later points; both sides ascend by labels, and so does the result.
fn append(earlier: Vec<RangeSeries>, later: Vec<RangeSeries>) -> Vec<RangeSeries> {
    if earlier.is_empty() {
        return later;
    }
    let order = |a: &Labels, b: &Labels| a.iter().cmp(b.iter());
    let mut all = Vec::with_capacity(earlier.len().max(later.len()));
    let mut later = later.into_iter().peekable();
    for mut series in earlier {
        while let Some(new) = later.next_if(|new| order(&new.labels, &series.labels) == Ordering::Less) {
            all.push(new);
        }
        if let Some(more) = later.next_if(|new| new.labels == series.labels) {
            series.floats.extend(more.floats);
            series.histograms.extend(more.histograms);
        }
        all.push(series);
    }
    all.extend(later);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_untouched_run_is_kept() {
        for (spans, want) in [
            (vec![], Some((100, 200))),
            (vec![(0, 99)], Some((100, 200))),
            (vec![(0, 100)], Some((110, 200))),
            (vec![(0, 105)], Some((110, 200))),
            (vec![(195, 300)], Some((100, 190))),
            (vec![(200, 300)], Some((100, 190))),
            (vec![(201, 300)], Some((100, 200))),
            (vec![(120, 120), (125, 139), (170, 180)], Some((140, 160))),
            (vec![(120, 139), (130, 131)], Some((140, 200))),
            (vec![(i64::MIN, i64::MAX)], None),
            (vec![(100, 200)], None),
        ] {
            assert_eq!(longest_run((100, 200), 10, spans.clone()), want, "{spans:?}");
        }
    }

    #[test]
    fn no_single_step_is_left_to_compute() {
        let asked = (0, 1_000);
        for (run, want) in [
            ((0, 1_000), Some((0, 1_000))),
            ((0, 990), Some((0, 980))),
            ((0, 980), Some((0, 980))),
            ((10, 1_000), Some((20, 1_000))),
            ((500, 600), None),
        ] {
            assert_eq!(widen_gaps(run, asked, 10, 101), want, "{run:?}");
        }
    }

    #[test]
    fn parts_join_in_order_of_labels_and_time() {
        let series = |name: &str, times: &[i64]| RangeSeries {
            labels: Labels::from_pairs([("a", name)]),
            floats: times.iter().map(|t| (*t, 1.0)).collect(),
            histograms: vec![],
        };
        let joined = append(
            vec![series("b", &[1, 2]), series("d", &[1])],
            vec![series("a", &[3]), series("b", &[3]), series("c", &[3]), series("e", &[3])],
        );
        let want = [
            series("a", &[3]),
            series("b", &[1, 2, 3]),
            series("c", &[3]),
            series("d", &[1]),
            series("e", &[3]),
        ];
        assert_eq!(joined, want);
        assert_eq!(slice(&joined, 2, 3)[1], series("b", &[2, 3]));
        assert_eq!(slice(&joined, 4, 9), []);
    }
}
