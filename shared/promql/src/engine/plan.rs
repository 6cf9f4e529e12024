//! The query as the evaluator wants it: functions resolved, durations and `@` in milliseconds, selectors
//! numbered, and what does not change from step to step marked to be evaluated once.

use regex::Regex;
use weir_model::{AddedUp, Aggregate, Histogram, Labels, Matcher, Moment};

use super::grid::Grid;
use super::instant::Output;
use super::statistics::Statistic;
use crate::ast::{AggregateOp, BinaryOp, Grouping, Position, VectorMatching, WindowEdges};

/// An expression to evaluate.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Where it stands in the text.
    pub(crate) position: Position,
    /// True when its value is the same at every step.
    pub(crate) invariant: bool,
}

/// The forms of an expression.
#[derive(Debug)]
pub(crate) enum Kind {
    // Scalars.
    Number(f64),
    Time,
    ScalarOf(Box<Node>),
    ScalarNegate(Box<Node>),
    ScalarBinary(BinaryOp, Box<Node>, Box<Node>),
    /// `max_of` if true, else `min_of`.
    ScalarExtreme(bool, Box<Node>, Box<Node>),
    // Texts.
    Text(String),
    // Range vectors.
    Range(Select),
    Subquery(SubqueryPlan),
    // Vectors, series by series.
    Instant(Select),
    /// A time of the samples that a selector finds.
    TimeOf(Select, Output),
    Map {
        function: MapFunction,
        input: Box<Node>,
        args: Vec<Node>,
    },
    Window {
        function: RangeFunction,
        source: Box<Node>,
        args: Vec<Node>,
    },
    // Vectors that need all their series.
    Vector(Box<Node>),
    Absent {
        input: Box<Node>,
        labels: Labels,
    },
    LabelReplace {
        input: Box<Node>,
        to: String,
        template: String,
        from: String,
        pattern: Box<Regex>,
    },
    LabelJoin {
        input: Box<Node>,
        to: String,
        separator: String,
        from: Vec<String>,
    },
    Sort {
        input: Box<Node>,
        descending: bool,
    },
    SortByLabel {
        input: Box<Node>,
        labels: Vec<String>,
        descending: bool,
    },
    /// `outlier_score`: how far each series stands from those that share the labels.
    Outliers {
        input: Box<Node>,
        by: Vec<String>,
    },
    HistogramQuantile {
        quantile: Box<Node>,
        input: Box<Node>,
    },
    HistogramQuantiles {
        label: String,
        quantiles: Vec<Node>,
        input: Box<Node>,
    },
    HistogramFraction {
        lower: Box<Node>,
        upper: Box<Node>,
        input: Box<Node>,
    },
    Aggregate {
        op: AggregateOp,
        grouping: Grouping,
        param: Option<Box<Node>>,
        input: Box<Node>,
    },
    Binary {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
        matching: VectorMatching,
        return_bool: bool,
    },
    Info {
        input: Box<Node>,
        info: Select,
        data: Vec<Matcher>,
        names: Vec<Matcher>,
    },
    /// Evaluated at the first step only, the same at all others.
    Once(Box<Node>),
    /// An expression that the query has more than once, by its number among those.
    Repeated {
        place: usize,
        inner: Box<Node>,
    },
}

impl Node {
    /// The nodes that it is made of.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number(_)
            | Kind::Time
            | Kind::Text(_)
            | Kind::Range(_)
            | Kind::Instant(_)
            | Kind::TimeOf(..) => Vec::new(),
            Kind::ScalarOf(inner)
            | Kind::ScalarNegate(inner)
            | Kind::Vector(inner)
            | Kind::Once(inner)
            | Kind::Repeated { inner, .. }
            | Kind::Absent { input: inner, .. }
            | Kind::LabelReplace { input: inner, .. }
            | Kind::LabelJoin { input: inner, .. }
            | Kind::Sort { input: inner, .. }
            | Kind::SortByLabel { input: inner, .. }
            | Kind::Outliers { input: inner, .. }
            | Kind::Info { input: inner, .. } => vec![inner],
            Kind::Subquery(plan) => vec![&plan.inner],
            Kind::ScalarBinary(_, left, right)
            | Kind::ScalarExtreme(_, left, right)
            | Kind::Binary { left, right, .. }
            | Kind::HistogramQuantile { quantile: left, input: right } => vec![left, right],
            Kind::HistogramFraction { lower, upper, input } => vec![lower, upper, input],
            Kind::Map { input, args, .. } => std::iter::once(&**input).chain(args).collect(),
            Kind::Window { source, args, .. } => std::iter::once(&**source).chain(args).collect(),
            Kind::HistogramQuantiles { quantiles, input, .. } => {
                quantiles.iter().chain(std::iter::once(&**input)).collect()
            }
            Kind::Aggregate { param, input, .. } => {
                param.iter().map(|param| &**param).chain(std::iter::once(&**input)).collect()
            }
        }
    }
}

