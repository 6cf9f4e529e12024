//! The kpi function as a Lambda: recording rules, on a schedule.

use weir_aws::{Error, Wiring, rule_event, rule_runner, serve_events};
use weir_kpi::Kpi;
use weir_rules::Job;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let runner = rule_runner(&wiring, Job::Kpi).await?;
    let kpi = Kpi::new(runner);
    let handle = async |event| Ok(serde_json::to_value(kpi.handle(&rule_event(event)?).await?)?);
    serve_events(&wiring, handle).await
}
