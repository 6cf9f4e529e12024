//! How far around a step a query looks for data, so that answers to some of its steps can be kept.

use super::duration::QuerySpan;
use super::query::Query;
use crate::ast::{DurationExpr, Expr, Node, VectorSelector, WindowEdges};

/// How far around each step a query looks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Back from the step, inclusive.
    pub before_ms: i64,
    /// Ahead of the step, inclusive.
    pub after_ms: i64,
}

impl Reach {
    /// An expression that looks at no data.
    const NONE: Self = Self { before_ms: 0, after_ms: 0 };

    fn join(self, other: Self) -> Self {
        Self { before_ms: self.before_ms.max(other.before_ms), after_ms: self.after_ms.max(other.after_ms) }
    }
}

impl Query {
    /// How far around each step the query looks. `None` when its value at a step depends on more than the step
    /// and the data around it: on where the query begins or ends (`start()`, `end()`, `range()`), or on data of
    /// a fixed time (`@`).
    #[must_use]
    pub fn reach(&self) -> Option<Reach> {
        // A duration that refers to the query's range is refused below, so its length does not matter.
        let span = QuerySpan { step_ms: self.step_ms, range_ms: 0 };
        Reaching { span, lookback_ms: self.lookback_ms }.of(&self.expr).map(|reach| reach.join(Reach::NONE))
    }
}

struct Reaching {
    span: QuerySpan,
    lookback_ms: i64,
}

impl Reaching {
    fn of(&self, expr: &Expr) -> Option<Reach> {
        match &expr.node {
            Node::Number(_) | Node::String(_) => Some(Reach::NONE),
            Node::Vector(selector) => self.selector(selector, self.lookback_ms),
            Node::Matrix(matrix) => self.selector(&matrix.vector, self.duration(&matrix.range)?),
            Node::Subquery(subquery) => {
                if subquery.at.is_some() || subquery.step.as_ref().is_some_and(names_range) {
                    return None;
                }
                let inner = self.of(&subquery.expr)?;
                let (range, offset) =
                    (self.duration(&subquery.range)?, self.offset(subquery.offset.as_ref())?);
                Some(Reach {
                    before_ms: inner.before_ms.saturating_add(range).saturating_add(offset),
                    after_ms: inner.after_ms.saturating_sub(offset),
                })
            }
            Node::Call(call) => {
                if matches!(call.function.as_str(), "start" | "end" | "range") {
                    return None;
                }
                let mut reach = self.all(call.args.iter())?;
                if call.function == "info" {
                    // Info series are looked up at the times of the first argument's own.
                    reach.before_ms = reach.before_ms.saturating_add(self.lookback_ms);
                }
                Some(reach)
            }
            Node::Aggregate(aggregate) => {
                self.all(aggregate.param.as_deref().into_iter().chain([&*aggregate.expr]))
            }
            Node::Binary(binary) => self.all([&*binary.left, &*binary.right].into_iter()),
            Node::Negate(inner) | Node::Paren(inner) => self.of(inner),
        }
    }

    fn all<'a>(&self, mut exprs: impl Iterator<Item = &'a Expr>) -> Option<Reach> {
        exprs.try_fold(Reach::NONE, |reach, expr| Some(reach.join(self.of(expr)?)))
    }

    fn selector(&self, selector: &VectorSelector, range: i64) -> Option<Reach> {
        if selector.at.is_some() {
            return None;
        }
        let offset = self.offset(selector.offset.as_ref())?;
        let (before, after) = match selector.edges {
            WindowEdges::Plain => (0, 0),
            WindowEdges::Anchored => (self.lookback_ms.saturating_add(1), 0),
            WindowEdges::Smoothed => (self.lookback_ms.saturating_add(1), self.lookback_ms),
        };
        Some(Reach {
            before_ms: range.saturating_add(offset).saturating_add(before),
            after_ms: after.saturating_sub(offset),
        })
    }

    fn duration(&self, duration: &DurationExpr) -> Option<i64> {
        if names_range(duration) { None } else { self.span.positive(duration).ok() }
    }

    fn offset(&self, offset: Option<&DurationExpr>) -> Option<i64> {
        if offset.is_some_and(names_range) { None } else { self.span.any(offset).ok() }
    }
}

/// True when `range()` stands in a duration.
fn names_range(duration: &DurationExpr) -> bool {
    match duration {
        DurationExpr::Range => true,
        DurationExpr::Literal(_) | DurationExpr::Number(_) | DurationExpr::Step => false,
        DurationExpr::Negate(inner) => names_range(inner),
        DurationExpr::Binary(_, a, b) | DurationExpr::Min(a, b) | DurationExpr::Max(a, b) => {
            names_range(a) || names_range(b)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reaches_as_far_as_its_selectors() {
        let minutes = |before: i64, after: i64| Some((before * 60_000, after * 60_000));
        for (text, want) in [
            ("m", minutes(5, 0)),
            ("1", minutes(0, 0)),
            ("m offset 1h", minutes(65, 0)),
            ("m offset -1h", minutes(0, 60)),
            ("m - m offset -10m", minutes(5, 10)),
            ("sum(rate(m[10m]))", minutes(10, 0)),
            ("rate(m[10m] offset 5m)", minutes(15, 0)),
            ("max_over_time(rate(m[10m])[1h:1m])", minutes(70, 0)),
            ("max_over_time(m[1h:1m] offset -2h)", minutes(0, 120)),
            ("topk(scalar(m offset 1h), m)", minutes(65, 0)),
            ("rate(m[2 * step()])", minutes(2, 0)),
            ("rate(m[10m] smoothed)", Some((15 * 60_000 + 1, 300_000))),
            ("info(m offset 1h)", minutes(70, 0)),
            ("m @ 12", None),
            ("m @ start()", None),
            ("m > start()", None),
            ("m * range()", None),
            ("rate(m[range()])", None),
            ("m offset range()", None),
            ("sum_over_time(m[1h:1m] @ end())", None),
        ] {
            let query = Query::range(crate::parse(text).unwrap(), text, 0, 3_600_000, 60_000);
            let reach = query.reach().map(|r| (r.before_ms, r.after_ms));
            assert_eq!(reach, want.map(|(b, a)| (b.max(0), a.max(0))), "{text}");
        }
    }
}
