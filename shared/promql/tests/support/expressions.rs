//! Random expressions that are well typed and in the form that the parser builds.

use proptest::prelude::*;
use weir_model::{METRIC_NAME, MatchOp, Matcher};
use weir_promql::ast::*;
use weir_promql::functions_table::FUNCTIONS;

/// A random expression without positions.
pub(crate) fn expression() -> BoxedStrategy<Expr> {
    prop_oneof![6 => vector(4), 1 => scalar(3), 1 => matrix(2), 1 => text().prop_map(string)].boxed()
}

fn expr(node: Node) -> Expr {
    Expr { node, position: Position::default() }
}

fn string(text: String) -> Expr {
    expr(Node::String(text))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,4}", ".{0,6}", Just("\u{7}\n\t\"'\\\u{1F600}\u{202e}".to_owned())]
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_][a-z0-9_]{0,5}",
        1 => prop::sample::select(vec!["by", "on", "sum", "le", "offset", "bool"]).prop_map(str::to_owned),
        1 => "[a-z.é ]{1,5}",
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::INFINITY),
        (0u32..10_000).prop_map(f64::from),
        (0.0f64..1e9),
        any::<f64>().prop_filter("NaN equals nothing", |x| !x.is_nan()),
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
    (label(), op, "[a-z|.*+]{0,6}").prop_map(|(name, op, value)| {
        Matcher::new(&name, op, &value).unwrap_or_else(|_| Matcher::equal(&name, "x"))
    })
}

fn selector() -> impl Strategy<Value = VectorSelector> {
    let any_name = "[a-zA-Z_:][a-z0-9_:]{0,8}".prop_filter("a number or a keyword", |n| {
        weir_promql::parse(n).is_ok_and(|e| matches!(e.node, Node::Vector(_)))
    });
    // Short names are those of the data that some tests evaluate over.
    let name = prop_oneof![2 => any_name, 3 => "[abh]"];
    (
        name,
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(matcher(), 0..4)],
        any::<bool>(),
        offset(),
        at(),
    )
        .prop_map(|(name, mut matchers, named, offset, at)| {
            matchers.retain(|m| m.name() != METRIC_NAME);
            // The order in which printing leaves them.
            matchers.sort_by_key(|m| {
                let plain = m.name().bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
                let shown = if plain { m.name().to_owned() } else { format!("\"{}\"", m.name()) };
                format!("{shown}{}\"{}\"", m.op().symbol(), m.value())
            });
            if !named {
                matchers.retain(|m| m.name().as_bytes() > b"__name__".as_slice() && m.name().is_ascii());
                matchers.retain(|m| m.name().bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()));
                matchers.insert(0, Matcher::equal(METRIC_NAME, &name));
                return VectorSelector { name: None, matchers, offset, at, edges: WindowEdges::Plain };
            }
            matchers.push(Matcher::equal(METRIC_NAME, &name));
            VectorSelector { name: Some(name), matchers, offset, at, edges: WindowEdges::Plain }
        })
}

fn edges() -> impl Strategy<Value = WindowEdges> {
    prop_oneof![4 => Just(WindowEdges::Plain), 1 => Just(WindowEdges::Anchored), 1 => Just(WindowEdges::Smoothed)]
}

fn at() -> impl Strategy<Value = Option<AtModifier>> {
    prop_oneof![
        4 => Just(None),
        1 => (-1_000_000_000_000i64..10_000_000_000_000).prop_map(|ms| Some(AtModifier::Timestamp(ms))),
        1 => Just(Some(AtModifier::Start)),
        1 => Just(Some(AtModifier::End)),
    ]
}

fn offset() -> impl Strategy<Value = Option<DurationExpr>> {
    let literal = prop_oneof![1i64..100_000_000, -100_000_000i64..-1].prop_map(DurationExpr::Literal);
    prop_oneof![3 => Just(None), 1 => literal.prop_map(Some), 1 => duration(2).prop_map(Some)]
}

/// A range or a step.
fn positive() -> impl Strategy<Value = DurationExpr> {
    prop_oneof![3 => (1i64..10_000_000_000).prop_map(DurationExpr::Literal), 1 => duration(3)]
}

