//! The functions of templates: Go's own and those of Prometheus.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use regex::Regex;
use weir_promql::parse_duration_ms;

use super::exec::{Exec, Stop};
use super::humanize::{humanize, humanize_1024, humanize_duration, humanize_percentage, humanize_timestamp};
use super::printf::printf;
use super::value::{TemplateSample, Value};
use super::{compare, time};

/// A function's name, the fewest and the most arguments it takes.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("and", 1, 64),
    ("or", 1, 64),
    ("not", 1, 1),
    ("len", 1, 1),
    ("index", 1, 8),
    ("slice", 1, 3),
    ("print", 0, 64),
    ("println", 0, 64),
    ("printf", 1, 64),
    ("html", 1, 64),
    ("urlquery", 1, 64),
    ("eq", 2, 64),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("query", 1, 1),
    ("first", 1, 1),
    ("label", 2, 2),
    ("value", 1, 1),
    ("strvalue", 1, 1),
    ("sortByLabel", 2, 2),
    ("args", 0, 64),
    ("tmpl", 2, 2),
    ("reReplaceAll", 3, 3),
    ("match", 2, 2),
    ("title", 1, 1),
    ("toUpper", 1, 1),
    ("toLower", 1, 1),
    ("safeHtml", 1, 1),
    ("stripPort", 1, 1),
    ("stripDomain", 1, 1),
    ("humanize", 1, 1),
    ("humanize1024", 1, 1),
    ("humanizeDuration", 1, 1),
    ("humanizePercentage", 1, 1),
    ("humanizeTimestamp", 1, 1),
    ("toTime", 1, 1),
    ("now", 0, 0),
    ("parseDuration", 1, 1),
    ("pathPrefix", 0, 0),
    ("externalURL", 0, 0),
    ("graphLink", 1, 1),
    ("tableLink", 1, 1),
    ("urlQueryEscape", 1, 1),
];

/// True for a function's name.
pub(super) fn exists(name: &str) -> bool {
    FUNCTIONS.iter().any(|(known, ..)| *known == name)
}

/// Calls a function.
pub(super) fn call(exec: &mut Exec<'_>, name: &str, args: &[Value]) -> Result<Value, Stop> {
    let (fewest, most) = FUNCTIONS.iter().find(|f| f.0 == name).map_or((0, 0), |f| (f.1, f.2));
    if args.len() < fewest || args.len() > most {
        let want = if fewest == most { fewest.to_string() } else { format!("at least {fewest}") };
        return Err(exec.fail(format!("wrong number of args for {name}: want {want} got {}", args.len())));
    }
    match name {
        "query" => {
            let text = text(&args[0]).map_err(|message| exec.fail(message))?;
            return match exec.answers.get(text) {
                Some(Ok(samples)) => Ok(Value::Vector(Arc::clone(samples))),
                Some(Err(message)) => Err(exec.fail(format!("error calling query: {message}"))),
                None => Err(Stop::Asks(text.to_owned())),
            };
        }
        "tmpl" => {
            let name = text(&args[0]).map_err(|message| exec.fail(message))?.to_owned();
            return exec.template_text(&name, &args[1]).map(Value::text);
        }
        "now" => return Ok(Value::Float(exec.at_ms as f64 / 1000.0)),
        "externalURL" => return Ok(Value::text(exec.external_url)),
        "pathPrefix" => return Ok(Value::text(path_of(exec.external_url))),
        _ => {}
    }
    pure(name, args).map_err(|message| exec.fail(format!("error calling {name}: {message}")))
}

/// Functions of their arguments alone.
fn pure(name: &str, args: &[Value]) -> Result<Value, String> {
    let number = || float(&args[0]);
    Ok(match name {
        "not" => Value::Bool(!args[0].is_true()),
        "len" => Value::Int(length(&args[0])?),
        "index" => args[1..].iter().try_fold(args[0].clone(), |value, key| index(&value, key))?,
        "slice" => slice(args)?,
        "print" => Value::text(print(args, false)),
        "println" => Value::text(print(args, true) + "\n"),
        "printf" => Value::text(printf(text(&args[0])?, &args[1..])),
        "html" => Value::text(escape_html(&print(args, false))),
        "urlquery" => Value::text(escape_query(&print(args, false))),
        "urlQueryEscape" => Value::text(escape_query(text(&args[0])?)),
        "eq" => Value::Bool(compare::equal_to_any(&args[0], &args[1..])?),
        "ne" => Value::Bool(!compare::equal_to_any(&args[0], &args[1..])?),
        "lt" => Value::Bool(compare::less(&args[0], &args[1])?),
        "le" => {
            Value::Bool(compare::less(&args[0], &args[1])? || compare::equal_to_any(&args[0], &args[1..])?)
        }
        "gt" => {
            Value::Bool(!compare::less(&args[0], &args[1])? && !compare::equal_to_any(&args[0], &args[1..])?)
        }
        "ge" => Value::Bool(!compare::less(&args[0], &args[1])?),
        "first" => match vector(&args[0])?.first() {
            Some(sample) => Value::Sample(Arc::new(sample.clone())),
            None => return Err("first() called on vector with no elements".to_owned()),
        },
        "label" => Value::text(sample(&args[1])?.labels.get(text(&args[0])?).unwrap_or("")),
        "value" => Value::Float(sample(&args[0])?.value),
        "strvalue" => Value::text(sample(&args[0])?.labels.get("__value__").unwrap_or("")),
        "sortByLabel" => {
            let by = text(&args[0])?;
            let mut samples = vector(&args[1])?.to_vec();
            samples.sort_by(|a, b| a.labels.get(by).unwrap_or("").cmp(b.labels.get(by).unwrap_or("")));
            Value::Vector(Arc::new(samples))
        }
        "args" => {
            let named = args.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
            Value::Map(Arc::new(named.collect::<BTreeMap<_, _>>()))
        }
        "reReplaceAll" => Value::text(regex(text(&args[0])?)?.replace_all(text(&args[2])?, text(&args[1])?)),
        "match" => Value::Bool(regex(text(&args[0])?)?.is_match(text(&args[1])?)),
        "title" => Value::text(title(text(&args[0])?)),
        "toUpper" => Value::text(text(&args[0])?.to_uppercase()),
        "toLower" => Value::text(text(&args[0])?.to_lowercase()),
        "safeHtml" => Value::text(text(&args[0])?),
        "stripPort" => Value::text(host_and_port(text(&args[0])?).map_or(text(&args[0])?, |(host, _)| host)),
        "stripDomain" => Value::text(strip_domain(text(&args[0])?)),
        "humanize" => Value::text(humanize(number()?)),
        "humanize1024" => Value::text(humanize_1024(number()?)),
        "humanizeDuration" => Value::text(humanize_duration(number()?)),
        "humanizePercentage" => Value::text(humanize_percentage(number()?)),
        "humanizeTimestamp" => Value::text(humanize_timestamp(number()?)?),
        "toTime" => Value::Time(time::from_seconds(number()?)?),
        "parseDuration" => {
            let given = text(&args[0])?;
            let ms =
                parse_duration_ms(given).ok_or_else(|| format!("not a valid duration string: {given:?}"))?;
            Value::Float(ms as f64 / 1000.0)
        }
        "graphLink" => Value::text(format!("/graph?g0.expr={}&g0.tab=0", escape_query(text(&args[0])?))),
        "tableLink" => Value::text(format!("/graph?g0.expr={}&g0.tab=1", escape_query(text(&args[0])?))),
        other => return Err(format!("function {other:?} not defined")),
    })
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Str(text) => Ok(text),
        // A map without the name reads as nothing, which is the empty text.
        Value::Nil => Ok(""),
        other => Err(format!("expected string; found {}", other.printed())),
    }
}

fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(x) => Ok(*x),
        Value::Int(n) => Ok(*n as f64),
        Value::Str(text) => {
            let plain = text.replace("Inf", "inf");
            plain.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn vector(value: &Value) -> Result<&[TemplateSample], String> {
    match value {
        Value::Vector(samples) => Ok(samples),
        other => Err(format!("expected the result of a query; found {}", other.printed())),
    }
}

fn sample(value: &Value) -> Result<&TemplateSample, String> {
    match value {
        Value::Sample(sample) => Ok(sample),
        other => Err(format!("expected a sample; found {}", other.printed())),
    }
}

/// The longest automaton that a template may ask for, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

fn regex(pattern: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|error| format!("error parsing regexp {pattern:?}: {error}"))
}

fn length(value: &Value) -> Result<i64, String> {
    Ok(match value {
        Value::Str(text) => text.len() as i64,
        Value::Vector(samples) => samples.len() as i64,
        Value::Labels(labels) => labels.iter().count() as i64,
        Value::Map(map) => map.len() as i64,
        other => return Err(format!("len of type {}", other.type_name())),
    })
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Labels(_) | Value::Map(_), Value::Str(name)) => value.field(name),
        (Value::Vector(samples), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| samples.get(at));
            found
                .map(|s| Value::Sample(Arc::new(s.clone())))
                .ok_or_else(|| format!("index out of range: {at}"))
        }
        (Value::Str(text), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
            found.map(|byte| Value::Int(i64::from(*byte))).ok_or_else(|| format!("index out of range: {at}"))
        }
        (value, key) => {
            Err(format!("can't index item of type {} with {}", value.type_name(), key.type_name()))
        }
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let bound = |at: usize, default: usize| match args.get(at) {
        None => Ok(default),
        Some(Value::Int(n)) => usize::try_from(*n).map_err(|_| format!("index out of range: {n}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let out_of_range = |end: usize| format!("index out of range: {end}");
    match &args[0] {
        Value::Str(text) => {
            let (start, end) = (bound(1, 0)?, bound(2, text.len())?);
            text.get(start..end).map(Value::text).ok_or_else(|| out_of_range(end))
        }
        Value::Vector(samples) => {
            let (start, end) = (bound(1, 0)?, bound(2, samples.len())?);
            let part = samples.get(start..end).ok_or_else(|| out_of_range(end))?;
            Ok(Value::Vector(Arc::new(part.to_vec())))
        }
        other => Err(format!("can't slice item of type {}", other.type_name())),
    }
}

/// Go's Sprint: a space between two operands where neither is text; Sprintln: always a space.
fn print(args: &[Value], spaced: bool) -> String {
    let mut out = String::new();
    for (at, value) in args.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Str(_));
        if at > 0 && (spaced || !(is_text(value) || is_text(&args[at - 1]))) {
            out.push(' ');
        }
        value.print(&mut out);
    }
    out
}

fn title(text: &str) -> String {
    let mut before = ' ';
    let upper = |c: char| {
        let starts =
            !(before.is_alphanumeric() || before == '_') && (before.is_whitespace() || before.is_ascii());
        before = c;
        if starts { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(upper).collect()
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Go's url.QueryEscape.
fn escape_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The path of a URL, without a slash at its end.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or("").trim_end_matches('/')
}

/// Go's net.SplitHostPort: `host:port` or `[v6]:port`.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return Some((host, after.strip_prefix(':')?));
    }
    let (host, port) = text.split_once(':')?;
    (!port.contains(':')).then_some((host, port))
}

fn strip_domain(text: &str) -> String {
    let (host, port) = host_and_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    if port.is_empty() { name.to_owned() } else { format!("{name}:{port}") }
}
