//! From the syntax tree to the plan.

use weir_model::{AddedUp, Aggregate as Kept, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::call::{self, too_few};
use super::duration::QuerySpan;
use super::error::QueryError;
use super::grid::Grid;
use super::instant::Output;
use super::plan::{Kind, MapFunction, Node, RangeFunction, Select, SubqueryPlan};
use super::query::Query;
use super::repeats::Repeated;
use crate::ast::{
    Aggregate, AggregateOp, AtModifier, Binary, BinaryOp, Call, Expr, MatrixSelector, Node as Ast, Position,
    Subquery, ValueType, VectorSelector, WindowEdges,
};
use crate::storage::{Instead, SelectRequest};

/// The plan of a query and what it needs from storage.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) root: Node,
    pub(crate) requests: Vec<SelectRequest>,
    /// How many selectors share each request.
    pub(crate) uses: Vec<usize>,
    /// How often each repeated expression stands in the plan.
    pub(crate) repeats: Vec<usize>,
}

/// Makes the plan of a query.
pub(crate) fn lower(query: &Query, max_series: usize) -> Result<Lowered, QueryError> {
    let grid = Grid::new(query.start_ms, query.end_ms, query.step_ms);
    let span = QuerySpan {
        step_ms: if query.start_ms == query.end_ms { 0 } else { query.step_ms },
        range_ms: query.end_ms.saturating_sub(query.start_ms),
    };
    let mut lowering = Lowering {
        query,
        span,
        max_series,
        requests: Vec::new(),
        uses: Vec::new(),
        repeated: Repeated::of(&query.expr),
        in_repeated: false,
        histograms: HistogramUse::default(),
        aggregates: None,
    };
    let root = lowering.node(&query.expr, &grid)?;
    let root = if grid.is_instant() { root } else { once(root) };
    let Lowering { requests, uses, repeated, .. } = lowering;
    Ok(Lowered { root, requests, uses, repeats: repeated.uses })
}

struct Lowering<'q> {
    query: &'q Query,
    span: QuerySpan,
    max_series: usize,
    requests: Vec<SelectRequest>,
    uses: Vec<usize>,
    repeated: Repeated,
    /// True inside of an expression that is kept as a whole.
    in_repeated: bool,
    histograms: HistogramUse,
    /// What the function around the next range selector can be computed from.
    aggregates: Option<(&'static [Kept], AddedUp)>,
}

/// What the nodes around a selector make of histograms.
#[derive(Debug, Clone, Copy, Default)]
struct HistogramUse {
    /// Some function around looks at count and sum only.
    totals: bool,
    /// Some node around looks at buckets, or at samples that are not next to each other.
    buckets: bool,
}

/// Wraps what is the same at every step, unless it is cheap or no vector of samples.
fn once(node: Node) -> Node {
    let worthwhile = node.invariant
        && !matches!(
            node.kind,
            Kind::Number(_) | Kind::Text(_) | Kind::Range(_) | Kind::Subquery(_) | Kind::Once(_)
        );
    if !worthwhile {
        return node;
    }
    Node { position: node.position, invariant: true, kind: Kind::Once(Box::new(node)) }
}

/// Children of a node that changes from step to step, each wrapped if it does not.
fn settle(invariant: bool, children: &mut [&mut Node]) {
    if invariant {
        return;
    }
    for child in children {
        let placeholder = Node { kind: Kind::Number(0.0), position: child.position, invariant: true };
        let inner = std::mem::replace(*child, placeholder);
        **child = once(inner);
    }
}

