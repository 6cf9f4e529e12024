//! Retention policies as YAML: classes of metrics by name, each with the age that its tiers are kept.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use serde_saphyr::Spanned;
use weir_lake::{Ages, ArchiveRule, Condition, RetentionClass, RetentionPolicy};
use weir_platform::StorageClass;

/// Largest file, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The class of the series that no other class has.
const DEFAULT: &str = "default";
/// What is written for an age that never comes.
const NEVER: &str = "never";

/// What is wrong with a file of policies, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PolicyError {
    /// The line, from 1; zero when it is the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    retention_policies: BTreeMap<String, Spanned<Class>>,
    #[serde(default)]
    archive: ArchiveForm,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchiveForm {
    /// Age of a day's end from which the day is archived, or `never`.
    after: Option<Spanned<String>>,
    /// Where their samples lie, by S3's name.
    storage_class: Option<Spanned<String>>,
}

impl ArchiveForm {
    fn rule(&self) -> Result<ArchiveRule, PolicyError> {
        let mut rule = ArchiveRule::default();
        if let Some(after) = &self.after {
            rule.after_ms = if after.value == NEVER { None } else { age(Some(after))? };
        }
        if let Some(class) = &self.storage_class {
            let names = || StorageClass::ALL.map(StorageClass::name).join(", ");
            let unknown = || {
                at(class.referenced.line(), format!("storage class {:?} is none of {}", class.value, names()))
            };
            rule.storage_class = StorageClass::by_name(&class.value).ok_or_else(unknown)?;
        }
        let alone = RetentionPolicy { archive: rule, ..RetentionPolicy::default() };
        let line = self.after.as_ref().map_or(0, |after| after.referenced.line());
        alone.check().map(|()| rule).map_err(|error| at(line, error.to_string()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    /// Names of metrics, as anchored regular expressions.
    #[serde(default)]
    metrics: Vec<Spanned<String>>,
    /// Selectors of series.
    #[serde(default, rename = "match")]
    selectors: Vec<Spanned<String>>,
    raw_retention: Option<Spanned<String>>,
    aggregated_1m_retention: Option<Spanned<String>>,
    aggregated_1h_retention: Option<Spanned<String>>,
    aggregated_1d_retention: Option<Spanned<String>>,
}

fn at(line: u64, message: impl Into<String>) -> PolicyError {
    PolicyError { line, message: message.into() }
}

/// Reads a policy from YAML. An age that is not given is for ever.
///
/// # Errors
/// [`PolicyError`] with the line of what is wrong.
pub fn parse_policy(text: &str) -> Result<RetentionPolicy, PolicyError> {
    if text.len() > MAX_BYTES {
        return Err(at(0, format!("{} bytes of retention policies, at most {MAX_BYTES}", text.len())));
    }
    let file: File = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |place| place.line());
        at(line, error.without_snippet().to_string().lines().next().unwrap_or_default())
    })?;
    let mut policy = RetentionPolicy { archive: file.archive.rule()?, ..RetentionPolicy::default() };
    for (name, class) in file.retention_policies {
        let line = class.referenced.line();
        let class = class.value;
        let ages = Ages {
            raw_ms: age(class.raw_retention.as_ref())?,
            aggregated_1m_ms: age(class.aggregated_1m_retention.as_ref())?,
            aggregated_1h_ms: age(class.aggregated_1h_retention.as_ref())?,
            aggregated_1d_ms: age(class.aggregated_1d_retention.as_ref())?,
        };
        if name == DEFAULT {
            if !class.metrics.is_empty() || !class.selectors.is_empty() {
                return Err(at(
                    line,
                    "class default is for the series of no other class: it takes no metrics and no match",
                ));
            }
            policy.default = ages;
            continue;
        }
        let mut any_of = Vec::new();
        for pattern in class.metrics {
            let value = pattern.value;
            any_of.push(vec![Condition { label: "__name__".to_owned(), op: "=~".to_owned(), value }]);
        }
        for selector in class.selectors {
            let line = selector.referenced.line();
            let parsed = weir_promql::parse_selector(&selector.value)
                .map_err(|error| at(line, format!("selector {:?}: {error}", selector.value)))?;
            let condition = |m: &weir_model::Matcher| Condition {
                label: m.name().to_owned(),
                op: m.op().symbol().to_owned(),
                value: m.value().to_owned(),
            };
            any_of.push(parsed.matchers.iter().map(condition).collect());
        }
        let class = RetentionClass { name, any_of, ages };
        let alone = RetentionPolicy { classes: vec![class.clone()], ..RetentionPolicy::default() };
        alone.check().map_err(|error| at(line, error.to_string()))?;
        policy.classes.push(class);
    }
    policy.check().map_err(|error| at(0, error.to_string()))?;
    Ok(policy)
}

/// Milliseconds of `24h`, `7d`, `1y`.
fn age(text: Option<&Spanned<String>>) -> Result<Option<i64>, PolicyError> {
    let Some(text) = text else { return Ok(None) };
    let parsed = weir_promql::parse_duration_ms(&text.value).filter(|ms| *ms > 0);
    let refused = || at(text.referenced.line(), format!("{:?} is no age such as 24h, 7d or 1y", text.value));
    parsed.ok_or_else(refused).map(Some)
}

