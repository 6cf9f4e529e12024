//! The stages of a query, and its way through them.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use super::error::QueryError;
use super::eval::Evaluator;
use super::grid::Grid;
use super::limits::{Ledger, Limits};
use super::lower::{Lowered, lower};
use super::notes::Notes;
use super::query::{Answer, Query, Stats};
use super::result;
use crate::ast::ValueType;
use crate::storage::{SeriesSet, Storage, StorageError};

/// A query with everything fetched that its evaluation needs.
pub struct Prepared {
    query: Query,
    lowered: Lowered,
    selections: Vec<Box<dyn SeriesSet>>,
    limits: Limits,
}

impl Prepared {
    /// Number of series that the query's selectors found: tells how much there is to evaluate.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.selections.iter().map(|selection| selection.series().len()).sum()
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
    check(query, limits)?;
    let lowered = with_room_for(query, || lower(query, limits.max_series))?;
    let selections = lowered.requests.iter().map(|request| storage.select(request));
    let selections = all(selections.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Prepared { query: query.clone(), lowered, selections, limits: limits.clone() })
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
    let Prepared { query, lowered, selections, limits } = prepared;
    let grid = Grid::new(query.start_ms, query.end_ms, query.step_ms);
    let ledger = Ledger::new(limits.clone());
    let mut evaluator = Evaluator { selections, ledger: &ledger, notes: Notes::default() };
    let value = result::value(&mut evaluator, &lowered.root, query, &grid)?;
    let (warnings, infos) = evaluator.notes.texts(&query.text);
    let stats = Stats {
        series: selections.iter().map(|s| s.series().len() as u64).sum(),
        samples_read: ledger.samples(),
        peak_points: ledger.peak(),
    };
    Ok(Answer { value, warnings, infos, stats })
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

type Selecting<'s> = Pin<Box<dyn Future<Output = Result<Box<dyn SeriesSet>, StorageError>> + Send + 's>>;

/// Drives all selections side by side.
async fn all(mut waiting: Vec<Selecting<'_>>) -> Vec<Result<Box<dyn SeriesSet>, StorageError>> {
    let mut done: Vec<Option<_>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (future, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(result) = future.as_mut().poll(context)
            {
                *slot = Some(result);
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
