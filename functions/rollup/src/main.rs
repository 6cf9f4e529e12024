//! The rollup function as a Lambda: on a schedule, or with an event that names what to roll up again.

use weir_aws::{Error, Wiring, serve_events};
use weir_rollup::Rollup;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let rollup = Rollup::new(wiring.lake().await?, wiring.telemetry());
    let handle = async |event| {
        let report = rollup.handle(serde_json::from_value(event)?).await?;
        tracing::info!(?report, "rolled up");
        Ok(serde_json::json!({ "days": report.days, "left": report.days_left }))
    };
    serve_events(&wiring, handle).await
}
