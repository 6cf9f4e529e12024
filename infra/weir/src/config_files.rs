//! `weir check routing`, `weir check sinks` and `weir check config`: what is wrong with configuration files, and where.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use weir_forward::SinkRules;
use weir_routing::Config;
use weir_rules::{Guide, RuleFile};

use crate::banner::{complain, say};
use crate::cli::CheckFiles;

/// Checks Alertmanager configurations; the status tells whether all are good.
pub(crate) fn check_routing(settings: &CheckFiles) -> ExitCode {
    check(settings, routing)
}

/// Checks rules of sinks; the status tells whether all are good.
pub(crate) fn check_sinks(settings: &CheckFiles) -> ExitCode {
    check(settings, sinks)
}

/// Checks configuration files of any kind; the status tells whether all are good.
pub(crate) fn check_any(settings: &CheckFiles) -> ExitCode {
    check(settings, any)
}

fn check(settings: &CheckFiles, read: impl Fn(&str, &str) -> Result<String>) -> ExitCode {
    let mut failed = false;
    for path in &settings.files {
        say(&format!("Checking {}", path.display()));
        match text_of(path).and_then(|text| read(&path.display().to_string(), &text)) {
            Err(error) => {
                complain(&format!("  FAILED:\n{error:#}\n"));
                failed = true;
            }
            Ok(found) => say(&format!("  SUCCESS: {found}\n")),
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn text_of(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn routing(name: &str, text: &str) -> Result<String> {
    let config = Config::parse(name, text)?;
    Ok(format!(
        "routing with {} routes, {} receivers, {} inhibit rules, {} time intervals",
        config.route.walk().len(),
        config.receivers.len(),
        config.inhibit_rules.len(),
        config.time_intervals.len()
    ))
}

fn sinks(name: &str, text: &str) -> Result<String> {
    let rules = SinkRules::parse(name, text)?.rules;
    Ok(format!("sinks: {} rules", rules.len()))
}

/// What a file is, by the members that its kind always has.
fn any(name: &str, text: &str) -> Result<String> {
    let member =
        |wanted: &str| text.lines().any(|line| line.split(':').next() == Some(wanted) && line.contains(':'));
    if member("groups") {
        let rules = RuleFile::parse(name, text)?.rule_count();
        Ok(format!("rules: {rules} found"))
    } else if member("route") || member("receivers") {
        routing(name, text)
    } else if member("retention_policies") {
        let policy = weir_archive::parse_policy(text)
            .map_err(|error| anyhow::anyhow!("{name}:{}: {}", error.line, error.message))?;
        Ok(format!("retention policies: {} classes", policy.classes.len()))
    } else if member("sinks") {
        sinks(name, text)
    } else if member("events") {
        crate::events::read(name, text)?;
        Ok("mapping of events".to_owned())
    } else if member("impacts") || member("business_hours") || member("plot_url") {
        let guide = Guide::parse(text).map_err(|problem| anyhow::anyhow!("{name}:{problem}"))?;
        Ok(format!("what alerts mean: {} impacts", guide.impact_count()))
    } else {
        bail!(
            "{name}: neither rules (groups), routing (route), retention (retention_policies), sinks (sinks), events (events) nor impacts (impacts)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_what_it_holds() {
        let rows = [
            (include_str!("../../config/routing.yml"), "routing with"),
            (include_str!("../../config/retention.yaml"), "retention policies: 3 classes"),
            (include_str!("../../config/sinks.yaml"), "sinks: 0 rules"),
            (include_str!("../../config/events.yml"), "mapping of events"),
            (include_str!("../../config/impact.yml"), "what alerts mean: 13 impacts"),
            (include_str!("../../config/rules/alerts.yml"), "rules: "),
        ];
        for (text, want) in rows {
            assert!(any("file", text).unwrap().starts_with(want), "{want}");
        }
        let rows = [
            ("x: 1\n", "neither rules"),
            ("route: {receiver: a}\n", ": undefined receiver"),
            ("impacts:\n- {match: {}, level: low, says: x}\n", "file:2:"),
            ("sinks:\n- { every: 60s }\n", "file:2:3: the rule chooses nothing"),
            ("retention_policies:\n  a:\n    raw_retention: soon\n", "file:3: "),
        ];
        for (text, want) in rows {
            assert!(any("file", text).unwrap_err().to_string().contains(want), "{text}");
        }
    }
}
