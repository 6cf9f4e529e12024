//! The alert function as a Lambda: alerting rules, on a schedule.

use weir_alert::AlertFunction;
use weir_aws::{Error, Wiring, rule_event, rule_runner, serve_events};
use weir_rules::Job;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let runner = rule_runner(&wiring, Job::Alert).await?;
    let alert = AlertFunction::new(runner);
    let handle = async |event| Ok(serde_json::to_value(alert.handle(&rule_event(event)?).await?)?);
    serve_events(&wiring, handle).await
}