impl Lowering<'_> {
    fn node(&mut self, expr: &Expr, grid: &Grid) -> Result<Node, QueryError> {
        let around = self.histograms;
        match &expr.node {
            Ast::Call(call) => match call.function.as_str() {
                "histogram_count" | "histogram_sum" | "histogram_avg" => self.histograms.totals = true,
                "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                    self.histograms.buckets = true;
                }
                _ => {}
            },
            Ast::Subquery(_) => self.histograms.buckets = true,
            Ast::Binary(binary) if matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => {
                self.histograms.buckets = true;
            }
            _ => {}
        }
        let within = self.in_repeated;
        let place = if within { None } else { self.repeated.number(expr, grid, self.totals_only()) };
        self.in_repeated |= place.is_some();
        let node = self.inner_node(expr, grid);
        self.in_repeated = within;
        self.histograms = around;
        let node = node?;
        let Some(place) = place else { return Ok(node) };
        let (position, invariant) = (node.position, node.invariant);
        Ok(Node { kind: Kind::Repeated { place, inner: Box::new(node) }, position, invariant })
    }

    fn inner_node(&mut self, expr: &Expr, grid: &Grid) -> Result<Node, QueryError> {
        let position = expr.position;
        let make = |kind, invariant| Node { kind, position, invariant };
        Ok(match &expr.node {
            Ast::Number(x) => make(Kind::Number(*x), true),
            Ast::String(text) => make(Kind::Text(text.clone()), true),
            Ast::Paren(inner) => self.node(inner, grid)?,
            Ast::Vector(selector) => {
                let select = self.instant(selector, grid)?;
                let invariant = select.at.is_some();
                make(Kind::Instant(select), invariant)
            }
            Ast::Matrix(matrix) => {
                let select = self.range(matrix, grid)?;
                let invariant = select.at.is_some();
                make(Kind::Range(select), invariant)
            }
            Ast::Subquery(subquery) => {
                let plan = self.subquery(subquery, grid)?;
                let invariant = plan.at.is_some();
                make(Kind::Subquery(plan), invariant)
            }
            Ast::Negate(inner) => {
                let scalar = inner.value_type() == ValueType::Scalar;
                let inner = Box::new(self.node(inner, grid)?);
                let invariant = inner.invariant;
                if scalar {
                    make(Kind::ScalarNegate(inner), invariant)
                } else {
                    make(Kind::Map { function: MapFunction::Negate, input: inner, args: vec![] }, invariant)
                }
            }
            Ast::Binary(binary) => self.binary(binary, grid, position)?,
            Ast::Aggregate(aggregate) => self.aggregate(aggregate, grid, position)?,
            Ast::Call(call) => self.call(call, grid, position)?,
        })
    }

    fn binary(&mut self, binary: &Binary, grid: &Grid, position: Position) -> Result<Node, QueryError> {
        let types = (binary.left.value_type(), binary.right.value_type());
        let mut left = Box::new(self.node(&binary.left, grid)?);
        let mut right = Box::new(self.node(&binary.right, grid)?);
        let invariant = left.invariant && right.invariant;
        settle(invariant, &mut [&mut *left, &mut *right]);
        let (op, return_bool) = (binary.op, binary.return_bool);
        let with_scalar = |scalar_left, vector, scalar| {
            let function = MapFunction::Binary { op, scalar_left, return_bool };
            Kind::Map { function, input: vector, args: vec![scalar] }
        };
        let kind = match types {
            (ValueType::Scalar, ValueType::Scalar) => Kind::ScalarBinary(op, left, right),
            (ValueType::Scalar, ValueType::Vector) => with_scalar(true, right, *left),
            (ValueType::Vector, ValueType::Scalar) => with_scalar(false, left, *right),
            (ValueType::Vector, ValueType::Vector) => {
                let matching = binary.matching.clone().unwrap_or_default();
                Kind::Binary { op, left, right, matching, return_bool }
            }
            (a, b) => {
                let wrong = if matches!(a, ValueType::Scalar | ValueType::Vector) { b } else { a };
                return Err(QueryError::BadData(format!(
                    "binary expression must contain only scalar and instant vector types, got {}",
                    wrong.documented()
                )));
            }
        };
        Ok(Node { kind, position, invariant })
    }

    fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        grid: &Grid,
        position: Position,
    ) -> Result<Node, QueryError> {
        let mut input = Box::new(self.node(&aggregate.expr, grid)?);
        let mut param = aggregate.param.as_ref().map(|p| self.node(p, grid)).transpose()?.map(Box::new);
        if aggregate.op == AggregateOp::CountValues
            && let Some(Kind::Text(label)) = param.as_ref().map(|p| &p.kind)
            && label.is_empty()
        {
            return Err(QueryError::Execution(format!("invalid label name {label:?}")));
        }
        let invariant = input.invariant && param.as_ref().is_none_or(|p| p.invariant);
        settle(invariant, &mut [&mut *input]);
        if let Some(param) = &mut param {
            settle(invariant, &mut [&mut **param]);
        }
        let grouping = aggregate.grouping.clone();
        Ok(Node { kind: Kind::Aggregate { op: aggregate.op, grouping, param, input }, position, invariant })
    }

    fn call(&mut self, call: &Call, grid: &Grid, position: Position) -> Result<Node, QueryError> {
        let name = call.function.as_str();
        let make = |kind, invariant| Ok(Node { kind, position, invariant });
        let seconds = |ms: i64| Kind::Number(ms as f64 / 1000.0);
        match name {
            "time" => return make(Kind::Time, false),
            "pi" => return make(Kind::Number(std::f64::consts::PI), true),
            "start" => return make(seconds(self.query.start_ms), true),
            "end" => return make(seconds(self.query.end_ms), true),
            "range" => return make(seconds(self.span.range_ms), true),
            "step" => return make(seconds(self.span.step_ms), true),
            "info" => return self.info(call, grid, position),
            "timestamp" | "start_timestamp" => {
                if let Some(Ast::Vector(selector)) = call.args.first().map(|a| &bare(a).node) {
                    let select = self.instant(selector, grid)?;
                    let invariant = select.at.is_some();
                    let output = if name == "timestamp" { Output::Timestamp } else { Output::Start };
                    return make(Kind::TimeOf(select, output), invariant);
                }
            }
            _ => {}
        }
        if MapFunction::date(name).is_some() && call.args.is_empty() {
            let function = MapFunction::date(name).unwrap_or(MapFunction::Negate);
            let time = Node { kind: Kind::Time, position, invariant: false };
            let now = Node { kind: Kind::Vector(Box::new(time)), position, invariant: false };
            return make(Kind::Map { function, input: Box::new(now), args: vec![] }, false);
        }
        let of = |function: RangeFunction| Some((function.aggregates()?, function.added_up()));
        self.aggregates = match name {
            "absent_over_time" => of(RangeFunction::Present),
            name => RangeFunction::from_name(name).and_then(of),
        };
        let mut args = call.args.iter().map(|a| self.node(a, grid)).collect::<Result<Vec<_>, _>>()?;
        self.aggregates = None;
        // These look at the time of evaluation, or at that of their argument's samples.
        let changes = matches!(name, "predict_linear" | "timestamp") || MapFunction::date(name).is_some();
        let invariant = !changes && args.iter().all(|a| a.invariant);
        settle(invariant, &mut args.iter_mut().collect::<Vec<_>>());
        let labels = call.args.first().map_or_else(Labels::empty, absent_labels);
        let kind = call::kind(name, args, labels)?;
        if let Kind::Window { function, source, .. } = &kind
            && let Kind::Range(select) = &source.kind
            && !function.allows(select.edges)
        {
            return Err(wrong_edges(name, select.edges));
        }
        make(kind, invariant)
    }

    fn info(&mut self, call: &Call, grid: &Grid, position: Position) -> Result<Node, QueryError> {
        let Some(first) = call.args.first() else { return Err(too_few("info")) };
        let input = Box::new(self.node(first, grid)?);
        let mut data = Vec::new();
        let mut names = Vec::new();
        if let Some(selector) = call.args.get(1) {
            let Ast::Vector(selector) = &bare(selector).node else {
                return Err(QueryError::BadData("info() wants a label selector in braces".to_owned()));
            };
            for matcher in &selector.matchers {
                if matcher.name() == METRIC_NAME { &mut names } else { &mut data }.push(matcher.clone());
            }
        }
        let positive = |m: &Matcher| matches!(m.op(), MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(positive) {
            let any_info = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info");
            names.insert(0, any_info.map_err(|e| QueryError::Internal(e.to_string()))?);
        }
        let (at, offset) = self.info_time(first)?.unwrap_or((None, 0));
        let matchers: Vec<Matcher> = names.iter().chain(&data).cloned().collect();
        let lookback = self.query.lookback_ms;
        let info = self.select(&matchers, grid, lookback, (offset, at), WindowEdges::Plain, None);
        Ok(Node { kind: Kind::Info { input, info, data, names }, position, invariant: false })
    }

    /// The `@` and the offset that hold for the first selector below, whose time info series follow.
    fn info_time(&self, expr: &Expr) -> Result<Option<(Option<i64>, i64)>, QueryError> {
        Ok(match &expr.node {
            Ast::Number(_) | Ast::String(_) => None,
            Ast::Vector(selector) => Some((self.at(selector.at), self.span.any(selector.offset.as_ref())?)),
            Ast::Matrix(m) => Some((self.at(m.vector.at), self.span.any(m.vector.offset.as_ref())?)),
            Ast::Subquery(subquery) => match self.info_time(&subquery.expr)? {
                Some((None, inner)) => {
                    let own = self.span.any(subquery.offset.as_ref())?;
                    Some((self.at(subquery.at), inner.saturating_add(own)))
                }
                found => found,
            },
            Ast::Negate(inner) | Ast::Paren(inner) => self.info_time(inner)?,
            Ast::Aggregate(aggregate) => self.info_time(&aggregate.expr)?,
            Ast::Binary(binary) => match self.info_time(&binary.left)? {
                None => self.info_time(&binary.right)?,
                found => found,
            },
            Ast::Call(call) => {
                for arg in &call.args {
                    if let Some(found) = self.info_time(arg)? {
                        return Ok(Some(found));
                    }
                }
                None
            }
        })
    }

    fn instant(&mut self, selector: &VectorSelector, grid: &Grid) -> Result<Select, QueryError> {
        let offset = self.span.any(selector.offset.as_ref())?;
        if selector.edges == WindowEdges::Anchored {
            return Err(QueryError::BadData("anchored modifier can only be used with a range".to_owned()));
        }
        let at = self.at(selector.at);
        let lookback = self.query.lookback_ms;
        Ok(self.select(
            &selector.matchers,
            grid,
            lookback,
            (offset, at),
            selector.edges,
            Some((&[], AddedUp::None)),
        ))
    }

    fn range(&mut self, matrix: &MatrixSelector, grid: &Grid) -> Result<Select, QueryError> {
        let range = self.span.positive(&matrix.range)?;
        let selector = &matrix.vector;
        let offset = self.span.any(selector.offset.as_ref())?;
        let at = self.at(selector.at);
        let aggregates = self.aggregates.take();
        let mut select =
            self.select(&selector.matchers, grid, range, (offset, at), selector.edges, aggregates);
        select.range = range;
        Ok(select)
    }

    fn subquery(&mut self, subquery: &Subquery, grid: &Grid) -> Result<SubqueryPlan, QueryError> {
        let range = self.span.positive(&subquery.range)?;
        let offset = self.span.any(subquery.offset.as_ref())?;
        self.aggregates = None;
        let step = subquery.step.as_ref().map(|s| self.span.positive(s)).transpose()?;
        let at = self.at(subquery.at);
        let inner_grid = grid.subquery(range, step.unwrap_or(self.query.subquery_step_ms), offset, at)?;
        let inner = Box::new(once(self.node(&subquery.expr, &inner_grid)?));
        Ok(SubqueryPlan { inner, grid: inner_grid, range, offset, at })
    }

    fn at(&self, at: Option<AtModifier>) -> Option<i64> {
        at.map(|at| match at {
            AtModifier::Timestamp(ms) => ms,
            AtModifier::Start => self.query.start_ms,
            AtModifier::End => self.query.end_ms,
        })
    }

    /// True when nothing around looks at the buckets of histograms.
    fn totals_only(&self) -> bool {
        self.histograms.totals && !self.histograms.buckets
    }

    /// Registers what a selector needs from storage, once for equal needs.
    fn select(
        &mut self,
        matchers: &[Matcher],
        grid: &Grid,
        range: i64,
        (offset, at): (i64, Option<i64>),
        edges: WindowEdges,
        aggregates: Option<(&[Kept], AddedUp)>,
    ) -> Select {
        let lookback = self.query.lookback_ms;
        let (first, last) = at.map_or((grid.start, grid.end()), |at| (at, at));
        // Windows are open on the left, so a sample exactly `range` back is not needed.
        let mut start_ms = first.saturating_sub(offset).saturating_sub(range).saturating_add(1);
        let mut end_ms = last.saturating_sub(offset);
        if edges != WindowEdges::Plain {
            start_ms = start_ms.saturating_sub(lookback).saturating_sub(1);
        }
        if edges == WindowEdges::Smoothed {
            end_ms = end_ms.saturating_add(lookback);
        }
        // An instant selector may look back to anywhere, since samples keep their timestamps.
        let looks_back =
            if aggregates.is_some_and(|(aggregates, _)| aggregates.is_empty()) { 0 } else { range };
        let step = if at.is_some() || grid.is_instant() { 0 } else { grid.step };
        let grid_ms = [end_of(first, offset), step, looks_back].into_iter().fold(0, common_divisor);
        let instead = aggregates
            .filter(|_| edges == WindowEdges::Plain)
            .map(|(aggregates, added_up)| Instead { grid_ms, aggregates: aggregates.to_vec(), added_up });
        let request = SelectRequest {
            matchers: matchers.to_vec(),
            start_ms,
            end_ms,
            max_series: self.max_series,
            instead,
        };
        let known = self.requests.iter().position(|known| same_request(known, &request));
        let selection = known.unwrap_or_else(|| {
            self.requests.push(request);
            self.uses.push(0);
            self.requests.len() - 1
        });
        self.uses[selection] += 1;
        let totals_only = self.totals_only();
        Select { selection, offset, at, range, edges, lookback, totals_only }
    }
}

