//! The alert function as a Lambda: alerting rules, on a schedule, and telling of alerts.

use std::sync::Arc;

use weir_alert::{AlertFunction, Dispatch, DispatchPorts};
use weir_aws::{Error, Wiring, notifier, routing, rule_event, rule_runner, serve_events};
use weir_routing::Dispatcher;
use weir_rules::Job;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let runner = rule_runner(&wiring, Job::Alert).await?;
    let (routes, windows) = routing(&wiring).await?;
    let ports = DispatchPorts {
        bucket: wiring.bucket(),
        notifier: notifier(&wiring)?,
        telemetry: wiring.telemetry(),
        environment: Arc::new(wiring.environment()),
    };
    let external_url = &wiring.settings().external_url;
    let dispatch = Dispatch::new(Dispatcher::new(Arc::new(routes)), windows, external_url, ports);
    let alert = AlertFunction::new(runner, Some(dispatch));
    let handle = async |event| Ok(serde_json::to_value(alert.handle(&rule_event(event)?).await?)?);
    serve_events(&wiring, handle).await
}
