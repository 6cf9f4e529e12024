//! Rule files in Prometheus' format: read, checked, and ready to evaluate.

mod check;
mod names;
mod yaml;

use std::sync::Arc;

use weir_promql::ast::Expr;

use crate::template::Template;
use crate::yaml::Problem;
pub use names::is_label_name;

/// Largest rule file in bytes.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// Most rules of one file.
pub const MAX_RULES: usize = 100_000;

/// A rule file.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// The name that it was read under.
    pub name: String,
    /// Its groups in order.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other, each seeing what those before it gave.
#[derive(Debug, Clone)]
pub struct Group {
    /// The name of its file.
    pub file: Arc<str>,
    /// Its name, unique within the file.
    pub name: String,
    /// Time between evaluations; `None` for the default of whoever evaluates.
    pub interval_ms: Option<i64>,
    /// How far its queries look behind the time of an evaluation.
    pub query_offset_ms: i64,
    /// Most series, or active alerts, of each rule; zero without a limit.
    pub limit: usize,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// A recording or alerting rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The metric it records, or the alert's name.
    pub name: String,
    /// What it evaluates.
    pub expr: Expr,
    /// The text of `expr`.
    pub query: String,
    /// Labels it sets, by name; those of the group are among them.
    pub labels: Vec<(String, Template)>,
    /// What an alerting rule has beyond that.
    pub alert: Option<Alerting>,
    /// The line in its file where it starts, from 1.
    pub line: u64,
}

/// What an alerting rule has beyond a recording rule.
#[derive(Debug, Clone)]
pub struct Alerting {
    /// How long the condition must hold before the alert fires.
    pub for_ms: i64,
    /// How long the alert goes on firing when the condition no longer holds.
    pub keep_firing_for_ms: i64,
    /// Texts for people, by name.
    pub annotations: Vec<(String, Template)>,
}

/// A rule file with problems, all of them in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct RuleFileError {
    /// The file's name.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl RuleFileError {
    fn lines(&self) -> String {
        self.problems.iter().map(|problem| problem.in_file(&self.file)).collect::<Vec<_>>().join("\n")
    }
}

/// Two rules that would write the same series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// `record` or `alert` of both.
    pub name: String,
    /// Labels of both.
    pub labels: String,
    /// File and line of the first.
    pub first: String,
    /// File and line of the second.
    pub second: String,
}

impl RuleFile {
    /// Reads a rule file and checks all of it.
    ///
    /// # Errors
    /// [`RuleFileError`] with every problem found: the first one alone when the text is no YAML of the right
    /// shape.
    pub fn parse(name: &str, text: &str) -> Result<Self, RuleFileError> {
        let fail = |problems| RuleFileError { file: name.to_owned(), problems };
        let raw = yaml::read(text).map_err(|problem| fail(vec![problem]))?;
        check::check(name, raw).map_err(fail)
    }

    /// Number of rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }
}

impl Rule {
    /// The labels it sets as they are written, for people.
    #[must_use]
    pub fn label_texts(&self) -> Vec<(&str, &str)> {
        self.labels.iter().map(|(name, template)| (name.as_str(), template.source())).collect()
    }
}

/// Rules of the same kind, name and labels, in any of the files: each overwrites what the other writes.
#[must_use]
pub fn duplicates<'f>(files: impl IntoIterator<Item = &'f RuleFile>) -> Vec<Duplicate> {
    let mut first_seen = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for file in files {
        for rule in file.groups.iter().flat_map(|group| &group.rules) {
            let labels =
                rule.label_texts().iter().map(|(n, v)| format!("{n}={v:?}")).collect::<Vec<_>>().join(", ");
            let place = format!("{}:{}", file.name, rule.line);
            let key = (rule.alert.is_some(), rule.name.clone(), labels);
            match first_seen.get(&key) {
                None => drop(first_seen.insert(key, place)),
                Some(first) => {
                    let (_, name, labels) = key;
                    found.push(Duplicate { name, labels, first: String::clone(first), second: place });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
