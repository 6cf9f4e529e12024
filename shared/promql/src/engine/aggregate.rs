//! Aggregation operators: series fold into their group's accumulator as they are computed.

use super::accumulate::Accumulator;
use super::column::{Scalars, Series};
use super::error::QueryError;
use super::eval::Evaluator;
use super::grid::Grid;
use super::labels::{Key, Numbering};
use super::limits::Weight;
use super::notes::Note;
use super::parts;
use super::plan::{Kind, Node};
use super::select_k::{self, Choice};
use super::values;
use crate::ast::{AggregateOp, Grouping, Position};

/// The labels an aggregation groups by.
pub(crate) fn key_of(grouping: &Grouping) -> Key {
    match grouping {
        Grouping::By(names) => Key::new(names, true),
        Grouping::Without(names) => Key::new(names, false),
    }
}

/// Evaluates an aggregation.
pub(crate) fn evaluate<'e>(
    evaluator: &mut Evaluator<'e>,
    op: AggregateOp,
    grouping: &Grouping,
    param: Option<&'e Node>,
    input: &'e Node,
    position: Position,
    grid: &Grid,
) -> Result<Vec<Series>, QueryError> {
    let key = key_of(grouping);
    let missing = || QueryError::BadData(format!("missing parameter of {}", op.name()));
    match op {
        AggregateOp::CountValues => {
            let Some(Kind::Text(label)) = param.map(|p| &p.kind) else { return Err(missing()) };
            let series = evaluator.series(input, grid)?;
            values::count(&series, label, grouping, grid, evaluator.ledger)
        }
        AggregateOp::Quantile => {
            let param = param.ok_or_else(missing)?;
            let q = evaluator.scalars(param, grid)?;
            evaluator.note_quantiles(&q, param);
            let series = evaluator.series(input, grid)?;
            values::quantile(&series, &q, &key, grid, input.position, evaluator.ledger, &mut evaluator.notes)
        }
        AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK | AggregateOp::LimitRatio => {
            let param = param.ok_or_else(missing)?;
            let k = evaluator.scalars(param, grid)?;
            let choice = Choice::of(op);
            if !check_k(evaluator, choice, &k, param)? {
                return Ok(Vec::new());
            }
            let held = evaluator.series(input, grid)?;
            // In the order of their labels, so that which of equal values stay does not depend on how far the
            // query ranges.
            let mut series: Vec<&Series> = held.iter().collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            select_k::evaluate(
                &series,
                choice,
                &k,
                &key,
                grid,
                position,
                evaluator.ledger,
                &mut evaluator.notes,
            )
        }
        _ => streaming(evaluator, op, &key, input, grid),
    }
}

/// Checks the parameter of the operators that choose series; false when they choose none.
fn check_k(
    evaluator: &mut Evaluator<'_>,
    choice: Choice,
    k: &Scalars,
    param: &Node,
) -> Result<bool, QueryError> {
    let numbers = || k.values().iter().copied().filter(|x| !x.is_nan());
    let (least, most) = numbers().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let any_nan = k.values().iter().any(|x| x.is_nan());
    if choice == Choice::Ratio {
        if any_nan {
            return Err(QueryError::Execution("Ratio value is NaN".to_owned()));
        }
        for (passed, value, limit) in [(most > 1.0, most, 1.0f64), (least < -1.0, least, -1.0)] {
            if passed {
                evaluator.notes.add(Note::InvalidRatio(value.into(), limit.into()), param.position);
            }
        }
        return Ok(most != 0.0 || least != 0.0);
    }
    if any_nan {
        return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
    }
    if most < 1.0 {
        return Ok(false);
    }
    if least <= i64::MIN as f64 {
        return Err(QueryError::Execution(format!("Scalar value {least} underflows int64")));
    }
    if most >= i64::MAX as f64 {
        return Err(QueryError::Execution(format!("Scalar value {most} overflows int64")));
    }
    Ok(true)
}

/// The groups of one part of the series.
#[derive(Default)]
struct Groups {
    numbering: Numbering,
    accumulators: Vec<Accumulator>,
    drop_name: Vec<bool>,
    weight: Weight,
}

fn streaming<'e>(
    evaluator: &mut Evaluator<'e>,
    op: AggregateOp,
    key: &Key,
    input: &'e Node,
    grid: &Grid,
) -> Result<Vec<Series>, QueryError> {
    let pipe = evaluator.pipe(input, grid)?;
    let (ledger, steps, position) = (evaluator.ledger, grid.steps, input.position);
    let parts = parts::fold(
        &pipe,
        ledger,
        &mut evaluator.notes,
        Groups::default,
        |groups: &mut Groups, index, column, notes| {
            if !column.any_present() {
                return Ok(());
            }
            let (group, new) = groups.numbering.number(key, pipe.labels(index));
            if new {
                // Histograms are summed up in wider ones, next to what rounding loses of them.
                let histograms = if column.has_histograms() {
                    column.weight() + column.weight()
                } else {
                    Weight::default()
                };
                let weight = Weight { points: 2 * steps, bytes: Accumulator::bytes(op, steps) } + histograms;
                ledger.hold(weight)?;
                groups.weight = groups.weight + weight;
                groups.accumulators.push(Accumulator::new(op, steps));
                groups.drop_name.push(false);
            }
            groups.drop_name[group] |= pipe.drops_name(index);
            groups.accumulators[group].add(column, position, pipe.labels(index).metric_name(), notes);
            Ok(())
        },
    )?;
    let mut parts = parts.into_iter();
    let Some(mut all) = parts.next() else { return Ok(Vec::new()) };
    for part in parts {
        let Groups { numbering, accumulators, drop_name, weight } = part;
        all.weight = all.weight + weight;
        let theirs = numbering.into_labels().into_iter().zip(accumulators.into_iter().zip(drop_name));
        for (labels, (accumulator, drop_name)) in theirs {
            let (group, new) = all.numbering.number_of(labels);
            if new {
                all.accumulators.push(accumulator);
                all.drop_name.push(drop_name);
            } else {
                all.accumulators[group].merge(accumulator, position, &mut evaluator.notes);
                all.drop_name[group] |= drop_name;
            }
        }
    }
    let Groups { numbering, accumulators, drop_name, weight } = all;
    let groups = numbering.into_labels().into_iter().zip(accumulators.into_iter().zip(drop_name));
    let series = groups
        .map(|(labels, (accumulator, drop_name))| Series {
            labels,
            drop_name,
            column: accumulator.finish(position, &mut evaluator.notes),
        })
        .filter(|series| series.column.any_present())
        .collect();
    ledger.release(weight);
    Ok(series)
}
