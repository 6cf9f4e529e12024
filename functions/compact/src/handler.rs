//! One run of compaction, started by a schedule or by hand.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use weir_api::Function;
use weir_lake::{CompactMode, CompactReport, GarbageReport, Lake, LakeError};
use weir_platform::{MetricSpec, MetricType, Telemetry};

const RUNS: MetricSpec = MetricSpec {
    name: "weir_compact_runs_total",
    help: "Compaction runs by outcome.",
    kind: MetricType::Counter,
};

const EXEMPLARS: MetricSpec = MetricSpec {
    name: "weir_compact_exemplars_dropped_total",
    help: "Exemplars dropped since a series or tenant had more of an hour than are kept.",
    kind: MetricType::Counter,
};

const DAMAGED: MetricSpec = MetricSpec {
    name: "weir_lake_damaged_segments",
    help: "Hot segments that cannot be read and were copied to quarantine; anything above 0 wants a look.",
    kind: MetricType::Gauge,
};

/// What starts a run: the payload of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CompactEvent {
    /// True brings every hour down to one block; false does what is worth doing now.
    pub full: bool,
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Blocks written and replaced.
    pub compacted: CompactReport,
    /// Objects deleted.
    pub garbage: GarbageReport,
}

/// A run failed; running again is safe.
#[derive(Debug, thiserror::Error)]
#[error("compaction failed")]
pub struct CompactError(#[from] LakeError);

/// The function over its ports.
#[derive(Clone)]
pub struct Compact {
    lake: Arc<Lake>,
    telemetry: Arc<Telemetry>,
}

impl Compact {
    /// Wires the function.
    #[must_use]
    pub fn new(lake: Arc<Lake>, telemetry: Arc<Telemetry>) -> Self {
        Self { lake, telemetry }
    }

    /// Compacts, then deletes what is no longer needed. Running twice, or twice at once, is harmless.
    ///
    /// # Errors
    /// [`CompactError`] when the bucket failed; what was committed before stays committed.
    pub async fn handle(&self, event: CompactEvent) -> Result<Outcome, CompactError> {
        let outcome = self.run(event).await;
        let label = if outcome.is_ok() { "done" } else { "failed" };
        self.telemetry.add(&RUNS, &[("outcome", label)], 1.0);
        Ok(outcome?)
    }

    async fn run(&self, event: CompactEvent) -> Result<Outcome, LakeError> {
        let mode = if event.full { CompactMode::Full } else { CompactMode::Scheduled };
        let compacted = self.lake.compact(mode).await?;
        self.telemetry.set(&DAMAGED, &[], self.lake.hot().damaged as f64);
        if compacted.exemplars_dropped > 0 {
            self.telemetry.add(&EXEMPLARS, &[], compacted.exemplars_dropped as f64);
        }
        let garbage = self.lake.collect_garbage().await?;
        Ok(Outcome { compacted, garbage })
    }

    /// The function's HTTP side: `POST /api/v1/admin/compact` runs a full compaction and answers with
    /// what it did.
    pub fn router(self) -> Router {
        weir_api::router(Function::Compact, move |_route, _request| {
            let compact = self.clone();
            async move { compact_now(&compact).await }
        })
    }
}

async fn compact_now(compact: &Compact) -> Response {
    match compact.handle(CompactEvent { full: true }).await {
        Ok(outcome) => Json(outcome).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "compaction failed");
            let body = serde_json::json!({
                "status": "error",
                "errorType": "unavailable",
                "error": "compaction failed; try again, and see the log",
            });
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "5")], Json(body)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_an_event() {
        let example = include_str!("../../../events/compact-schedule.json");
        assert_eq!(serde_json::from_str::<CompactEvent>(example).unwrap(), CompactEvent::default());
    }
}
