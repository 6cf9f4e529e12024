//! Who may use the admin API: whoever has the admin key; without one, this machine only, and in the cloud nobody.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::serve::allow_origins;

/// The variable that has the key.
pub const ADMIN_KEY_VARIABLE: &str = "WEIR_ADMIN_KEY";
/// Every path below it takes the key.
const ADMIN_PATHS: &str = "/api/v1/admin/";
/// Shortest key, in bytes: what nobody guesses.
const MIN_KEY_BYTES: usize = 16;
/// What a proxy adds: then whoever asks is somewhere else than the connection begins.
const PROXIED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// A key that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortKey {
    bytes: usize,
}

impl std::fmt::Display for ShortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes;
        write!(
            f,
            "{ADMIN_KEY_VARIABLE} has {bytes} bytes, at least {MIN_KEY_BYTES}; try: openssl rand -hex 32"
        )
    }
}

impl std::error::Error for ShortKey {}

/// How a request got through, for the record of who did what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// By the key.
    Key,
    /// From this machine, there being no key.
    Loopback,
}

impl Admitted {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "admin key",
            Self::Loopback => "this machine",
        }
    }
}

/// The door of the admin API.
#[derive(Debug, Clone)]
pub struct AdminGate {
    key: Option<Arc<[u8]>>,
    loopback: bool,
}

impl AdminGate {
    /// A gate on one machine: without a key (`None` or empty) it admits what comes from the machine itself.
    ///
    /// # Errors
    /// [`ShortKey`] when the key could be guessed.
    pub fn local(key: Option<&str>) -> Result<Self, ShortKey> {
        Ok(Self { key: checked(key)?, loopback: true })
    }

    /// A gate in the cloud: without a key it admits nobody.
    ///
    /// # Errors
    /// As [`AdminGate::local`].
    pub fn cloud(key: Option<&str>) -> Result<Self, ShortKey> {
        Ok(Self { key: checked(key)?, loopback: false })
    }

    /// Puts the gate in front of routes; those that are not of the admin API it does not concern. Requests that
    /// get through carry an [`Admitted`].
    pub fn guard(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn(move |request: Request<Body>, next: Next| {
            let gate = self.clone();
            async move { gate.pass(request, next).await }
        }))
    }

    async fn pass(&self, mut request: Request<Body>, next: Next) -> Response {
        // Browsers ask without credentials what they may send.
        if !request.uri().path().starts_with(ADMIN_PATHS) || request.method() == Method::OPTIONS {
            return next.run(request).await;
        }
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        match self.admit(request.method(), request.headers(), from) {
            Ok(admitted) => {
                request.extensions_mut().insert(admitted);
                next.run(request).await
            }
            Err(refusal) => {
                let from_browser = request.headers().contains_key(header::ORIGIN);
                let mut response = refusal.into_response();
                if from_browser {
                    allow_origins(response.headers_mut());
                }
                response
            }
        }
    }

    fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        from: Option<SocketAddr>,
    ) -> Result<Admitted, Refusal> {
        if let Some(key) = &self.key {
            let given = headers.get(header::AUTHORIZATION).map(axum::http::HeaderValue::as_bytes);
            let Some(given) = given.and_then(bearer) else { return Err(Refusal::NoKey) };
            return if bool::from(given.ct_eq(key)) { Ok(Admitted::Key) } else { Err(Refusal::WrongKey) };
        }
        if !self.loopback {
            return Err(Refusal::Closed);
        }
        let here = from.is_some_and(|from| from.ip().to_canonical().is_loopback());
        if !here || PROXIED.iter().any(|name| headers.contains_key(*name)) {
            return Err(Refusal::Elsewhere);
        }
        // A page of another site, open in a browser of this machine, may read but not change anything.
        if *method != Method::GET && *method != Method::HEAD && is_foreign(headers) {
            return Err(Refusal::OtherSite);
        }
        Ok(Admitted::Loopback)
    }
}

fn checked(key: Option<&str>) -> Result<Option<Arc<[u8]>>, ShortKey> {
    match key.map(str::trim).filter(|key| !key.is_empty()) {
        None => Ok(None),
        Some(key) if key.len() < MIN_KEY_BYTES => Err(ShortKey { bytes: key.len() }),
        Some(key) => Ok(Some(key.as_bytes().into())),
    }
}

