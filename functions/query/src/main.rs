//! The query function as a Lambda: the Prometheus HTTP API over the lake.

use std::sync::Arc;
use std::time::Duration;

use weir_aws::{Error, Wiring, routing, rule_library, serve_http};
use weir_query::{Query, QueryOptions};

/// API Gateway gives up after 30 s; a query that takes longer is to say so itself.
const TIMEOUT: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let options = QueryOptions { timeout: TIMEOUT, ..QueryOptions::default() };
    let query = Query::new(wiring.lake().await?, wiring.clock(), wiring.telemetry(), options);
    query.show_rules(Arc::new(rule_library(&wiring).await?), wiring.bucket());
    let (routes, windows) = routing(&wiring).await?;
    query.show_routing(Arc::new(routes), windows, wiring.bucket());
    serve_http(&wiring, weir_query::router(query)).await
}
