//! The forward function as a Lambda: batches of stream records in, points in CloudWatch or Timestream.

use weir_aws::{Error, Wiring, batches, failures, serve_events};
use weir_forward::{Forward, RuleSource};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let rules = RuleSource::bucket(wiring.bucket(), wiring.clock());
    let forward = Forward::new(wiring.sinks().await?, rules, wiring.telemetry());
    let handle = async |event| {
        let mut failed = Vec::new();
        for batch in batches(event)? {
            failed.extend(forward.handle(batch).await?.first_failure);
        }
        Ok(failures(&failed))
    };
    serve_events(&wiring, handle).await
}
