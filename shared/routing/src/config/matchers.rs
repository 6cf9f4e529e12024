//! Matchers as Alertmanager's configuration, API and amtool write them: `severity=~"page|warning"`.
//!
//! Alertmanager has two grammars. The classic one is read first, and the UTF-8 one where that fails, which is what
//! Alertmanager's fallback mode does.

use weir_model::{MatchOp, Matcher};

/// Longest text of matchers in bytes.
const MAX_BYTES: usize = 64 << 10;
/// Longest first: `=~` before `=`.
const OPS: [(&str, MatchOp); 4] =
    [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];

/// Reads matchers separated by commas, in braces or not.
///
/// # Errors
/// A message with the text that is no matcher.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("matchers of {} bytes are longer than {MAX_BYTES} bytes", text.len()));
    }
    classic(text).or_else(|refusal| utf8(text).map_err(|_| refusal))
}

fn build(name: &str, op: MatchOp, value: &str) -> Result<Matcher, String> {
    Matcher::new(name, op, value).map_err(|error| error.to_string())
}

/// The grammar of Alertmanager before 0.27: parts end at commas outside of quotes.
fn classic(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
                continue;
            }
            '"' if escaped => {}
            '"' => quoted = !quoted,
            '\\' => {
                escaped = !escaped;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    if !text[start..].trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts.into_iter().map(classic_part).collect()
}

fn classic_part(part: &str) -> Result<Matcher, String> {
    let refusal = || format!("bad matcher format: {part}");
    let text = part.trim();
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let name_end = text.find(|c: char| !first(c) && !c.is_ascii_digit()).ok_or_else(refusal)?;
    let (name, rest) = text.split_at(name_end);
    let rest = rest.trim_start();
    let (sign, op) = OPS.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(refusal)?;
    if !name.starts_with(first) {
        return Err(refusal());
    }
    let raw = rest[sign.len()..].trim();
    let stray = || format!("matcher value contains an unescaped double quote: {raw}");
    let (opened, inner) = match raw.strip_prefix('"') {
        Some(inner) => (true, inner),
        None => (false, raw),
    };
    let (mut value, mut escaped, mut open) = (String::new(), false, opened);
    for (at, c) in inner.char_indices() {
        let last = at + c.len_utf8() == inner.len();
        if escaped {
            escaped = false;
            match c {
                'n' => value.push('\n'),
                '"' | '\\' => value.push(c),
                // A backslash that escapes nothing stands for itself.
                _ => value.extend(['\\', c]),
            }
        } else if c == '\\' && !last {
            escaped = true;
        } else if c == '"' {
            if !open || !last {
                return Err(stray());
            }
            open = false;
        } else {
            value.push(c);
        }
    }
    if open {
        return Err(stray());
    }
    build(name, op, &value)
}

/// The grammar since 0.27: any text is a name, in double quotes where it holds a reserved character.
fn utf8(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim();
    let braced = rest.starts_with('{');
    if braced {
        rest = rest[1..].trim_end().strip_suffix('}').ok_or("no closing brace")?;
    }
    let mut matchers = Vec::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let (name, after) = word(rest)?;
        let after = after.trim_start();
        let (sign, op) = OPS.into_iter().find(|(sign, _)| after.starts_with(sign)).ok_or("no operator")?;
        let (value, after) = word(after[sign.len()..].trim_start())?;
        if name.is_empty() {
            return Err("a label's name is empty".to_owned());
        }
        matchers.push(build(&name, op, &value)?);
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',').ok_or("no comma between matchers")?.trim_start();
        }
    }
    Ok(matchers)
}

/// A quoted or plain word, and what follows it.
fn word(text: &str) -> Result<(String, &str), String> {
    let Some(inner) = text.strip_prefix('"') else {
        let reserved = |c: char| c.is_whitespace() || "{}!=~,\\\"'`".contains(c);
        let end = text.find(reserved).unwrap_or(text.len());
        return if end == 0 {
            Err("a word is missing".to_owned())
        } else {
            Ok((text[..end].to_owned(), &text[end..]))
        };
    };
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &inner[at + 1..])),
            '\\' => {
                let (_, escape) = chars.next().ok_or("a quote is not closed")?;
                let digits = match escape {
                    'n' => {
                        value.push('\n');
                        continue;
                    }
                    't' => {
                        value.push('\t');
                        continue;
                    }
                    'r' => {
                        value.push('\r');
                        continue;
                    }
                    '"' | '\\' => {
                        value.push(escape);
                        continue;
                    }
                    'u' => 4,
                    'U' => 8,
                    other => return Err(format!("unknown escape \\{other}")),
                };
                let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                value.push(code.ok_or("an escape names no character")?);
            }
            _ => value.push(c),
        }
    }
    Err("a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse_matchers(text) {
            Ok(all) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn matchers_read_as_alertmanager_reads_them() {
        let rows = [
            ("foo=bar", r#"foo="bar""#),
            ("{foo = \"bar\", dings != \"bums\", }", r#"foo="bar",dings!="bums""#),
            ("foo=bar,dings!=bums", r#"foo="bar",dings!="bums""#),
            ("statuscode=~\"5..\"", r#"statuscode=~"5..""#),
            ("quote=\"She said: \\\"Hi, ladies!\\\"\"", r#"quote="She said: \"Hi, ladies!\"""#),
            ("foo=", r#"foo="""#),
            ("foo=a b", r#"foo="a b""#),
            ("foo=\\d", r#"foo="\\d""#),
            ("foo=x\\", r#"foo="x\\""#),
            ("foo!~bar.*", r#"foo!~"bar.*""#),
            ("", ""),
            ("{}", ""),
            ("\"a b\"=c", r#"a b="c""#),
            ("{überschrift=\"x\\ty\"}", "überschrift=\"x\\ty\""),
            ("foo=\"bar", "error: matcher value contains an unescaped double quote: \"bar"),
            ("foo", "error: bad matcher format: foo"),
            ("foo=b\"ar", "error: matcher value contains an unescaped double quote: b\"ar"),
            ("1foo=bar,", r#"1foo="bar""#),
        ];
        for (text, want) in rows {
            assert_eq!(shown(text), want, "{text}");
        }
        assert!(shown("foo=~(").contains("bad regular expression \"(\" for label \"foo\""));
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_value_reads_as_itself_and_nothing_panics(value in "\\PC*", junk in "\\PC*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let all = parse_matchers(&format!("a=\"{escaped}\"")).unwrap();
            assert_eq!((all.len(), all[0].value()), (1, value.as_str()));
            let _ = parse_matchers(&junk);
        }
    }
}