impl Kind {
    /// What it does, for explanations.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Time => "time",
            Self::Text(_) => "string",
            Self::ScalarOf(_) => "scalar of vector",
            Self::ScalarNegate(_) | Self::ScalarBinary(..) | Self::ScalarExtreme(..) => "scalar operator",
            Self::Range(_) => "range selector",
            Self::Subquery(_) => "subquery",
            Self::Instant(_) | Self::TimeOf(..) => "instant selector",
            Self::Map { function: MapFunction::Binary { .. } | MapFunction::Negate, .. } => {
                "operator with scalar"
            }
            Self::Map { .. } => "function of values",
            Self::Window { .. } => "function of windows",
            Self::Vector(_) => "vector of scalar",
            Self::Absent { .. } => "absence",
            Self::LabelReplace { .. } | Self::LabelJoin { .. } => "function of labels",
            Self::Sort { .. } | Self::SortByLabel { .. } => "sort",
            Self::HistogramQuantile { .. }
            | Self::HistogramQuantiles { .. }
            | Self::HistogramFraction { .. } => "function of histograms",
            Self::Outliers { .. } => "function of groups",
            Self::Aggregate { .. } => "aggregation",
            Self::Binary { .. } => "operator between vectors",
            Self::Info { .. } => "info series joined",
            Self::Once(_) => "once for all steps",
            Self::Repeated { .. } => "repeated expression",
        }
    }

    /// The selector whose series it reads itself.
    pub(crate) fn select(&self) -> Option<&Select> {
        match self {
            Self::Range(select)
            | Self::Instant(select)
            | Self::TimeOf(select, _)
            | Self::Info { info: select, .. } => Some(select),
            _ => None,
        }
    }

    /// True for the stages of pipelines, which work series by series.
    pub(crate) fn streams(&self) -> bool {
        matches!(self, Self::Instant(_) | Self::TimeOf(..) | Self::Map { .. } | Self::Window { .. })
    }
}

/// A selector.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// Its number among the query's selections.
    pub(crate) selection: usize,
    /// `offset`
    pub(crate) offset: i64,
    /// `@`
    pub(crate) at: Option<i64>,
    /// How far back: the range, or the lookback of an instant selector.
    pub(crate) range: i64,
    /// How the edges of the window are treated.
    pub(crate) edges: WindowEdges,
    /// How far beyond the edges a sample may lie that stands in for one at the edge.
    pub(crate) lookback: i64,
    /// True when nothing looks at the buckets of histograms.
    pub(crate) totals_only: bool,
}

/// A subquery.
#[derive(Debug)]
pub(crate) struct SubqueryPlan {
    pub(crate) inner: Box<Node>,
    /// Where the inner expression is evaluated.
    pub(crate) grid: Grid,
    pub(crate) range: i64,
    pub(crate) offset: i64,
    pub(crate) at: Option<i64>,
}

/// Functions that give each sample a new value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MapFunction {
    /// A function of floats; histograms are dropped.
    Float(fn(f64) -> f64),
    /// A function of the time that a float means in Unix seconds.
    Date(fn(&Moment) -> i64),
    /// A function of histograms; floats are dropped.
    Histogram(fn(&Histogram) -> f64),
    /// `clamp(v, min, max)`
    Clamp,
    ClampMin,
    ClampMax,
    /// `round(v, nearest)`
    Round,
    Negate,
    /// `timestamp` of anything but a selector.
    StepTimestamp,
    /// `start_timestamp` of anything but a selector: it is not known.
    Nothing,
    /// An operator with a scalar on one side.
    Binary {
        op: BinaryOp,
        scalar_left: bool,
        return_bool: bool,
    },
}

/// Functions of a range vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    DoubleExponentialSmoothing,
    Changes,
    Resets,
    Avg,
    Sum,
    Count,
    Min,
    Max,
    Stddev,
    Stdvar,
    Quantile,
    Mad,
    Last,
    First,
    Present,
    TsOfFirst,
    TsOfLast,
    TsOfMin,
    TsOfMax,
    Distinct,
    /// One of Weir's own.
    Statistic(Statistic),
}

