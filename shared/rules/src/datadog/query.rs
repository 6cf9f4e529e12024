//! A rule's expression as the query of a Datadog metric monitor, as far as that language goes.
//!
//! A monitor asks `time_aggr(last_window):space_aggr:metric{tags} by {tags} operator threshold`, with arithmetic
//! between metrics where every one of them is aggregated over the same window. PromQL aggregates over time first
//! and then over series, Datadog the other way round, so only pairs that may be swapped are translated.

use std::fmt::Write;

use weir_model::{METRIC_NAME, MatchOp, Matcher};
use weir_promql::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, DurationExpr, Expr, Grouping, Node,
    VectorSelector, WindowEdges,
};

use super::Options;
use crate::explain::{constant, sides};

const MINUTE_MS: i64 = 60_000;
/// Longest window of a monitor: a week.
const MAX_WINDOW_MS: i64 = 7 * 24 * 60 * MINUTE_MS;

/// A translated condition.
#[derive(Debug)]
pub(super) struct MonitorQuery {
    pub(super) text: String,
    pub(super) threshold: f64,
    pub(super) comparison: &'static str,
    pub(super) window: String,
    /// Names of the metrics that it asks.
    pub(super) metrics: Vec<String>,
    /// True when it is more than one metric compared with a number.
    pub(super) is_formula: bool,
    /// True when it takes in how long the condition must hold.
    pub(super) holds: bool,
}

/// How the samples of a window become one number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    /// What was counted: `.as_count()`, summed.
    Count,
    /// The same a second: `.as_rate()`, averaged.
    Rate,
    /// An aggregation of a gauge.
    Gauge(&'static str),
    /// Nothing: each sample must pass the condition for as long as the rule says.
    Instant,
    /// A percentile of a distribution over the whole window.
    Percentile,
}

#[derive(Debug)]
struct Term {
    /// `space_aggr:metric{tags} by {tags}`
    text: String,
    metric: String,
    /// The tags that it is grouped by, sorted.
    by: Vec<String>,
    over: Over,
    window_ms: i64,
}

#[derive(Debug)]
enum Formula {
    Number(f64),
    Term(Term),
    /// Zero where there is nothing.
    OrZero(Box<Formula>),
    Arithmetic(&'static str, Box<Formula>, Box<Formula>),
}

/// Translates a condition that must hold for `hold_ms`, or says why it has no counterpart.
pub(super) fn monitor_query(expr: &Expr, hold_ms: i64, options: &Options) -> Result<MonitorQuery, String> {
    let found = comparison(expr)?;
    let threshold = constant(found.threshold)
        .filter(|threshold| threshold.is_finite())
        .ok_or_else(|| format!("the threshold {} is no number", found.threshold))?;
    let formula = Translator { options }.formula(found.measured)?;
    let terms = formula.terms();
    let first = *terms.first().ok_or("it asks no metric")?;
    if let Some(other) = terms.iter().find(|term| term.by != first.by) {
        return Err(format!("{} and {} are grouped by different labels", first.metric, other.metric));
    }
    if let Some(other) = terms.iter().find(|term| term.window_ms != first.window_ms) {
        return Err(format!("{} and {} look at different windows", first.metric, other.metric));
    }
    if let Some(other) = terms.iter().find(|term| term.over != first.over) {
        return Err(format!("{} and {} are aggregated over time differently", first.metric, other.metric));
    }
    let is_formula = !matches!(formula, Formula::Term(_));
    // The quotient of two rates is that of their counts.
    let over = match first.over {
        Over::Rate if formula.divides_by_a_term() => Over::Count,
        over => over,
    };
    let (time, suffix, window_ms) = match over {
        Over::Count => ("sum", ".as_count()", first.window_ms),
        Over::Rate => ("avg", ".as_rate()", first.window_ms),
        Over::Gauge(time) => (time, "", first.window_ms),
        Over::Percentile if !is_formula => ("percentile", "", first.window_ms),
        Over::Percentile => return Err("arithmetic with percentiles".to_owned()),
        Over::Instant => {
            let time = match found.op {
                BinaryOp::Greater | BinaryOp::GreaterEq => "min",
                BinaryOp::Less | BinaryOp::LessEq => "max",
                // With a window of one sample, any aggregation gives it.
                _ if hold_ms <= MINUTE_MS => "min",
                _ => return Err(format!("{} that must hold for some time", found.op.symbol())),
            };
            (time, "", hold_ms.max(MINUTE_MS))
        }
    };
    let window = window(window_ms)?;
    let mut text = format!("{time}({window}):");
    formula.write(&mut text, suffix);
    let comparison = found.op.symbol();
    write!(text, " {comparison} {threshold}").map_err(|error| error.to_string())?;
    let mut metrics: Vec<String> = terms.iter().map(|term| term.metric.clone()).collect();
    metrics.dedup();
    let holds = over == Over::Instant || hold_ms == 0;
    Ok(MonitorQuery { text, threshold, comparison, window, metrics, is_formula, holds })
}

/// The comparison at the top.
fn comparison(expr: &Expr) -> Result<crate::explain::Found<'_>, String> {
    match &expr.node {
        Node::Paren(inner) => comparison(inner),
        Node::Binary(binary) if binary.op.is_set() => {
            Err(format!("{:?} between conditions", binary.op.symbol()))
        }
        Node::Binary(binary) if binary.op.is_comparison() && !binary.return_bool => Ok(sides(binary)),
        _ => Err("there is no comparison with a threshold at its top".to_owned()),
    }
}

