//! Which comparison of a rule's expression gave an alert its value, and how far past the threshold it is.

use serde::Serialize;
use weir_promql::ast::{AggregateOp, Binary, BinaryOp, Expr, Node, ValueType};

/// The comparison that an alert's value has passed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is compared, in PromQL: the side that gives the value.
    pub measured: String,
    /// `>`, `>=`, `<`, `<=`, `==` or `!=`, the measured side standing on the left.
    pub comparison: &'static str,
    /// The other side as it is written.
    pub threshold_text: String,
    /// The other side where it is a constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How many times past the threshold the value is: 2 for twice a `>` and for half of a `<`. Nothing where
    /// that has no meaning: thresholds of zero, of another sign than the value, `==` and `!=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times_past: Option<f64>,
    /// The bound or value of `anomaly_score` where the rule asks for it, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly_score: Option<f64>,
}

/// A comparison on its way to become a condition.
pub(crate) struct Found<'e> {
    pub(crate) measured: &'e Expr,
    pub(crate) op: BinaryOp,
    pub(crate) threshold: &'e Expr,
}

/// The comparison that gave `value`, or nothing when the expression has none at its top.
///
/// `and` and `unless` give values of their left side; of the sides of `or` the one counts whose comparison
/// the value passes. Parentheses and what only picks, sorts or renames (`max`, `topk`, `sort`,
/// `label_replace` …) is looked through. A comparison with `bool` gives 0 or 1 and filters nothing: none.
pub(super) fn condition(expr: &Expr, value: f64) -> Option<Condition> {
    let found = find(expr, value)?;
    let threshold = constant(found.threshold);
    let mut anomaly_score = lowest_score(expr);
    if is_score(found.measured) {
        anomaly_score = Some(value);
    }
    Some(Condition {
        measured: found.measured.to_string(),
        comparison: found.op.symbol(),
        threshold_text: found.threshold.to_string(),
        threshold,
        times_past: threshold.and_then(|threshold| times_past(found.op, value, threshold)),
        anomaly_score: anomaly_score.filter(|score| (0.0..=1.0).contains(score)),
    })
}

fn find(expr: &Expr, value: f64) -> Option<Found<'_>> {
    match &expr.node {
        Node::Paren(_) | Node::Aggregate(_) | Node::Call(_) => find(looked_through(expr)?, value),
        Node::Binary(binary) => match binary.op {
            BinaryOp::And | BinaryOp::Unless => find(&binary.left, value),
            BinaryOp::Or => either(find(&binary.left, value), find(&binary.right, value), value),
            op if op.is_comparison() && !binary.return_bool => Some(sides(binary)),
            _ => None,
        },
        _ => None,
    }
}

/// What an expression picks its values from without changing them.
fn looked_through(expr: &Expr) -> Option<&Expr> {
    match &expr.node {
        Node::Paren(inner) => Some(inner),
        Node::Aggregate(aggregate) => {
            let picks = matches!(
                aggregate.op,
                AggregateOp::Min
                    | AggregateOp::Max
                    | AggregateOp::TopK
                    | AggregateOp::BottomK
                    | AggregateOp::LimitK
                    | AggregateOp::LimitRatio
            );
            picks.then_some(&*aggregate.expr)
        }
        Node::Call(call) => {
            let renames =
                ["sort", "sort_desc", "sort_by_label", "sort_by_label_desc", "label_replace", "label_join"];
            renames.contains(&call.function.as_str()).then(|| call.args.first()).flatten()
        }
        _ => None,
    }
}

/// A comparison with its measured side on the left: of a number and a vector the vector is measured.
pub(crate) fn sides(binary: &Binary) -> Found<'_> {
    let number_first = binary.left.value_type() == ValueType::Scalar;
    if number_first && binary.right.value_type() != ValueType::Scalar {
        Found { measured: &binary.right, op: turned(binary.op), threshold: &binary.left }
    } else {
        Found { measured: &binary.left, op: binary.op, threshold: &binary.right }
    }
}

fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEq => BinaryOp::GreaterEq,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEq => BinaryOp::LessEq,
        same => same,
    }
}

/// The side of `or` that the value passes for certain, else one that it may have passed.
fn either<'e>(left: Option<Found<'e>>, right: Option<Found<'e>>, value: f64) -> Option<Found<'e>> {
    let passes = |found: &Found<'_>| constant(found.threshold).map(|t| holds(found.op, value, t));
    match (left, right) {
        (Some(left), Some(right)) => match (passes(&left), passes(&right)) {
            (Some(true), _) | (None, Some(false) | None) => Some(left),
            (_, Some(true)) | (Some(false), None) => Some(right),
            (Some(false), Some(false)) => None,
        },
        (Some(one), None) | (None, Some(one)) => (passes(&one) != Some(false)).then_some(one),
        (None, None) => None,
    }
}

fn holds(op: BinaryOp, value: f64, threshold: f64) -> bool {
    match op {
        BinaryOp::Eq => value == threshold,
        BinaryOp::NotEq => value != threshold,
        BinaryOp::Less => value < threshold,
        BinaryOp::LessEq => value <= threshold,
        BinaryOp::Greater => value > threshold,
        BinaryOp::GreaterEq => value >= threshold,
        _ => false,
    }
}

