//! What can be said of an expression without evaluating it: its canonical form and its syntax tree.

use axum::response::Response;
use serde_json::{Value, json};
use weir_model::{METRIC_NAME, MatchOp, Matcher};
use weir_promql::ast::{
    AtModifier, Cardinality, DurationExpr, Expr, Grouping, Node, ValueType, VectorMatching, VectorSelector,
    WindowEdges,
};
use weir_promql::functions_table::{self, Variadic};

use crate::error::ApiError;
use crate::json::{put_number, success};
use crate::router::Asked;

/// `/api/v1/format_query`
pub(crate) fn format(asked: &Asked) -> Result<Response, ApiError> {
    Ok(success(&parse(asked)?.to_string()))
}

/// `/api/v1/parse_query`
pub(crate) fn tree(asked: &Asked) -> Result<Response, ApiError> {
    Ok(success(&node(&parse(asked)?)))
}

fn parse(asked: &Asked) -> Result<Expr, ApiError> {
    let parsed = weir_promql::parse(asked.params.required("query")?);
    parsed.map_err(|error| ApiError::bad_data(format!("invalid parameter \"query\": {error}")))
}

/// A node as Prometheus' `parse_query` gives it. The parser bounds the depth.
fn node(expr: &Expr) -> Value {
    match &expr.node {
        Node::Number(value) => json!({ "type": "numberLiteral", "val": number(*value) }),
        Node::String(text) => json!({ "type": "stringLiteral", "val": text }),
        Node::Paren(inner) => json!({ "type": "parenExpr", "expr": node(inner) }),
        Node::Negate(inner) => json!({ "type": "unaryExpr", "op": "-", "expr": node(inner) }),
        Node::Vector(selector) => {
            let mut out = selector_fields(selector);
            out["type"] = json!("vectorSelector");
            out
        }
        Node::Matrix(matrix) => {
            let mut out = selector_fields(&matrix.vector);
            out["type"] = json!("matrixSelector");
            (out["range"], out["rangeExpr"]) = span(Some(&matrix.range));
            out
        }
        Node::Subquery(subquery) => {
            let (range, range_expr) = span(Some(&subquery.range));
            let (step, step_expr) = span(subquery.step.as_ref());
            let (offset, offset_expr) = span(subquery.offset.as_ref());
            let (timestamp, start_or_end) = at(subquery.at);
            json!({
                "type": "subquery",
                "expr": node(&subquery.expr),
                "range": range,
                "rangeExpr": range_expr,
                "offset": offset,
                "offsetExpr": offset_expr,
                "step": step,
                "stepExpr": step_expr,
                "timestamp": timestamp,
                "startOrEnd": start_or_end,
            })
        }
        Node::Call(call) => json!({
            "type": "call",
            "func": function(&call.function),
            "args": call.args.iter().map(node).collect::<Vec<_>>(),
        }),
        Node::Aggregate(aggregate) => {
            let (grouping, without) = match &aggregate.grouping {
                Grouping::By(labels) => (labels, false),
                Grouping::Without(labels) => (labels, true),
            };
            json!({
                "type": "aggregation",
                "op": aggregate.op.name(),
                "expr": node(&aggregate.expr),
                "param": aggregate.param.as_deref().map(node),
                "grouping": grouping,
                "without": without,
            })
        }
        Node::Binary(binary) => json!({
            "type": "binaryExpr",
            "op": binary.op.symbol(),
            "lhs": node(&binary.left),
            "rhs": node(&binary.right),
            "matching": binary.matching.as_ref().map(matching),
            "bool": binary.return_bool,
        }),
    }
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

fn function(name: &str) -> Value {
    let Some(signature) = functions_table::signature(name) else { return json!({ "name": name }) };
    let variadic = match signature.variadic {
        Variadic::No => 0,
        Variadic::UpTo(more) => i64::try_from(more).unwrap_or(i64::MAX),
        Variadic::Any => -1,
    };
    json!({
        "name": name,
        "argTypes": signature.args.iter().copied().map(type_name).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": type_name(signature.returns),
    })
}

fn type_name(value: ValueType) -> &'static str {
    match value {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}

fn selector_fields(selector: &VectorSelector) -> Value {
    let (offset, offset_expr) = span(selector.offset.as_ref());
    let (timestamp, start_or_end) = at(selector.at);
    json!({
        "name": selector.name.as_deref().unwrap_or(""),
        "offset": offset,
        "offsetExpr": offset_expr,
        "matchers": matchers(selector),
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
        "anchored": selector.edges == WindowEdges::Anchored,
        "smoothed": selector.edges == WindowEdges::Smoothed,
    })
}

/// The matchers, the one that the name before the braces stands for last, as in Prometheus.
fn matchers(selector: &VectorSelector) -> Vec<Value> {
    let is_name = |m: &&Matcher| {
        m.name() == METRIC_NAME && m.op() == MatchOp::Equal && Some(m.value()) == selector.name.as_deref()
    };
    let told = |m: &Matcher| json!({ "name": m.name(), "value": m.value(), "type": m.op().symbol() });
    let (name, rest): (Vec<&Matcher>, Vec<&Matcher>) = selector.matchers.iter().partition(is_name);
    rest.into_iter().chain(name).map(told).collect()
}

fn at(modifier: Option<AtModifier>) -> (Value, Value) {
    match modifier {
        None => (Value::Null, Value::Null),
        Some(AtModifier::Timestamp(ms)) => (json!(ms), Value::Null),
        Some(AtModifier::Start) => (Value::Null, json!("start")),
        Some(AtModifier::End) => (Value::Null, json!("end")),
    }
}

/// A span's milliseconds, zero when it is an expression, and then the expression.
fn span(duration: Option<&DurationExpr>) -> (Value, Value) {
    match duration {
        None => (json!(0), Value::Null),
        Some(DurationExpr::Literal(ms)) => (json!(ms), Value::Null),
        Some(expression) => (json!(0), duration_node(expression)),
    }
}

fn duration_node(duration: &DurationExpr) -> Value {
    let operation = |op: &str, left: Value, right: Value| json!({ "type": "durationExpr", "op": op, "lhs": left, "rhs": right, "wrapped": false });
    let literal = |value: f64, duration: bool| json!({ "type": "numberLiteral", "val": number(value), "duration": duration });
    match duration {
        DurationExpr::Literal(ms) => literal(*ms as f64 / 1000.0, true),
        DurationExpr::Number(value) => literal(*value, false),
        DurationExpr::Step => operation("step", Value::Null, Value::Null),
        DurationExpr::Range => operation("range", Value::Null, Value::Null),
        DurationExpr::Negate(inner) => operation("-", Value::Null, duration_node(inner)),
        DurationExpr::Binary(op, left, right) => {
            operation(op.symbol(), duration_node(left), duration_node(right))
        }
        DurationExpr::Min(left, right) => operation("min_of", duration_node(left), duration_node(right)),
        DurationExpr::Max(left, right) => operation("max_of", duration_node(left), duration_node(right)),
    }
}

/// A number without an exponent, as this answer alone writes it.
fn number(value: f64) -> String {
    if value.is_finite() {
        return format!("{value}");
    }
    let mut out = Vec::new();
    put_number(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_those_of_prometheus() {
        for (query, want) in [
            ("1e21", json!({ "type": "numberLiteral", "val": "1000000000000000000000" })),
            (
                "-(up)",
                json!({ "type": "unaryExpr", "op": "-", "expr": { "type": "parenExpr", "expr": {
                    "type": "vectorSelector", "name": "up", "offset": 0, "offsetExpr": null,
                    "matchers": [{ "name": "__name__", "value": "up", "type": "=" }],
                    "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
                } } }),
            ),
            (
                "rate(a{b!~\"c\"}[5m] offset 1m @ 12)",
                json!({ "type": "call",
                    "func": { "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector" },
                    "args": [{
                        "type": "matrixSelector", "name": "a", "range": 300_000, "rangeExpr": null,
                        "offset": 60_000, "offsetExpr": null,
                        "matchers": [
                            { "name": "b", "value": "c", "type": "!~" },
                            { "name": "__name__", "value": "a", "type": "=" },
                        ],
                        "timestamp": 12_000, "startOrEnd": null, "anchored": false, "smoothed": false,
                    }],
                }),
            ),
            ("sum by (job) (1 * on(x) group_left(y) up)", Value::Null),
            (
                "topk(2, a / on(x) group_left(y) b)",
                json!({ "type": "aggregation", "op": "topk", "grouping": [], "without": false,
                    "param": { "type": "numberLiteral", "val": "2" },
                    "expr": { "type": "binaryExpr", "op": "/", "bool": false,
                        "lhs": node(&weir_promql::parse("a").unwrap()),
                        "rhs": node(&weir_promql::parse("b").unwrap()),
                        "matching": { "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"],
                            "fillValues": { "lhs": null, "rhs": null } },
                    },
                }),
            ),
            (
                "up[1h:] @ end()",
                json!({ "type": "subquery", "expr": node(&weir_promql::parse("up").unwrap()),
                    "range": 3_600_000, "rangeExpr": null, "offset": 0, "offsetExpr": null,
                    "step": 0, "stepExpr": null, "timestamp": null, "startOrEnd": "end" }),
            ),
        ] {
            let got = weir_promql::parse(query).map_or(Value::Null, |expr| node(&expr));
            assert_eq!(got, want, "{query}");
        }
    }
}