fn window(ms: i64) -> Result<String, String> {
    if ms % MINUTE_MS != 0 || !(MINUTE_MS..=MAX_WINDOW_MS).contains(&ms) {
        return Err(format!(
            "a window of {} s; monitors take whole minutes up to a week",
            ms as f64 / 1000.0
        ));
    }
    let minutes = ms / MINUTE_MS;
    Ok(match minutes {
        10_080 => "last_1w".to_owned(),
        1440 => "last_1d".to_owned(),
        _ if minutes % 60 == 0 => format!("last_{}h", minutes / 60),
        _ => format!("last_{minutes}m"),
    })
}

impl Formula {
    fn terms(&self) -> Vec<&Term> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Term(term) => vec![term],
            Self::OrZero(inner) => inner.terms(),
            Self::Arithmetic(_, left, right) => left.terms().into_iter().chain(right.terms()).collect(),
        }
    }

    fn divides_by_a_term(&self) -> bool {
        match self {
            Self::Number(_) | Self::Term(_) => false,
            Self::OrZero(inner) => inner.divides_by_a_term(),
            Self::Arithmetic(op, left, right) => {
                (*op == "/" && !right.terms().is_empty() && !left.terms().is_empty())
                    || left.divides_by_a_term()
                    || right.divides_by_a_term()
            }
        }
    }

    fn write(&self, out: &mut String, suffix: &str) {
        match self {
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Term(term) => {
                out.push_str(&term.text);
                out.push_str(suffix);
            }
            Self::OrZero(inner) => {
                out.push_str("default_zero(");
                inner.write(out, suffix);
                out.push(')');
            }
            Self::Arithmetic(op, left, right) => {
                left.write_operand(out, suffix, op, false);
                out.push_str(&format!(" {op} "));
                right.write_operand(out, suffix, op, true);
            }
        }
    }

    /// With parentheses where the operator around it would take it apart.
    fn write_operand(&self, out: &mut String, suffix: &str, around: &str, is_right: bool) {
        let binds = |op: &str| if ["*", "/"].contains(&op) { 2 } else { 1 };
        let loose = matches!(self, Self::Arithmetic(op, ..)
            if binds(op) < binds(around) || (is_right && binds(op) == binds(around)));
        if loose {
            out.push('(');
        }
        self.write(out, suffix);
        if loose {
            out.push(')');
        }
    }
}

struct Translator<'o> {
    options: &'o Options,
}

