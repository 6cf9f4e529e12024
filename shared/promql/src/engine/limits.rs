//! Bounds of a query, and the ledger that every loop of the evaluation reports to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::error::QueryError;

/// Bounds of one query.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most samples read from storage.
    pub max_samples: u64,
    /// Most series of one selector.
    pub max_series: usize,
    /// Most steps of a range query.
    pub max_points_per_series: usize,
    /// Most points (series times steps) held at once, between nodes and in the answer.
    pub max_result_points: u64,
    /// Most memory that the query may hold at once, in bytes, as estimated: what its selectors fetched, columns
    /// between nodes, accumulators, and the answer.
    pub max_bytes: u64,
    /// Threads that evaluate one query; answers do not depend on it.
    pub threads: usize,
    /// When evaluation gives up.
    pub deadline: Option<Instant>,
    /// Set by the caller to stop the evaluation.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            max_series: 500_000,
            max_points_per_series: 11_000,
            max_result_points: 50_000_000,
            max_bytes: 1 << 30,
            threads: processors(),
            deadline: None,
            cancel: None,
        }
    }
}

/// Processors that this process may use, asked for once: the system answers out of several files, which takes as
/// long as a small query.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// What something takes as long as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weight {
    /// Points: a float at a step, more for a histogram.
    pub(crate) points: usize,
    /// Memory.
    pub(crate) bytes: usize,
}

impl Weight {
    /// So many places for floats.
    pub(crate) fn of_cells(cells: usize) -> Self {
        Self { points: cells, bytes: cells.saturating_mul(size_of::<f64>()) }
    }
}

impl std::ops::Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            points: self.points.saturating_add(other.points),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Self::default(), |a, b| a + b)
    }
}

/// Counts what a query uses, shared by its threads.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Limits,
    samples: AtomicU64,
    points: Held,
    bytes: Held,
}

/// An amount that comes and goes.
#[derive(Debug, Default)]
struct Held {
    now: AtomicU64,
    peak: AtomicU64,
}

impl Held {
    /// The amount with so much more.
    fn add(&self, more: usize) -> u64 {
        let total = self.now.fetch_add(more as u64, Ordering::Relaxed).saturating_add(more as u64);
        self.peak.fetch_max(total, Ordering::Relaxed);
        total
    }

    fn release(&self, less: usize) {
        let release = |held: u64| Some(held.saturating_sub(less as u64));
        // The closure always gives a value, so the update cannot fail.
        let _ = self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, release);
    }

    fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, samples: AtomicU64::new(0), points: Held::default(), bytes: Held::default() }
    }

    /// The bounds.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Fails when the deadline has passed or the caller has gone.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.limits.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(QueryError::Canceled);
        }
        if self.limits.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(QueryError::Timeout);
        }
        Ok(())
    }

    /// Counts samples read.
    pub(crate) fn read(&self, samples: usize) -> Result<(), QueryError> {
        let total = self.samples.fetch_add(samples as u64, Ordering::Relaxed) + samples as u64;
        if total > self.limits.max_samples {
            return Err(too_many_samples(total, self.limits.max_samples));
        }
        Ok(())
    }

    /// Counts what is held from now on.
    pub(crate) fn hold(&self, weight: Weight) -> Result<(), QueryError> {
        let (points, bytes) = (self.points.add(weight.points), self.bytes.add(weight.bytes));
        if points > self.limits.max_result_points {
            return Err(too_many_samples(points, self.limits.max_result_points));
        }
        if bytes > self.limits.max_bytes {
            return Err(QueryError::Execution(format!(
                "query processing would take too much memory in query execution ({bytes} bytes, at most {}); \
                 ask for fewer series, fewer steps or a shorter range",
                self.limits.max_bytes
            )));
        }
        Ok(())
    }

    /// Counts what is no longer held.
    pub(crate) fn release(&self, weight: Weight) {
        self.points.release(weight.points);
        self.bytes.release(weight.bytes);
    }

    /// Samples read so far.
    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Most points held at once, and most bytes.
    pub(crate) fn peaks(&self) -> (u64, u64) {
        (self.points.peak(), self.bytes.peak())
    }
}

fn too_many_samples(total: u64, limit: u64) -> QueryError {
    QueryError::Execution(format!(
        "query processing would load too many samples into memory in query execution ({total}, at most {limit})"
    ))
}