/// An arithmetic duration; literals and numbers stand only below operators.
fn duration(depth: u32) -> BoxedStrategy<DurationExpr> {
    let ends = prop_oneof![Just(DurationExpr::Step), Just(DurationExpr::Range)];
    if depth == 0 {
        return ends.boxed();
    }
    let operand = move || {
        prop_oneof![
            (1i64..1_000_000).prop_map(DurationExpr::Literal),
            (1i64..1_000_000).prop_map(|ms| DurationExpr::Literal(-ms)),
            (1u32..100_000).prop_map(|n| DurationExpr::Number(f64::from(n) / 1000.0)),
            duration(depth - 1),
        ]
    };
    let ops = vec![BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Mod, BinaryOp::Pow];
    prop_oneof![
        1 => ends,
        1 => duration(depth - 1).prop_map(|d| DurationExpr::Negate(Box::new(d))),
        4 => (prop::sample::select(ops), operand(), operand())
            .prop_map(|(op, a, b)| DurationExpr::Binary(op, Box::new(a), Box::new(b))),
        1 => (operand(), operand()).prop_map(|(a, b)| DurationExpr::Min(Box::new(a), Box::new(b))),
        1 => (operand(), operand()).prop_map(|(a, b)| DurationExpr::Max(Box::new(a), Box::new(b))),
    ]
    .boxed()
}

/// Puts operands into parentheses that would otherwise bind differently.
fn operand(inner: Expr) -> Expr {
    match inner.node {
        Node::Binary(_) | Node::Negate(_) => expr(Node::Paren(Box::new(inner))),
        // The sign of a number would bind less tightly than an operator before it.
        Node::Number(value) if value.is_sign_negative() => expr(Node::Paren(Box::new(inner))),
        _ => inner,
    }
}

fn scalar(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = number().prop_map(|x| expr(Node::Number(x)));
    if depth == 0 {
        return leaf.boxed();
    }
    let arithmetic = vec![BinaryOp::Add, BinaryOp::Sub, BinaryOp::Div, BinaryOp::Pow, BinaryOp::Atan2];
    prop_oneof![
        2 => leaf,
        1 => call(ValueType::Scalar, depth - 1),
        1 => scalar(depth - 1).prop_map(|e| expr(Node::Paren(Box::new(e)))),
        1 => (prop::sample::select(arithmetic), scalar(depth - 1), scalar(depth - 1)).prop_map(|(op, a, b)| {
            expr(Node::Binary(Binary {
                op,
                left: Box::new(operand(a)),
                right: Box::new(operand(b)),
                return_bool: false,
                matching: None,
            }))
        }),
    ]
    .boxed()
}

fn matrix(depth: u32) -> BoxedStrategy<Expr> {
    let plain = (selector(), positive(), edges()).prop_map(|(mut vector, range, edges)| {
        vector.edges = edges;
        expr(Node::Matrix(MatrixSelector { vector, range }))
    });
    if depth == 0 {
        return plain.boxed();
    }
    let subquery = (vector(depth - 1), positive(), prop::option::of(positive()), offset(), at()).prop_map(
        |(inner, range, step, offset, at)| {
            // A modifier of the inner selector would look like one of the subquery only without the range.
            expr(Node::Subquery(Subquery { expr: Box::new(operand(inner)), range, step, offset, at }))
        },
    );
    prop_oneof![3 => plain, 1 => subquery].boxed()
}

fn vector(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = (selector(), edges()).prop_map(|(mut vector, edges)| {
        vector.edges = edges;
        expr(Node::Vector(vector))
    });
    if depth == 0 {
        return leaf.boxed();
    }
    let aggregate = (
        prop::sample::select(AggregateOp::ALL.to_vec()),
        prop::collection::vec(label(), 0..3),
        any::<bool>(),
        vector(depth - 1),
        scalar(1),
        text(),
    )
        .prop_map(|((op, _), labels, by, inner, number, name)| {
            let param = op
                .param_type()
                .map(|kind| Box::new(if kind == ValueType::String { string(name) } else { number }));
            let grouping = if by { Grouping::By(labels) } else { Grouping::Without(labels) };
            expr(Node::Aggregate(Aggregate { op, grouping, param, expr: Box::new(inner) }))
        });
    prop_oneof![
        2 => leaf,
        2 => aggregate,
        2 => call(ValueType::Vector, depth - 1),
        2 => binary(depth - 1),
        1 => vector(depth - 1).prop_map(|e| expr(Node::Paren(Box::new(e)))),
        1 => vector(depth - 1).prop_map(|e| expr(Node::Negate(Box::new(operand(e))))),
    ]
    .boxed()
}