/// The number that an expression is, if it is one whatever the data.
pub(crate) fn constant(expr: &Expr) -> Option<f64> {
    match &expr.node {
        Node::Number(number) => Some(*number),
        Node::Paren(inner) => constant(inner),
        Node::Negate(inner) => constant(inner).map(|x| -x),
        Node::Binary(binary) => {
            let (left, right) = (constant(&binary.left)?, constant(&binary.right)?);
            match binary.op {
                BinaryOp::Add => Some(left + right),
                BinaryOp::Sub => Some(left - right),
                BinaryOp::Mul => Some(left * right),
                BinaryOp::Div => Some(left / right),
                BinaryOp::Mod => Some(left % right),
                BinaryOp::Pow => Some(left.powf(right)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn times_past(op: BinaryOp, value: f64, threshold: f64) -> Option<f64> {
    let times = match op {
        BinaryOp::Greater | BinaryOp::GreaterEq if threshold > 0.0 => value / threshold,
        BinaryOp::Less | BinaryOp::LessEq if threshold > 0.0 && value >= 0.0 => threshold / value,
        // Below zero, the larger amount is the lower one.
        BinaryOp::Greater | BinaryOp::GreaterEq if threshold < 0.0 && value <= 0.0 => threshold / value,
        BinaryOp::Less | BinaryOp::LessEq if threshold < 0.0 => value / threshold,
        _ => return None,
    };
    // A value of zero is past a `<` as far as can be.
    (!times.is_nan()).then(|| times.min(1e9))
}

/// True for `anomaly_score(…)`, whatever picks from it.
fn is_score(expr: &Expr) -> bool {
    match &expr.node {
        Node::Call(call) if call.function == "anomaly_score" => true,
        _ => looked_through(expr).is_some_and(is_score),
    }
}

/// The highest bound that an alert's `anomaly_score` has passed for certain, in any condition that must hold.
fn lowest_score(expr: &Expr) -> Option<f64> {
    match &expr.node {
        Node::Binary(binary) if binary.op == BinaryOp::And => {
            let (left, right) = (lowest_score(&binary.left), lowest_score(&binary.right));
            left.into_iter().chain(right).reduce(f64::max)
        }
        Node::Binary(binary) if binary.op == BinaryOp::Unless => lowest_score(&binary.left),
        Node::Binary(binary) if binary.op.is_comparison() && !binary.return_bool => {
            let found = sides(binary);
            let above = matches!(found.op, BinaryOp::Greater | BinaryOp::GreaterEq);
            (above && is_score(found.measured)).then(|| constant(found.threshold)).flatten()
        }
        _ => looked_through(expr).and_then(lowest_score),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expr: &str, value: f64) -> String {
        let expr = weir_promql::parse(expr).unwrap();
        match condition(&expr, value) {
            None => "none".to_owned(),
            Some(c) => {
                let times = c.times_past.map_or(String::new(), |times| format!(" x{times:.2}"));
                let score = c.anomaly_score.map_or(String::new(), |score| format!(" score {score}"));
                format!("{} {} {}{times}{score}", c.measured, c.comparison, c.threshold_text)
            }
        }
    }

    #[test]
    fn the_comparison_that_gave_the_value_is_found() {
        for (expr, value, want) in [
            ("up == 0", 0.0, "up == 0"),
            ("load > 80", 120.0, "load > 80 x1.50"),
            ("80 < load", 120.0, "load > 80 x1.50"),
            ("(load) >= (2 * 40)", 80.0, "(load) >= (2 * 40) x1.00"),
            ("rate < 95", 47.5, "rate < 95 x2.00"),
            ("rate < 95", 0.0, "rate < 95 x1000000000.00"),
            ("balance < -10", -30.0, "balance < -10 x3.00"),
            ("balance < 10", -30.0, "balance < 10"),
            ("delta > 0", 3.0, "delta > 0"),
            ("load > on (job) limit", 3.0, "load > limit"),
            ("load > 80 and on (job) up == 1", 90.0, "load > 80 x1.12"),
            ("load > 80 unless on (job) muted", 90.0, "load > 80 x1.12"),
            ("low < 5 or high > 80", 90.0, "high > 80 x1.12"),
            ("low < 5 or high > 80", 4.0, "low < 5 x1.25"),
            ("seen < time() - 600 or up == 0", 0.0, "up == 0"),
            ("seen < time() - 600 or up == 0", 1.7e9, "seen < time() - 600"),
            ("max by (job) (load > 80)", 160.0, "load > 80 x2.00"),
            ("topk(3, sort_desc(load > 80))", 160.0, "load > 80 x2.00"),
            (
                "100 * (ok or vector(0)) / (all > 0) < 95",
                50.0,
                "100 * (ok or vector(0)) / (all > 0) < 95 x1.90",
            ),
            ("anomaly_score(load[1w]) > 0.99", 0.999, "anomaly_score(load[1w]) > 0.99 x1.01 score 0.999"),
            ("load > 80 and anomaly_score(load[1w]) > 0.99", 90.0, "load > 80 x1.12 score 0.99"),
            ("load > 80 or anomaly_score(load[1w]) > 0.99", 90.0, "load > 80 x1.12"),
            ("load > bool 80", 1.0, "none"),
            ("count(load > 80)", 3.0, "none"),
            ("absent(up)", 1.0, "none"),
            ("(load > 80) * 2", 3.0, "none"),
            ("vector(1)", 1.0, "none"),
        ] {
            assert_eq!(told(expr, value), want, "{expr}");
        }
    }
}
