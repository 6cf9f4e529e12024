//! Lambda's runtime API: hands events to a function and takes its answers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::Mutex;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the function does as seen from here.
enum Step {
    /// It asked for an event.
    Asked(Instant),
    /// It answered one.
    Answered(Value),
}

struct Inner {
    events: Mutex<tokio::sync::mpsc::Receiver<String>>,
    steps: Sender<Step>,
}

/// The runtime API of one function.
pub(crate) struct Runtime {
    /// Host and port.
    pub(crate) address: String,
    events: tokio::sync::mpsc::Sender<String>,
    steps: Receiver<Step>,
    _runtime: tokio::runtime::Runtime,
}

impl Runtime {
    pub(crate) fn start() -> Self {
        let (events, next) = tokio::sync::mpsc::channel(1);
        let (said, steps) = channel();
        let inner = Arc::new(Inner { events: Mutex::new(next), steps: said });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(hand_out))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(take))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail_to_start))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(inner);
        let (address, runtime) = serve(router);
        Self { address, events, steps, _runtime: runtime }
    }

    /// Waits until the function asks for an event, and says when it did.
    pub(crate) fn asked(&self) -> Instant {
        match self.steps.recv_timeout(PATIENCE) {
            Ok(Step::Asked(at)) => at,
            Ok(Step::Answered(answer)) => panic!("an answer without an event: {answer}"),
            Err(_) => panic!("the function does not ask for an event in {} s", PATIENCE.as_secs()),
        }
    }

    /// Hands out an event, to a function that has asked, and waits for the answer and for it to ask again.
    pub(crate) fn invoke(&self, event: String) -> Value {
        self.events.blocking_send(event).unwrap();
        let answer = match self.steps.recv_timeout(PATIENCE) {
            Ok(Step::Answered(answer)) => answer,
            Ok(Step::Asked(_)) => panic!("the function asks again without an answer"),
            Err(_) => panic!("no answer in {} s", PATIENCE.as_secs()),
        };
        self.asked();
        answer
    }
}

/// Serves a router on loopback: its host and port, and what it runs on.
pub(crate) fn serve(router: Router) -> (String, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async move { axum::serve(listener, router).await });
    (address, runtime)
}

/// Bytes as events carry them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

async fn hand_out(State(inner): State<Arc<Inner>>) -> Response {
    let mut events = inner.events.lock().await;
    let _ = inner.steps.send(Step::Asked(Instant::now()));
    let Some(event) = events.recv().await else { return StatusCode::GONE.into_response() };
    let deadline_ms = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() + 30_000;
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
    ];
    (headers, event).into_response()
}

async fn take(State(inner): State<Arc<Inner>>, Path(_): Path<String>, body: String) -> StatusCode {
    let answer = serde_json::from_str(&body).unwrap_or_default();
    let _ = inner.steps.send(Step::Answered(answer));
    StatusCode::ACCEPTED
}

async fn fail(State(inner): State<Arc<Inner>>, Path(_): Path<String>, body: String) -> StatusCode {
    let _ = inner.steps.send(Step::Answered(Value::String(body)));
    StatusCode::ACCEPTED
}

async fn fail_to_start(State(inner): State<Arc<Inner>>, body: String) -> StatusCode {
    let _ = inner.steps.send(Step::Answered(Value::String(body)));
    StatusCode::ACCEPTED
}
