//! Functions and operators that give each sample of a series a new value, step by step.

use weir_model::Moment;

use std::sync::Arc;

use super::column::{ABSENT, Column, Scalars, is_absent};
use super::grid::Grid;
use super::notes::Notes;
use super::ops::{self, Sample};
use super::plan::MapFunction;
use crate::ast::{BinaryOp, Position};

/// Applies a function to a column in place.
pub(crate) fn apply(
    function: MapFunction,
    args: &[Scalars],
    grid: &Grid,
    position: Position,
    notes: &mut Notes,
    column: &mut Column,
) {
    let arg = |index: usize, step: usize| args.get(index).map_or(f64::NAN, |a| a.get(step));
    match function {
        MapFunction::Float(f) => floats(column, |_, x| f(x)),
        MapFunction::Date(f) => floats(column, |_, x| f(&Moment::from_unix(x as i64)) as f64),
        MapFunction::Round => {
            // The inverse, since it causes fewer inexact results: 0.1 is not exact, 10 is.
            floats(column, |step, x| {
                let inverse = 1.0 / arg(0, step);
                (x * inverse + 0.5).floor() / inverse
            });
        }
        MapFunction::Clamp => clamp(column, |step| (arg(0, step), arg(1, step))),
        MapFunction::ClampMin => clamp(column, |step| (arg(0, step), f64::INFINITY)),
        MapFunction::ClampMax => clamp(column, |step| (f64::NEG_INFINITY, arg(0, step))),
        MapFunction::Nothing => column.reset(grid.steps),
        MapFunction::StepTimestamp => {
            for step in 0..column.steps() {
                if column.is_present(step) {
                    column.floats[step] = grid.at(step) as f64 / 1000.0;
                }
            }
            column.histograms.clear();
        }
        MapFunction::Histogram(f) => {
            for step in 0..column.steps() {
                column.floats[step] = column.histogram(step).map_or(ABSENT, |h| f(h));
            }
            column.histograms.clear();
        }
        MapFunction::Negate => {
            column.floats.iter_mut().filter(|x| !is_absent(**x)).for_each(|x| *x = -*x);
            for histogram in column.histograms.iter_mut().flatten() {
                let mut negated = (**histogram).clone();
                negated.scale(-1.0);
                *histogram = Arc::new(negated);
            }
        }
        MapFunction::Binary { op, scalar_left, return_bool } => {
            if let Some(scalar) = args.first() {
                with_scalar(op, scalar_left, return_bool, scalar, position, notes, column);
            }
        }
    }
}

fn floats(column: &mut Column, f: impl Fn(usize, f64) -> f64) {
    for (step, x) in column.floats.iter_mut().enumerate() {
        if !is_absent(*x) {
            *x = f(step, *x);
        }
    }
    column.histograms.clear();
}

/// Keeps floats between two bounds; with the bounds in the wrong order nothing is left.
fn clamp(column: &mut Column, bounds: impl Fn(usize) -> (f64, f64)) {
    floats(column, |step, x| {
        let (least, most) = bounds(step);
        if most < least { ABSENT } else { larger(least, smaller(most, x)) }
    });
}

/// NaN if either is NaN, unless the other is positive infinity (Go's `math.Max`, which users see in `clamp`).
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() && b < f64::INFINITY || b.is_nan() && a < f64::INFINITY { f64::NAN } else { a.max(b) }
}

/// NaN if either is NaN, unless the other is negative infinity (Go's `math.Min`).
fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

fn with_scalar(
    op: BinaryOp,
    scalar_left: bool,
    return_bool: bool,
    scalar: &Scalars,
    position: Position,
    notes: &mut Notes,
    column: &mut Column,
) {
    if !column.histograms.is_empty() || matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
        for step in 0..column.steps() {
            mixed_with_scalar(op, scalar_left, return_bool, scalar.get(step), step, position, notes, column);
        }
        return;
    }
    let sides = |step: usize, x: f64| if scalar_left { (scalar.get(step), x) } else { (x, scalar.get(step)) };
    if let Some(f) = ops::arithmetic(op) {
        floats(column, |step, x| {
            let (a, b) = sides(step, x);
            f(a, b)
        });
    } else if let Some(compare) = ops::comparison(op) {
        floats(column, |step, x| {
            let (a, b) = sides(step, x);
            match (compare(a, b), return_bool) {
                (true, true) => 1.0,
                (false, true) => 0.0,
                (true, false) => x,
                (false, false) => ABSENT,
            }
        });
    }
}

/// One step of a column that has histograms.
#[allow(clippy::too_many_arguments)] // one call site; a struct would only rename the arguments
fn mixed_with_scalar(
    op: BinaryOp,
    scalar_left: bool,
    return_bool: bool,
    scalar: f64,
    step: usize,
    position: Position,
    notes: &mut Notes,
    column: &mut Column,
) {
    let vector = match column.histogram(step) {
        Some(histogram) => Sample::Histogram(Arc::clone(histogram)),
        None if is_absent(column.floats[step]) => return,
        None => Sample::Float(column.floats[step]),
    };
    let scalar = Sample::Float(scalar);
    let (left, right) = if scalar_left { (&scalar, &vector) } else { (&vector, &scalar) };
    let outcome = ops::samples(op, left, right, position, notes);
    column.clear(step);
    let Some(outcome) = outcome else { return };
    // A comparison keeps the vector's sample, on whichever side it stands.
    let sample = if op.is_comparison() { vector } else { outcome.sample };
    if return_bool {
        column.floats[step] = f64::from(u8::from(outcome.keep));
    } else if outcome.keep {
        match sample {
            Sample::Float(x) => column.floats[step] = x,
            Sample::Histogram(h) => column.set_histogram(step, h),
        }
    }
}
