//! Unit tests of rules in promtool's format: input series, then what alerts fire and what queries give.

mod compare;
mod run;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

use weir_model::Labels;
use weir_promql::ast::Expr;
use weir_promql::memory::MemoryStorage;

use crate::file::RuleFile;
use crate::yaml::Problem;
use compare::ExpectedSample;

/// Most evaluations of one test: its longest time over its interval.
const MAX_EVALUATIONS: i64 = 1_000_000;

/// A file of unit tests, read and checked.
#[derive(Debug)]
pub struct UnitTestFile {
    /// Files with the rules under test, as patterns relative to this file.
    pub rule_files: Vec<String>,
    interval_ms: i64,
    group_order: Vec<String>,
    fuzzy: bool,
    tests: Vec<Test>,
}

/// One test: series, and what is expected of the rules over them.
#[derive(Debug)]
struct Test {
    name: String,
    input: MemoryStorage,
    external_labels: Labels,
    external_url: String,
    alerts: Vec<AlertTest>,
    queries: Vec<QueryTest>,
}

/// Which alerts of a name fire at a time.
#[derive(Debug)]
struct AlertTest {
    at_ms: i64,
    name: String,
    /// Labels and annotations, ascending.
    expected: Vec<(Labels, Labels)>,
    line: u64,
}

/// What a query gives at a time.
#[derive(Debug)]
struct QueryTest {
    at_ms: i64,
    text: String,
    expr: Expr,
    expected: Vec<ExpectedSample>,
    line: u64,
}

/// Something that a test expected and that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line of the expectation in the file of tests, or zero.
    pub line: u64,
    /// What was expected and what came.
    pub message: String,
}

impl UnitTestFile {
    /// Reads a file of unit tests.
    ///
    /// # Errors
    /// Every problem found, with its place.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        yaml::read(text)
    }

    /// Number of tests.
    #[must_use]
    pub fn test_count(&self) -> usize {
        self.tests.len()
    }

    /// Runs every test over these rules and returns what was not as expected.
    pub async fn run(&self, files: &[RuleFile]) -> Vec<Failure> {
        let mut groups: Vec<_> = files.iter().flat_map(|file| &file.groups).collect();
        let order: BTreeMap<&str, usize> =
            self.group_order.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        groups.sort_by_key(|group| order.get(group.name.as_str()).copied().unwrap_or(usize::MAX));
        let mut failures = Vec::new();
        for test in &self.tests {
            failures.extend(test.run(&groups, self.interval_ms, self.fuzzy).await);
        }
        failures
    }
}
