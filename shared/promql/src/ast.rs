//! The syntax tree of PromQL: what the parser builds and the engine evaluates.

use weir_model::Matcher;

/// Bytes of the query text that a node was parsed from, for errors and annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// An expression with its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where it stands.
    pub position: Position,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `1.5`, `Inf`, `0x1f`
    Number(f64),
    /// `"text"`
    String(String),
    /// `metric{label="value"} offset 5m @ 12`
    Vector(VectorSelector),
    /// `metric[5m]`
    Matrix(MatrixSelector),
    /// `expr[1h:5m]`
    Subquery(Subquery),
    /// `rate(…)`
    Call(Call),
    /// `sum by (job) (…)`
    Aggregate(Aggregate),
    /// `a + on(x) b`
    Binary(Binary),
    /// `-expr` (the parser drops a unary plus)
    Negate(Box<Expr>),
    /// `(expr)`
    Paren(Box<Expr>),
}

/// The type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// A sample per series.
    Vector,
    /// Samples over a range per series.
    Matrix,
    /// A text.
    String,
}

/// A span of time in the text: a literal, or (experimental) an expression over literals.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// Milliseconds; negative only in offsets and below other operators.
    Literal(i64),
    /// A bare number among other operands: seconds as a quantity, or a plain factor (`5m * 0.5`).
    Number(f64),
    /// `step()`: the query's step, 1 ms for instant queries.
    Step,
    /// `range()`: the query's end minus its start.
    Range,
    /// `-d`
    Negate(Box<DurationExpr>),
    /// Arithmetic (`+ - * / % ^`) on seconds.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min_of(a, b)`
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    Max(Box<DurationExpr>, Box<DurationExpr>),
}

/// The `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtModifier {
    /// `@ 1609746000.5`, in milliseconds.
    Timestamp(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// How samples at a window's edges are treated (experimental in Prometheus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowEdges {
    /// Only what lies in the window.
    #[default]
    Plain,
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// An instant selector. The metric's name, if given, is among the matchers as `__name__=`.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric's name when written before the braces (`{"name"}` and `{__name__="name"}` give `None`).
    pub name: Option<String>,
    /// All conditions, that on `__name__` included.
    pub matchers: Vec<Matcher>,
    /// `offset`, zero when absent.
    pub offset: Option<DurationExpr>,
    /// `@`
    pub at: Option<AtModifier>,
    /// `anchored`, `smoothed`
    pub edges: WindowEdges,
}

/// A range selector; `offset` and `@` stand in `vector`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// What is selected.
    pub vector: VectorSelector,
    /// How far back.
    pub range: DurationExpr,
}

/// A subquery.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// The inner expression.
    pub expr: Box<Expr>,
    /// How far back.
    pub range: DurationExpr,
    /// The inner step; `None` takes the default evaluation interval.
    pub step: Option<DurationExpr>,
    /// `offset`
    pub offset: Option<DurationExpr>,
    /// `@`
    pub at: Option<AtModifier>,
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function's name as written in PromQL.
    pub function: String,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// Aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are the language's
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
    LimitK,
    LimitRatio,
}

/// Which labels an aggregation groups by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// `by (…)`; without any clause, `by ()`.
    By(Vec<String>),
    /// `without (…)`
    Without(Vec<String>),
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// The grouping.
    pub grouping: Grouping,
    /// `k`, the quantile, or the label's name; present exactly for the operators that take one.
    pub param: Option<Box<Expr>>,
    /// What is aggregated.
    pub expr: Box<Expr>,
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are the language's
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    And,
    Or,
    Unless,
    /// `</`: trims a histogram above a bound (experimental).
    TrimUpper,
    /// `>/`: trims a histogram below a bound (experimental).
    TrimLower,
}

/// How many series may match on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How series of the two sides find each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorMatching {
    /// How many may match.
    pub cardinality: Cardinality,
    /// True for `on`, false for `ignoring` (also when no clause is written).
    pub on: bool,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Labels of `group_left` or `group_right`, copied from the "one" side.
    pub include: Vec<String>,
    /// `fill_left(x)` (experimental): stands in for a missing left sample.
    pub fill_left: Option<f64>,
    /// `fill_right(x)` (experimental): stands in for a missing right sample.
    pub fill_right: Option<f64>,
}

/// A binary operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub left: Box<Expr>,
    /// Right operand.
    pub right: Box<Expr>,
    /// `bool`: comparisons answer 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How vectors match; present exactly when both operands are vectors.
    pub matching: Option<VectorMatching>,
}

