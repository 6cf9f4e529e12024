//! The compact function as a Lambda: runs on a schedule, and on `POST /api/v1/admin/compact`.

use weir_aws::{Error, Wiring, serve_http_and_events};
use weir_compact::Compact;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_environment()?;
    let compact = Compact::new(wiring.lake().await?, wiring.telemetry());
    serve_http_and_events(&wiring, compact.clone().router(), move |event| {
        let compact = compact.clone();
        async move { Ok(serde_json::to_value(compact.handle(serde_json::from_value(event)?).await?)?) }
    })
    .await
}