impl Translator<'_> {
    fn formula(&self, expr: &Expr) -> Result<Formula, String> {
        if let Some(number) = constant(expr) {
            return Ok(Formula::Number(number));
        }
        match &expr.node {
            Node::Paren(inner) => self.formula(inner),
            Node::Binary(binary) => self.binary(binary),
            Node::Aggregate(aggregate) => self.aggregate(aggregate).map(Formula::Term),
            Node::Call(call) => self.call(call),
            // Each series is judged by itself.
            Node::Vector(_) => self.each(AggregateOp::Avg, expr),
            _ => Err(format!("{expr} has no counterpart")),
        }
    }

    fn binary(&self, binary: &Binary) -> Result<Formula, String> {
        let is_zero = |expr: &Expr| match &expr.node {
            Node::Call(call) if call.function == "vector" => {
                call.args.first().and_then(constant) == Some(0.0)
            }
            _ => false,
        };
        if binary.op == BinaryOp::Or && is_zero(&binary.right) {
            return Ok(Formula::OrZero(Box::new(self.formula(&binary.left)?)));
        }
        let op = match binary.op {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            other => return Err(format!("{:?} has no counterpart", other.symbol())),
        };
        if let Some(matching) = &binary.matching
            && (matching.cardinality != Cardinality::OneToOne || !matching.labels.is_empty())
        {
            return Err(format!("{op:?} that matches series by labels"));
        }
        let right = if op == "/" { guarded(&binary.right) } else { &binary.right };
        let (left, right) = (self.formula(&binary.left)?, self.formula(right)?);
        Ok(Formula::Arithmetic(op, Box::new(left), Box::new(right)))
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<Term, String> {
        let space = match aggregate.op {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            other => return Err(format!("{} has no counterpart", other.name())),
        };
        let by = match &aggregate.grouping {
            Grouping::By(labels) => labels.clone(),
            Grouping::Without(labels) => return Err(format!("grouping without ({})", labels.join(", "))),
        };
        let (selector, over, window_ms) = self.over_time(&aggregate.expr)?;
        let may_be_swapped = match over {
            Over::Count | Over::Rate => space == "sum" || space == "avg",
            Over::Gauge("avg" | "sum") => space == "sum" || space == "avg",
            Over::Gauge(time) => time == space,
            Over::Instant | Over::Percentile => true,
        };
        if !may_be_swapped {
            return Err(format!(
                "{space} over series of another aggregation over time; a monitor aggregates over series first"
            ));
        }
        self.term(space, selector, by, over, window_ms)
    }

    /// What a function gives, each series by itself: grouped as the options say.
    fn each(&self, op: AggregateOp, expr: &Expr) -> Result<Formula, String> {
        if self.options.by.is_empty() {
            return Err(format!(
                "{expr} is judged series by series; say with --by which tags tell them apart, or aggregate it"
            ));
        }
        let (selector, over, window_ms) = self.over_time(expr)?;
        let space = match over {
            Over::Gauge(time) => time,
            Over::Count | Over::Rate => "sum",
            Over::Instant | Over::Percentile => op.name(),
        };
        self.term(space, selector, self.options.by.clone(), over, window_ms).map(Formula::Term)
    }

    fn call(&self, call: &Call) -> Result<Formula, String> {
        match (call.function.as_str(), call.args.as_slice()) {
            ("histogram_quantile", [quantile, inner]) => {
                let quantile = constant(quantile).filter(|q| (0.0..1.0).contains(q) && *q > 0.0);
                let quantile = quantile.ok_or("a quantile that is no number between 0 and 1")?;
                // Two decimals are what a distribution can be asked for.
                let percent = (quantile * 10_000.0).round() / 100.0;
                self.distribution(&format!("p{percent}"), Over::Percentile, inner).map(Formula::Term)
            }
            ("histogram_sum", [inner]) => self.distribution("sum", Over::Count, inner).map(Formula::Term),
            ("histogram_count", [inner]) => self.distribution("count", Over::Count, inner).map(Formula::Term),
            (function, [arg]) if matches!(arg.node, Node::Matrix(_)) => {
                let call = Expr { node: Node::Call(call.clone()), position: arg.position };
                self.each(AggregateOp::Avg, &call)
                    .map_err(|error| if function == "anomaly_score" { anomaly() } else { error })
            }
            ("anomaly_score", _) => Err(anomaly()),
            (function, _) => Err(format!("{function}() has no counterpart")),
        }
    }

    /// A figure of the sum of native histograms.
    fn distribution(&self, space: &str, over: Over, expr: &Expr) -> Result<Term, String> {
        let (counted, by) = match &expr.node {
            Node::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum => match &aggregate.grouping {
                Grouping::By(labels) => (&*aggregate.expr, labels.clone()),
                Grouping::Without(labels) => {
                    return Err(format!("grouping without ({})", labels.join(", ")));
                }
            },
            _ => return Err("a figure of histograms that are not summed up".to_owned()),
        };
        if by.iter().any(|label| label == "le") {
            return Err("buckets by le; a distribution has none".to_owned());
        }
        let (selector, counted_over, window_ms) = self.over_time(counted)?;
        if !matches!(counted_over, Over::Count | Over::Rate) {
            return Err("a figure of histograms whose increase is not taken".to_owned());
        }
        self.term(space, selector, by, over, window_ms)
    }

    /// A selector, and what its window becomes.
    fn over_time<'e>(&self, expr: &'e Expr) -> Result<(&'e VectorSelector, Over, i64), String> {
        match &expr.node {
            Node::Paren(inner) => self.over_time(inner),
            Node::Vector(selector) => Ok((selector, Over::Instant, 0)),
            Node::Call(call) => {
                let over = match call.function.as_str() {
                    "increase" => Over::Count,
                    "rate" => Over::Rate,
                    "avg_over_time" => Over::Gauge("avg"),
                    "sum_over_time" => Over::Gauge("sum"),
                    "min_over_time" => Over::Gauge("min"),
                    "max_over_time" => Over::Gauge("max"),
                    "last_over_time" => Over::Instant,
                    "anomaly_score" => return Err(anomaly()),
                    other => return Err(format!("{other}() has no counterpart")),
                };
                let Some(Expr { node: Node::Matrix(matrix), .. }) = call.args.first() else {
                    return Err(format!("{}() of something that is not a selector", call.function));
                };
                let DurationExpr::Literal(window_ms) = matrix.range else {
                    return Err("a window that is computed".to_owned());
                };
                Ok((&matrix.vector, over, if over == Over::Instant { 0 } else { window_ms }))
            }
            _ => Err(format!("{expr} within an aggregation")),
        }
    }

    fn term(
        &self,
        space: &str,
        selector: &VectorSelector,
        mut by: Vec<String>,
        over: Over,
        window_ms: i64,
    ) -> Result<Term, String> {
        if selector.offset.is_some() || selector.at.is_some() || selector.edges != WindowEdges::Plain {
            return Err("offset, @ or window edges".to_owned());
        }
        let named = |m: &&Matcher| m.name() == METRIC_NAME && m.op() == MatchOp::Equal;
        let name = selector.matchers.iter().find(named).ok_or("a selector without a metric's name")?.value();
        let metric = self.options.metric(name);
        let scope = scope(&selector.matchers)?;
        by.sort();
        let mut text = format!("{space}:{metric}{{{scope}}}");
        if !by.is_empty() {
            text.push_str(&format!(" by {{{}}}", by.join(",")));
        }
        Ok(Term { text, metric, by, over, window_ms })
    }
}

