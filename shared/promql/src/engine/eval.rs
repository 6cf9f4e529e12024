//! The evaluator: from plan nodes to pipelines, scalars and series.

use std::time::Duration;

use weir_model::Labels;

use super::aggregate;
use super::binary;
use super::classic;
use super::column::{Column, Presence, Scalars, Series, is_absent};
use super::error::QueryError;
use super::grid::Grid;
use super::info;
use super::instant::Output;
use super::labels;
use super::limits::{Ledger, Weight};
use super::meter::{Meter, Meters, Steps};
use super::notes::{Note, Notes};
use super::ops;
use super::parts;
use super::pipe::{Held, Instant, Map, Pipe, Source, Windows};
use super::plan::{Kind, Node, Select, SubqueryPlan};
use super::repeats::Repeats;
use super::sort;
use super::statistics;
use super::window::Spec;
use crate::ast::WindowEdges;
use crate::storage::SeriesSet;

/// Evaluates the plan of one query.
pub(crate) struct Evaluator<'e> {
    pub(crate) selections: &'e [Box<dyn SeriesSet>],
    pub(crate) ledger: &'e Ledger,
    pub(crate) notes: Notes,
    pub(crate) meters: Option<&'e Meters>,
    /// How the steps at hand relate to those of the query.
    pub(crate) steps: Steps,
    pub(crate) repeats: Repeats<'e>,
    /// Time spent putting series in order.
    pub(crate) sorting: Duration,
}

