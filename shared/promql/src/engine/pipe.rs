//! Pipelines: a selector or subquery, functions of its windows and of its values, evaluated one series at a
//! time over all steps, so that no more than one series per thread is unpacked at once.

use weir_model::{Intervals, Labels, Samples, Temporality};

use super::column::{Column, Scalars, Series};
use super::error::QueryError;
use super::grid::Grid;
use super::instant::{self, Output};
use super::limits::{Ledger, Weight};
use super::map;
use super::meter::Meter;
use super::notes::{Note, Notes};
use super::over_time;
use super::plan::{MapFunction, RangeFunction, Select};
use super::rate::{self, RangeContext};
use super::rolled;
use super::window::{self, Spec};
use crate::ast::{Position, WindowEdges};
use crate::storage::{SeriesReader, SeriesSet};

/// Something that gives a column for each of its series.
pub(crate) enum Pipe<'e> {
    /// Series that are already there.
    Held(Held<'e>),
    Instant(Instant<'e>),
    Windows(Windows<'e>),
    Map(Map<'e>),
}

/// Series in memory, counted in the ledger as long as they live.
pub(crate) struct Held<'e> {
    series: Vec<Series>,
    weight: Weight,
    ledger: &'e Ledger,
}

/// An instant selector.
pub(crate) struct Instant<'e> {
    pub(crate) set: &'e dyn SeriesSet,
    pub(crate) select: &'e Select,
    pub(crate) grid: Grid,
    pub(crate) output: Output,
    pub(crate) position: Position,
    pub(crate) meter: Meter<'e>,
}

/// A function over windows.
pub(crate) struct Windows<'e> {
    pub(crate) source: Source<'e>,
    pub(crate) function: RangeFunction,
    pub(crate) args: Vec<Scalars>,
    pub(crate) spec: Spec,
    pub(crate) grid: Grid,
    /// Where the range vector stands.
    pub(crate) position: Position,
    pub(crate) meter: Meter<'e>,
}

/// Where the samples of windows come from.
pub(crate) enum Source<'e> {
    Stored(&'e dyn SeriesSet),
    /// A subquery: the columns of another pipeline, on its own grid.
    Computed(Box<Pipe<'e>>, Grid),
}

/// A function of values.
pub(crate) struct Map<'e> {
    pub(crate) input: Box<Pipe<'e>>,
    pub(crate) function: MapFunction,
    pub(crate) args: Vec<Scalars>,
    pub(crate) grid: Grid,
    pub(crate) position: Position,
    pub(crate) meter: Meter<'e>,
}

impl<'e> Held<'e> {
    pub(crate) fn new(series: Vec<Series>, ledger: &'e Ledger) -> Result<Self, QueryError> {
        let weight = series.iter().map(Series::weight).sum();
        let held = Self { series, weight, ledger };
        ledger.hold(weight)?;
        Ok(held)
    }

    /// The series, from here on the caller's to count.
    pub(crate) fn take(mut self) -> Vec<Series> {
        std::mem::take(&mut self.series)
    }
}

impl std::ops::Deref for Held<'_> {
    type Target = [Series];

    fn deref(&self) -> &[Series] {
        &self.series
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.ledger.release(self.weight);
    }
}

impl Pipe<'_> {
    /// How many series may come out.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Held(held) => held.len(),
            Self::Instant(instant) => instant.set.series().len(),
            Self::Windows(windows) => match &windows.source {
                Source::Stored(set) => set.series().len(),
                Source::Computed(pipe, _) => pipe.len(),
            },
            Self::Map(map) => map.input.len(),
        }
    }

    /// The labels of a series, the name included even if it is to be dropped.
    pub(crate) fn labels(&self, index: usize) -> &Labels {
        match self {
            Self::Held(held) => &held[index].labels,
            Self::Instant(instant) => &instant.set.series()[index].labels,
            Self::Windows(windows) => match &windows.source {
                Source::Stored(set) => &set.series()[index].labels,
                Source::Computed(pipe, _) => pipe.labels(index),
            },
            Self::Map(map) => map.input.labels(index),
        }
    }

    /// Whether the series' name goes at the end.
    pub(crate) fn drops_name(&self, index: usize) -> bool {
        match self {
            Self::Held(held) => held[index].drop_name,
            Self::Instant(instant) => matches!(instant.output, Output::Timestamp | Output::Start),
            Self::Windows(windows) => {
                let inner = match &windows.source {
                    Source::Stored(_) => false,
                    Source::Computed(pipe, _) => pipe.drops_name(index),
                };
                inner || !windows.function.keeps_name()
            }
            Self::Map(map) => !map.function.keeps_name() || map.input.drops_name(index),
        }
    }

    /// A worker; several may work side by side.
    pub(crate) fn worker<'w>(&'w self, ledger: &'w Ledger) -> Worker<'w> {
        match self {
            Self::Held(held) => Worker::Held(held),
            Self::Instant(pipe) => {
                Worker::Instant { pipe, reader: pipe.set.reader(), samples: Samples::default(), ledger }
            }
            Self::Windows(pipe) => {
                let input = match &pipe.source {
                    Source::Stored(set) => Input::Stored(set.reader(), *set),
                    Source::Computed(inner, grid) => {
                        Input::Computed(Box::new(inner.worker(ledger)), *grid, Column::default(), inner)
                    }
                };
                Worker::Windows {
                    pipe,
                    input,
                    samples: Samples::default(),
                    intervals: Box::default(),
                    scratch: Vec::new(),
                    counter: CounterCheck::default(),
                    ledger,
                }
            }
            Self::Map(pipe) => Worker::Map { pipe, input: Box::new(pipe.input.worker(ledger)) },
        }
    }
}