impl RangeFunction {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::Irate,
            "idelta" => Self::Idelta,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            "avg_over_time" => Self::Avg,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "quantile_over_time" => Self::Quantile,
            "mad_over_time" => Self::Mad,
            "last_over_time" => Self::Last,
            "first_over_time" => Self::First,
            "present_over_time" => Self::Present,
            "ts_of_first_over_time" => Self::TsOfFirst,
            "ts_of_last_over_time" => Self::TsOfLast,
            "ts_of_min_over_time" => Self::TsOfMin,
            "ts_of_max_over_time" => Self::TsOfMax,
            "distinct_over_time" => Self::Distinct,
            _ => return Statistic::from_name(name).map(Self::Statistic),
        })
    }

    /// What of intervals it can be computed from; `None` if only samples do. Each has the last sample anyway.
    pub(crate) fn aggregates(self) -> Option<&'static [Aggregate]> {
        use Aggregate as A;
        Some(match self {
            Self::Sum | Self::Avg => &[A::Count, A::Sum],
            Self::Count | Self::Present | Self::Last | Self::TsOfLast => &[A::Count],
            Self::First | Self::TsOfFirst | Self::Delta => &[A::Count, A::First],
            Self::Min => &[A::Count, A::Min],
            Self::Max => &[A::Count, A::Max],
            Self::Stddev | Self::Stdvar => &[A::Count, A::Sum, A::Squares],
            Self::Quantile => &[A::Count, A::Sum, A::Min, A::Max, A::First, A::Distribution],
            // The sum for series whose samples are changes.
            Self::Rate | Self::Increase => &[A::Count, A::Sum, A::First, A::Resets],
            Self::Distinct => &[A::Sum],
            _ => return None,
        })
    }

    /// Of which series without floats it needs no more than what they add up to.
    pub(crate) fn added_up(self) -> AddedUp {
        match self {
            Self::Sum => AddedUp::Histograms,
            Self::Rate | Self::Increase => AddedUp::Changes,
            Self::Distinct => AddedUp::Sets,
            _ => AddedUp::None,
        }
    }

    /// These give a sample as it is and therefore keep the metric's name.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::Last | Self::First)
    }

    /// Whether windows with such edges make sense to the function.
    pub(crate) fn allows(self, edges: WindowEdges) -> bool {
        match edges {
            WindowEdges::Plain => true,
            WindowEdges::Anchored => {
                matches!(self, Self::Rate | Self::Increase | Self::Delta | Self::Changes | Self::Resets)
            }
            WindowEdges::Smoothed => matches!(self, Self::Rate | Self::Increase | Self::Delta),
        }
    }
}

impl MapFunction {
    /// The functions of one vector, by name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        use std::f64::consts::PI;
        let float: fn(f64) -> f64 = match name {
            "abs" => f64::abs,
            "ceil" => f64::ceil,
            "floor" => f64::floor,
            "exp" => f64::exp,
            "ln" => f64::ln,
            "log2" => f64::log2,
            "log10" => f64::log10,
            "sqrt" => f64::sqrt,
            "sgn" => |x| {
                if x < 0.0 {
                    -1.0
                } else if x > 0.0 {
                    1.0
                } else {
                    x
                }
            },
            "sin" => f64::sin,
            "cos" => f64::cos,
            "tan" => f64::tan,
            "asin" => f64::asin,
            "acos" => f64::acos,
            "atan" => f64::atan,
            "sinh" => f64::sinh,
            "cosh" => f64::cosh,
            "tanh" => f64::tanh,
            "asinh" => f64::asinh,
            "acosh" => f64::acosh,
            "atanh" => f64::atanh,
            "rad" => |x| x * PI / 180.0,
            "deg" => |x| x * 180.0 / PI,
            _ => return Self::date(name).or_else(|| Self::histogram(name)),
        };
        Some(Self::Float(float))
    }

    /// The functions of a date, which also exist without an argument.
    pub(crate) fn date(name: &str) -> Option<Self> {
        let date: fn(&Moment) -> i64 = match name {
            "year" => |m| m.year,
            "month" => |m| m.month,
            "day_of_month" => |m| m.day,
            "day_of_week" => |m| m.weekday,
            "day_of_year" => |m| m.day_of_year,
            "days_in_month" => Moment::days_in_month,
            "hour" => |m| m.hour,
            "minute" => |m| m.minute,
            _ => return None,
        };
        Some(Self::Date(date))
    }

    fn histogram(name: &str) -> Option<Self> {
        let histogram: fn(&Histogram) -> f64 = match name {
            "histogram_count" => |h| h.count,
            "histogram_sum" => |h| h.sum,
            "histogram_avg" => |h| h.sum / h.count,
            "histogram_stdvar" => Histogram::variance,
            "histogram_stddev" => |h| h.variance().sqrt(),
            _ => return None,
        };
        Some(Self::Histogram(histogram))
    }

    /// Comparisons that filter keep the metric's name, everything else makes a new quantity.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::Binary { op, return_bool: false, .. }
            if op.is_comparison() || matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower))
    }
}
