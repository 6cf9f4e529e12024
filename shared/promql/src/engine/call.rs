//! Calls in the plan: each function with its arguments.

use std::collections::VecDeque;

use regex::Regex;
use weir_model::Labels;

use super::error::QueryError;
use super::plan::{Kind, MapFunction, Node, RangeFunction};
use super::statistics::Statistic;
use crate::ast::Position;

/// Arguments of a call, taken one by one.
struct Args<'c> {
    function: &'c str,
    args: VecDeque<Node>,
}

impl Args<'_> {
    fn next(&mut self) -> Result<Box<Node>, QueryError> {
        self.args.pop_front().map(Box::new).ok_or_else(|| too_few(self.function))
    }

    fn text(&mut self) -> Result<String, QueryError> {
        match self.next()?.kind {
            Kind::Text(text) => Ok(text),
            _ => Err(QueryError::BadData(format!("{}() wants a string here", self.function))),
        }
    }

    fn texts(&mut self) -> Result<Vec<String>, QueryError> {
        std::iter::from_fn(|| (!self.args.is_empty()).then(|| self.text())).collect()
    }

    fn rest(self) -> Vec<Node> {
        self.args.into()
    }
}

/// What a function makes of its arguments; `absent` are the labels of what is not there.
pub(super) fn kind(name: &str, args: Vec<Node>, absent: Labels) -> Result<Kind, QueryError> {
    let mut args = Args { function: name, args: args.into() };
    if let Some(function) = RangeFunction::from_name(name) {
        let mut args = args.rest();
        let range = args.iter().position(|a| matches!(a.kind, Kind::Range(_) | Kind::Subquery(_)));
        let source = Box::new(args.remove(range.ok_or_else(|| too_few(name))?));
        let wanted = match function {
            RangeFunction::PredictLinear
            | RangeFunction::Quantile
            | RangeFunction::Statistic(Statistic::Forecast) => 1,
            RangeFunction::DoubleExponentialSmoothing => 2,
            _ => 0,
        };
        if args.len() != wanted {
            return Err(too_few(name));
        }
        return Ok(Kind::Window { function, source, args });
    }
    if let Some(function) = MapFunction::from_name(name) {
        return Ok(Kind::Map { function, input: args.next()?, args: vec![] });
    }
    let map = |function, mut args: Args<'_>, default: Option<Node>, wanted: usize| {
        let input = args.next()?;
        let mut args = args.rest();
        if args.is_empty() {
            args.extend(default);
        }
        if args.len() < wanted {
            return Err(too_few(name));
        }
        Ok(Kind::Map { function, input, args })
    };
    let one = Node { kind: Kind::Number(1.0), position: Position::default(), invariant: true };
    Ok(match name {
        "clamp" => map(MapFunction::Clamp, args, None, 2)?,
        "clamp_min" => map(MapFunction::ClampMin, args, None, 1)?,
        "clamp_max" => map(MapFunction::ClampMax, args, None, 1)?,
        "round" => map(MapFunction::Round, args, Some(one), 1)?,
        "timestamp" => map(MapFunction::StepTimestamp, args, None, 0)?,
        "start_timestamp" => map(MapFunction::Nothing, args, None, 0)?,
        "scalar" => Kind::ScalarOf(args.next()?),
        "vector" => Kind::Vector(args.next()?),
        "max_of" => Kind::ScalarExtreme(true, args.next()?, args.next()?),
        "min_of" => Kind::ScalarExtreme(false, args.next()?, args.next()?),
        "absent" => Kind::Absent { input: args.next()?, labels: absent },
        "absent_over_time" => {
            let source = args.next()?;
            let (position, invariant) = (source.position, source.invariant);
            let kind = Kind::Window { function: RangeFunction::Present, source, args: vec![] };
            Kind::Absent { input: Box::new(Node { kind, position, invariant }), labels: absent }
        }
        "sort" | "sort_desc" => Kind::Sort { input: args.next()?, descending: name == "sort_desc" },
        "sort_by_label" | "sort_by_label_desc" => Kind::SortByLabel {
            input: args.next()?,
            labels: args.texts()?,
            descending: name == "sort_by_label_desc",
        },
        "outlier_score" => Kind::Outliers { input: args.next()?, by: args.texts()? },
        "histogram_quantile" => Kind::HistogramQuantile { quantile: args.next()?, input: args.next()? },
        "histogram_fraction" => {
            Kind::HistogramFraction { lower: args.next()?, upper: args.next()?, input: args.next()? }
        }
        "histogram_quantiles" => {
            let input = args.next()?;
            Kind::HistogramQuantiles { label: args.text()?, quantiles: args.rest(), input }
        }
        "label_replace" => label_replace(args)?,
        "label_join" => {
            let input = args.next()?;
            let (to, separator, from) = (args.text()?, args.text()?, args.texts()?);
            if from.iter().any(String::is_empty) {
                return Err(QueryError::Execution("invalid source label name in label_join(): ".to_owned()));
            }
            if to.is_empty() {
                return Err(QueryError::Execution(
                    "invalid destination label name in label_join(): ".to_owned(),
                ));
            }
            Kind::LabelJoin { input, to, separator, from }
        }
        _ => return Err(QueryError::BadData(format!("unknown function with name {name:?}"))),
    })
}

fn label_replace(mut args: Args<'_>) -> Result<Kind, QueryError> {
    let input = args.next()?;
    let (to, template, from, pattern) = (args.text()?, args.text()?, args.text()?, args.text()?);
    let Ok(compiled) = Regex::new(&format!("^(?s:{pattern})$")) else {
        return Err(QueryError::Execution(format!(
            "invalid regular expression in label_replace(): {pattern}"
        )));
    };
    if to.is_empty() {
        return Err(QueryError::Execution("invalid destination label name in label_replace(): ".to_owned()));
    }
    Ok(Kind::LabelReplace { input, to, template, from, pattern: Box::new(compiled) })
}

/// That a call has fewer arguments than its function takes.
pub(super) fn too_few(function: &str) -> QueryError {
    QueryError::BadData(format!("too few arguments in call to {function:?}"))
}
