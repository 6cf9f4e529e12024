//! Writes expressions in Prometheus' canonical one-line form, which parses back to the same tree.
//!
//! Two things the tree does not keep and so differ from Prometheus' output: a duration used as a number is
//! written as its seconds (`5m` becomes `300`), and duration arithmetic has only the parentheses it needs.

use std::fmt::{self, Display, Formatter, Write};

use weir_model::{METRIC_NAME, MatchOp, Matcher};

use crate::ast::{
    Aggregate, AtModifier, Binary, BinaryOp, Cardinality, DurationExpr, Expr, Grouping, Node, Subquery,
    VectorMatching, VectorSelector, WindowEdges,
};
use crate::parser::DURATION_UNITS;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Number(value) => f.write_str(&number(*value)),
            Node::String(text) => f.write_str(&quote(text)),
            Node::Vector(selector) => {
                write_selector(f, selector)?;
                write_at(f, selector.at)?;
                write_edges(f, selector.edges)?;
                write_offset(f, selector.offset.as_ref())
            }
            Node::Matrix(matrix) => {
                write_selector(f, &matrix.vector)?;
                write!(f, "[{}]", matrix.range)?;
                write_edges(f, matrix.vector.edges)?;
                write_at(f, matrix.vector.at)?;
                write_offset(f, matrix.vector.offset.as_ref())
            }
            Node::Subquery(subquery) => write_subquery(f, subquery),
            Node::Call(call) => {
                write!(f, "{}(", call.function)?;
                write_list(f, call.args.iter())?;
                f.write_char(')')
            }
            Node::Aggregate(aggregate) => write_aggregate(f, aggregate),
            Node::Binary(binary) => write_binary(f, binary),
            Node::Negate(inner) => write!(f, "-{inner}"),
            Node::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_selector(f, self)?;
        write_at(f, self.at)?;
        write_edges(f, self.edges)?;
        write_offset(f, self.offset.as_ref())
    }
}

fn write_list(f: &mut Formatter<'_>, items: impl Iterator<Item = impl Display>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// The name and the matchers, these sorted by their text as Prometheus does.
fn write_selector(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    let name = selector.name.as_deref();
    f.write_str(name.unwrap_or_default())?;
    let is_name =
        |m: &&Matcher| m.name() == METRIC_NAME && m.op() == MatchOp::Equal && Some(m.value()) == name;
    let mut matchers: Vec<String> =
        selector.matchers.iter().filter(|m| !is_name(m)).map(matcher_text).collect();
    if matchers.is_empty() && name.is_some() {
        return Ok(());
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}

fn matcher_text(matcher: &Matcher) -> String {
    format!("{}{}{}", label(matcher.name()), matcher.op().symbol(), quote(matcher.value()))
}

fn write_at(f: &mut Formatter<'_>, at: Option<AtModifier>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
        Some(AtModifier::Timestamp(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            let ms = ms.unsigned_abs();
            write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)
        }
    }
}

fn write_edges(f: &mut Formatter<'_>, edges: WindowEdges) -> fmt::Result {
    f.write_str(match edges {
        WindowEdges::Plain => "",
        WindowEdges::Anchored => " anchored",
        WindowEdges::Smoothed => " smoothed",
    })
}

fn write_offset(f: &mut Formatter<'_>, offset: Option<&DurationExpr>) -> fmt::Result {
    match offset {
        None => Ok(()),
        // Without parentheses the operator would apply to the selected values.
        Some(d @ DurationExpr::Binary(..)) => write!(f, " offset ({d})"),
        Some(DurationExpr::Negate(inner)) => match **inner {
            DurationExpr::Binary(..) | DurationExpr::Negate(_) => write!(f, " offset -({inner})"),
            _ => write!(f, " offset -{inner}"),
        },
        Some(d) => write!(f, " offset {d}"),
    }
}

fn write_subquery(f: &mut Formatter<'_>, subquery: &Subquery) -> fmt::Result {
    write!(f, "{}[{}:", subquery.expr, subquery.range)?;
    if let Some(step) = &subquery.step {
        write!(f, "{step}")?;
    }
    f.write_char(']')?;
    write_at(f, subquery.at)?;
    write_offset(f, subquery.offset.as_ref())
}

fn write_aggregate(f: &mut Formatter<'_>, aggregate: &Aggregate) -> fmt::Result {
    f.write_str(aggregate.op.name())?;
    match &aggregate.grouping {
        Grouping::By(labels) if labels.is_empty() => {}
        Grouping::By(labels) => {
            f.write_str(" by (")?;
            write_list(f, labels.iter().map(|l| label(l)))?;
            f.write_str(") ")?;
        }
        Grouping::Without(labels) => {
            f.write_str(" without (")?;
            write_list(f, labels.iter().map(|l| label(l)))?;
            f.write_str(") ")?;
        }
    }
    f.write_char('(')?;
    write_list(f, aggregate.param.iter().chain([&aggregate.expr]))?;
    f.write_char(')')
}

fn write_binary(f: &mut Formatter<'_>, binary: &Binary) -> fmt::Result {
    write!(f, "{} {}", binary.left, binary.op.symbol())?;
    if binary.return_bool {
        f.write_str(" bool")?;
    }
    if let Some(matching) = &binary.matching {
        write_matching(f, matching)?;
    }
    write!(f, " {}", binary.right)
}

fn write_matching(f: &mut Formatter<'_>, matching: &VectorMatching) -> fmt::Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        f.write_str(if matching.on { " on (" } else { " ignoring (" })?;
        write_list(f, matching.labels.iter().map(|l| label(l)))?;
        f.write_char(')')?;
    }
    if let Some(group) = group {
        write!(f, " group_{group} (")?;
        write_list(f, matching.include.iter().map(|l| label(l)))?;
        f.write_char(')')?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            write!(f, " fill ({})", number(left))
        }
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", number(left))?;
            }
            if let Some(right) = right {
                write!(f, " fill_right ({})", number(right))?;
            }
            Ok(())
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(ms) => write_duration(f, *ms),
            Self::Number(seconds) => f.write_str(&number(*seconds)),
            Self::Step => f.write_str("step()"),
            Self::Range => f.write_str("range()"),
            Self::Negate(inner) => {
                f.write_char('-')?;
                write_within(f, inner, 6)
            }
            Self::Binary(op, left, right) => {
                let own = duration_precedence(self);
                let (left_least, right_least) = if *op == BinaryOp::Pow { (7, 6) } else { (own, own + 1) };
                write_within(f, left, left_least)?;
                write!(f, " {} ", op.symbol())?;
                write_within(f, right, right_least)
            }
            Self::Min(a, b) => write!(f, "min_of({a}, {b})"),
            Self::Max(a, b) => write!(f, "max_of({a}, {b})"),
        }
    }
}

