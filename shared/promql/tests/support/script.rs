//! Reads upstream's test scripts: `load` blocks, `clear`, and `eval` with what it expects.
//!
//! The language is described in upstream's promql/promqltest/README.md.

use weir_model::Labels;
use weir_promql::ast::{DurationExpr, Node};
use weir_promql::memory::{Point, parse_series};

/// A step of a script.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Forgets all series.
    Clear,
    /// Adds series.
    Load {
        /// Distance of points in milliseconds.
        interval_ms: i64,
        /// The lines of the block.
        block: String,
        /// True for `load_with_nhcb`.
        with_native: bool,
    },
    /// Evaluates and compares.
    Eval(Box<Eval>),
}

/// When to evaluate, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// At one time.
    Instant(i64),
    /// Over a range.
    Range {
        /// First step.
        start: i64,
        /// Last step at most.
        end: i64,
        /// Distance of steps.
        step: i64,
    },
}

/// How a message must look.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// Anything.
    Any,
    /// Exactly so.
    Exact(String),
    /// A regular expression found in it.
    Pattern(regex::Regex),
}

impl Message {
    /// True when `text` is as wanted.
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(want) => want == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// The value that an evaluation must give.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// A number.
    Scalar(f64),
    /// A text.
    String(String),
    /// Points of series; the first one of each for instant queries.
    Series(Vec<(Labels, Vec<Point>)>),
    /// Points of series over a range, from an instant query of a range vector.
    RangeVector {
        /// Time of the first point in milliseconds.
        start: i64,
        /// Distance of points.
        step: i64,
        /// The points.
        series: Vec<(Labels, Vec<Point>)>,
    },
}

/// An `eval` command.
#[derive(Debug, Clone)]
pub(crate) struct Eval {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// The query.
    pub(crate) query: String,
    /// When it is evaluated.
    pub(crate) when: When,
    /// The query must fail so.
    pub(crate) fail: Option<Message>,
    /// Warnings that must come; all that come must be among them.
    pub(crate) warnings: Vec<Message>,
    /// Infos likewise.
    pub(crate) infos: Vec<Message>,
    /// No warning may come.
    pub(crate) no_warnings: bool,
    /// No info may come.
    pub(crate) no_infos: bool,
    /// The order of series counts.
    pub(crate) ordered: bool,
    /// The value.
    pub(crate) expected: Expected,
}

/// Parses a script.
///
/// # Errors
/// What is wrong, with the line.
pub(crate) fn parse_script(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = lines[at];
        let body = lines[at + 1..].iter().take_while(|l| !l.is_empty()).count();
        let block = &lines[at + 1..at + 1 + body];
        let wrong = |what: String| format!("line {}: {what}", at + 1);
        match first.split_whitespace().next() {
            None => {
                at += 1;
                continue;
            }
            Some("clear") => {
                commands.push(Command::Clear);
                at += 1;
                continue;
            }
            Some(word @ ("load" | "load_with_nhcb")) => {
                let interval = first[word.len()..].trim();
                commands.push(Command::Load {
                    interval_ms: duration(interval).map_err(wrong)?,
                    with_native: word == "load_with_nhcb",
                    block: block.join("\n"),
                });
            }
            Some(word) if word.starts_with("eval") => {
                let eval = parse_eval(at + 1, first, block).map_err(wrong)?;
                commands.push(Command::Eval(Box::new(eval)));
            }
            Some(word) => return Err(wrong(format!("unknown command {word:?}"))),
        }
        at += 1 + body;
    }
    Ok(commands)
}

/// A duration in milliseconds, as the parser reads it after `offset`.
fn duration(text: &str) -> Result<i64, String> {
    let expr = weir_promql::parse(&format!("x offset {text}")).map_err(|e| e.to_string())?;
    match expr.node {
        Node::Vector(v) => match v.offset {
            None => Ok(0),
            Some(DurationExpr::Literal(ms)) => Ok(ms),
            other => Err(format!("{other:?} is no plain duration")),
        },
        other => Err(format!("{other:?} is no duration")),
    }
}