/// Computes columns of a pipeline on one thread.
pub(crate) enum Worker<'w> {
    Held(&'w [Series]),
    Instant {
        pipe: &'w Instant<'w>,
        reader: Box<dyn SeriesReader + 'w>,
        samples: Samples,
        ledger: &'w Ledger,
    },
    Windows {
        pipe: &'w Windows<'w>,
        input: Input<'w>,
        samples: Samples,
        intervals: Box<Intervals>,
        scratch: Vec<usize>,
        counter: CounterCheck,
        ledger: &'w Ledger,
    },
    Map {
        pipe: &'w Map<'w>,
        input: Box<Worker<'w>>,
    },
}

/// Where a worker gets the samples of windows.
pub(crate) enum Input<'w> {
    Stored(Box<dyn SeriesReader + 'w>, &'w dyn SeriesSet),
    Computed(Box<Worker<'w>>, Grid, Column, &'w Pipe<'w>),
}

impl Worker<'_> {
    /// Replaces `out` by the column of a series.
    pub(crate) fn column(
        &mut self,
        index: usize,
        notes: &mut Notes,
        out: &mut Column,
    ) -> Result<(), QueryError> {
        match self {
            Self::Held(series) => {
                out.copy_from(&series[index].column);
                Ok(())
            }
            Self::Instant { pipe, reader, samples, ledger } => {
                ledger.check()?;
                let started = pipe.meter.start();
                samples.clear();
                reader.read(index, samples)?;
                pipe.meter.read(started, samples.len());
                ledger.read(samples.len())?;
                window::count_sets(samples);
                if pipe.select.totals_only {
                    window::keep_totals(samples);
                }
                out.reset(pipe.grid.steps);
                if pipe.select.edges == WindowEdges::Smoothed && pipe.output == Output::Value {
                    let metric = pipe.set.series()[index].labels.metric_name();
                    smoothed(pipe, samples, metric, notes, out);
                } else {
                    instant::fill(samples, &pipe.grid, pipe.select, pipe.output, out);
                }
                pipe.meter.touch_column(out);
                pipe.meter.done(started, out);
                Ok(())
            }
            Self::Windows { pipe, input, samples, intervals, scratch, counter, ledger } => {
                ledger.check()?;
                let started = pipe.meter.start();
                samples.clear();
                let (temporality, metric) = match input {
                    Input::Stored(reader, set) if set.has_intervals() => {
                        reader.read_intervals(index, intervals)?;
                        pipe.meter.read(started, intervals.len());
                        ledger.read(intervals.len())?;
                        samples.histograms.append(&mut intervals.histograms);
                        samples.sets.append(&mut intervals.sets);
                        if pipe.spec.totals_only {
                            window::keep_totals(samples);
                        }
                        let series = &set.series()[index];
                        (series.temporality, series.labels.metric_name())
                    }
                    Input::Stored(reader, set) => {
                        reader.read(index, samples)?;
                        pipe.meter.read(started, samples.len());
                        ledger.read(samples.len())?;
                        window::drop_stale(samples);
                        if pipe.spec.totals_only {
                            window::keep_totals(samples);
                        }
                        if pipe.function != RangeFunction::Distinct {
                            window::count_sets(samples);
                        }
                        let series = &set.series()[index];
                        (series.temporality, series.labels.metric_name())
                    }
                    Input::Computed(worker, grid, column, inner) => {
                        worker.column(index, notes, column)?;
                        to_samples(column, grid, samples);
                        (Temporality::Cumulative, inner.labels(index).metric_name())
                    }
                };
                out.reset(pipe.grid.steps);
                let mut context = RangeContext {
                    grid: &pipe.grid,
                    spec: &pipe.spec,
                    ledger,
                    notes,
                    metric,
                    position: pipe.position,
                };
                let rolled = matches!(input, Input::Stored(_, set) if set.has_intervals())
                    && samples.is_empty()
                    && pipe.function != RangeFunction::Distinct;
                if rolled {
                    if pipe.function == RangeFunction::Quantile {
                        rolled::quantiles(intervals, &pipe.args, &mut context, out)?;
                    } else {
                        rolled::fill(&intervals.floats, pipe.function, temporality, &context, out)?;
                    }
                } else {
                    windows(pipe, samples, temporality, scratch, &mut context, out)?;
                }
                let rising = matches!(pipe.function, RangeFunction::Rate | RangeFunction::Increase);
                if rising && temporality == Temporality::Cumulative {
                    counter.check(metric, pipe.position, out, notes);
                }
                if pipe.meter.counts_steps() && rolled {
                    rolled::each(&intervals.floats, &pipe.grid, &pipe.spec, ledger, |w| {
                        pipe.meter.touch(w.step, w.intervals.len() as u64);
                    })?;
                } else if pipe.meter.counts_steps() {
                    window::each(samples, &pipe.grid, &pipe.spec, ledger, |w| {
                        pipe.meter.touch_window(w);
                        Ok(())
                    })?;
                }
                pipe.meter.done(started, out);
                Ok(())
            }
            Self::Map { pipe, input } => {
                let started = pipe.meter.start();
                input.column(index, notes, out)?;
                map::apply(pipe.function, &pipe.args, &pipe.grid, pipe.position, notes, out);
                pipe.meter.done(started, out);
                Ok(())
            }
        }
    }
}

