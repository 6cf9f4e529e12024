//! The file that says which series go to which sinks, and how often (infra/config/sinks.yaml).

use serde::Deserialize;
use serde_saphyr::Spanned;
use weir_model::{LabelsRef, METRIC_NAME, MatchOp, Matcher, TenantId};
use weir_promql::{parse_duration_ms, parse_selector};
use weir_rules::Problem;

/// Largest file in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Most rules of a file.
pub const MAX_RULES: usize = 100;
/// Most selectors and patterns of all rules.
const MAX_CONDITIONS: usize = 1_000;
/// Sinks that a rule may name.
const SINKS: [&str; 2] = ["cloudwatch", "timestream"];
const DAY_MS: i64 = 86_400_000;
const SECOND_MS: i64 = 1_000;

/// The rules. Nothing is sent that none of them chooses, since sinks cost money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkRules {
    /// In order: the first one that chooses a series for a sink says how often.
    pub rules: Vec<SinkRule>,
}

/// One choice of series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkRule {
    /// Whose series.
    pub tenant: TenantId,
    /// A series is chosen when all matchers of one list hold.
    pub any_of: Vec<Vec<Matcher>>,
    /// Length of an interval, which gives one point, in milliseconds; divides a day.
    pub every_ms: i64,
    /// The sinks; empty for every one that is on.
    pub to: Vec<String>,
}

/// A file that cannot be used: every problem of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.file, .problems))]
pub struct SinkRulesError {
    /// The file's name.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

fn lines(file: &str, problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.in_file(file)).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    sinks: Vec<Spanned<RawRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default)]
    metrics: Vec<Spanned<String>>,
    #[serde(default, rename = "match")]
    selectors: Vec<Spanned<String>>,
    every: Option<Spanned<String>>,
    #[serde(default)]
    to: Vec<Spanned<String>>,
    tenant: Option<Spanned<String>>,
}

impl SinkRules {
    /// The shipped rules, infra/config/sinks.yaml, which choose nothing.
    ///
    /// # Errors
    /// [`SinkRulesError`] when they are damaged, which a test rules out.
    pub fn shipped() -> Result<Self, SinkRulesError> {
        Self::parse("infra/config/sinks.yaml", include_str!("../../../infra/config/sinks.yaml"))
    }

    /// Reads rules and checks all of them.
    ///
    /// # Errors
    /// [`SinkRulesError`] with every problem found: the first one alone when the text is no YAML of the right
    /// shape.
    pub fn parse(name: &str, text: &str) -> Result<Self, SinkRulesError> {
        let fail = |problems| SinkRulesError { file: name.to_owned(), problems };
        let whole = |message| Problem { line: 0, column: 0, message };
        if text.len() > MAX_FILE_BYTES {
            let message = format!("file of {} bytes is larger than {MAX_FILE_BYTES} bytes", text.len());
            return Err(fail(vec![whole(message)]));
        }
        let raw: RawFile = weir_rules::read_yaml(text).map_err(|problem| fail(vec![problem]))?;
        let conditions: usize =
            raw.sinks.iter().map(|rule| rule.value.metrics.len() + rule.value.selectors.len()).sum();
        for (what, found, limit) in
            [("rules", raw.sinks.len(), MAX_RULES), ("selectors and patterns", conditions, MAX_CONDITIONS)]
        {
            if found > limit {
                return Err(fail(vec![whole(format!("{found} {what}, at most {limit}"))]));
            }
        }
        let mut problems = Vec::new();
        let rules: Vec<SinkRule> = raw.sinks.iter().filter_map(|raw| rule(raw, &mut problems)).collect();
        if problems.is_empty() { Ok(Self { rules }) } else { Err(fail(problems)) }
    }

    /// The rules that may choose series of a tenant for a sink, in order.
    #[must_use]
    pub fn of(&self, tenant: &TenantId, sink: &str) -> Vec<&SinkRule> {
        let concerns = |rule: &&SinkRule| {
            rule.tenant == *tenant && (rule.to.is_empty() || rule.to.iter().any(|to| to == sink))
        };
        self.rules.iter().filter(concerns).collect()
    }
}

impl SinkRule {
    /// Whether it chooses the series.
    #[must_use]
    pub fn chooses(&self, labels: LabelsRef<'_>) -> bool {
        let holds = |matcher: &Matcher| matcher.matches(labels.get(matcher.name()).unwrap_or(""));
        self.any_of.iter().any(|all| all.iter().all(holds))
    }
}

