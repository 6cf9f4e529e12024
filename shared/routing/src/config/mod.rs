//! Alertmanager's configuration file: read strictly, checked, ready to route by.

mod check;
mod intervals;
mod matchers;
mod raw;
mod receivers;
mod route;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use weir_model::Matcher;
use weir_rules::Problem;

pub use intervals::TimeInterval;
pub use matchers::parse_matchers;
pub use receivers::{Channel, Integration, Receiver, SecretSource};
pub use route::{GroupBy, Route, all_match};
pub use text::Text;

/// Largest file in bytes.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Most routes, receivers, inhibition rules or time intervals.
pub const MAX_ENTRIES: usize = 10_000;

/// Where alerts go.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How long an alert fires that nobody speaks of any more, in milliseconds. Weir's own rules say when an
    /// alert ends, so that this is only shown.
    pub resolve_timeout_ms: i64,
    /// The root of the routing tree.
    pub route: Route,
    /// In order.
    pub inhibit_rules: Vec<InhibitRule>,
    /// By name.
    pub receivers: BTreeMap<String, Receiver>,
    /// By name.
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// The text that it was read from.
    pub original: String,
}

/// Alerts that keep others quiet.
#[derive(Debug, Clone, PartialEq)]
pub struct InhibitRule {
    /// Alerts that do.
    pub source: Vec<Matcher>,
    /// Alerts that are kept quiet.
    pub target: Vec<Matcher>,
    /// Labels of which both have the same values.
    pub equal: Vec<String>,
}

/// A configuration with problems, all of them in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.file, .problems))]
pub struct ConfigError {
    /// The file's name.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

fn lines(file: &str, problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.in_file(file)).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// The shipped configuration, infra/config/routing.yml.
    ///
    /// # Errors
    /// [`ConfigError`] when it is damaged, which a test rules out.
    pub fn shipped() -> Result<Self, ConfigError> {
        Self::parse("infra/config/routing.yml", include_str!("../../../../infra/config/routing.yml"))
    }

    /// Reads a configuration and checks all of it.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found: the first one alone when the text is no YAML of the right
    /// shape.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let fail = |problems| ConfigError { file: name.to_owned(), problems };
        if text.len() > MAX_FILE_BYTES {
            let message = format!("file of {} bytes is larger than {MAX_FILE_BYTES} bytes", text.len());
            return Err(fail(vec![Problem { line: 0, column: 0, message }]));
        }
        let raw = weir_rules::read_yaml(text).map_err(|problem| fail(vec![problem]))?;
        check::check(raw, text).map_err(fail)
    }
}
