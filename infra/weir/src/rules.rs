//! The rules of the local stack: the shipped ones, those of `--rules`, and the functions that evaluate them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_alert::{AlertFunction, Dispatch, Outcome};
use weir_kpi::Kpi;
use weir_model::TenantId;
use weir_platform::{Bucket, Clock, Telemetry};
use weir_rules::{
    Alert, Guide, Job, RuleEvent, RuleFile, RuleLibrary, Runner, RunnerPorts, Settings, shipped,
};

use crate::cli::Up;
use crate::stop::Stop;

/// Most files of a folder of rules.
const MAX_FILES: usize = 1_000;
/// How long after a failed notification the next try comes, in milliseconds.
const RETRY_MS: i64 = 1_000;

/// Reads the rules that these settings ask for.
pub(crate) fn library(up: &Up, bucket: Arc<dyn Bucket>, telemetry: Arc<Telemetry>) -> Result<RuleLibrary> {
    let settings = Settings { external_url: format!("http://{}", up.listen), ..Settings::default() };
    let mut files = Vec::new();
    if !up.no_rules {
        files.extend(shipped()?);
        if let Some(folder) = &up.rules {
            for file in folder_of_rules(folder)? {
                // A file of the same name stands in for a shipped one.
                files.retain(|shipped: &RuleFile| shipped.name != file.name);
                files.push(file);
            }
        }
    }
    let library = RuleLibrary::new(files, settings, bucket, telemetry);
    Ok(library.guided_by(guide(up.impact.as_deref())?))
}

/// What alerts mean: the file of `--impact`, or the shipped one.
fn guide(file: Option<&std::path::Path>) -> Result<Guide> {
    let Some(path) = file else { return Guide::shipped().context("infra/config/impact.yml") };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Guide::parse(&text).map_err(|problem| anyhow::anyhow!("{}:{problem}", path.display()))
}

/// Every `.yml` and `.yaml` of a folder, unit tests (`.test.yml`) excepted, in order of their names.
fn folder_of_rules(folder: &std::path::Path) -> Result<Vec<RuleFile>> {
    let what = || format!("cannot list the rules in {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let name = entry.with_context(what)?.file_name().to_string_lossy().into_owned();
        let is_rules = name.ends_with(".yml") || name.ends_with(".yaml");
        if is_rules && !name.contains(".test.") {
            names.push(name);
        }
    }
    anyhow::ensure!(
        names.len() <= MAX_FILES,
        "{} holds {} rule files, at most {MAX_FILES}",
        folder.display(),
        names.len()
    );
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let path = folder.join(&name);
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            RuleFile::parse(&name, &text).with_context(|| format!("rules in {}", folder.display()))
        })
        .collect()
}

/// The functions that evaluate rules.
#[derive(Clone)]
pub(crate) struct RuleFunctions {
    kpi: Kpi,
    alert: AlertFunction,
}

impl RuleFunctions {
    /// Wires them; `dispatch` tells of alerts.
    pub(crate) fn new(library: &Arc<RuleLibrary>, ports: &RunnerPorts, dispatch: Dispatch) -> Self {
        let runner = |job| Runner::new(library.clone(), job, ports.clone());
        Self {
            kpi: Kpi::new(runner(Job::Kpi)),
            alert: AlertFunction::new(runner(Job::Alert), Some(dispatch)),
        }
    }

    /// Runs `Kpi` or `Alert` at each multiple of `every`, as the scheduler in the cloud does, until told to
    /// stop. Between two evaluations groups of alerts are told of when their turn comes.
    pub(crate) async fn run(self, function: String, every: Duration, clock: Arc<dyn Clock>, mut stop: Stop) {
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
        let mut known: Vec<Known> = Vec::new();
        loop {
            let now_ms = clock.now_ms();
            let at_ms = (now_ms.div_euclid(every_ms) + 1).saturating_mul(every_ms);
            let turn_ms =
                known.iter().filter_map(|tenant| tenant.next_due_ms).min().map(|due| due.max(now_ms + 1));
            let next_ms = turn_ms.map_or(at_ms, |due| due.min(at_ms));
            let wait = Duration::from_millis(u64::try_from(next_ms - now_ms).unwrap_or_default());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.said() => return,
            }
            if next_ms < at_ms {
                self.tell(&mut known, next_ms).await;
                continue;
            }
            let event = RuleEvent::scheduled(at_ms);
            let failed = match function.as_str() {
                "Kpi" => self.kpi.handle(&event).await.err().map(anyhow::Error::new),
                _ => match self.alert.handle(&event).await {
                    Ok(outcomes) => {
                        known = outcomes.into_iter().filter_map(Known::of).collect();
                        None
                    }
                    Err(error) => Some(anyhow::Error::new(error)),
                },
            };
            if let Some(error) = failed {
                tracing::error!(function, time = event.time, "rules could not be evaluated: {error:#}");
            }
        }
    }

    /// Tells of the groups whose turn has come. One that fails is tried again after a second.
    async fn tell(&self, known: &mut [Known], at_ms: i64) {
        for tenant in known.iter_mut().filter(|tenant| tenant.next_due_ms.is_some_and(|due| due <= at_ms)) {
            tenant.next_due_ms = match self.alert.tell(&tenant.tenant, &tenant.alerts, at_ms).await {
                Ok(told) => told.and_then(|told| told.next_due_ms).map(|due| due.max(at_ms + RETRY_MS)),
                Err(error) => {
                    tracing::error!("{:#}", anyhow::Error::new(error));
                    Some(at_ms + RETRY_MS)
                }
            };
        }
    }
}

/// What the last evaluation left to be told of a tenant's alerts.
struct Known {
    tenant: TenantId,
    alerts: Vec<Alert>,
    next_due_ms: Option<i64>,
}

impl Known {
    fn of(outcome: Outcome) -> Option<Self> {
        let next_due_ms = outcome.dispatched?.next_due_ms;
        Some(Self { tenant: TenantId::new(&outcome.tenant).ok()?, alerts: outcome.alerts, next_due_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_are_good_and_do_not_repeat_each_other() {
        assert_eq!(weir_rules::duplicates(&shipped().unwrap()), []);
    }

    #[test]
    fn the_example_of_a_scheduled_event_has_a_time() {
        let event: RuleEvent =
            serde_json::from_str(include_str!("../../../events/kpi-schedule.json")).unwrap();
        assert_eq!(event, RuleEvent::scheduled(event.at_ms().unwrap()));
    }

    #[test]
    fn every_shipped_rule_file_passes_its_unit_tests() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/rules");
        for RuleFile { name, .. } in shipped().unwrap() {
            let tests = folder.join(name.replace(".yml", ".test.yml"));
            let passed = crate::rule_files::run(&tests).unwrap_or_else(|error| panic!("{error:#}"));
            assert!(passed > 0, "{name} has no tests");
        }
    }
}
