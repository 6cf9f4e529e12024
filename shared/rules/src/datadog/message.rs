//! The texts of monitors: Datadog's variables where a rule has templates.

use super::Options;
use super::query::MonitorQuery;
use crate::file::{Alerting, Rule};

/// `payment_success_rate_low` as `Payment Success Rate Low`; other names stay as they are.
pub(super) fn title(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
    };
    name.split('_').map(capital).collect::<Vec<_>>().join(" ")
}

/// Who is told, what is measured against what, what the rule says, and the runbook.
pub(super) fn message(
    rule: &Rule,
    alerting: &Alerting,
    query: &MonitorQuery,
    is_critical: bool,
    options: &Options,
    lost: &mut Vec<String>,
) -> String {
    let mut annotation = |names: &[&str]| {
        let (name, template) =
            alerting.annotations.iter().find(|(name, _)| names.contains(&name.as_str()))?;
        let (text, unknown) = variables(template.source(), &options.external_url);
        lost.extend(
            unknown.into_iter().map(|action| format!("annotation {name}: {action} has no counterpart")),
        );
        Some(text)
    };
    let summary = annotation(&["summary", "message", "title"]);
    let description = annotation(&["description"]);
    let runbook = annotation(&["runbook_url", "runbook"]);
    let handle = if is_critical { &options.notify_critical } else { &options.notify };
    let facts = format!(
        "Alert: {}\n\nMetric: {}\nThreshold: {} {}\nWindow: {}\nCurrent Value: {{{{value}}}}",
        title(&rule.name),
        query.metrics.join(", "),
        query.comparison,
        query.threshold,
        query.window.trim_start_matches("last_"),
    );
    let parts = [
        (!handle.is_empty()).then(|| handle.clone()),
        Some(facts),
        summary,
        description,
        runbook.map(|url| format!("Runbook: {url}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

/// A template's text with Datadog's variables, and the actions that have none, which become `…`.
fn variables(template: &str, external_url: &str) -> (String, Vec<String>) {
    let (mut out, mut unknown) = (String::new(), Vec::new());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((action, after)) = after.split_once("}}") else {
            // A template that was parsed has none of these.
            break;
        };
        let action = action.trim_matches(['-', ' ']);
        if let Some(label) = label(action) {
            out.push_str(&format!("{{{{{label}.name}}}}"));
        } else if action.contains("$value") || action.contains(".Value") {
            out.push_str("{{value}}");
        } else if action == "$externalURL" || action == ".ExternalURL" {
            out.push_str(external_url);
        } else {
            out.push('…');
            unknown.push(format!("{{{{ {action} }}}}"));
        }
        rest = after;
    }
    out.push_str(rest);
    (out, unknown)
}

/// The label of `$labels.NAME` alone or piped on.
fn label(action: &str) -> Option<&str> {
    let rest = action.strip_prefix("$labels.").or_else(|| action.strip_prefix(".Labels."))?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let after = rest[end..].trim_start();
    (end > 0 && (after.is_empty() || after.starts_with('|'))).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_variables_where_there_are_some() {
        for (template, want, unknown) in [
            ("plain", "plain", 0),
            ("{{ $value }} % of {{$labels.job}}", "{{value}} % of {{job.name}}", 0),
            ("{{ printf \"%.1f\" $value }}", "{{value}}", 0),
            ("{{- $labels.job | title -}}", "{{job.name}}", 0),
            ("{{ $externalURL }}/x", "https://w/x", 0),
            ("{{ query \"up\" | first | value }} up", "… up", 1),
            ("{{ if $labels.job }}x{{ end }}", "…x…", 2),
        ] {
            let (text, lost) = variables(template, "https://w");
            assert_eq!((text.as_str(), lost.len()), (want, unknown), "{template}");
        }
    }

    #[test]
    fn names_become_titles() {
        assert_eq!(title("payment_success_rate_low"), "Payment Success Rate Low");
        assert_eq!(title("HostDiskFull"), "HostDiskFull");
    }
}
