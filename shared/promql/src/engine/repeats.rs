//! Common subexpressions: what a query has more than once is evaluated once, as long as its series are not many.

use hashbrown::HashMap;

use super::column::Series;
use super::error::QueryError;
use super::eval::Evaluator;
use super::grid::Grid;
use super::parts;
use super::pipe::{Held, Pipe};
use super::plan::Node;
use crate::ast::{Expr, Node as Ast, ValueType};

/// Most subexpressions that are compared; a query of more is evaluated as it is written.
const MAX_COMPARED: usize = 64;
/// Most points of a repeated expression that are kept for its next place; what is larger and could be streamed is
/// computed again instead.
const MAX_KEPT_POINTS: usize = 2_000_000;

/// The texts that stand in a query more than once.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    texts: HashMap<String, usize>,
    /// Places that are lowered to each number, told apart by their steps and what is made of histograms.
    numbers: HashMap<(String, i64, i64, bool), usize>,
    /// How often each number stands in the plan.
    pub(crate) uses: Vec<usize>,
}

impl Repeated {
    /// Compares the subexpressions of a query.
    pub(crate) fn of(expr: &Expr) -> Self {
        let mut candidates = Vec::new();
        collect(expr, &mut candidates);
        let mut texts: HashMap<String, usize> = HashMap::new();
        if (2..=MAX_COMPARED).contains(&candidates.len()) {
            candidates.iter().for_each(|expr| *texts.entry(expr.to_string()).or_default() += 1);
        }
        texts.retain(|_, count| *count > 1);
        Self { texts, ..Self::default() }
    }

    /// The number of an expression that stands in the query more than once.
    pub(crate) fn number(&mut self, expr: &Expr, grid: &Grid, totals_only: bool) -> Option<usize> {
        if self.texts.is_empty() || !is_candidate(expr) {
            return None;
        }
        let (text, _) = self.texts.get_key_value(&expr.to_string())?;
        let next = self.uses.len();
        let key = (text.clone(), grid.start, grid.step, totals_only);
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.uses.push(0);
        }
        self.uses[number] += 1;
        Some(number)
    }
}

/// True for what is worth keeping: vectors that are computed.
fn is_candidate(expr: &Expr) -> bool {
    matches!(expr.node, Ast::Call(_) | Ast::Aggregate(_) | Ast::Binary(_))
        && expr.value_type() == ValueType::Vector
}

fn collect<'a>(expr: &'a Expr, found: &mut Vec<&'a Expr>) {
    if found.len() > MAX_COMPARED {
        return;
    }
    if is_candidate(expr) {
        found.push(expr);
    }
    match &expr.node {
        Ast::Number(_) | Ast::String(_) | Ast::Vector(_) | Ast::Matrix(_) => {}
        Ast::Subquery(subquery) => collect(&subquery.expr, found),
        Ast::Call(call) => call.args.iter().for_each(|arg| collect(arg, found)),
        Ast::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| collect(param, found));
            collect(&aggregate.expr, found);
        }
        Ast::Binary(binary) => {
            collect(&binary.left, found);
            collect(&binary.right, found);
        }
        Ast::Negate(inner) | Ast::Paren(inner) => collect(inner, found),
    }
}

/// What has been evaluated of the repeated expressions.
pub(crate) struct Repeats<'e> {
    /// Places that are still to come.
    left: Vec<usize>,
    kept: HashMap<usize, (Grid, Held<'e>)>,
}

impl Repeats<'_> {
    pub(crate) fn new(uses: &[usize]) -> Self {
        Self { left: uses.to_vec(), kept: HashMap::new() }
    }
}

impl<'e> Evaluator<'e> {
    /// The series of an expression that the query has more than once.
    pub(crate) fn repeated(
        &mut self,
        place: usize,
        inner: &'e Node,
        grid: &Grid,
    ) -> Result<Pipe<'e>, QueryError> {
        let left = self.repeats.left.get_mut(place).map_or(0, |left| {
            *left = left.saturating_sub(1);
            *left
        });
        if let Some((_, held)) = self.repeats.kept.get(&place).filter(|(of, _)| of == grid) {
            let copy: Vec<Series> = held.to_vec();
            if left == 0 {
                self.repeats.kept.remove(&place);
            }
            return Ok(Pipe::Held(Held::new(copy, self.ledger)?));
        }
        let pipe = self.pipe(inner, grid)?;
        if left == 0 {
            return Ok(pipe);
        }
        let held = match pipe {
            Pipe::Held(held) => held,
            pipe if pipe.len().saturating_mul(grid.steps) > MAX_KEPT_POINTS => return Ok(pipe),
            pipe => parts::collect(pipe, self.ledger, &mut self.notes)?,
        };
        let copy = Held::new(held.to_vec(), self.ledger)?;
        self.repeats.kept.insert(place, (*grid, copy));
        Ok(Pipe::Held(held))
    }
}