fn windows(
    pipe: &Windows<'_>,
    samples: &Samples,
    temporality: Temporality,
    scratch: &mut Vec<usize>,
    context: &mut RangeContext<'_>,
    out: &mut Column,
) -> Result<(), QueryError> {
    use RangeFunction as F;
    match pipe.function {
        F::Rate | F::Increase if temporality == Temporality::Delta => {
            rate::summed(samples, pipe.function == F::Rate, context, out)
        }
        F::Rate | F::Increase | F::Delta => rate::extrapolated(samples, pipe.function, scratch, context, out),
        F::Irate | F::Idelta => rate::last_two(samples, pipe.function == F::Irate, temporality, context, out),
        function => over_time::fill(samples, function, &pipe.args, context, out),
    }
}

fn smoothed(pipe: &Instant<'_>, samples: &mut Samples, metric: &str, notes: &mut Notes, out: &mut Column) {
    window::drop_stale(samples);
    let met = instant::fill_smoothed(samples, &pipe.grid, pipe.select, out);
    let metric = || metric.to_owned();
    if met.mixed {
        notes.add(Note::MixedFloatsHistograms { metric: metric() }, pipe.position);
    }
    if met.incompatible {
        notes.add(Note::MixedExponentialCustom { metric: metric() }, pipe.position);
    }
    if met.reconciled {
        for operation in ["subtraction", "addition"] {
            notes.add(Note::MismatchedCustomBuckets { operation }, pipe.position);
        }
    }
}

/// The samples of a subquery's series.
fn to_samples(column: &Column, grid: &Grid, samples: &mut Samples) {
    use weir_model::CounterResetHint::{NotReset, Reset, Unknown};
    for step in 0..column.steps() {
        if let Some(histogram) = column.histogram(step) {
            // What a hint says of the sample before does not hold for the subquery's step before.
            let mut histogram = std::sync::Arc::clone(histogram);
            if matches!(histogram.counter_reset_hint, Reset | NotReset) {
                std::sync::Arc::make_mut(&mut histogram).counter_reset_hint = Unknown;
            }
            samples.histograms.push((grid.at(step), histogram));
        } else if column.is_present(step) {
            samples.timestamps.push(grid.at(step));
            samples.values.push(column.floats[step]);
        }
    }
}

/// Remarks on rates of metrics that do not look like counters, each name looked at once in a row.
#[derive(Debug, Default)]
pub(crate) struct CounterCheck(String);

impl CounterCheck {
    fn check(&mut self, metric: &str, position: Position, out: &Column, notes: &mut Notes) {
        const SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        if metric.is_empty() || self.0 == metric || SUFFIXES.iter().any(|s| metric.ends_with(s)) {
            return;
        }
        if out.floats.iter().any(|x| !super::column::is_absent(*x)) {
            metric.clone_into(&mut self.0);
            notes.add(Note::PossibleNonCounter { metric: metric.to_owned() }, position);
        }
    }
}
