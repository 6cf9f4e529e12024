//! What deploying the template creates.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use serde_norway::Value;

/// Logical ids by type of resource. Events of a function are listed as SAM makes resources of them.
pub(super) type Created = BTreeMap<String, Vec<String>>;

/// Reads a template.
pub(super) fn created(template: &str) -> Result<Created> {
    let root: Value = serde_norway::from_str(template).context("template.yaml is not YAML")?;
    let resources =
        root.get("Resources").and_then(Value::as_mapping).context("template.yaml has no Resources")?;
    let mut created = Created::new();
    for (id, resource) in resources {
        let id = id.as_str().unwrap_or_default();
        let kind = resource.get("Type").and_then(Value::as_str);
        let kind = kind.with_context(|| format!("template.yaml: {id} has no Type"))?;
        let condition = resource.get("Condition").and_then(Value::as_str);
        let name = condition.map_or_else(|| id.to_owned(), |condition| format!("{id} (if {condition})"));
        created.entry(kind.to_owned()).or_default().push(name);
        let events = resource.get("Properties").and_then(|p| p.get("Events")).and_then(Value::as_mapping);
        for (event, settings) in events.into_iter().flatten() {
            let made = match settings.get("Type").and_then(Value::as_str) {
                Some("HttpApi") => "route of the HTTP API",
                Some("ScheduleV2") => "AWS::Scheduler::Schedule",
                Some("Kinesis") => "AWS::Lambda::EventSourceMapping",
                _ => "other event",
            };
            let name = format!("{id}{}", event.as_str().unwrap_or_default());
            created.entry(made.to_owned()).or_default().push(name);
        }
    }
    Ok(created)
}

/// Resources of one type, with those of sinks or without.
pub(super) fn count(template: &str, kind: &str, sinks: bool) -> Result<usize> {
    let counts = |name: &&String| sinks || !name.ends_with("(if HasSinks)");
    Ok(created(template)?.get(kind).map_or(0, |names| names.iter().filter(counts).count()))
}

/// For people; routes are only counted.
pub(super) fn text(created: &Created) -> String {
    let mut out = String::from("Deploying template.yaml creates, beside a role for each function:\n\n");
    for (kind, ids) in created {
        let names = if kind.starts_with("AWS::") { ids.join(", ") } else { String::new() };
        let _ = writeln!(out, "  {:>3}  {kind:<34} {names}", ids.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::TEMPLATE;

    #[test]
    fn resources_are_listed_by_type_and_events_as_what_they_become() {
        let template = "
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Go: { Type: HttpApi, Properties: {} }
        Tick: { Type: ScheduleV2, Properties: {} }
  S: { Type: AWS::Kinesis::Stream, Condition: HasStream }
";
        let created = created(template).unwrap();
        let all: Vec<_> = created.iter().map(|(kind, ids)| (kind.as_str(), ids.join(","))).collect();
        assert_eq!(
            all,
            [
                ("AWS::Kinesis::Stream", "S (if HasStream)".to_owned()),
                ("AWS::Scheduler::Schedule", "FTick".to_owned()),
                ("AWS::Serverless::Function", "F".to_owned()),
                ("route of the HTTP API", "FGo".to_owned()),
            ]
        );
    }

    #[test]
    fn everything_in_the_shipped_template_is_known() {
        let created = created(TEMPLATE).unwrap();
        assert_eq!(created.get("other event"), None);
        let alarms = |sinks| count(TEMPLATE, "AWS::CloudWatch::Alarm", sinks).unwrap();
        assert_eq!(
            (alarms(true), alarms(false)),
            (created["AWS::CloudWatch::Alarm"].len(), alarms(true) - 5)
        );
    }
}
