//! The aggregations that choose among series: `topk`, `bottomk`, `limitk` and `limit_ratio`.

use weir_model::Labels;
use xxhash_rust::xxh64::xxh64;

use super::column::{Column, Scalars, Series, is_absent};
use super::error::QueryError;
use super::grid::Grid;
use super::labels::{Key, Numbering};
use super::limits::{Ledger, Weight};
use super::notes::{Note, Notes};
use crate::ast::{AggregateOp, Position};

/// By what series are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Largest,
    Smallest,
    First,
    Ratio,
}

impl Choice {
    pub(crate) fn of(op: AggregateOp) -> Self {
        match op {
            AggregateOp::TopK => Self::Largest,
            AggregateOp::BottomK => Self::Smallest,
            AggregateOp::LimitK => Self::First,
            _ => Self::Ratio,
        }
    }

    /// Orders values so that the one to be displaced first comes first; NaN is displaced by anything.
    fn before(self, a: f64, b: f64) -> bool {
        a.is_nan() || if self == Self::Largest { a < b } else { a > b }
    }
}

/// Chooses series per step and group.
#[allow(clippy::too_many_arguments)] // everything an aggregation consists of, from one call site
pub(crate) fn evaluate(
    series: &[&Series],
    choice: Choice,
    k: &Scalars,
    key: &Key,
    grid: &Grid,
    position: Position,
    ledger: &Ledger,
    notes: &mut Notes,
) -> Result<Vec<Series>, QueryError> {
    let mut numbering = Numbering::default();
    let groups: Vec<usize> = series.iter().map(|s| numbering.number(key, &s.labels).0).collect();
    if matches!(choice, Choice::First | Choice::Ratio) {
        return limited(series, &groups, numbering.len(), choice, k, grid, ledger);
    }
    let operator = if choice == Choice::Largest { "topk" } else { "bottomk" };
    let cells = numbering.len().saturating_mul(grid.steps);
    let weight = Weight { points: cells, bytes: cells.saturating_mul(size_of::<Heap>()) };
    ledger.hold(weight)?;
    let mut heaps: Vec<Heap> = vec![Heap::default(); cells];
    for (index, one) in series.iter().enumerate() {
        ledger.check()?;
        if one.column.has_histograms() {
            notes.add(Note::HistogramIgnoredInAggregation { operator }, position);
        }
        let heaps = &mut heaps[groups[index] * grid.steps..][..grid.steps];
        for (step, (heap, x)) in heaps.iter_mut().zip(&one.column.floats).enumerate() {
            if !is_absent(*x) {
                heap.offer(choice, at_most(k.get(step), series.len()), *x, index);
            }
        }
    }
    let chosen = if grid.is_instant() {
        // The order is part of the answer: groups in turn, in each the best first.
        let in_order = heaps.into_iter().flat_map(|heap| heap.into_sorted(choice));
        in_order.map(|(_, index)| series[index].clone()).map(without_histograms).collect()
    } else {
        let mut columns: Vec<Option<Column>> = vec![None; series.len()];
        for (cell, heap) in heaps.into_iter().enumerate() {
            let step = cell % grid.steps;
            for (x, index) in heap.0 {
                columns[index].get_or_insert_with(|| Column::absent(grid.steps)).floats[step] = x;
            }
        }
        with_columns(series, columns)
    };
    ledger.release(weight);
    Ok(chosen)
}

fn without_histograms(mut series: Series) -> Series {
    series.column.histograms.clear();
    series
}

fn with_columns(series: &[&Series], columns: Vec<Option<Column>>) -> Vec<Series> {
    let chosen = series.iter().zip(columns).filter_map(|(one, column)| Some((one, column?)));
    chosen
        .map(|(one, column)| Series { labels: one.labels.clone(), drop_name: one.drop_name, column })
        .collect()
}

/// A count given as a float; below one it is none.
fn at_most(k: f64, series: usize) -> usize {
    if k >= 1.0 { (k as usize).min(series) } else { 0 }
}

/// The best values so far with their series, the worst on top.
///
/// It behaves as Go's container/heap, so that of equal values the same series stay as in Prometheus.
#[derive(Debug, Clone, Default)]
struct Heap(Vec<(f64, usize)>);