/// Writes an operand, in parentheses when it binds less tightly than its place needs.
fn write_within(f: &mut Formatter<'_>, operand: &DurationExpr, least: u8) -> fmt::Result {
    if duration_precedence(operand) < least { write!(f, "({operand})") } else { write!(f, "{operand}") }
}

fn duration_precedence(duration: &DurationExpr) -> u8 {
    match duration {
        DurationExpr::Binary(BinaryOp::Add | BinaryOp::Sub, ..) => 4,
        DurationExpr::Binary(BinaryOp::Pow, ..) => 6,
        DurationExpr::Binary(..) | DurationExpr::Negate(_) => 5,
        // A negative literal is a sign and its operand.
        DurationExpr::Literal(ms) if *ms < 0 => 5,
        DurationExpr::Number(seconds) if seconds.is_sign_negative() => 5,
        _ => 7,
    }
}

/// A duration as Prometheus writes it; years and weeks only when nothing remains.
fn write_duration(f: &mut Formatter<'_>, ms: i64) -> fmt::Result {
    if ms == 0 {
        return f.write_str("0s");
    }
    if ms < 0 {
        f.write_char('-')?;
    }
    let mut rest = ms.unsigned_abs();
    for (unit, unit_ms) in DURATION_UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        let exact_only = matches!(unit, "y" | "w");
        if rest < unit_ms || (exact_only && !rest.is_multiple_of(unit_ms)) {
            continue;
        }
        write!(f, "{}{unit}", rest / unit_ms)?;
        rest %= unit_ms;
    }
    Ok(())
}

/// A number as PromQL reads it, without an exponent.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// A label's name, in quotes when it is no plain identifier.
fn label(name: &str) -> String {
    let plain = |(at, b): (usize, u8)| b == b'_' || b.is_ascii_alphabetic() || (at > 0 && b.is_ascii_digit());
    if !name.is_empty() && name.bytes().enumerate().all(plain) { name.to_owned() } else { quote(name) }
}

/// A string in double quotes with Go's escapes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    text.chars().for_each(|c| push_escaped(&mut out, c, '"'));
    out.push('"');
    out
}

/// A character in single quotes with Go's escapes, as messages show it.
pub(crate) fn quote_char(c: char) -> String {
    let mut out = String::from('\'');
    push_escaped(&mut out, c, '\'');
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    match c {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        ' '..='~' => out.push(c),
        // Writing to a String does not fail.
        '\0'..='\x7f' => drop(write!(out, "\\x{:02x}", u32::from(c))),
        // Rust escapes what is not printable as `\u{…}`.
        c if c.escape_debug().len() == 1 => out.push(c),
        c if u32::from(c) <= 0xffff => drop(write!(out, "\\u{:04x}", u32::from(c))),
        c => drop(write!(out, "\\U{:08x}", u32::from(c))),
    }
}