/// A policy in the form of its file, which [`parse_policy`] reads back.
pub(crate) fn policy_form(policy: &RetentionPolicy) -> Value {
    let mut classes = Map::new();
    for class in &policy.classes {
        let mut form = ages_form(&class.ages);
        let (mut metrics, mut selectors) = (Vec::new(), Vec::new());
        for conditions in &class.any_of {
            match conditions.as_slice() {
                [only] if only.label == "__name__" && only.op == "=~" => metrics.push(json!(only.value)),
                all => {
                    let all = all.iter().map(|c| format!("{}{}{:?}", label(&c.label), c.op, c.value));
                    selectors.push(json!(format!("{{{}}}", all.collect::<Vec<_>>().join(", "))));
                }
            }
        }
        for (name, list) in [("metrics", metrics), ("match", selectors)] {
            if !list.is_empty() {
                form.insert(name.to_owned(), list.into());
            }
        }
        classes.insert(class.name.clone(), form.into());
    }
    if policy.default != Ages::default() {
        classes.insert(DEFAULT.to_owned(), ages_form(&policy.default).into());
    }
    let after = policy.archive.after_ms.map_or_else(|| NEVER.to_owned(), age_text);
    json!({ "retention_policies": classes, "archive": { "after": after, "storage_class": policy.archive.storage_class.name() } })
}

fn ages_form(ages: &Ages) -> Map<String, Value> {
    let fields = [
        ("raw_retention", ages.raw_ms),
        ("aggregated_1m_retention", ages.aggregated_1m_ms),
        ("aggregated_1h_retention", ages.aggregated_1h_ms),
        ("aggregated_1d_retention", ages.aggregated_1d_ms),
    ];
    fields.into_iter().filter_map(|(name, ms)| Some((name.to_owned(), json!(age_text(ms?))))).collect()
}

/// A label's name in a selector: in quotes unless it is a plain one.
fn label(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_plain = name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("{name:?}") }
}

/// Milliseconds in the largest unit that gives a whole number.
fn age_text(ms: i64) -> String {
    let units = [("y", 365 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, unit)| ms % unit == 0);
    let (name, unit) = whole.unwrap_or(("ms", 1));
    format!("{}{name}", ms / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_in_the_form_of_its_file_reads_back_the_same() {
        let policy = |text: &str| parse_policy(text).unwrap();
        for text in [
            include_str!("../../../infra/config/retention.yaml"),
            "retention_policies: {}",
            "retention_policies: {}\narchive: { after: never }",
            "archive: { after: 36h, storage_class: DEEP_ARCHIVE }\nretention_policies: {}",
            "retention_policies:\n  default: { raw_retention: 90m }\n  a:\n    metrics: ['a.\"\\d+']\n    match: ['{a=\"\\\\\\n\\\"ü\", \"b.c\"!~\"x|\"}', 'up{job!=\"\"}']\n    raw_retention: 3600001ms\n",
        ] {
            let form = policy_form(&policy(text)).to_string();
            assert_eq!(policy(&form), policy(text), "{form}");
        }
    }

    #[test]
    fn the_shipped_example_has_the_classes_and_ages_it_names() {
        let text = include_str!("../../../infra/config/retention.yaml");
        let policy = parse_policy(text).unwrap();
        let names: Vec<_> = policy.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["business_metrics", "high_frequency", "system_metrics"]);
        assert_eq!(policy.classes[1].ages.raw_ms, Some(86_400_000));
        assert_eq!(policy.default, Ages::default(), "the rest is kept for ever");
        assert_eq!(policy.archive, ArchiveRule::default(), "what is said is the default");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let rows = [
            ("retention_policies:\n  a:\n    raw_retention: soon\n    metrics: [x]\n", 3, "soon"),
            ("retention_policies:\n  a:\n    metrics: [\"(\"]\n", 3, "regular expression"),
            ("retention_policies:\n  a:\n    raw_retention: 7d\n", 3, "matches nothing"),
            ("retention_policies:\n  a:\n    match: [\"{x=\"]\n", 3, "selector"),
            ("retention_policies:\n  a:\n    metrics: [x]\n    raw: 7d\n", 4, "raw"),
            ("retention_policies:\n  default:\n    metrics: [x]\n", 3, "no other class"),
            ("retention_policies: {}\narchive:\n  after: 5m\n", 3, "shorter than an hour"),
            ("retention_policies: {}\narchive: { age: 5d }\n", 2, "age"),
            ("retention_policies: {}\narchive:\n  storage_class: COLD\n", 3, "GLACIER_IR"),
            (
                "retention_policies:\n  a:\n    metrics: [x]\n    raw_retention: 5m\n",
                3,
                "shorter than an hour",
            ),
        ];
        for (text, line, part) in rows {
            let error = parse_policy(text).unwrap_err();
            assert!(error.line == line && error.message.contains(part), "{text}: {error}");
        }
    }
}
