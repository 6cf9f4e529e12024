//! The stages of a query, and its way through them.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::error::QueryError;
use super::eval::Evaluator;
use super::explain::{self, ExplainedStorage};
use super::grid::Grid;
use super::limits::{Ledger, Limits, Weight};
use super::lower::{Lowered, lower};
use super::meter::{Meters, Steps};
use super::notes::Notes;
use super::query::{Answer, Query, Stats, Timings};
use super::repeats::Repeats;
use super::result;
use crate::ast::ValueType;
use crate::storage::{SeriesSet, Storage, StorageError};

/// A query with everything fetched that its evaluation needs.
pub struct Prepared {
    query: Query,
    lowered: Lowered,
    selections: Vec<Box<dyn SeriesSet>>,
    /// What each selection took.
    storage: Vec<ExplainedStorage>,
    preparing: Duration,
    limits: Limits,
}

impl Prepared {
    /// Number of series that the query's selectors found: tells how much there is to evaluate.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.selections.iter().map(|selection| selection.series().len()).sum()
    }

    /// The resolution that each of the query's selectors is answered from, as storage names it.
    pub fn tiers(&self) -> impl Iterator<Item = &'static str> {
        self.storage.iter().map(|storage| storage.stats.tier)
    }

    /// The query's first step, and its end, in milliseconds.
    #[must_use]
    pub fn range(&self) -> (i64, i64) {
        (self.query.start_ms, self.query.end_ms)
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("query", &self.query.text)
            .field("selections", &self.selections.len())
            .finish_non_exhaustive()
    }
}

/// Checks a query and fetches what its selectors need.
///
/// # Errors
/// [`QueryError::BadData`] when the query is at fault, [`QueryError::Execution`] when a bound is passed, and
/// [`QueryError::Storage`] when storage fails.
pub async fn prepare(storage: &dyn Storage, query: &Query, limits: &Limits) -> Result<Prepared, QueryError> {
    let started = Instant::now();
    check(query, limits)?;
    let lowered = with_room_for(query, || lower(query, limits.max_series))?;
    let selections = lowered.requests.iter().map(|request| storage.select(request));
    let selected = all(selections.collect(), started).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut selections = Vec::with_capacity(selected.len());
    let mut storage = Vec::with_capacity(selected.len());
    for (selection, seconds) in selected {
        let (series, stats) = (selection.series().len() as u64, selection.stats());
        storage.push(ExplainedStorage { series, seconds, shared: false, stats });
        selections.push(selection);
    }
    for (report, uses) in storage.iter_mut().zip(&lowered.uses) {
        report.shared = *uses > 1;
    }
    let preparing = started.elapsed();
    Ok(Prepared { query: query.clone(), lowered, selections, storage, preparing, limits: limits.clone() })
}

/// Height of a query's tree from which it is lowered and evaluated on a thread of its own. Both recurse, by up
/// to 15 KB of stack a level in debug builds, and threads of the runtime have 2 MiB.
const DEEP_LEVELS: usize = 50;
/// Stack of that thread in bytes: four times what the deepest tree that parses was seen to need.
const DEEP_STACK_BYTES: usize = 16 << 20;

/// Computes the answer; takes the time of the computation, so call it where blocking is allowed.
///
/// # Errors
/// [`QueryError`] says whether the data, a bound, the deadline or the caller stopped it.
pub fn evaluate_prepared(prepared: &Prepared) -> Result<Answer, QueryError> {
    with_room_for(&prepared.query, || compute(prepared))
}

/// Runs `work` where the stack suffices for a tree as high as the query's.
fn with_room_for<T: Send>(
    query: &Query,
    work: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    if query.expr.height() < DEEP_LEVELS {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(DEEP_STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(QueryError::Internal(format!("no thread for a deep query: {error}"))),
        }
    })
}