impl AggregateOp {
    /// Every operator with its name in PromQL.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Sum, "sum"),
        (Self::Avg, "avg"),
        (Self::Min, "min"),
        (Self::Max, "max"),
        (Self::Count, "count"),
        (Self::Group, "group"),
        (Self::Stddev, "stddev"),
        (Self::Stdvar, "stdvar"),
        (Self::TopK, "topk"),
        (Self::BottomK, "bottomk"),
        (Self::Quantile, "quantile"),
        (Self::CountValues, "count_values"),
        (Self::LimitK, "limitk"),
        (Self::LimitRatio, "limit_ratio"),
    ];

    /// The operator's name in PromQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The operator of that name, lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(op, _)| *op)
    }

    /// The type of the parameter before the aggregated vector, if the operator takes one.
    #[must_use]
    pub fn param_type(self) -> Option<ValueType> {
        match self {
            Self::TopK | Self::BottomK | Self::Quantile | Self::LimitK | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            Self::CountValues => Some(ValueType::String),
            _ => None,
        }
    }
}

impl BinaryOp {
    /// The operator as written in PromQL.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eq => "==",
            Self::NotEq => "!=",
            Self::Less => "<",
            Self::LessEq => "<=",
            Self::Greater => ">",
            Self::GreaterEq => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    /// True for `==`, `!=`, `<`, `<=`, `>` and `>=`.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::NotEq | Self::Less | Self::LessEq | Self::Greater | Self::GreaterEq)
    }

    /// True for `and`, `or` and `unless`.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

impl ValueType {
    /// The name that Prometheus' messages use.
    #[must_use]
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

impl Expr {
    /// Levels of the tree, a leaf being 1; the arithmetic of durations does not count.
    #[must_use]
    pub fn height(&self) -> usize {
        let below = match &self.node {
            Node::Number(_) | Node::String(_) | Node::Vector(_) | Node::Matrix(_) => 0,
            Node::Subquery(subquery) => subquery.expr.height(),
            Node::Call(call) => call.args.iter().map(Self::height).max().unwrap_or(0),
            Node::Aggregate(aggregate) => {
                aggregate.expr.height().max(aggregate.param.as_ref().map_or(0, |p| p.height()))
            }
            Node::Binary(binary) => binary.left.height().max(binary.right.height()),
            Node::Negate(inner) | Node::Paren(inner) => inner.height(),
        };
        below + 1
    }

    /// True when a subquery stands somewhere in it, so that its cost is not told by the query's own steps.
    #[must_use]
    pub fn has_subquery(&self) -> bool {
        match &self.node {
            Node::Number(_) | Node::String(_) | Node::Vector(_) | Node::Matrix(_) => false,
            Node::Subquery(_) => true,
            Node::Call(call) => call.args.iter().any(Self::has_subquery),
            Node::Aggregate(aggregate) => {
                aggregate.expr.has_subquery() || aggregate.param.as_ref().is_some_and(|p| p.has_subquery())
            }
            Node::Binary(binary) => binary.left.has_subquery() || binary.right.has_subquery(),
            Node::Negate(inner) | Node::Paren(inner) => inner.has_subquery(),
        }
    }

    /// Every selector in it, in the order of the text.
    #[must_use]
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.add_selectors(&mut found);
        found
    }

    fn add_selectors<'a>(&'a self, found: &mut Vec<&'a VectorSelector>) {
        match &self.node {
            Node::Number(_) | Node::String(_) => {}
            Node::Vector(selector) => found.push(selector),
            Node::Matrix(matrix) => found.push(&matrix.vector),
            Node::Subquery(subquery) => subquery.expr.add_selectors(found),
            Node::Call(call) => call.args.iter().for_each(|arg| arg.add_selectors(found)),
            Node::Aggregate(aggregate) => {
                aggregate.param.iter().for_each(|param| param.add_selectors(found));
                aggregate.expr.add_selectors(found);
            }
            Node::Binary(binary) => {
                binary.left.add_selectors(found);
                binary.right.add_selectors(found);
            }
            Node::Negate(inner) | Node::Paren(inner) => inner.add_selectors(found),
        }
    }

    /// The type of the expression's value; unknown functions count as vectors.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.node {
            Node::Number(_) => ValueType::Scalar,
            Node::String(_) => ValueType::String,
            Node::Vector(_) | Node::Aggregate(_) => ValueType::Vector,
            Node::Matrix(_) | Node::Subquery(_) => ValueType::Matrix,
            Node::Call(call) => {
                crate::functions_table::signature(&call.function).map_or(ValueType::Vector, |f| f.returns)
            }
            Node::Binary(binary) => match (binary.left.value_type(), binary.right.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Node::Negate(inner) | Node::Paren(inner) => inner.value_type(),
        }
    }
}
