//! One run of rollups, started by a schedule or by hand.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_lake::{Lake, LakeError, RollupReport, RollupWish};
use weir_model::TenantId;
use weir_platform::{MetricSpec, MetricType, Telemetry};

/// Most days of a scheduled run: those of a year are done after a day of runs, and none takes too long.
const MAX_DAYS: usize = 32;

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

const RUNS: MetricSpec = counter("weir_rollup_runs_total", "Rollup runs by outcome.");
const DAYS: MetricSpec = counter("weir_rollup_days_total", "Days of a tenant that were rolled up.");
const SAMPLES: MetricSpec = counter("weir_rollup_samples_total", "Samples read by rollups.");
const BYTES: MetricSpec = counter("weir_rollup_written_bytes_total", "Size of the rollups written.");
const LEFT: MetricSpec = MetricSpec {
    name: "weir_rollup_days_left",
    help: "Days that the last run left to the next one.",
    kind: MetricType::Gauge,
};

/// What starts a run: the payload of the schedule, or a wish for a range.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollupEvent {
    /// Only this tenant's days.
    pub tenant: Option<String>,
    /// With `to_ms`: rolls up again every day that overlaps the range, in milliseconds since the Unix epoch.
    pub from_ms: Option<i64>,
    /// See `from_ms`.
    pub to_ms: Option<i64>,
}

/// A run failed; running again is safe.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    /// The event makes no sense.
    #[error("bad rollup event: {0}")]
    Event(String),
    /// The lake failed.
    #[error("rollups failed")]
    Lake(#[from] LakeError),
}

/// The function over its ports.
#[derive(Clone)]
pub struct Rollup {
    lake: Arc<Lake>,
    telemetry: Arc<Telemetry>,
}

impl Rollup {
    /// Wires the function.
    #[must_use]
    pub fn new(lake: Arc<Lake>, telemetry: Arc<Telemetry>) -> Self {
        Self { lake, telemetry }
    }

    /// Rolls up what is due, or again what the event asks for. Running twice, or twice at once, is harmless.
    ///
    /// # Errors
    /// [`RollupError`] when the event is bad or the bucket failed; what was committed before stays committed.
    pub async fn handle(&self, event: RollupEvent) -> Result<RollupReport, RollupError> {
        let outcome = self.run(event).await;
        let label = if outcome.is_ok() { "done" } else { "failed" };
        self.telemetry.add(&RUNS, &[("outcome", label)], 1.0);
        let report = outcome?;
        for (counter, value) in
            [(&DAYS, report.days), (&SAMPLES, report.samples), (&BYTES, report.bytes_written)]
        {
            self.telemetry.add(counter, &[], value as f64);
        }
        self.telemetry.set(&LEFT, &[], (report.days_left + report.days_changed) as f64);
        Ok(report)
    }

    async fn run(&self, event: RollupEvent) -> Result<RollupReport, RollupError> {
        let wish = wish(event).map_err(RollupError::Event)?;
        Ok(self.lake.roll_up(&wish, |_| {}).await?)
    }
}

fn wish(event: RollupEvent) -> Result<RollupWish, String> {
    let tenant = event.tenant.as_deref().map(TenantId::new).transpose().map_err(|error| error.to_string())?;
    let range_ms = match (event.from_ms, event.to_ms) {
        (None, None) => None,
        (Some(from), Some(to)) if from < to => Some((from, to)),
        (from, to) => {
            return Err(format!("from_ms is {from:?} and to_ms is {to:?}: give both, the first one less"));
        }
    };
    let again = range_ms.is_some();
    Ok(RollupWish { tenant, range_ms, again, max_days: if again { 0 } else { MAX_DAYS } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_events() {
        let read = |text| serde_json::from_str::<RollupEvent>(text).unwrap();
        assert_eq!(read(include_str!("../../../events/rollup-schedule.json")), RollupEvent::default());
        let again = read(include_str!("../../../events/rollup-again.json"));
        assert_eq!(again.to_ms.unwrap() - again.from_ms.unwrap(), 86_400_000);
    }

    #[test]
    fn events_say_what_to_roll_up() {
        let of = |text: &str| wish(serde_json::from_str(text).unwrap());
        let scheduled = of("{}").unwrap();
        assert_eq!((scheduled.again, scheduled.max_days, scheduled.range_ms), (false, MAX_DAYS, None));
        let asked = of(r#"{"tenant":"a","from_ms":1,"to_ms":2}"#).unwrap();
        assert_eq!((asked.again, asked.range_ms, asked.max_days), (true, Some((1, 2)), 0));
        for bad in [r#"{"from_ms":1}"#, r#"{"from_ms":2,"to_ms":2}"#, r#"{"tenant":"../a"}"#] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RollupEvent>(r#"{"form_ms":1}"#).is_err());
    }
}
