//! Go's Sprintf over the values of templates.

use super::number::{fixed, general_precision, go_float, scientific};
use super::value::Value;

/// Widest field and longest precision; Go refuses from a million on, which no message needs.
const MAX_WIDTH: usize = 1000;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `args` by `format`; what does not fit shows as Go shows it, `%!d(string=x)`.
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len());
    let mut chars = format.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.peek() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => break,
            }
            chars.next();
        }
        spec.width = count(&mut chars, args, &mut next);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(count(&mut chars, args, &mut next).unwrap_or(0));
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        match args.get(next) {
            None => out.push_str(&format!("%!{verb}(MISSING)")),
            Some(value) => pad(&formatted(verb, value, &spec), value, &spec, &mut out),
        }
        next += 1;
    }
    if next < args.len() {
        out.push_str("%!(EXTRA ");
        for (at, value) in args[next..].iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            out.push_str(&format!("{}={}", value.type_name(), value.printed()));
        }
        out.push(')');
    }
    out
}

/// A width or precision: digits, or `*` for the next argument.
fn count(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    args: &[Value],
    next: &mut usize,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        let given = args.get(*next);
        *next += 1;
        return match given {
            Some(Value::Int(n)) => usize::try_from(*n).ok().map(|n| n.min(MAX_WIDTH)),
            _ => None,
        };
    }
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        number = Some((number.unwrap_or(0) * 10 + digit as usize).min(MAX_WIDTH));
        chars.next();
    }
    number
}

fn formatted(verb: char, value: &Value, spec: &Spec) -> String {
    let signed = |text: String| {
        if text.starts_with(['-', '+']) {
            text
        } else if spec.plus {
            format!("+{text}")
        } else if spec.space {
            format!(" {text}")
        } else {
            text
        }
    };
    match (verb, value) {
        ('v', Value::Float(x)) => signed(go_float(*x)),
        ('v', Value::Str(text)) if spec.sharp => format!("{text:?}"),
        ('v', Value::Int(n)) | ('d', Value::Int(n)) => signed(n.to_string()),
        ('v', other) => other.printed(),
        ('T', other) => other.type_name().to_owned(),
        ('t', Value::Bool(b)) => b.to_string(),
        ('s', Value::Str(text)) => cut(text, spec.precision),
        ('s', Value::Time(_)) => value.printed(),
        ('q', Value::Str(text)) => format!("{:?}", cut(text, spec.precision)),
        ('q', Value::Int(n)) => format!("{:?}", character(*n)),
        ('x', Value::Str(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
        ('X', Value::Str(text)) => text.bytes().map(|b| format!("{b:02X}")).collect(),
        ('b', Value::Int(n)) => based(*n, format!("{:b}", n.unsigned_abs()), ""),
        ('o', Value::Int(n)) => {
            based(*n, format!("{:o}", n.unsigned_abs()), if spec.sharp { "0" } else { "" })
        }
        ('x', Value::Int(n)) => {
            based(*n, format!("{:x}", n.unsigned_abs()), if spec.sharp { "0x" } else { "" })
        }
        ('X', Value::Int(n)) => {
            based(*n, format!("{:X}", n.unsigned_abs()), if spec.sharp { "0X" } else { "" })
        }
        ('c', Value::Int(n)) => character(*n).to_string(),
        ('U', Value::Int(n)) => format!("U+{n:04X}"),
        ('f' | 'F', Value::Float(x)) => signed(fixed(*x, spec.precision.unwrap_or(6))),
        ('e', Value::Float(x)) => signed(scientific(*x, Some(spec.precision.unwrap_or(6)))),
        ('E', Value::Float(x)) => signed(scientific(*x, Some(spec.precision.unwrap_or(6))).to_uppercase()),
        ('g', Value::Float(x)) => signed(general(*x, spec)),
        ('G', Value::Float(x)) => signed(general(*x, spec).to_uppercase()),
        (verb, Value::Nil) => format!("%!{verb}(<nil>)"),
        (verb, other) => format!("%!{verb}({}={})", other.type_name(), other.printed()),
    }
}

fn general(x: f64, spec: &Spec) -> String {
    spec.precision.map_or_else(|| go_float(x), |precision| general_precision(x, precision))
}

fn based(n: i64, digits: String, prefix: &str) -> String {
    format!("{}{prefix}{digits}", if n < 0 { "-" } else { "" })
}

fn character(n: i64) -> char {
    u32::try_from(n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

fn cut(text: &str, precision: Option<usize>) -> String {
    text.chars().take(precision.unwrap_or(usize::MAX)).collect()
}

fn pad(text: &str, value: &Value, spec: &Spec, out: &mut String) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        out.push_str(text);
    } else if spec.minus {
        out.push_str(text);
        out.push_str(&" ".repeat(missing));
    } else if spec.zero && matches!(value, Value::Int(_) | Value::Float(_)) {
        let sign = usize::from(text.starts_with(['-', '+']));
        out.push_str(&text[..sign]);
        out.push_str(&"0".repeat(missing));
        out.push_str(&text[sign..]);
    } else {
        out.push_str(&" ".repeat(missing));
        out.push_str(text);
    }
}