const VECTOR_OPS: [BinaryOp; 18] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::Eq,
    BinaryOp::NotEq,
    BinaryOp::Less,
    BinaryOp::LessEq,
    BinaryOp::Greater,
    BinaryOp::GreaterEq,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Unless,
    BinaryOp::TrimUpper,
    BinaryOp::TrimLower,
];

fn binary(depth: u32) -> impl Strategy<Value = Expr> {
    let sides = prop_oneof![
        2 => (vector(depth), vector(depth)).prop_map(|(a, b)| (a, b, true)),
        1 => (vector(depth), scalar(1)).prop_map(|(a, b)| (a, b, false)),
    ];
    (prop::sample::select(VECTOR_OPS.to_vec()), sides, any::<bool>(), matching()).prop_map(
        |(op, (left, right, vectors), return_bool, mut matching)| {
            let op = if op.is_set() && !vectors { BinaryOp::Mul } else { op };
            if op.is_set() {
                matching.cardinality = Cardinality::ManyToMany;
                matching.include.clear();
                (matching.fill_left, matching.fill_right) = (None, None);
            }
            expr(Node::Binary(Binary {
                op,
                left: Box::new(operand(left)),
                right: Box::new(operand(right)),
                return_bool: return_bool && op.is_comparison(),
                matching: vectors.then_some(matching),
            }))
        },
    )
}

fn matching() -> impl Strategy<Value = VectorMatching> {
    let cardinality =
        prop::sample::select(vec![Cardinality::OneToOne, Cardinality::ManyToOne, Cardinality::OneToMany]);
    let labels = || prop::collection::vec(label(), 0..3);
    (cardinality, any::<bool>(), labels(), labels(), prop::option::of(number()), prop::option::of(number()))
        .prop_map(|(cardinality, on, labels, mut include, fill_left, fill_right)| {
            include.retain(|l| !labels.contains(l));
            if cardinality == Cardinality::OneToOne {
                include.clear();
            }
            VectorMatching { cardinality, on, labels, include, fill_left, fill_right }
        })
}

fn call(returns: ValueType, depth: u32) -> impl Strategy<Value = Expr> {
    let functions: Vec<_> = FUNCTIONS.iter().filter(|f| f.returns == returns && f.name != "info").collect();
    (prop::sample::select(functions), 0usize..3).prop_flat_map(move |(function, more)| {
        let least = function.min_args();
        let count = function.max_args().map_or(least + more, |most| (least + more).min(most));
        let args: Vec<BoxedStrategy<Expr>> = (0..count)
            .map(|index| match function.arg_type(index) {
                Some(ValueType::Scalar) => scalar(depth.min(1)),
                Some(ValueType::Matrix) => matrix(depth.min(1)),
                Some(ValueType::String) => text().prop_map(string).boxed(),
                _ => vector(depth.min(2)),
            })
            .collect();
        args.prop_map(move |args| expr(Node::Call(Call { function: function.name.to_owned(), args })))
    })
}

/// Sets every position to the default.
pub(crate) fn forget_positions(expr: &mut Expr) {
    expr.position = Position::default();
    match &mut expr.node {
        Node::Number(_) | Node::String(_) | Node::Vector(_) | Node::Matrix(_) => {}
        Node::Subquery(subquery) => forget_positions(&mut subquery.expr),
        Node::Call(call) => call.args.iter_mut().for_each(forget_positions),
        Node::Aggregate(aggregate) => {
            aggregate.param.iter_mut().for_each(|p| forget_positions(p));
            forget_positions(&mut aggregate.expr);
        }
        Node::Binary(binary) => {
            forget_positions(&mut binary.left);
            forget_positions(&mut binary.right);
        }
        Node::Negate(inner) | Node::Paren(inner) => forget_positions(inner),
    }
}
