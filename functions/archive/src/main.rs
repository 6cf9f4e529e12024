//! The archive function as a Lambda: on a schedule, by the policy that is in force.

use weir_archive::Archive;
use weir_aws::{Error, Wiring, serve_events};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let archive = Archive::new(wiring.lake().await?, wiring.telemetry());
    let clock = wiring.clock();
    let handle = async |_| {
        let report = archive.handle(clock.now_ms(), None).await?;
        tracing::info!(?report, "expired");
        Ok(serde_json::json!({ "samples": report.samples }))
    };
    serve_events(&wiring, handle).await
}
