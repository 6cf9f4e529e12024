//! Label matchers: `=`, `!=`, `=~` and `!~` with Prometheus' anchored regular expressions.

use std::fmt;

use regex::Regex;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

impl MatchOp {
    /// The operator as written in PromQL.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that a series does not have counts as the empty string.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    test: Test,
}

/// How a value is tested; regular expressions that only list words avoid the regex engine.
#[derive(Clone)]
enum Test {
    Exact,
    OneOf(Vec<String>),
    Anything,
    NotEmpty,
    Pattern(Regex),
}

/// A regular expression was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("bad regular expression {pattern:?} for label {label:?}: {reason}")]
pub struct MatcherError {
    label: String,
    pattern: String,
    reason: String,
}

impl Matcher {
    /// Memory one compiled expression may take, in bytes.
    const MAX_REGEX_BYTES: usize = 1 << 20;

    /// Builds a matcher and compiles its expression.
    ///
    /// # Errors
    /// [`MatcherError`] when the pattern is no regular expression, or compiles to more than 1 MiB.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Exact,
            MatchOp::Regex | MatchOp::NotRegex => Test::compile(value).map_err(|error| MatcherError {
                label: name.to_owned(),
                pattern: value.to_owned(),
                reason: error.to_string(),
            })?,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), test })
    }

    /// An equality matcher.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), test: Test::Exact }
    }

    /// The label it looks at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The text it compares with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// True when a label of this value (empty: no such label) passes.
    #[inline]
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let hit = match &self.test {
            Test::Exact => self.value == value,
            Test::OneOf(words) => words.iter().any(|word| word == value),
            Test::Anything => true,
            Test::NotEmpty => !value.is_empty(),
            Test::Pattern(regex) => regex.is_match(value),
        };
        match self.op {
            MatchOp::Equal | MatchOp::Regex => hit,
            MatchOp::NotEqual | MatchOp::NotRegex => !hit,
        }
    }

    /// True when series without the label pass too.
    #[must_use]
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// The only values that can pass, when they are few and known: lets an index look them up.
    #[must_use]
    pub fn candidates(&self) -> Option<Vec<&str>> {
        match (self.op, &self.test) {
            (MatchOp::Equal, _) => Some(vec![&self.value]),
            (MatchOp::Regex, Test::OneOf(words)) => Some(words.iter().map(String::as_str).collect()),
            _ => None,
        }
    }
}

impl Test {
    fn compile(pattern: &str) -> Result<Self, regex::Error> {
        match pattern {
            ".*" => return Ok(Self::Anything),
            ".+" => return Ok(Self::NotEmpty),
            _ => {}
        }
        // Prometheus anchors and lets the dot match line breaks.
        let regex = regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
            .size_limit(Matcher::MAX_REGEX_BYTES)
            .build()?;
        let plain = |c: char| c.is_alphanumeric() || "_-:/ ,=@#%~<>!\"'`;&".contains(c);
        if pattern.chars().all(|c| c == '|' || plain(c)) {
            return Ok(Self::OneOf(pattern.split('|').map(str::to_owned).collect()));
        }
        Ok(Self::Pattern(regex))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.symbol(), self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_agree_with_prometheus() {
        let rows = [
            ("equality", MatchOp::Equal, "a", "a", true),
            ("an absent label equals the empty string", MatchOp::Equal, "", "", true),
            ("inequality passes absent labels", MatchOp::NotEqual, "a", "", true),
            ("expressions are anchored", MatchOp::Regex, "a", "ba", false),
            ("alternatives", MatchOp::Regex, "a|b", "b", true),
            ("alternatives are anchored", MatchOp::Regex, "a|b", "bb", false),
            ("an empty alternative", MatchOp::Regex, "a|", "", true),
            ("plus needs something", MatchOp::Regex, ".+", "", false),
            ("star takes anything", MatchOp::Regex, ".*", "", true),
            ("a dot is any character", MatchOp::Regex, "a.c", "a\nc", true),
            ("negated", MatchOp::NotRegex, "a.*", "abc", false),
        ];
        for (shows, op, pattern, value, want) in rows {
            let matcher = Matcher::new("l", op, pattern).unwrap();
            assert_eq!(matcher.matches(value), want, "{shows}");
        }
        assert!(Matcher::new("l", MatchOp::Regex, "(").is_err());
    }
}
