//! What a tier has of one series, interval by interval.

use std::sync::Arc;

use super::Interval;
use crate::histogram::Histogram;
use crate::set::UniqueSet;

/// The series without floats that are answered by what the samples of each interval add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddedUp {
    /// None.
    #[default]
    None,
    /// Those of native histograms.
    Histograms,
    /// Those of native histograms that are changes.
    Changes,
    /// Those of sets; nothing but sets is looked at.
    Sets,
}

/// The intervals of a series, each column ascending by the intervals' ends.
#[derive(Debug, Clone, Default)]
pub struct Intervals {
    /// Those with floats.
    pub floats: Vec<Interval>,
    /// Ends and distributions of their floats; of some intervals these follow from the rest (see [`Interval::tells_distribution`]).
    pub distributions: Vec<(i64, Arc<Histogram>)>,
    /// Native histograms: at an interval's end what they add up to, or each at its own time.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
    /// Sets, likewise.
    pub sets: Vec<(i64, Arc<UniqueSet>)>,
}

impl Intervals {
    /// Number of intervals, those of floats and of others.
    #[must_use]
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len() + self.sets.len()
    }

    /// True when there is no interval.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties every column and keeps their memory.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.distributions.clear();
        self.histograms.clear();
        self.sets.clear();
    }
}
