//! Runs a handler as a Lambda function: HTTP events, stream batches, schedules.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use tower::ServiceExt;

pub use lambda_runtime::Error;

use crate::account::chain;
use crate::emf::Emf;
use crate::wiring::Wiring;

/// Largest body of a request: Lambda's quota of 6 MB, less a third for base64 and the event around it.
pub const MAX_BODY_BYTES: usize = 4_400_000;
/// Largest answer of a function, for the same reason.
const MAX_ANSWER_BYTES: usize = MAX_BODY_BYTES;

/// Answers HTTP API events.
///
/// # Errors
/// When Lambda's runtime interface cannot be reached.
pub async fn serve_http(wiring: &Wiring, router: Router) -> Result<(), Error> {
    let emf = wiring.emf();
    let router = wiring.settings().gate.clone().guard(router).layer(axum::middleware::map_response(
        move |response: Response| {
            emf.write();
            async move { response }
        },
    ));
    lambda_http::run(router).await
}

/// Answers events that are plain JSON: stream batches and schedules.
///
/// # Errors
/// When Lambda's runtime interface cannot be reached.
pub async fn serve_events<F, O>(wiring: &Wiring, handler: F) -> Result<(), Error>
where
    F: Fn(Value) -> O + Send + Sync,
    O: Future<Output = Result<Value, Error>> + Send,
{
    let (emf, handler) = (wiring.emf(), &handler);
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let emf = emf.clone();
        async move { finish(&emf, handler(event.payload).await) }
    });
    lambda_runtime::run(service).await
}

/// Answers both: HTTP API events by the router, everything else by the handler.
///
/// # Errors
/// When Lambda's runtime interface cannot be reached.
pub async fn serve_http_and_events<F, O>(wiring: &Wiring, router: Router, handler: F) -> Result<(), Error>
where
    F: Fn(Value) -> O + Send + Sync,
    O: Future<Output = Result<Value, Error>> + Send,
{
    let router = wiring.settings().gate.clone().guard(router);
    let (router, handler) = (&router, &handler);
    serve_events(wiring, move |event| async move {
        if event["requestContext"]["http"].is_object() {
            answer(router.clone(), &event).await
        } else {
            handler(event).await
        }
    })
    .await
}

/// One line per failure; Lambda then delivers the event again as its source says.
fn finish(emf: &Arc<Emf>, done: Result<Value, Error>) -> Result<Value, Error> {
    emf.write();
    if let Err(error) = &done {
        tracing::error!(error = chain(error.as_ref()), "the event failed");
    }
    done
}

async fn answer(router: Router, event: &Value) -> Result<Value, Error> {
    let request = lambda_http::request::from_str(&event.to_string())?;
    let request = request.map(|body| Body::from(body.to_vec()));
    let (parts, body) = router.oneshot(request).await?.into_parts();
    let body = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await?;
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), json!(value.to_str().ok()?))))
        .collect();
    Ok(json!({
        "statusCode": parts.status.as_u16(),
        "headers": headers,
        "body": STANDARD.encode(body),
        "isBase64Encoded": true,
    }))
}
