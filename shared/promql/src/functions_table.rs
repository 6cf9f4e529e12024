//! The signatures of PromQL's functions: Prometheus 3's, its experimental ones, and ours.

use crate::ast::ValueType;
use ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

/// How many arguments a function takes beyond those it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly the listed ones.
    No,
    /// The last listed argument may be left out, or repeated up to so many times.
    UpTo(usize),
    /// The last listed argument may be left out, or repeated at will.
    Any,
}

/// What a function takes and gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signature {
    /// Its name in PromQL.
    pub name: &'static str,
    /// Types of its arguments; the last one stands for all further ones of a variadic function.
    pub args: &'static [ValueType],
    /// Whether the last argument is optional or repeats.
    pub variadic: Variadic,
    /// Type of its value.
    pub returns: ValueType,
    /// True when Prometheus hides it behind a feature flag; here all are on.
    pub experimental: bool,
}

impl Signature {
    /// Fewest arguments.
    #[must_use]
    pub fn min_args(&self) -> usize {
        self.args.len() - usize::from(self.variadic != Variadic::No)
    }

    /// Most arguments; `None` without a bound but the query's length.
    #[must_use]
    pub fn max_args(&self) -> Option<usize> {
        match self.variadic {
            Variadic::No => Some(self.args.len()),
            Variadic::UpTo(more) => Some(self.min_args() + more),
            Variadic::Any => None,
        }
    }

    /// The type that the argument at `index` must have.
    #[must_use]
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        self.args.get(index).or(self.args.last()).copied()
    }
}

const fn plain(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Signature {
    Signature { name, args, variadic: Variadic::No, returns, experimental: false }
}

const fn variadic(name: &'static str, args: &'static [ValueType], variadic: Variadic) -> Signature {
    Signature { name, args, variadic, returns: V, experimental: false }
}

const fn experimental(signature: Signature) -> Signature {
    Signature { experimental: true, ..signature }
}

/// The function of that name; names are case-sensitive.
#[must_use]
pub fn signature(name: &str) -> Option<&'static Signature> {
    let at = FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok()?;
    FUNCTIONS.get(at)
}

/// Every function, ascending by name.
pub static FUNCTIONS: &[Signature] = &[
    plain("abs", &[V], V),
    plain("absent", &[V], V),
    plain("absent_over_time", &[M], V),
    plain("acos", &[V], V),
    plain("acosh", &[V], V),
    // Ours, as are forecast, outlier_score, the bands and trend: statistics of weir-insight.
    plain("anomaly_score", &[M], V),
    plain("asin", &[V], V),
    plain("asinh", &[V], V),
    plain("atan", &[V], V),
    plain("atanh", &[V], V),
    plain("avg_over_time", &[M], V),
    plain("ceil", &[V], V),
    plain("changes", &[M], V),
    plain("clamp", &[V, S, S], V),
    plain("clamp_max", &[V, S], V),
    plain("clamp_min", &[V, S], V),
    plain("cos", &[V], V),
    plain("cosh", &[V], V),
    plain("count_over_time", &[M], V),
    variadic("day_of_month", &[V], Variadic::UpTo(1)),
    variadic("day_of_week", &[V], Variadic::UpTo(1)),
    variadic("day_of_year", &[V], Variadic::UpTo(1)),
    variadic("days_in_month", &[V], Variadic::UpTo(1)),
    plain("deg", &[V], V),
    plain("delta", &[M], V),
    plain("deriv", &[M], V),
    // Ours: distinct members of a set series over the range.
    plain("distinct_over_time", &[M], V),
    experimental(plain("double_exponential_smoothing", &[M, S, S], V)),
    experimental(plain("end", &[], S)),
    plain("exp", &[V], V),
    plain("first_over_time", &[M], V),
    plain("floor", &[V], V),
    plain("forecast", &[M, S], V),
    plain("histogram_avg", &[V], V),
    plain("histogram_count", &[V], V),
    plain("histogram_fraction", &[S, S, V], V),
    plain("histogram_quantile", &[S, V], V),
    experimental(variadic("histogram_quantiles", &[V, T, S, S], Variadic::UpTo(9))),
    plain("histogram_stddev", &[V], V),
    plain("histogram_stdvar", &[V], V),
    plain("histogram_sum", &[V], V),
    variadic("hour", &[V], Variadic::UpTo(1)),
    plain("idelta", &[M], V),
    plain("increase", &[M], V),
    experimental(variadic("info", &[V, V], Variadic::UpTo(1))),
    plain("irate", &[M], V),
    variadic("label_join", &[V, T, T, T], Variadic::Any),
    plain("label_replace", &[V, T, T, T, T], V),
    plain("last_over_time", &[M], V),
    plain("ln", &[V], V),
    plain("log10", &[V], V),
    plain("log2", &[V], V),
    experimental(plain("mad_over_time", &[M], V)),
    experimental(plain("max_of", &[S, S], S)),
    plain("max_over_time", &[M], V),
    experimental(plain("min_of", &[S, S], S)),
    plain("min_over_time", &[M], V),
    variadic("minute", &[V], Variadic::UpTo(1)),
    variadic("month", &[V], Variadic::UpTo(1)),
    variadic("outlier_score", &[V, T], Variadic::Any),
    plain("pi", &[], S),
    plain("predict_linear", &[M, S], V),
    plain("present_over_time", &[M], V),
    plain("quantile_over_time", &[S, M], V),
    plain("rad", &[V], V),
    experimental(plain("range", &[], S)),
    plain("rate", &[M], V),
    plain("resets", &[M], V),
    variadic("round", &[V, S], Variadic::UpTo(1)),
    plain("scalar", &[V], S),
    plain("seasonal_band_lower", &[M], V),
    plain("seasonal_band_upper", &[M], V),
    plain("sgn", &[V], V),
    plain("sin", &[V], V),
    plain("sinh", &[V], V),
    plain("sort", &[V], V),
    experimental(variadic("sort_by_label", &[V, T], Variadic::Any)),
    experimental(variadic("sort_by_label_desc", &[V, T], Variadic::Any)),
    plain("sort_desc", &[V], V),
    plain("sqrt", &[V], V),
    experimental(plain("start", &[], S)),
    experimental(plain("start_timestamp", &[V], V)),
    plain("stddev_over_time", &[M], V),
    plain("stdvar_over_time", &[M], V),
    experimental(plain("step", &[], S)),
    plain("sum_over_time", &[M], V),
    plain("tan", &[V], V),
    plain("tanh", &[V], V),
    plain("time", &[], S),
    plain("timestamp", &[V], V),
    plain("trend", &[M], V),
    experimental(plain("ts_of_first_over_time", &[M], V)),
    experimental(plain("ts_of_last_over_time", &[M], V)),
    experimental(plain("ts_of_max_over_time", &[M], V)),
    experimental(plain("ts_of_min_over_time", &[M], V)),
    plain("vector", &[S], V),
    variadic("year", &[V], Variadic::UpTo(1)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        for function in FUNCTIONS {
            assert_eq!(signature(function.name), Some(function), "{} is out of order", function.name);
        }
        assert_eq!(signature("Rate"), None);
    }

    #[test]
    fn variadic_functions_know_their_bounds() {
        let bounds = |name| signature(name).map(|f| (f.min_args(), f.max_args()));
        assert_eq!(bounds("pi"), Some((0, Some(0))));
        assert_eq!(bounds("hour"), Some((0, Some(1))));
        assert_eq!(bounds("round"), Some((1, Some(2))));
        assert_eq!(bounds("label_join"), Some((3, None)));
        assert_eq!(bounds("histogram_quantiles"), Some((3, Some(12))));
    }
}
