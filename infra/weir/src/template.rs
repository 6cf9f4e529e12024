//! Reads the wiring out of template.yaml: which function answers which route, what runs when, and how
//! stream batches are cut. The deployed stack and the local one obey the same file.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_norway::Value;

/// The template as it was when this command was built.
pub(crate) const TEMPLATE: &str = include_str!("../../../template.yaml");

/// An HTTP route and the function behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Logical id of the function.
    pub(crate) function: String,
    /// Upper-case method, or `ANY`.
    pub(crate) method: String,
    /// API Gateway's path pattern.
    pub(crate) path: String,
}

/// A schedule and the function it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Logical id of the function.
    pub(crate) function: String,
    /// Time between two runs.
    pub(crate) every: Duration,
    /// The event handed over, JSON.
    pub(crate) input: String,
}

/// How a function consumes the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consumer {
    /// Logical id of the function.
    pub(crate) function: String,
    /// Most records of a batch.
    pub(crate) batch_size: usize,
    /// Longest wait for a batch to fill.
    pub(crate) window: Duration,
    /// Deliveries before a record is given up.
    pub(crate) max_attempts: u32,
}

/// Everything the local stack takes from the template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wiring {
    pub(crate) routes: Vec<Route>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) consumers: Vec<Consumer>,
}

impl Wiring {
    /// Reads the functions' events.
    pub(crate) fn parse(template: &str) -> Result<Self> {
        let root: Value = serde_norway::from_str(template).context("template.yaml is not YAML")?;
        let resources =
            root.get("Resources").and_then(Value::as_mapping).context("template.yaml has no Resources")?;
        let mut wiring = Self::default();
        for (id, resource) in resources {
            let id = id.as_str().unwrap_or_default();
            if text(resource, "Type") != Some("AWS::Serverless::Function") {
                continue;
            }
            let events = resource.get("Properties").and_then(|p| p.get("Events")).and_then(Value::as_mapping);
            for (name, event) in events.into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                wiring.add(id, event).with_context(|| format!("template.yaml: event {name} of {id}"))?;
            }
        }
        Ok(wiring)
    }

    fn add(&mut self, function: &str, event: &Value) -> Result<()> {
        let function = function.to_owned();
        let properties = event.get("Properties").context("has no Properties")?;
        match text(event, "Type").context("has no Type")? {
            "HttpApi" => {
                let method = text(properties, "Method").context("has no Method")?.to_uppercase();
                let path = text(properties, "Path").context("has no Path")?.to_owned();
                self.routes.push(Route { function, method, path });
            }
            "ScheduleV2" => {
                let expression =
                    text(properties, "ScheduleExpression").context("has no ScheduleExpression")?;
                let every = rate(expression)?;
                let input = text(properties, "Input").unwrap_or("{}").to_owned();
                self.schedules.push(Schedule { function, every, input });
            }
            "Kinesis" => {
                let number = |name: &str, default: u64| {
                    properties.get(name).and_then(Value::as_u64).unwrap_or(default)
                };
                self.consumers.push(Consumer {
                    function,
                    // The defaults of an event source mapping.
                    batch_size: usize::try_from(number("BatchSize", 100))?,
                    window: Duration::from_secs(number("MaximumBatchingWindowInSeconds", 0)),
                    max_attempts: u32::try_from(number("MaximumRetryAttempts", 10_000))?,
                });
            }
            other => bail!("event type {other} is not one that the local stack knows"),
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// `rate(5 minutes)` as EventBridge Scheduler writes it.
fn rate(expression: &str) -> Result<Duration> {
    let parts = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let (number, unit) = parts.and_then(|p| p.split_once(' ')).with_context(|| {
        format!("schedule {expression:?} is not of the form rate(5 minutes), the one the local stack runs")
    })?;
    let number: u64 =
        number.parse().with_context(|| format!("schedule {expression:?} has no whole number"))?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        other => bail!("schedule {expression:?} has unknown unit {other:?}"),
    };
    if number == 0 {
        bail!("schedule {expression:?} would run without pause");
    }
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_template_wires_every_function() {
        let wiring = Wiring::parse(TEMPLATE).unwrap();
        let has = |function: &str, path: &str| {
            wiring.routes.iter().any(|r| r.function == function && r.path == path)
        };
        assert!(has("Ingest", "/api/v1/write"));
        assert!(has("Query", "/api/v1/query_range"));
        let window = |function: &str| Some(wiring.consumers.iter().find(|c| c.function == function)?.window);
        assert_eq!(window("Enrich"), Some(Duration::from_secs(1)));
        assert_eq!(window("Forward"), Some(Duration::from_secs(60)));
        assert_eq!(wiring.schedules[0].every, Duration::from_secs(300));
    }

    #[test]
    fn schedules_that_cannot_run_are_refused_by_name() {
        for (expression, part) in [
            ("cron(0 1 * * ? *)", "not of the form"),
            ("rate(x minutes)", "whole number"),
            ("rate(5 moons)", "unknown unit"),
            ("rate(0 minutes)", "without pause"),
        ] {
            let error = format!("{:#}", rate(expression).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
