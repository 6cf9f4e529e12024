//! Notifications to webhooks: a signed POST for each, tried again until a deadline.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Destination, Notification, Notifier, NotifyError, Secret};
use crate::{Backoff, Clock};

/// The header that holds a notification's id.
pub const ID_HEADER: &str = "x-weir-id";
/// The header that holds the signature: `t=SECONDS,v1=HEX`.
pub const SIGNATURE_HEADER: &str = "x-weir-signature";

/// Most requests under way at once.
const CONCURRENCY: usize = 16;
/// Most bytes of an answer that are shown when it is a refusal.
const SHOWN_BYTES: usize = 300;
/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(4);
/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_secs(20);

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// Settings of [`WebhookNotifier`].
#[derive(Debug, Clone, Copy)]
pub struct WebhookOptions {
    /// Longest wait for one attempt.
    pub attempt: Duration,
    /// Longest wait for a notification with all its attempts.
    pub deadline: Duration,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self { attempt: Duration::from_secs(5), deadline: Duration::from_secs(15) }
    }
}

/// Posts notifications. `https` needs the feature `tls`. Redirects are not followed.
#[derive(Clone)]
pub struct WebhookNotifier {
    client: Client<Connector, Full<Bytes>>,
    clock: Arc<dyn Clock>,
    options: WebhookOptions,
    places: Arc<Semaphore>,
}

/// How an attempt ended that did not deliver.
enum Failure {
    Refused(String),
    Passing(String),
}

impl WebhookNotifier {
    /// A client of its own; `clock` dates signatures.
    ///
    /// # Errors
    /// When certificates to trust cannot be read from the system.
    pub fn new(clock: Arc<dyn Clock>, options: WebhookOptions) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(options.attempt));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector(tcp)?);
        Ok(Self { client, clock, options, places: Arc::new(Semaphore::new(CONCURRENCY)) })
    }

    async fn deliver(&self, notification: &Notification) -> Result<(), NotifyError> {
        notification.check()?;
        let Destination::Webhook { url, secret } = &notification.destination else {
            return Err(NotifyError::refused(notification, "it is no webhook"));
        };
        if cfg!(not(feature = "tls")) && url.starts_with("https://") {
            let reason = "https needs a build with the feature `tls`: use http, or a proxy beside Weir";
            return Err(NotifyError::refused(notification, reason));
        }
        let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF, self.options.deadline);
        loop {
            let attempt = self.post(notification, url, secret.as_ref());
            let failure = match tokio::time::timeout(self.options.attempt, attempt).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Passing(format!("no answer within {:?}", self.options.attempt)),
            };
            match failure {
                Failure::Refused(reason) => return Err(NotifyError::refused(notification, reason)),
                Failure::Passing(reason) if !backoff.pause().await => {
                    return Err(NotifyError::unavailable(notification, reason));
                }
                Failure::Passing(_) => {}
            }
        }
    }

    /// One attempt, signed anew, since receivers refuse old signatures.
    async fn post(&self, it: &Notification, url: &str, secret: Option<&Secret>) -> Result<(), Failure> {
        let mut request =
            Request::post(url).header(CONTENT_TYPE, "application/json").header(ID_HEADER, &it.id);
        if let Some(secret) = secret {
            let seconds = self.clock.now_ms().div_euclid(1_000);
            request = request.header(SIGNATURE_HEADER, signature(secret, seconds, it.body.as_bytes()));
        }
        let request = request
            .header("user-agent", "weir")
            .body(Full::from(Bytes::copy_from_slice(it.body.as_bytes())))
            .map_err(|error| Failure::Refused(format!("its URL is no URL: {error}")))?;
        let answer = self.client.request(request).await.map_err(|error| Failure::Passing(chain(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]).trim().to_owned();
        let reason = format!("{status}: {text}");
        Err(if passing(status) { Failure::Passing(reason) } else { Failure::Refused(reason) })
    }
}

#[async_trait]
impl Notifier for WebhookNotifier {
    async fn notify(&self, notifications: Vec<Notification>) -> Vec<Result<(), NotifyError>> {
        let mut lost: Vec<Option<NotifyError>> = notifications
            .iter()
            .map(|notification| Some(NotifyError::unavailable(notification, "the attempt broke off")))
            .collect();
        let mut running = JoinSet::new();
        for (index, notification) in notifications.into_iter().enumerate() {
            let this = self.clone();
            running.spawn(async move {
                let _place = this.places.acquire().await;
                (index, this.deliver(&notification).await)
            });
        }
        while let Some(ended) = running.join_next().await {
            if let Ok((index, result)) = ended {
                lost[index] = result.err();
            }
        }
        lost.into_iter().map(|error| error.map_or(Ok(()), Err)).collect()
    }
}

/// The value of [`SIGNATURE_HEADER`]: the time in seconds since 1970, and the HMAC-SHA256 in lower-case
/// hexadecimal of that time in decimal, a dot, and the body.
#[must_use]
pub fn signature(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    let mut text = format!("t={seconds},v1=");
    // HMAC takes keys of any length, so this is never an error.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) {
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

/// Whether a receiver that answers so may take the same request later.
fn passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

#[cfg(feature = "tls")]
fn connector(mut tcp: HttpConnector) -> std::io::Result<Connector> {
    tcp.enforce_http(false);
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?;
    Ok(https.https_or_http().enable_http1().wrap_connector(tcp))
}

#[cfg(not(feature = "tls"))]
fn connector(tcp: HttpConnector) -> std::io::Result<Connector> {
    Ok(tcp)
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_computes_of_time_dot_body() {
        // printf '1795255200.{"a":1}' | openssl dgst -sha256 -hmac hush
        let want = "t=1795255200,v1=3f4f7bfce3425b7eaaa02835353a038dfd7c52a1d17c646263297ce745e5871a";
        assert_eq!(signature(&Secret::new("hush"), 1_795_255_200, br#"{"a":1}"#), want);
    }
}
