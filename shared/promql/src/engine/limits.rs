//! Bounds of a query, and the ledger that every loop of the evaluation reports to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            deadline: None,
            cancel: None,
        }
    }
}

/// Counts what a query uses, shared by its threads.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Limits,
    samples: AtomicU64,
    held: AtomicU64,
    peak: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, samples: AtomicU64::new(0), held: AtomicU64::new(0), peak: AtomicU64::new(0) }
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

    /// Counts points that are now held.
    pub(crate) fn hold(&self, points: usize) -> Result<(), QueryError> {
        let total = self.held.fetch_add(points as u64, Ordering::Relaxed) + points as u64;
        self.peak.fetch_max(total, Ordering::Relaxed);
        if total > self.limits.max_result_points {
            return Err(too_many_samples(total, self.limits.max_result_points));
        }
        Ok(())
    }

    /// Counts points that are no longer held.
    pub(crate) fn release(&self, points: usize) {
        let release = |held: u64| Some(held.saturating_sub(points as u64));
        // The closure always gives a value, so the update cannot fail.
        let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, release);
    }

    /// Samples read so far.
    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Most points held at once.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

fn too_many_samples(total: u64, limit: u64) -> QueryError {
    QueryError::Execution(format!(
        "query processing would load too many samples into memory in query execution ({total}, at most {limit})"
    ))
}