/// One rule, or its problems.
fn rule(raw: &Spanned<RawRule>, problems: &mut Vec<Problem>) -> Option<SinkRule> {
    let before = problems.len();
    let mut any_of = Vec::new();
    let it = &raw.value;
    for pattern in &it.metrics {
        match Matcher::new(METRIC_NAME, MatchOp::Regex, &pattern.value) {
            Ok(matcher) => any_of.push(vec![matcher]),
            Err(error) => problems.push(Problem::at(pattern.referenced, error.to_string())),
        }
    }
    for selector in &it.selectors {
        match parse_selector(&selector.value) {
            Ok(parsed) => any_of.push(parsed.matchers),
            Err(error) => {
                let message = format!("selector {:?}: {error}", selector.value);
                problems.push(Problem::at(selector.referenced, message));
            }
        }
    }
    if it.metrics.is_empty() && it.selectors.is_empty() {
        let message = "the rule chooses nothing: give it metrics (patterns of names) or match (selectors)";
        problems.push(Problem::at(raw.referenced, message));
    }
    let every_ms = every(it.every.as_ref()).unwrap_or_else(|message| {
        let place = it.every.as_ref().map_or(raw.referenced, |every| every.referenced);
        problems.push(Problem::at(place, message));
        0
    });
    for to in it.to.iter().filter(|to| !SINKS.contains(&to.value.as_str())) {
        let message = format!("{:?} is no sink; there are {}", to.value, SINKS.join(" and "));
        problems.push(Problem::at(to.referenced, message));
    }
    let tenant = match it.tenant.as_ref().map(|tenant| (tenant, TenantId::new(&tenant.value))) {
        None => TenantId::default(),
        Some((_, Ok(tenant))) => tenant,
        Some((written, Err(error))) => {
            problems.push(Problem::at(written.referenced, error.to_string()));
            TenantId::default()
        }
    };
    let to = it.to.iter().map(|to| to.value.clone()).collect();
    (problems.len() == before).then_some(SinkRule { tenant, any_of, every_ms, to })
}

/// The length of an interval.
fn every(written: Option<&Spanned<String>>) -> Result<i64, String> {
    let Some(text) = written.map(|written| &written.value) else {
        return Err("the rule has no every: say how often a series is sent, such as 60s".to_owned());
    };
    match parse_duration_ms(text) {
        Some(ms) if (SECOND_MS..=DAY_MS).contains(&ms) && DAY_MS % ms == 0 => Ok(ms),
        Some(_) => Err(format!("every {text:?}: from 1s to 1d, and a day must be a whole number of it")),
        None => Err(format!("every {text:?} is no duration such as 60s, 5m or 1h")),
    }
}

#[cfg(test)]
mod tests {
    use weir_model::Labels;

    use super::*;

    #[test]
    fn the_shipped_rules_choose_nothing_and_their_example_is_one() {
        assert_eq!(SinkRules::shipped().unwrap(), SinkRules::default());
        let text = include_str!("../../../infra/config/sinks.yaml");
        let example: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("#   "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(SinkRules::parse("the example", &example).unwrap().rules.len(), 3);
    }

    #[test]
    fn the_first_rule_of_a_tenant_and_sink_that_fits_says_how_often() {
        let text = r#"
sinks:
- { metrics: ["kpi_.*"], every: 5m, to: [cloudwatch] }
- { match: ['{job="api"}', up], every: 60s }
- { metrics: [".*"], every: 1h, tenant: acme }
"#;
        let rules = SinkRules::parse("sinks.yaml", text).unwrap();
        let every = |tenant: &str, sink: &str, labels: &[(&str, &str)]| {
            let labels = Labels::from_pairs(labels.iter().copied());
            let of = rules.of(&TenantId::new(tenant).unwrap(), sink);
            of.into_iter().find(|rule| rule.chooses(labels.borrowed())).map(|rule| rule.every_ms / 1_000)
        };
        let rows = [
            (("default", "cloudwatch", &[("__name__", "kpi_a"), ("job", "api")][..]), Some(300)),
            (("default", "timestream", &[("__name__", "kpi_a"), ("job", "api")][..]), Some(60)),
            (("default", "timestream", &[("__name__", "up")][..]), Some(60)),
            (("default", "timestream", &[("__name__", "down")][..]), None),
            (("acme", "timestream", &[("__name__", "down")][..]), Some(3_600)),
            (("other", "timestream", &[("__name__", "up")][..]), None),
        ];
        for ((tenant, sink, labels), want) in rows {
            assert_eq!(every(tenant, sink, labels), want, "{tenant} {sink} {labels:?}");
        }
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let rows = [
            ("sinks:\n- { every: 60s }\n", "f:2:3: the rule chooses nothing"),
            ("sinks:\n- metrics: [a]\n", "no every"),
            ("sinks:\n- metrics: [a]\n  every: 7s\n", "f:3:10: every \"7s\": from 1s to 1d"),
            ("sinks:\n- metrics: [a]\n  every: 2d\n", "from 1s to 1d"),
            ("sinks:\n- metrics: [a]\n  every: often\n", "is no duration"),
            ("sinks:\n- metrics: ['(']\n  every: 60s\n", "f:2:13: bad regular expression"),
            ("sinks:\n- match: ['{a=']\n  every: 60s\n", "f:2:11: selector"),
            ("sinks:\n- { metrics: [a], every: 60s, to: [datadog] }\n", "\"datadog\" is no sink"),
            ("sinks:\n- { metrics: [a], every: 60s, tenant: a/b }\n", "tenant id"),
            ("sinks:\n- { metrics: [a], every: 60s, often: 1 }\n", "unknown field"),
            ("x: 1\n", "f:1"),
        ];
        for (text, want) in rows {
            let error = SinkRules::parse("f", text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
        let two = SinkRules::parse("f", "sinks:\n- metrics: ['(']\n  every: 7s\n").unwrap_err();
        assert_eq!(two.problems.len(), 2);
        let many = format!("sinks:\n{}", "- { metrics: [a], every: 60s }\n".repeat(MAX_RULES + 1));
        assert!(SinkRules::parse("f", &many).unwrap_err().to_string().contains("101 rules, at most 100"));
    }
}
