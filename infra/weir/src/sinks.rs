//! Sinks of the local stack: what would go to CloudWatch and Timestream, as lines of a file, to try rules.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use async_trait::async_trait;
use serde_json::{Value, json};
use weir_forward::{Forward, RuleSource, SinkRules};
use weir_platform::{Point, PointKind, Sink, SinkError, Telemetry};

use crate::cli::Up;

/// The file in the data folder.
pub(crate) const FILE: &str = "sinks.jsonl";
/// Largest file in bytes; further points are refused.
const MAX_BYTES: u64 = 256 << 20;

/// The function of `--sinks`, if there is that flag.
pub(crate) fn forward(up: &Up, telemetry: Arc<Telemetry>) -> Result<Option<Forward>> {
    let Some(path) = &up.sinks else { return Ok(None) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let rules = SinkRules::parse(&path.display().to_string(), &text)?;
    let file = Arc::new(Mutex::new(Lines::open(&up.data.join(FILE), MAX_BYTES)?));
    let sink = |name| -> Arc<dyn Sink> { Arc::new(LinesSink { name, file: file.clone() }) };
    let sinks = vec![sink("cloudwatch"), sink("timestream")];
    Ok(Some(Forward::new(sinks, RuleSource::fixed(rules), telemetry)))
}

/// A file that is appended to, up to a size.
struct Lines {
    file: File,
    left: u64,
}

impl Lines {
    fn open(path: &Path, most: u64) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write to {}", path.display()))?;
        let held = file.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
        Ok(Self { file, left: most.saturating_sub(held) })
    }

    fn append(&mut self, line: &Value) -> Result<(), String> {
        let line = format!("{line}\n");
        let left = self.left.checked_sub(line.len() as u64);
        let left = left.ok_or_else(|| format!("{FILE} is full: at most {MAX_BYTES} bytes; delete it"))?;
        self.file.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
        self.left = left;
        Ok(())
    }
}

struct LinesSink {
    name: &'static str,
    file: Arc<Mutex<Lines>>,
}

#[async_trait]
impl Sink for LinesSink {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn send(&self, points: &[Point]) -> Vec<Result<(), SinkError>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |point: &Point| {
            point.check()?;
            let refused = |reason| SinkError::Refused { metric: point.metric.clone(), reason };
            file.append(&line(self.name, point)).map_err(refused)
        };
        points.iter().map(keep).collect()
    }
}

fn line(sink: &str, point: &Point) -> Value {
    let labels: serde_json::Map<String, Value> =
        point.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let values: Vec<_> = point.observations.iter().map(|it| (it.value, it.count)).collect();
    let (kind, value) = match point.kind {
        PointKind::Level => ("level", point.last),
        PointKind::Increase => ("increase", point.sum),
        PointKind::Distribution => ("distribution", point.sum),
    };
    json!({
        "sink": sink, "tenant": point.tenant, "metric": point.metric, "labels": labels, "time": point.start_ms,
        "every_ms": point.every_ms, "kind": kind, "value": value, "values_and_counts": values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_platform::Observation;

    #[tokio::test]
    async fn points_become_lines_until_the_file_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let point = Point {
            tenant: "default".to_owned(),
            metric: "hits".to_owned(),
            labels: vec![("job".to_owned(), "api".to_owned())],
            start_ms: 60_000,
            every_ms: 60_000,
            kind: PointKind::Increase,
            observations: vec![Observation { value: 2.0, count: 3.0 }],
            sum: 6.0,
            last: 2.0,
            version: 1,
            part: 7,
        };
        let send = async |most: u64| {
            let file = Arc::new(Mutex::new(Lines::open(&path, most).unwrap()));
            LinesSink { name: "cloudwatch", file }.send(std::slice::from_ref(&point)).await.remove(0)
        };
        assert_eq!(send(1_000).await, Ok(()));
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["kind"], &read["value"]), (&json!("increase"), &json!(6.0)));
        assert_eq!(read["values_and_counts"], json!([[2.0, 3.0]]));
        let full = send(text.len() as u64).await.unwrap_err();
        assert!(full.to_string().contains("is full") && !full.retryable(), "{full}");
    }
}