impl Heap {
    fn offer(&mut self, choice: Choice, k: usize, x: f64, index: usize) {
        if self.0.len() < k {
            self.0.push((x, index));
            self.rise(choice);
        } else if let Some((worst, _)) = self.0.first()
            && k > 0
            && (choice.before(*worst, x) && !worst.is_nan() || worst.is_nan() && !x.is_nan())
        {
            self.0[0] = (x, index);
            self.sink(choice);
        }
    }

    fn less(&self, choice: Choice, i: usize, j: usize) -> bool {
        choice.before(self.0[i].0, self.0[j].0)
    }

    fn rise(&mut self, choice: Choice) {
        let mut at = self.0.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.less(choice, at, parent) {
                break;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self, choice: Choice) {
        let (mut at, len) = (0, self.0.len());
        while 2 * at + 1 < len {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if right < len && self.less(choice, right, left) { right } else { left };
            if !self.less(choice, child, at) {
                break;
            }
            self.0.swap(at, child);
            at = child;
        }
    }

    /// The best first, NaN last.
    fn into_sorted(self, choice: Choice) -> Vec<(f64, usize)> {
        let mut all = self.0;
        all.sort_by(|(a, _), (b, _)| match (a.is_nan(), b.is_nan()) {
            (false, false) if choice == Choice::Largest => super::float::nan_first(*b, *a),
            (false, false) => super::float::nan_first(*a, *b),
            (a, b) => a.cmp(&b),
        });
        all
    }
}

fn limited(
    series: &[&Series],
    groups: &[usize],
    group_count: usize,
    choice: Choice,
    k: &Scalars,
    grid: &Grid,
    ledger: &Ledger,
) -> Result<Vec<Series>, QueryError> {
    let cells = group_count.saturating_mul(grid.steps);
    ledger.hold(Weight::of_cells(cells))?;
    let mut taken = vec![0usize; cells];
    let mut columns: Vec<Option<Column>> = vec![None; series.len()];
    for (index, one) in series.iter().enumerate() {
        ledger.check()?;
        let share = if choice == Choice::Ratio { sample_share(&one.labels) } else { 0.0 };
        for step in (0..grid.steps).filter(|s| one.column.is_present(*s)) {
            let keep = if choice == Choice::Ratio {
                is_within(k.get(step).clamp(-1.0, 1.0), share)
            } else {
                let taken = &mut taken[groups[index] * grid.steps + step];
                *taken += 1;
                *taken <= at_most(k.get(step), series.len())
            };
            if keep {
                let column = columns[index].get_or_insert_with(|| Column::absent(grid.steps));
                column.copy_step(step, &one.column);
            }
        }
    }
    ledger.release(Weight::of_cells(cells));
    Ok(with_columns(series, columns))
}

/// Where a series lies between 0 and 1: the hash of its labels, as Prometheus takes it.
fn sample_share(labels: &Labels) -> f64 {
    xxh64(labels.as_bytes(), 0) as f64 / u64::MAX as f64
}

/// A positive ratio takes series from below, a negative one the complement from above.
fn is_within(ratio: f64, share: f64) -> bool {
    (ratio >= 0.0 && share < ratio) || (ratio < 0.0 && share >= 1.0 + ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay_and_nan_goes_first() {
        for (choice, k, values, want) in [
            (Choice::Largest, 2, &[1.0, 5.0, 3.0, 4.0][..], &[5.0, 4.0][..]),
            (Choice::Smallest, 2, &[1.0, 5.0, 3.0, 4.0], &[1.0, 3.0]),
            (Choice::Largest, 2, &[f64::NAN, 1.0, f64::NAN, 2.0], &[2.0, 1.0]),
            (Choice::Largest, 9, &[1.0, 2.0], &[2.0, 1.0]),
            (Choice::Largest, 0, &[1.0, 2.0], &[]),
        ] {
            let mut heap = Heap::default();
            values.iter().enumerate().for_each(|(i, x)| heap.offer(choice, k, *x, i));
            let best: Vec<f64> = heap.into_sorted(choice).into_iter().map(|(x, _)| x).collect();
            assert_eq!(best, want);
        }
    }

    #[test]
    fn a_ratio_and_its_complement_share_out_all_series() {
        for share in [0.0, 0.2, 0.5, 0.999] {
            for ratio in [0.1, 0.5, 0.9] {
                assert!(is_within(ratio, share) != is_within(ratio - 1.0, share));
            }
        }
    }
}