impl<'e> Evaluator<'e> {
    /// What a selector found.
    pub(crate) fn set(&self, select: &Select) -> Result<&'e dyn SeriesSet, QueryError> {
        match self.selections.get(select.selection) {
            Some(set) => Ok(&**set),
            None => Err(QueryError::Internal(format!("selection {} was not made", select.selection))),
        }
    }

    /// What a stage of a pipeline reports to.
    pub(crate) fn stage(&self, node: &Node, source: Option<&Node>) -> Meter<'e> {
        self.meters.map_or_else(Meter::default, |meters| meters.stage(node, source, self.steps))
    }

    /// The pipeline of a vector.
    pub(crate) fn pipe(&mut self, node: &'e Node, grid: &Grid) -> Result<Pipe<'e>, QueryError> {
        self.ledger.check()?;
        let position = node.position;
        Ok(match &node.kind {
            Kind::Instant(select) | Kind::TimeOf(select, _) => {
                let output = match node.kind {
                    Kind::TimeOf(_, output) => output,
                    _ => Output::Value,
                };
                let meter = self.stage(node, None);
                Pipe::Instant(Instant {
                    set: self.set(select)?,
                    select,
                    grid: *grid,
                    output,
                    position,
                    meter,
                })
            }
            Kind::Map { function, input, args } => {
                let args = args.iter().map(|a| self.scalars(a, grid)).collect::<Result<Vec<_>, _>>()?;
                let input = Box::new(self.pipe(input, grid)?);
                let meter = self.stage(node, None);
                Pipe::Map(Map { input, function: *function, args, grid: *grid, position, meter })
            }
            Kind::Window { function, source, args } => {
                let values = args.iter().map(|a| self.scalars(a, grid)).collect::<Result<Vec<_>, _>>()?;
                if *function == super::plan::RangeFunction::Quantile
                    && let (Some(values), Some(arg)) = (values.first(), args.first())
                {
                    self.note_quantiles(values, arg);
                }
                let (spec, samples) = self.windows(source)?;
                Pipe::Windows(Windows {
                    source: samples,
                    function: *function,
                    args: values,
                    spec,
                    grid: *grid,
                    position: source.position,
                    meter: self.stage(node, Some(source)),
                })
            }
            Kind::Repeated { place, inner } => self.repeated(*place, inner, grid)?,
            _ => Pipe::Held(self.series(node, grid)?),
        })
    }

    /// Where the windows of a range vector lie, and the samples in them.
    fn windows(&mut self, source: &'e Node) -> Result<(Spec, Source<'e>), QueryError> {
        match &source.kind {
            Kind::Range(select) => Ok((Spec::of(select), Source::Stored(self.set(select)?))),
            Kind::Subquery(plan) => {
                let spec = Spec {
                    range: plan.range,
                    offset: plan.offset,
                    at: plan.at,
                    edges: WindowEdges::Plain,
                    lookback: 0,
                    totals_only: false,
                };
                let inner = self.within(Steps::Inner, |evaluator| {
                    if is_scalar(&plan.inner) {
                        let series = evaluator.scalar_series(&plan.inner, &plan.grid)?;
                        return Ok(Pipe::Held(Held::new(vec![series], evaluator.ledger)?));
                    }
                    evaluator.pipe(&plan.inner, &plan.grid)
                })?;
                Ok((spec, Source::Computed(Box::new(inner), plan.grid)))
            }
            _ => Err(QueryError::BadData("expected a range vector".to_owned())),
        }
    }

    /// Evaluates something whose steps are not the query's own.
    fn within<T>(
        &mut self,
        steps: Steps,
        work: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let around = self.steps;
        if around != Steps::Inner {
            self.steps = steps;
        }
        let done = work(self);
        self.steps = around;
        done
    }

    /// The series of a subquery on its own steps.
    pub(crate) fn inner_series(&mut self, plan: &'e SubqueryPlan) -> Result<Held<'e>, QueryError> {
        self.within(Steps::Shared, |evaluator| evaluator.series(&plan.inner, &plan.grid))
    }

    /// All series of a vector.
    pub(crate) fn series(&mut self, node: &'e Node, grid: &Grid) -> Result<Held<'e>, QueryError> {
        let streams = node.kind.streams() || matches!(node.kind, Kind::Repeated { .. } | Kind::Once(_));
        let Some(counters) = self.meters.and_then(|m| m.of(node)).filter(|_| !streams) else {
            return self.unmetered_series(node, grid);
        };
        let started = std::time::Instant::now();
        let held = self.unmetered_series(node, grid)?;
        counters.took(started);
        counters.made(held.len(), grid.steps);
        Ok(held)
    }

    fn unmetered_series(&mut self, node: &'e Node, grid: &Grid) -> Result<Held<'e>, QueryError> {
        self.ledger.check()?;
        let series = match &node.kind {
            Kind::Once(inner) => self.once(inner, grid)?,
            Kind::Vector(scalar) => vec![self.scalar_series(scalar, grid)?],
            Kind::Absent { input, labels } => self.absent(input, labels, grid)?,
            Kind::LabelReplace { input, to, template, from, pattern } => {
                let series = self.series(input, grid)?.take();
                labels::replace(series, to, template, from, pattern)?
            }
            Kind::LabelJoin { input, to, separator, from } => {
                let series = self.series(input, grid)?.take();
                labels::join(series, to, separator, from)?
            }
            Kind::Sort { input, descending } => {
                self.note_sort(node, grid);
                sort::by_value(self.series(input, grid)?.take(), grid, *descending)
            }
            Kind::SortByLabel { input, labels, descending } => {
                self.note_sort(node, grid);
                sort::by_labels(self.series(input, grid)?.take(), labels, *descending)
            }
            Kind::Outliers { input, by } => {
                statistics::outliers(self.series(input, grid)?.take(), by, grid, self.ledger)?
            }
            Kind::HistogramQuantile { quantile, input } => {
                let q = self.scalars(quantile, grid)?;
                self.note_quantiles(&q, quantile);
                let series = self.series(input, grid)?;
                classic::quantile(&series, &q, grid, input.position, self.ledger, &mut self.notes)?
            }
            Kind::HistogramQuantiles { label, quantiles, input } => {
                let mut all = Vec::with_capacity(quantiles.len());
                for node in quantiles {
                    let q = self.scalars(node, grid)?;
                    self.note_quantiles(&q, node);
                    all.push(q);
                }
                let series = self.series(input, grid)?;
                classic::quantiles(&series, label, &all, grid, input.position, self.ledger, &mut self.notes)?
            }
            Kind::HistogramFraction { lower, upper, input } => {
                let bounds = (self.scalars(lower, grid)?, self.scalars(upper, grid)?);
                let series = self.series(input, grid)?;
                classic::fraction(&series, &bounds, grid, input.position, self.ledger, &mut self.notes)?
            }
            Kind::Aggregate { op, grouping, param, input } => {
                aggregate::evaluate(self, *op, grouping, param.as_deref(), input, node.position, grid)?
            }
            Kind::Binary { op, left, right, matching, return_bool } => {
                let left = self.series(left, grid)?;
                let right = self.series(right, grid)?;
                let operation = binary::Operation {
                    op: *op,
                    matching,
                    return_bool: *return_bool,
                    position: node.position,
                };
                binary::evaluate(&operation, &left, &right, grid, self.ledger, &mut self.notes)?
            }
            Kind::Info { input, info, data, names } => {
                let base = self.series(input, grid)?;
                let infos = Pipe::Instant(Instant {
                    set: self.set(info)?,
                    select: info,
                    grid: *grid,
                    output: Output::Milliseconds,
                    position: node.position,
                    meter: self.stage(node, None),
                });
                let infos = parts::collect(infos, self.ledger, &mut self.notes)?;
                info::enrich(&base, &infos, names, data, grid)?
            }
            Kind::Instant(_)
            | Kind::TimeOf(..)
            | Kind::Map { .. }
            | Kind::Window { .. }
            | Kind::Repeated { .. } => {
                let pipe = match self.pipe(node, grid)? {
                    Pipe::Held(held) => return Ok(held),
                    pipe => pipe,
                };
                return parts::collect(pipe, self.ledger, &mut self.notes);
            }
            Kind::Range(_) | Kind::Subquery(_) => {
                return Err(QueryError::BadData("expected an instant vector, got a range vector".to_owned()));
            }
            Kind::Text(_) => {
                return Err(QueryError::BadData("expected an instant vector, got a string".to_owned()));
            }
            _ => vec![self.scalar_series(node, grid)?],
        };
        Held::new(series, self.ledger)
    }

    /// Evaluates at the first step and repeats it for the others.
    fn once(&mut self, inner: &'e Node, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let mut series = self.within(Steps::Shared, |e| e.series(inner, &grid.first()))?.take();
        // Counted before the memory is taken, and again when held.
        let weight = Weight::of_cells(series.len().saturating_mul(grid.steps));
        self.ledger.hold(weight)?;
        series.iter_mut().for_each(|s| s.column.repeat_first(grid.steps));
        self.ledger.release(weight);
        Ok(series)
    }

    /// The series without labels that a scalar is in a vector.
    fn scalar_series(&mut self, node: &'e Node, grid: &Grid) -> Result<Series, QueryError> {
        let scalars = self.scalars(node, grid)?;
        let floats = match scalars {
            Scalars::Constant(x) => vec![x; grid.steps],
            Scalars::Each(values) => values,
        };
        let column = Column { floats, histograms: Vec::new() };
        Ok(Series { labels: Labels::empty(), drop_name: false, column })
    }

    fn absent(&mut self, input: &'e Node, labels: &Labels, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let pipe = self.pipe(input, grid)?;
        let steps = grid.steps;
        let parts = parts::fold(
            &pipe,
            self.ledger,
            &mut self.notes,
            || Presence::none(steps),
            |presence: &mut Presence, _, column, _| {
                presence.add(column);
                Ok(())
            },
        )?;
        let mut column = Column::absent(steps);
        for step in 0..steps {
            if !parts.iter().any(|p| p.0[step]) {
                column.floats[step] = 1.0;
            }
        }
        let found = column.any_present();
        Ok(found.then(|| Series { labels: labels.clone(), drop_name: true, column }).into_iter().collect())
    }

    /// The values of a scalar.
    pub(crate) fn scalars(&mut self, node: &'e Node, grid: &Grid) -> Result<Scalars, QueryError> {
        Ok(match &node.kind {
            Kind::Number(x) => Scalars::Constant(*x),
            Kind::Time => Scalars::Each((0..grid.steps).map(|s| grid.at(s) as f64 / 1000.0).collect()),
            Kind::ScalarNegate(inner) => match self.scalars(inner, grid)? {
                Scalars::Constant(x) => Scalars::Constant(-x),
                Scalars::Each(values) => Scalars::Each(values.into_iter().map(|x| -x).collect()),
            },
            Kind::ScalarBinary(op, left, right) => {
                let (left, right) = (self.scalars(left, grid)?, self.scalars(right, grid)?);
                if ops::scalars(*op, 0.0, 0.0).is_none() {
                    let symbol = op.symbol();
                    return Err(QueryError::BadData(format!(
                        "operator {symbol:?} not allowed between scalars"
                    )));
                }
                combine(&left, &right, grid, |a, b| ops::scalars(*op, a, b).unwrap_or(f64::NAN))
            }
            Kind::ScalarExtreme(max, left, right) => {
                let (left, right) = (self.scalars(left, grid)?, self.scalars(right, grid)?);
                let max = *max;
                combine(&left, &right, grid, |a, b| {
                    if a.is_nan() || b.is_nan() {
                        f64::NAN
                    } else if max {
                        a.max(b)
                    } else {
                        a.min(b)
                    }
                })
            }
            Kind::ScalarOf(input) => {
                let started = std::time::Instant::now();
                let scalars = self.scalar_of(input, grid)?;
                if let Some(counters) = self.meters.and_then(|m| m.of(node)) {
                    counters.took(started);
                    counters.made(1, grid.steps);
                }
                scalars
            }
            Kind::Once(inner) => {
                let scalars = self.within(Steps::Shared, |e| e.scalars(inner, &grid.first()))?;
                Scalars::Constant(scalars.get(0))
            }
            _ => return Err(QueryError::BadData("expected a scalar".to_owned())),
        })
    }

    /// `scalar(v)`: the only float of each step, NaN when there is none or more than one.
    fn scalar_of(&mut self, input: &'e Node, grid: &Grid) -> Result<Scalars, QueryError> {
        let pipe = self.pipe(input, grid)?;
        let steps = grid.steps;
        let found = parts::fold(
            &pipe,
            self.ledger,
            &mut self.notes,
            || vec![(0u32, f64::NAN); steps],
            |found: &mut Vec<(u32, f64)>, _, column, _| {
                for (slot, x) in found.iter_mut().zip(&column.floats) {
                    if !is_absent(*x) {
                        *slot = (slot.0.saturating_add(1), *x);
                    }
                }
                Ok(())
            },
        )?;
        let single = |step: usize| {
            let mut seen = found.iter().map(|part| part[step]).filter(|(count, _)| *count > 0);
            match (seen.next(), seen.next()) {
                (Some((1, x)), None) => x,
                _ => f64::NAN,
            }
        };
        Ok(Scalars::Each((0..steps).map(single).collect()))
    }

    /// Remarks on quantiles outside of 0 to 1.
    pub(crate) fn note_quantiles(&mut self, values: &Scalars, node: &Node) {
        let wrong = values.values().iter().filter(|q| !(0.0..=1.0).contains(*q));
        for q in wrong {
            self.notes.add(Note::InvalidQuantile((*q).into()), node.position);
        }
    }

    fn note_sort(&mut self, node: &Node, grid: &Grid) {
        if !grid.is_instant() {
            self.notes.add(Note::SortInRangeQuery, node.position);
        }
    }
}

/// True for the nodes that [`Evaluator::scalars`] takes.
pub(crate) fn is_scalar(node: &Node) -> bool {
    match &node.kind {
        Kind::Number(_)
        | Kind::Time
        | Kind::ScalarNegate(_)
        | Kind::ScalarBinary(..)
        | Kind::ScalarExtreme(..)
        | Kind::ScalarOf(_) => true,
        Kind::Once(inner) => is_scalar(inner),
        _ => false,
    }
}

fn combine(left: &Scalars, right: &Scalars, grid: &Grid, f: impl Fn(f64, f64) -> f64) -> Scalars {
    match (left, right) {
        (Scalars::Constant(a), Scalars::Constant(b)) => Scalars::Constant(f(*a, *b)),
        _ => Scalars::Each((0..grid.steps).map(|s| f(left.get(s), right.get(s))).collect()),
    }
}
