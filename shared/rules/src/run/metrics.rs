//! What runs tell about themselves.

use weir_model::TenantId;
use weir_platform::{MetricSpec, MetricType, Telemetry};

use super::{Job, Run, RunError, RunReport};

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

const fn gauge(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Gauge }
}

const RUNS: MetricSpec = counter("weir_rule_runs_total", "Runs of rules by outcome.");
const EVALUATIONS: MetricSpec =
    counter("weir_rule_group_evaluations_total", "Evaluations of groups of rules.");
const MISSED: MetricSpec = counter(
    "weir_rule_group_evaluations_missed_total",
    "Evaluations of groups of rules that did not take place in time.",
);
const SAMPLES: MetricSpec = counter("weir_rule_samples_total", "Samples that rules wrote.");
const FAILED: MetricSpec = gauge("weir_rules_failed", "Rules whose last evaluation failed.");
const ALERTS: MetricSpec = gauge("weir_alerts", "Active alerts by state.");

/// Counts the runs of an event, one a tenant; gauges are over all tenants.
pub(super) fn count(telemetry: &Telemetry, job: Job, runs: &[(TenantId, Result<Run, RunError>)]) {
    let job = ("function", job.name());
    let mut total = RunReport::default();
    let mut evaluated = false;
    for (_, run) in runs {
        let outcome = match run {
            Err(_) => "failed",
            Ok(run) if run.repeated => "repeated",
            Ok(run) => {
                evaluated = true;
                total.add(&run.report);
                "done"
            }
        };
        telemetry.add(&RUNS, &[job, ("outcome", outcome)], 1.0);
    }
    if evaluated {
        telemetry.add(&EVALUATIONS, &[job], total.evaluations as f64);
        telemetry.add(&MISSED, &[job], total.missed as f64);
        telemetry.add(&SAMPLES, &[job], total.samples as f64);
        telemetry.set(&FAILED, &[job], total.failed_rules as f64);
        telemetry.set(&ALERTS, &[job, ("state", "firing")], total.firing as f64);
        telemetry.set(&ALERTS, &[job, ("state", "pending")], total.pending as f64);
    }
}
