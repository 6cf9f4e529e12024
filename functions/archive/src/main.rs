//! The archive function as a Lambda: on a schedule, by the policy that is in force; and the policy's requests.

use weir_archive::Archive;
use weir_aws::{Error, Wiring, serve_http_and_events};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let archive = Archive::new(wiring.lake().await?, wiring.telemetry());
    let clock = wiring.clock();
    serve_http_and_events(&wiring, archive.clone().router(), move |_| {
        let (archive, clock) = (archive.clone(), clock.clone());
        async move {
            let report = archive.handle(clock.now_ms(), None).await?;
            tracing::info!(?report, "expired and archived");
            Ok(serde_json::json!({ "samples": report.expired.samples, "archived": report.archived.merged }))
        }
    })
    .await
}
