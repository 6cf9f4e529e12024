//! The enrich function as a Lambda: batches of stream records in, hot segments in the lake.

use weir_aws::{Error, Wiring, batches, failures, serve_events};
use weir_enrich::Enrich;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let enrich = Enrich::new(wiring.lake_to_append().await?, wiring.telemetry());
    let handle = async |event| {
        let mut failed = Vec::new();
        for batch in batches(event)? {
            failed.extend(enrich.handle(batch).await?.first_failure);
        }
        Ok(failures(&failed))
    };
    serve_events(&wiring, handle).await
}
