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

/// What a byte may be part of.
const LABEL: u8 = 1;
const METRIC: u8 = 2;
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() || c == b'_' {
            classes[byte] = LABEL | METRIC;
        } else if c == b':' {
            classes[byte] = METRIC;
        }
        byte += 1;
    }
    classes
};

/// Length of the bare name that `bytes` start with: letters, digits, underscores (and colons in metric
/// names), no digit first.
#[inline]
pub(crate) fn bare_len(bytes: &[u8], colon: bool) -> usize {
    let class = if colon { METRIC } else { LABEL };
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    bytes.iter().position(|b| CLASSES[usize::from(*b)] & class == 0).unwrap_or(bytes.len())
}

fn sanitized<'a>(name: &'a str, colon: bool, arena: &'a Bump) -> &'a str {
    if bare_len(name.as_bytes(), colon) == name.len() {
        return name;
    }
    let class = if colon { METRIC } else { LABEL };
    let mut clean = String::with_capacity(name.len() + 1);
    if name.as_bytes()[0].is_ascii_digit() {
        clean.push('_');
    }
    clean.extend(name.chars().map(|c| match u8::try_from(c) {
        Ok(byte) if CLASSES[usize::from(byte)] & class != 0 => c,
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
