//! What a tier has of one series, interval by interval.

use std::sync::Arc;

use super::Interval;
use crate::histogram::Histogram;

/// The intervals of a series, each column ascending by the intervals' ends.
#[derive(Debug, Clone, Default)]
pub struct Intervals {
    /// Those with floats.
    pub floats: Vec<Interval>,
    /// Ends and distributions of their floats; of some intervals these follow from the rest (see [`Interval::tells_distribution`]).
    pub distributions: Vec<(i64, Arc<Histogram>)>,
}

impl Intervals {
    /// Empties every column and keeps their memory.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.distributions.clear();
    }
}
