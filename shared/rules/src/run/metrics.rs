//! What runs tell about themselves.

use weir_platform::{MetricSpec, MetricType, Telemetry};

use super::{Job, Run, RunError};

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

/// Counts a run.
pub(super) fn count(telemetry: &Telemetry, job: Job, run: &Result<Run, RunError>) {
    let job = ("function", job.name());
    let outcome = match run {
        Err(_) => "failed",
        Ok(run) if run.repeated => "repeated",
        Ok(_) => "done",
    };
    telemetry.add(&RUNS, &[job, ("outcome", outcome)], 1.0);
    if let Ok(run) = run
        && !run.repeated
    {
        let report = &run.report;
        telemetry.add(&EVALUATIONS, &[job], report.evaluations as f64);
        telemetry.add(&MISSED, &[job], report.missed as f64);
        telemetry.add(&SAMPLES, &[job], report.samples as f64);
        telemetry.set(&FAILED, &[job], report.failed_rules as f64);
        telemetry.set(&ALERTS, &[job, ("state", "firing")], report.firing as f64);
        telemetry.set(&ALERTS, &[job, ("state", "pending")], report.pending as f64);
    }
}
