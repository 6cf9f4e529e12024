//! The timestamps at which an expression is evaluated.

use super::error::QueryError;

/// Evenly spaced timestamps in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The first.
    pub(crate) start: i64,
    /// The distance, above zero.
    pub(crate) step: i64,
    /// How many.
    pub(crate) steps: usize,
}

impl Grid {
    /// Most steps of a subquery: 30 days at one second, or a year at 12 seconds.
    pub(crate) const MAX_SUBQUERY_STEPS: i64 = 2_700_000;

    /// The timestamps from `start` to `end`, `step` apart; a step of zero is an instant query's.
    pub(crate) fn new(start: i64, end: i64, step: i64) -> Self {
        let step = step.max(1);
        let steps = if end < start { 0 } else { (end.saturating_sub(start) / step) as usize + 1 };
        Self { start, step, steps }
    }

    /// The timestamp of a step.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> i64 {
        self.start + self.step * index as i64
    }

    /// The last timestamp; the first one when there is none.
    pub(crate) fn end(&self) -> i64 {
        self.at(self.steps.saturating_sub(1))
    }

    /// True for an instant query's.
    pub(crate) fn is_instant(&self) -> bool {
        self.steps == 1
    }

    /// Only the first timestamp.
    pub(crate) fn first(&self) -> Self {
        Self { steps: self.steps.min(1), ..*self }
    }

    /// The timestamps of a subquery asked for on this grid: multiples of `step` within `range` before any
    /// of these timestamps (or before `at`), less `offset`.
    pub(crate) fn subquery(
        &self,
        range: i64,
        step: i64,
        offset: i64,
        at: Option<i64>,
    ) -> Result<Self, QueryError> {
        let step = step.max(1);
        let (first, last) = at.map_or((self.start, self.end()), |at| (at, at));
        let bound = first.saturating_sub(offset).saturating_sub(range);
        // The window is open on the left: the first multiple strictly after the bound.
        let start = step.saturating_mul(bound.div_euclid(step).saturating_add(1));
        let end = last.saturating_sub(offset);
        if end.saturating_sub(start) / step >= Self::MAX_SUBQUERY_STEPS {
            return Err(QueryError::Execution(format!(
                "subquery of {} steps, at most {}",
                end.saturating_sub(start) / step + 1,
                Self::MAX_SUBQUERY_STEPS
            )));
        }
        Ok(Self::new(start, end, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_run_on_multiples_of_their_step_after_an_open_bound() {
        let grid = Grid::new(100, 130, 10);
        assert_eq!((grid.steps, grid.end()), (4, 130));
        for (range, step, offset, at, want) in [
            (50, 20, 0, None, (60, 120)),
            (40, 20, 0, None, (80, 120)),
            (40, 20, 20, None, (60, 100)),
            (40, 20, 0, Some(10), (-20, 0)),
        ] {
            let sub = grid.subquery(range, step, offset, at).unwrap();
            assert_eq!((sub.start, sub.end()), want, "{range} {step} {offset} {at:?}");
        }
        assert!(Grid::new(0, 0, 1).subquery(i64::MAX / 2, 1, 0, None).is_err());
    }
}
