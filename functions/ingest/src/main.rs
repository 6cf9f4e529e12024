//! The ingest function as a Lambda: HTTP API events in, records in the stream (in direct mode, the lake).

use weir_aws::{Error, MAX_BODY_BYTES, Wiring, serve_http};
use weir_ingest::{Ingest, IngestOptions};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let mut options = IngestOptions::default();
    options.limits.compressed_bytes = MAX_BODY_BYTES;
    let ingest = Ingest::new(wiring.stream().await?, wiring.clock(), wiring.telemetry(), options);
    serve_http(&wiring, weir_ingest::router(ingest)).await
}