fn compute(prepared: &Prepared) -> Result<Answer, QueryError> {
    let started = Instant::now();
    let Prepared { query, lowered, selections, storage, preparing, limits } = prepared;
    let grid = Grid::new(query.start_ms, query.end_ms, query.step_ms);
    let ledger = Ledger::new(limits.clone());
    let fetched = storage.iter().map(|s| usize::try_from(s.stats.bytes).unwrap_or(usize::MAX)).sum::<usize>();
    let bytes = fetched.saturating_add(selections.iter().map(|s| size_of_val(s.series())).sum());
    ledger.hold(Weight { points: 0, bytes })?;
    let steps = if query.stats { grid.steps } else { 0 };
    let meters = (query.stats || query.explain).then(|| Meters::new(&lowered.root, query.explain, steps));
    let mut evaluator = Evaluator {
        selections,
        ledger: &ledger,
        notes: Notes::default(),
        meters: meters.as_ref(),
        steps: Steps::Own,
        // Per step each place counts, so then each is evaluated.
        repeats: Repeats::new(if query.stats { &[] } else { &lowered.repeats }),
        sorting: Duration::ZERO,
    };
    let value = result::value(&mut evaluator, &lowered.root, query, &grid)?;
    let (warnings, mut infos) = evaluator.notes.texts(&query.text);
    let approximate = storage.iter().filter(|s| s.stats.approximate).map(|s| s.stats.tier);
    for tier in approximate.collect::<std::collections::BTreeSet<_>>() {
        infos.push(format!(
            "PromQL info: samples of this range have expired; the last one of each {tier} stands in for them"
        ));
    }
    let (peak_points, peak_bytes) = ledger.peaks();
    let timings =
        Timings { preparing: *preparing, evaluating: started.elapsed(), sorting: evaluator.sorting };
    let stats = Stats {
        series: storage.iter().map(|s| s.series).sum(),
        samples_read: ledger.samples(),
        peak_points,
        peak_bytes,
        samples_per_step: meters.as_ref().map_or_else(Vec::new, Meters::touched),
        timings,
    };
    let explain = meters
        .as_ref()
        .filter(|_| query.explain)
        .map(|meters| explain::explain(&lowered.root, meters, storage, &query.text));
    Ok(Answer { value, warnings, infos, stats, explain })
}

/// Prepares and evaluates on the spot, which blocks the thread while it computes.
///
/// # Errors
/// Those of [`prepare`] and [`evaluate_prepared`].
pub async fn evaluate(storage: &dyn Storage, query: &Query, limits: &Limits) -> Result<Answer, QueryError> {
    evaluate_prepared(&prepare(storage, query, limits).await?)
}

fn check(query: &Query, limits: &Limits) -> Result<(), QueryError> {
    if query.step_ms < 0 || (query.step_ms == 0 && query.start_ms != query.end_ms) {
        return Err(QueryError::BadData(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
                .to_owned(),
        ));
    }
    if query.end_ms < query.start_ms {
        return Err(QueryError::BadData("end timestamp must not be before start time".to_owned()));
    }
    let steps = Grid::new(query.start_ms, query.end_ms, query.step_ms).steps;
    if steps > limits.max_points_per_series {
        return Err(QueryError::BadData(format!(
            "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
            limits.max_points_per_series
        )));
    }
    let value_type = query.expr.value_type();
    let is_range = query.step_ms > 0;
    if is_range && matches!(value_type, ValueType::Matrix | ValueType::String) {
        return Err(QueryError::BadData(format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            value_type.documented()
        )));
    }
    Ok(())
}

type Selected = Result<Box<dyn SeriesSet>, StorageError>;
type Selecting<'s> = Pin<Box<dyn Future<Output = Selected> + Send + 's>>;

/// Drives all selections side by side; tells after how many seconds each was there.
async fn all(
    mut waiting: Vec<Selecting<'_>>,
    started: Instant,
) -> Vec<Result<(Box<dyn SeriesSet>, f64), StorageError>> {
    let mut done: Vec<Option<_>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (future, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(result) = future.as_mut().poll(context)
            {
                *slot = Some(result.map(|set| (set, started.elapsed().as_secs_f64())));
            }
        }
        if done.iter().all(Option::is_some) {
            Poll::Ready(done.drain(..).flatten().collect())
        } else {
            Poll::Pending
        }
    })
    .await
}