/// The first word and the rest.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Takes `keyword` and the duration after it.
fn keyed<'a>(text: &'a str, keyword: &str) -> Result<(i64, &'a str), String> {
    let (found, rest) = word(text);
    if found != keyword {
        return Err(format!("expected {keyword:?}, got {found:?}"));
    }
    let (value, rest) = word(rest);
    Ok((duration(value)?, rest))
}

fn parse_eval(line: usize, first: &str, block: &[&str]) -> Result<Eval, String> {
    let (command, rest) = word(first);
    let (kind, rest) = word(rest);
    let (when, query) = match kind {
        "instant" => {
            let (at, query) = keyed(rest, "at")?;
            (When::Instant(at), query)
        }
        "range" => {
            let (start, rest) = keyed(rest, "from")?;
            let (end, rest) = keyed(rest, "to")?;
            let (step, query) = keyed(rest, "step")?;
            (When::Range { start, end, step }, query)
        }
        other => return Err(format!("neither instant nor range but {other:?}")),
    };
    let mut eval = Eval {
        line,
        query: query.to_owned(),
        when,
        fail: (command == "eval_fail").then_some(Message::Any),
        warnings: if command == "eval_warn" { vec![Message::Any] } else { Vec::new() },
        infos: if command == "eval_info" { vec![Message::Any] } else { Vec::new() },
        no_warnings: false,
        no_infos: false,
        ordered: command == "eval_ordered",
        expected: Expected::Series(Vec::new()),
    };
    for text in block {
        expect(&mut eval, text)?;
    }
    Ok(eval)
}

/// Takes one line below `eval`.
fn expect(eval: &mut Eval, line: &str) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("expect range vector") {
        let (start, rest) = keyed(rest, "from")?;
        let (_, rest) = keyed(rest, "to")?;
        let (step, _) = keyed(rest, "step")?;
        eval.expected = Expected::RangeVector { start, step, series: Vec::new() };
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expect string") {
        let text = weir_promql::parse(rest).map_err(|e| e.to_string())?;
        let Node::String(text) = text.node else { return Err(format!("{rest} is no string")) };
        eval.expected = Expected::String(text);
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expect ") {
        return expect_message(eval, rest.trim());
    }
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.fail = Some(Message::Exact(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        eval.fail = Some(pattern_of(pattern)?);
        return Ok(());
    }
    if let Ok(value) = weir_promql::parse(line)
        && let Node::Number(value) = value.node
    {
        eval.expected = Expected::Scalar(value);
        return Ok(());
    }
    let series = parse_series(line).map_err(|error| error.to_string())?;
    match &mut eval.expected {
        Expected::Series(all) | Expected::RangeVector { series: all, .. } => all.push(series),
        other => return Err(format!("series among {other:?}")),
    }
    Ok(())
}

fn expect_message(eval: &mut Eval, line: &str) -> Result<(), String> {
    let (kind, rest) = word(line);
    let message = if rest.is_empty() {
        Message::Any
    } else if let Some(text) = rest.strip_prefix("msg:") {
        Message::Exact(text.trim().to_owned())
    } else if let Some(pattern) = rest.strip_prefix("regex:") {
        pattern_of(pattern)?
    } else {
        return Err(format!("neither msg: nor regex: in {rest:?}"));
    };
    match kind {
        "fail" => eval.fail = Some(message),
        "warn" => eval.warnings.push(message),
        "info" => eval.infos.push(message),
        "no_warn" => eval.no_warnings = true,
        "no_info" => eval.no_infos = true,
        "ordered" => eval.ordered = true,
        other => return Err(format!("unknown expectation {other:?}")),
    }
    Ok(())
}

fn pattern_of(text: &str) -> Result<Message, String> {
    regex::Regex::new(text.trim()).map(Message::Pattern).map_err(|error| error.to_string())
}
