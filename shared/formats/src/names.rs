//! Names as Prometheus spells them, for senders that spell them otherwise.
//!
//! The rule: every byte that is no ASCII letter, digit or underscore (in metric names also a colon)
//! becomes one underscore, a character of several bytes becomes one, and a name that starts with a
//! digit gets an underscore before it. So `api.requests.response_time` is `api_requests_response_time`.

use bumpalo::Bump;

/// A metric name by the rule; borrowed when it needs no change.
pub(crate) fn metric_name<'a>(name: &'a str, arena: &'a Bump) -> &'a str {
    sanitized(name, true, arena)
}

/// A label name by the rule; borrowed when it needs no change.
pub(crate) fn label_name<'a>(name: &'a str, arena: &'a Bump) -> &'a str {
    sanitized(name, false, arena)
}

fn allowed(byte: u8, colon: bool) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':')
}

fn sanitized<'a>(name: &'a str, colon: bool, arena: &'a Bump) -> &'a str {
    let digit = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if !digit && name.bytes().all(|b| allowed(b, colon)) {
        return name;
    }
    let mut clean = String::with_capacity(name.len() + 1);
    if digit {
        clean.push('_');
    }
    clean.extend(name.chars().map(|c| match u8::try_from(c) {
        Ok(byte) if allowed(byte, colon) => c,
        _ => '_',
    }));
    arena.alloc_str(&clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_documented_rule() {
        let arena = Bump::new();
        let rows = [
            ("already fine", "http_requests_total", "http_requests_total"),
            ("dots and dashes", "api.rate-limit.remaining", "api_rate_limit_remaining"),
            ("a colon of a rule", "job:up:sum", "job:up:sum"),
            ("a first digit", "2xx.count", "_2xx_count"),
            ("a character of several bytes", "größe", "gr__e"),
            ("nothing", "", ""),
        ];
        for (shows, name, want) in rows {
            assert_eq!(metric_name(name, &arena), want, "{shows}");
        }
        assert_eq!(label_name("a:b", &arena), "a_b");
    }
}
