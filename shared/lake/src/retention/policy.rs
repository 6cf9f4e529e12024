//! A retention policy as plain data: classes of series, and how long each tier of them is kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_model::{LabelsRef, MatchOp, Matcher, MatcherError, Tier};
use weir_platform::StorageClass;

use crate::archive::class_name;

/// Most classes of a policy.
const MAX_CLASSES: usize = 100;
/// Most conditions of a policy.
const MAX_CONDITIONS: usize = 1_000;
/// Shortest age: below it, samples could expire while they are on their way.
const MIN_AGE_MS: i64 = 3_600_000;

/// How long samples are kept, in milliseconds by their timestamps; `None` is for ever. No tier may go before a
/// finer one: it says what was, when the finer one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ages {
    /// Samples as they came.
    pub raw_ms: Option<i64>,
    /// Rollups of a minute.
    pub aggregated_1m_ms: Option<i64>,
    /// Rollups of an hour.
    pub aggregated_1h_ms: Option<i64>,
    /// Rollups of a day.
    pub aggregated_1d_ms: Option<i64>,
}

/// A condition on a label, as a matcher of PromQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Name of the label.
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub op: String,
    /// What it is compared with.
    pub value: String,
}

/// Series that are kept equally long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionClass {
    /// Its name.
    pub name: String,
    /// A series belongs to it when all conditions of at least one list hold.
    pub any_of: Vec<Vec<Condition>>,
    /// How long.
    pub ages: Ages,
}

/// How long which series are kept. A series of several classes is kept as long as the longest says; one of
/// none, as long as `default` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// The classes, by ascending name.
    pub classes: Vec<RetentionClass>,
    /// For the other series.
    pub default: Ages,
    /// When whole days of samples, of whatever series, are archived.
    #[serde(default)]
    pub archive: ArchiveRule,
}

/// When days of samples as they came are archived: merged and compressed as much as pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRule {
    /// The age of a day's end, in milliseconds; `None` is never.
    pub after_ms: Option<i64>,
    /// Where their samples then lie; series, exemplars and rollups stay where they can be read at once.
    #[serde(default, with = "class_name")]
    pub storage_class: StorageClass,
}

impl Default for ArchiveRule {
    /// After a week, within which most late samples come; where they can be read at once.
    fn default() -> Self {
        Self { after_ms: Some(7 * 86_400_000), storage_class: StorageClass::Standard }
    }
}

/// Why a policy was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum RetentionError {
    #[error("class {class:?}: {source}")]
    Matcher { class: String, source: MatcherError },
    #[error("class {class:?}: operator {op:?} of label {label:?} is none of =, !=, =~, !~")]
    Operator { class: String, label: String, op: String },
    #[error("class {class:?} matches nothing: give it metrics or match")]
    Empty { class: String },
    #[error("class {class:?}: {field} of {age_ms} ms is shorter than an hour, the least")]
    Age { class: String, field: &'static str, age_ms: i64 },
    #[error(
        "class {class:?}: {field} is shorter than {finer}, but a coarser tier is to outlive the finer one"
    )]
    Order { class: String, field: &'static str, finer: &'static str },
    #[error("{what}: {found}, at most {limit}")]
    Limit { what: &'static str, found: usize, limit: usize },
}

/// A policy with its matchers built.
#[derive(Clone)]
pub(crate) struct Compiled {
    classes: Vec<(Vec<Vec<Matcher>>, Ages)>,
    default: Ages,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("classes", &self.classes.len()).finish_non_exhaustive()
    }
}

impl RetentionPolicy {
    /// Checks the policy.
    ///
    /// # Errors
    /// [`RetentionError`], naming the class.
    pub fn check(&self) -> Result<(), RetentionError> {
        self.compile().map(drop)
    }

    pub(crate) fn compile(&self) -> Result<Compiled, RetentionError> {
        let bound = |what, found, limit| {
            (found <= limit).then_some(()).ok_or(RetentionError::Limit { what, found, limit })
        };
        bound("classes of a retention policy", self.classes.len(), MAX_CLASSES)?;
        let conditions = self.classes.iter().flat_map(|class| &class.any_of).map(Vec::len).sum();
        bound("conditions of a retention policy", conditions, MAX_CONDITIONS)?;
        check_ages("default", self.default)?;
        let compile = |class: &RetentionClass| {
            let name = &class.name;
            check_ages(name, class.ages)?;
            if class.any_of.is_empty() || class.any_of.iter().any(Vec::is_empty) {
                return Err(RetentionError::Empty { class: name.clone() });
            }
            let all = |list: &Vec<Condition>| list.iter().map(|c| c.compile(name)).collect();
            let any_of = class.any_of.iter().map(all).collect::<Result<Vec<Vec<Matcher>>, _>>()?;
            Ok((any_of, class.ages))
        };
        let classes = self.classes.iter().map(compile).collect::<Result<_, _>>()?;
        if let Some(age_ms) = self.archive.after_ms.filter(|age_ms| *age_ms < MIN_AGE_MS) {
            return Err(RetentionError::Age { class: "archive".to_owned(), field: "after", age_ms });
        }
        Ok(Compiled { classes, default: self.default })
    }
}

