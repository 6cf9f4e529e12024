//! One StatsD line into its parts.

use crate::number;
use crate::outcome::{Problem, RejectKind, quote};
use crate::timestamp;

/// What a line says about its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Distribution,
    Set,
}

/// The parts of a line, as they stand in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// Values, with colons between them when there are several.
    pub(super) values: &'a str,
    pub(super) kind: Type,
    /// Share of events that the sender sent, above 0 and at most 1.
    pub(super) rate: f64,
    /// Tags with commas between them, without the `#`.
    pub(super) tags: &'a str,
    pub(super) timestamp_ms: Option<i64>,
}

/// Splits a line and judges everything but its values and tags.
pub(super) fn parse(line: &str) -> Result<Line<'_>, Problem> {
    let mut fields = line.split('|');
    let head = fields.next().unwrap_or_default();
    let (name, values) = head
        .split_once(':')
        .ok_or_else(|| Problem::syntax(format!("expected name:value|type, found {}", quote(line))))?;
    if name.is_empty() {
        return Err(Problem::new(RejectKind::Labels, "the metric name is empty"));
    }
    if values.is_empty() {
        return Err(Problem::new(RejectKind::Value, format!("{} has no value", quote(name))));
    }
    let kind = match fields.next() {
        Some("c") => Type::Counter,
        Some("g") => Type::Gauge,
        Some("ms" | "h" | "d") => Type::Distribution,
        Some("s") => Type::Set,
        Some(other) => {
            return Err(Problem::new(
                RejectKind::Type,
                format!("metric type {} is none of c, g, ms, h, d, s", quote(other)),
            ));
        }
        None => return Err(Problem::new(RejectKind::Type, format!("{} has no type", quote(name)))),
    };
    let mut parts = Line { name, values, kind, rate: 1.0, tags: "", timestamp_ms: None };
    for field in fields {
        parts.field(field)?;
    }
    Ok(parts)
}

impl<'a> Line<'a> {
    /// Takes one of the fields behind the type; they may come in any order.
    fn field(&mut self, field: &'a str) -> Result<(), Problem> {
        match field.as_bytes().first() {
            Some(b'@') => {
                self.rate = number::float(&field[1..])
                    .filter(|rate| *rate > 0.0 && *rate <= 1.0)
                    .ok_or_else(|| {
                        Problem::new(
                            RejectKind::Value,
                            format!("sample rate {} is not above 0 and at most 1", quote(field)),
                        )
                    })?;
            }
            Some(b'#') => self.tags = &field[1..],
            Some(b'T') => {
                let seconds = number::float(&field[1..]).and_then(timestamp::from_seconds);
                self.timestamp_ms = Some(seconds.ok_or_else(|| {
                    Problem::new(
                        RejectKind::Timestamp,
                        format!("timestamp {} is not T and Unix seconds", quote(field)),
                    )
                })?);
            }
            // Extensions name themselves, `c:`, `e:`, `card:`; those of later versions will too.
            _ if field
                .split_once(':')
                .is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase())) => {}
            _ => {
                return Err(Problem::syntax(format!(
                    "field {} is none of @rate, #tags, T<seconds>, key:value",
                    quote(field)
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_every_field_is_split() {
        let line = "page.views:1:2|c|@0.5|#env:dev,x|c:ci-83f8|T1656581400|e:it-false|card:low";
        assert_eq!(
            parse(line).unwrap(),
            Line {
                name: "page.views",
                values: "1:2",
                kind: Type::Counter,
                rate: 0.5,
                tags: "env:dev,x",
                timestamp_ms: Some(1_656_581_400_000),
            }
        );
    }

    #[test]
    fn each_broken_part_is_named() {
        let rows = [
            ("no colon", "abc", "expected name:value|type"),
            ("no name", ":1|c", "name is empty"),
            ("no value", "a:|c", "no value"),
            ("no type", "a:1", "no type"),
            ("an unknown type", "a:1|x", "\"x\" is none of"),
            ("a rate of zero", "a:1|c|@0", "\"@0\""),
            ("a rate above one", "a:1|c|@2", "\"@2\""),
            ("a rate that is no number", "a:1|c|@NaN", "\"@NaN\""),
            ("a timestamp that is none", "a:1|c|Tnow", "\"Tnow\""),
            ("a field of no sort", "a:1|c|?", "\"?\""),
        ];
        for (shows, line, part) in rows {
            let problem = parse(line).unwrap_err();
            assert!(problem.reason.contains(part), "{shows}: {}", problem.reason);
        }
    }
}