/// The credentials of `Authorization: Bearer …` (RFC 6750).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

/// True when a page that the server did not serve asks.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return false };
    let site = origin.split_once("://").map_or("", |(_, site)| site);
    text(header::HOST) != Some(site)
}

/// Why a request was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoKey,
    WrongKey,
    Closed,
    Elsewhere,
    OtherSite,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, kind, error) = match self {
            Self::NoKey => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the admin API takes the admin key: send the header Authorization: Bearer KEY",
            ),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, "unauthorized", "this is not the admin key"),
            Self::Closed => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "the admin API is closed: there is no admin key; deploy with the parameter AdminKey",
            ),
            Self::Elsewhere => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "without an admin key the admin API answers this machine only; set WEIR_ADMIN_KEY to use it from elsewhere",
            ),
            Self::OtherSite => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "without an admin key the admin API takes no changes from pages of other sites; set WEIR_ADMIN_KEY",
            ),
        };
        let body = json!({ "status": "error", "errorType": kind, "error": error });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer realm=\"weir admin\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn asked(
        gate: &AdminGate,
        method: Method,
        pairs: &[(&str, &str)],
        from: &str,
    ) -> Result<Admitted, Refusal> {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                name.parse::<axum::http::HeaderName>().unwrap(),
                value.parse::<axum::http::HeaderValue>().unwrap(),
            )
        });
        gate.admit(&method, &pairs.collect(), from.parse().ok())
    }

    #[test]
    fn the_key_admits_from_anywhere_and_nothing_else_does() {
        for gate in [AdminGate::local(Some(KEY)).unwrap(), AdminGate::cloud(Some(KEY)).unwrap()] {
            for (authorization, want) in [
                (format!("Bearer {KEY}"), Ok(Admitted::Key)),
                (format!("bearer  {KEY} "), Ok(Admitted::Key)),
                (format!("Bearer {KEY}0"), Err(Refusal::WrongKey)),
                ("Bearer ".to_owned(), Err(Refusal::WrongKey)),
                (format!("Basic {KEY}"), Err(Refusal::NoKey)),
                ("x".to_owned(), Err(Refusal::NoKey)),
            ] {
                let pairs = [("authorization", authorization.as_str())];
                assert_eq!(asked(&gate, Method::POST, &pairs, "10.0.0.1:5"), want, "{authorization}");
            }
            assert_eq!(asked(&gate, Method::GET, &[], "127.0.0.1:5"), Err(Refusal::NoKey));
        }
    }

    #[test]
    fn without_a_key_only_this_machine_is_admitted_and_in_the_cloud_nobody() {
        let gate = AdminGate::local(Some("")).unwrap();
        let site = ("origin", "http://evil.example");
        let own = [("origin", "http://localhost:7070"), ("host", "localhost:7070")];
        let proxied = ("x-forwarded-for", "10.0.0.1");
        for (method, pairs, from, want) in [
            (Method::POST, &[][..], "127.0.0.1:5", Ok(Admitted::Loopback)),
            (Method::POST, &[], "[::1]:5", Ok(Admitted::Loopback)),
            (Method::POST, &[], "[::ffff:127.0.0.1]:5", Ok(Admitted::Loopback)),
            (Method::POST, &own, "127.0.0.1:5", Ok(Admitted::Loopback)),
            (Method::GET, &[site], "127.0.0.1:5", Ok(Admitted::Loopback)),
            (Method::POST, &[site], "127.0.0.1:5", Err(Refusal::OtherSite)),
            (Method::GET, &[proxied], "127.0.0.1:5", Err(Refusal::Elsewhere)),
            (Method::GET, &[], "10.0.0.1:5", Err(Refusal::Elsewhere)),
            (Method::GET, &[], "", Err(Refusal::Elsewhere)),
        ] {
            assert_eq!(asked(&gate, method, pairs, from), want, "{pairs:?} {from}");
        }
        let cloud = AdminGate::cloud(None).unwrap();
        assert_eq!(asked(&cloud, Method::GET, &[], "127.0.0.1:5"), Err(Refusal::Closed));
        assert!(AdminGate::cloud(Some("short")).unwrap_err().to_string().contains("5 bytes"));
    }
}