fn check_ages(class: &str, ages: Ages) -> Result<(), RetentionError> {
    let fields = [
        ("raw_retention", ages.raw_ms),
        ("aggregated_1m_retention", ages.aggregated_1m_ms),
        ("aggregated_1h_retention", ages.aggregated_1h_ms),
        ("aggregated_1d_retention", ages.aggregated_1d_ms),
    ];
    for (field, age_ms) in fields {
        if let Some(age_ms) = age_ms.filter(|age_ms| *age_ms < MIN_AGE_MS) {
            return Err(RetentionError::Age { class: class.to_owned(), field, age_ms });
        }
    }
    for pair in fields.windows(2) {
        let [(finer, finer_ms), (field, age_ms)] = pair else { continue };
        if age_ms.is_some_and(|age_ms| finer_ms.is_none_or(|finer_ms| age_ms < finer_ms)) {
            return Err(RetentionError::Order { class: class.to_owned(), field, finer });
        }
    }
    Ok(())
}

impl Ages {
    /// The age of a tier; of samples as they came without one.
    pub(crate) fn of(&self, tier: Option<Tier>) -> Option<i64> {
        match tier {
            None => self.raw_ms,
            Some(Tier::Minute) => self.aggregated_1m_ms,
            Some(Tier::Hour) => self.aggregated_1h_ms,
            Some(Tier::Day) => self.aggregated_1d_ms,
        }
    }
}

impl Condition {
    fn compile(&self, class: &str) -> Result<Matcher, RetentionError> {
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let Some(op) = ops.into_iter().find(|op| op.symbol() == self.op) else {
            let (class, label, op) = (class.to_owned(), self.label.clone(), self.op.clone());
            return Err(RetentionError::Operator { class, label, op });
        };
        Matcher::new(&self.label, op, &self.value)
            .map_err(|source| RetentionError::Matcher { class: class.to_owned(), source })
    }
}

impl Compiled {
    /// How long a tier of a series (or its samples) is kept; `None` for ever.
    pub(crate) fn age_ms(&self, tier: Option<Tier>, labels: LabelsRef<'_>) -> Option<i64> {
        let all = |list: &Vec<Matcher>| list.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")));
        let mut longest = None;
        for (_, ages) in self.classes.iter().filter(|(any_of, _)| any_of.iter().any(all)) {
            longest = longest.max(Some(ages.of(tier)?));
        }
        longest.or(self.default.of(tier))
    }

    fn ages(&self, tier: Option<Tier>) -> impl Iterator<Item = Option<i64>> {
        self.classes.iter().map(|(_, ages)| ages).chain([&self.default]).map(move |ages| ages.of(tier))
    }

    /// The ages of a tier that end, without order.
    pub(crate) fn finite_ms(&self, tier: Option<Tier>) -> impl Iterator<Item = i64> {
        self.ages(tier).flatten()
    }

    /// The shortest age of a tier, if any ends.
    pub(crate) fn shortest_ms(&self, tier: Option<Tier>) -> Option<i64> {
        self.finite_ms(tier).min()
    }

    /// The longest age of a tier, if all end.
    pub(crate) fn longest_ms(&self, tier: Option<Tier>) -> Option<i64> {
        if self.ages(tier).any(|age_ms| age_ms.is_none()) { None } else { self.finite_ms(tier).max() }
    }
}

#[cfg(test)]
mod tests {
    use weir_model::Labels;

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn class(name: &str, pattern: &str, raw_ms: Option<i64>) -> RetentionClass {
        let condition = Condition { label: "__name__".into(), op: "=~".into(), value: pattern.into() };
        let ages = Ages { raw_ms, ..Ages::default() };
        RetentionClass { name: name.into(), any_of: vec![vec![condition]], ages }
    }

    #[test]
    fn the_longest_class_of_a_series_counts_and_the_default_only_for_series_of_none() {
        let classes = vec![
            class("all_http", "http_.*", Some(DAY_MS)),
            class("errors", ".*_errors", Some(7 * DAY_MS)),
            class("audit", "audit_.*", None),
        ];
        let default = Ages { raw_ms: Some(2 * DAY_MS), ..Ages::default() };
        let compiled = RetentionPolicy { classes, default, ..RetentionPolicy::default() }.compile().unwrap();
        for (name, want) in [
            ("http_requests", Some(DAY_MS)),
            ("http_errors", Some(7 * DAY_MS)),
            ("audit_errors", None),
            ("other", Some(2 * DAY_MS)),
        ] {
            let labels = Labels::from_pairs([("__name__", name)]);
            assert_eq!(compiled.age_ms(None, labels.borrowed()), want, "{name}");
        }
        assert_eq!((compiled.shortest_ms(None), compiled.longest_ms(None)), (Some(DAY_MS), None));
    }

    #[test]
    fn policies_that_cannot_be_meant_are_refused_by_class() {
        let ages = |raw_ms, aggregated_1m_ms, aggregated_1h_ms| {
            let ages = Ages { raw_ms, aggregated_1m_ms, aggregated_1h_ms, ..Ages::default() };
            RetentionClass { ages, ..class("c", "a", None) }
        };
        let mut operator = class("c", "a", None);
        operator.any_of[0][0].op = "==".into();
        let rows = [
            (class("c", "(", None), "regular expression"),
            (class("c", "a", Some(1)), "shorter than an hour"),
            (RetentionClass { any_of: vec![], ..class("c", "a", None) }, "matches nothing"),
            (operator, "operator \"==\""),
            (ages(Some(2 * DAY_MS), Some(DAY_MS), None), "aggregated_1m_retention is shorter than raw"),
            (ages(None, Some(DAY_MS), None), "shorter than raw_retention"),
            (ages(Some(DAY_MS), None, Some(DAY_MS)), "aggregated_1h_retention is shorter"),
        ];
        for (bad, part) in rows {
            let policy = RetentionPolicy { classes: vec![bad], ..RetentionPolicy::default() };
            let error = policy.check().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("\"c\""), "{error}");
        }
    }
}
