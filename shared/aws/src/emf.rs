//! Weir's own metrics as log lines that CloudWatch turns into metrics (embedded metric format).
//!
//! Every combination of name and dimensions costs by the month, so the only dimension is the function,
//! and of the labels only `outcome` and `state` are kept, as part of the name: a handful of metrics a function.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use weir_platform::{Clock, MetricType, Telemetry};

/// Most metrics of one line: the format's quota.
const MAX_METRICS: usize = 100;
/// Lines are at least this far apart: each costs as log volume.
const EVERY_MS: i64 = 10_000;

/// Writes what changed since the last line.
pub struct Emf {
    function: String,
    telemetry: Arc<Telemetry>,
    clock: Arc<dyn Clock>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    written_ms: Option<i64>,
    values: BTreeMap<String, f64>,
}

impl Emf {
    /// For the function of that name.
    #[must_use]
    pub fn new(function: String, telemetry: Arc<Telemetry>, clock: Arc<dyn Clock>) -> Self {
        Self { function, telemetry, clock, last: Mutex::default() }
    }

    /// Writes a line to standard output if the last one is long enough ago and something changed.
    pub fn write(&self) {
        if let Some(line) = self.line() {
            // A log that cannot be written to must not fail the work that was done.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// The line, or `None` when it is too early or nothing changed.
    fn line(&self) -> Option<Value> {
        let now_ms = self.clock.now_ms();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.written_ms.is_some_and(|at| now_ms.saturating_sub(at) < EVERY_MS) {
            return None;
        }
        let mut sums: BTreeMap<String, (MetricType, f64)> = BTreeMap::new();
        for reading in self.telemetry.read() {
            let kept = reading.labels.iter().find(|(name, _)| matches!(*name, "outcome" | "state"));
            let name = match kept {
                Some((_, value)) => format!("{}_{value}", reading.spec.name),
                None => reading.spec.name.to_owned(),
            };
            sums.entry(name).or_insert((reading.spec.kind, 0.0)).1 += reading.value;
        }
        let mut changed = serde_json::Map::new();
        for (name, (kind, value)) in sums.into_iter().take(MAX_METRICS) {
            let before = last.values.insert(name.clone(), value);
            if before != Some(value) && value.is_finite() {
                let by = if kind == MetricType::Counter { value - before.unwrap_or(0.0) } else { value };
                changed.insert(name, json!(by));
            }
        }
        if changed.is_empty() {
            return None;
        }
        last.written_ms = Some(now_ms);
        let metrics: Vec<Value> = changed.keys().map(|name| json!({ "Name": name })).collect();
        let directive = json!({ "Namespace": "Weir", "Dimensions": [["function"]], "Metrics": metrics });
        changed.insert("function".to_owned(), json!(self.function));
        changed.insert("_aws".to_owned(), json!({ "Timestamp": now_ms, "CloudWatchMetrics": [directive] }));
        Some(Value::Object(changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_platform::{ManualClock, MetricSpec};

    const RECORDS: MetricSpec =
        MetricSpec { name: "weir_records_total", help: "Records.", kind: MetricType::Counter };

    #[test]
    fn lines_hold_changes_summed_over_all_labels_but_outcome_and_state() {
        let (telemetry, clock) = (Arc::new(Telemetry::default()), Arc::new(ManualClock::new(1_000)));
        let emf = Emf::new("enrich".to_owned(), telemetry.clone(), clock.clone());
        assert_eq!(emf.line(), None);
        for (dialect, by) in [("a", 1.0), ("b", 2.0)] {
            telemetry.add(&RECORDS, &[("dialect", dialect), ("outcome", "written")], by);
        }
        let line = emf.line().unwrap();
        assert_eq!((&line["weir_records_total_written"], &line["function"]), (&json!(3.0), &json!("enrich")));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Metrics"], json!([{ "Name": "weir_records_total_written" }]));
        telemetry.add(&RECORDS, &[("outcome", "written")], 4.0);
        assert_eq!(emf.line(), None, "too early");
        clock.set(1_000 + EVERY_MS);
        assert_eq!(emf.line().unwrap()["weir_records_total_written"], json!(4.0));
        clock.set(1_000 + 2 * EVERY_MS);
        assert_eq!(emf.line(), None, "nothing changed");
    }
}