/// The end of the window of a step.
fn end_of(step_ms: i64, offset: i64) -> i64 {
    step_ms.saturating_sub(offset)
}

/// The greatest number that divides both; 0 counts as divided by all.
fn common_divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn same_request(a: &SelectRequest, b: &SelectRequest) -> bool {
    let key = |m: &Matcher| (m.name().to_owned(), m.op(), m.value().to_owned());
    (a.start_ms, a.end_ms, &a.instead) == (b.start_ms, b.end_ms, &b.instead)
        && a.matchers.len() == b.matchers.len()
        && a.matchers.iter().map(key).eq(b.matchers.iter().map(key))
}

/// The expression inside of parentheses.
fn bare(expr: &Expr) -> &Expr {
    match &expr.node {
        Ast::Paren(inner) => bare(inner),
        _ => expr,
    }
}

/// The labels of `absent`: what the selector's equality matchers say, unless a label is named twice.
fn absent_labels(expr: &Expr) -> Labels {
    let matchers = match &bare(expr).node {
        Ast::Vector(selector) => &selector.matchers,
        Ast::Matrix(matrix) => &matrix.vector.matchers,
        _ => return Labels::empty(),
    };
    let mut builder = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && !seen.contains(&matcher.name()) {
            builder.set(matcher.name(), matcher.value());
            seen.push(matcher.name());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build()
}

fn wrong_edges(function: &str, edges: WindowEdges) -> QueryError {
    let (modifier, allowed) = match edges {
        WindowEdges::Smoothed => ("smoothed", "delta, increase, rate"),
        _ => ("anchored", "changes, delta, increase, rate, resets"),
    };
    QueryError::Execution(format!(
        "{modifier} modifier can only be used with: {allowed} - not with {function}"
    ))
}