fn anomaly() -> String {
    "anomaly_score() has no counterpart: Datadog's anomalies() is another method".to_owned()
}

/// A divisor without the `> 0` that keeps it from being zero: Datadog gives nothing then.
fn guarded(expr: &Expr) -> &Expr {
    match &expr.node {
        Node::Paren(inner) => guarded(inner),
        Node::Binary(binary)
            if matches!(binary.op, BinaryOp::Greater | BinaryOp::NotEq)
                && !binary.return_bool
                && constant(&binary.right) == Some(0.0) =>
        {
            guarded(&binary.left)
        }
        _ => expr,
    }
}

/// The tags of a selector: `*`, `a:b,!c:d`, or with words where a tag may have several values.
fn scope(matchers: &[Matcher]) -> Result<String, String> {
    let mut plain = Vec::new();
    let mut listed = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        let name = matcher.name();
        let refuse = || format!("{name}{}{:?} has no counterpart", matcher.op().symbol(), matcher.value());
        let not = matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotRegex);
        let values = match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => vec![matcher.value().to_owned()],
            MatchOp::Regex | MatchOp::NotRegex => words(matcher.value()).ok_or_else(refuse)?,
        };
        // Tags are lower case, letters and digits and a few signs.
        let values: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
        let is_tag = |v: &String| {
            let is_pattern = matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex);
            let body = v.strip_suffix('*').filter(|_| is_pattern).unwrap_or(v);
            !body.is_empty() && body.chars().all(|c| c.is_alphanumeric() || "_-:./".contains(c))
        };
        if !values.iter().all(is_tag) {
            return Err(refuse());
        }
        match values.as_slice() {
            [one] => plain.push(format!("{}{name}:{one}", if not { "!" } else { "" })),
            many => listed.push(format!("{name}{} IN ({})", if not { " NOT" } else { "" }, many.join(","))),
        }
    }
    if listed.is_empty() {
        return Ok(if plain.is_empty() { "*".to_owned() } else { plain.join(",") });
    }
    let plain = plain.into_iter().map(|tag| match tag.strip_prefix('!') {
        Some(tag) => format!("NOT {tag}"),
        None => tag,
    });
    Ok(plain.chain(listed).collect::<Vec<_>>().join(" AND "))
}

/// The words of an expression such as `a|b`, `(?i:a)` or `a.*`, which becomes `a*`; nothing for any other.
fn words(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern.strip_prefix("(?i:").and_then(|rest| rest.strip_suffix(')')).unwrap_or(pattern);
    let word = |word: &str| {
        let (word, star) = word.strip_suffix(".*").map_or((word, ""), |start| (start, "*"));
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-:/".contains(&b));
        (plain && !word.is_empty()).then(|| format!("{word}{star}"))
    };
    inner.split('|').map(word).collect()
}
