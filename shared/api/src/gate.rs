//! Who may use the API: whoever has its key. Without an admin key the admin API answers this machine only, and in
//! the cloud nobody.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;

use crate::key::{Key, ShortKey, credential};
use crate::serve::allow_origins;

/// The variable that has the key of the admin API.
pub const ADMIN_KEY_VARIABLE: &str = "WEIR_ADMIN_KEY";
/// The variable that has the key of everything else.
pub const API_KEY_VARIABLE: &str = "WEIR_API_KEY";
/// What stands there instead of a key when whoever reaches the API may use it.
const OPEN: &str = "open";
/// Every path below it takes the admin key.
const ADMIN_PATHS: &str = "/api/v1/admin/";
/// What answers anybody: probes of health, and links to exports, which hold 128 random bits of their own.
const PUBLIC_PATHS: [&str; 5] =
    ["/-/healthy", "/-/ready", "/health", "/api/v1/internal/metrics/health", "/api/v1/export/files/"];
/// What a proxy adds: then whoever asks is somewhere else than the connection begins.
const PROXIED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

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

/// Who may use what is not the admin API.
#[derive(Debug, Clone)]
enum Everyday {
    /// Whoever reaches it.
    Open,
    /// Whoever has this key, or the admin key.
    Key(Key),
    /// Nobody, since nobody said who.
    Closed,
}

/// The door of the API.
#[derive(Debug, Clone)]
pub struct Gate {
    everyday: Everyday,
    admin: Option<Key>,
    loopback: bool,
}

impl Gate {
    /// A gate on one machine: without an API key (`None` or empty) it is open, without an admin key the admin API
    /// admits what comes from the machine itself.
    ///
    /// # Errors
    /// [`ShortKey`] when a key could be guessed.
    pub fn local(api_key: Option<&str>, admin_key: Option<&str>) -> Result<Self, ShortKey> {
        let everyday = everyday(api_key)?.unwrap_or(Everyday::Open);
        Ok(Self { everyday, admin: Key::new(ADMIN_KEY_VARIABLE, admin_key)?, loopback: true })
    }

    /// A gate in the cloud: what has no key admits nobody, but for the API with the word `open` instead of one.
    ///
    /// # Errors
    /// As [`Gate::local`].
    pub fn cloud(api_key: Option<&str>, admin_key: Option<&str>) -> Result<Self, ShortKey> {
        let everyday = everyday(api_key)?.unwrap_or(Everyday::Closed);
        Ok(Self { everyday, admin: Key::new(ADMIN_KEY_VARIABLE, admin_key)?, loopback: false })
    }

    /// Puts the gate in front of routes. Requests to the admin API that get through carry an [`Admitted`].
    pub fn guard(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn(move |request: Request<Body>, next: Next| {
            let gate = self.clone();
            async move { gate.pass(request, next).await }
        }))
    }

    async fn pass(&self, mut request: Request<Body>, next: Next) -> Response {
        let (path, method, headers) = (request.uri().path(), request.method(), request.headers());
        // Browsers ask without credentials what they may send.
        let admitted = if *method == Method::OPTIONS || is_public(path) {
            Ok(None)
        } else if path.starts_with(ADMIN_PATHS) {
            let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
            self.admit_admin(method, headers, from).map(Some)
        } else {
            self.admit(headers).map(|()| None)
        };
        match admitted {
            Ok(admitted) => {
                if let Some(admitted) = admitted {
                    request.extensions_mut().insert(admitted);
                }
                next.run(request).await
            }
            Err(refusal) => {
                let from_browser = headers.contains_key(header::ORIGIN);
                let mut response = refusal.into_response();
                if from_browser {
                    allow_origins(response.headers_mut());
                }
                response
            }
        }
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let key = match &self.everyday {
            Everyday::Open => return Ok(()),
            Everyday::Closed => return Err(Refusal::Closed),
            Everyday::Key(key) => key,
        };
        let given = credential(headers).ok_or(Refusal::NoKey)?;
        let fits = key.is(&given) || self.admin.as_ref().is_some_and(|admin| admin.is(&given));
        if fits { Ok(()) } else { Err(Refusal::WrongKey) }
    }

    fn admit_admin(
        &self,
        method: &Method,
        headers: &HeaderMap,
        from: Option<SocketAddr>,
    ) -> Result<Admitted, Refusal> {
        if let Some(key) = &self.admin {
            let given = credential(headers).ok_or(Refusal::NoAdminKey)?;
            return if key.is(&given) { Ok(Admitted::Key) } else { Err(Refusal::WrongAdminKey) };
        }
        if !self.loopback {
            return Err(Refusal::AdminClosed);
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

fn everyday(key: Option<&str>) -> Result<Option<Everyday>, ShortKey> {
    if key.is_some_and(|key| key.trim() == OPEN) {
        return Ok(Some(Everyday::Open));
    }
    Ok(Key::new(API_KEY_VARIABLE, key)?.map(Everyday::Key))
}

/// True for paths that answer whoever asks.
pub(crate) fn is_public(path: &str) -> bool {
    PUBLIC_PATHS.iter().any(|public| path.starts_with(public))
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
    NoAdminKey,
    WrongAdminKey,
    AdminClosed,
    Elsewhere,
    OtherSite,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, kind, error) = match self {
            Self::NoKey => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the API takes a key: send the header Authorization: Bearer KEY, or the key as password of basic auth",
            ),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, "unauthorized", "this is not the API key"),
            Self::Closed => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "the API is closed: there is no API key; deploy with the parameter ApiKey",
            ),
            Self::NoAdminKey => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the admin API takes the admin key: send the header Authorization: Bearer KEY",
            ),
            Self::WrongAdminKey => (StatusCode::UNAUTHORIZED, "unauthorized", "this is not the admin key"),
            Self::AdminClosed => (
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
            for scheme in ["Bearer realm=\"weir\"", "Basic realm=\"weir\""] {
                let scheme = header::HeaderValue::from_static(scheme);
                response.headers_mut().append(header::WWW_AUTHENTICATE, scheme);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                name.parse::<axum::http::HeaderName>().unwrap(),
                value.parse::<axum::http::HeaderValue>().unwrap(),
            )
        });
        pairs.collect()
    }

    fn asked(gate: &Gate, method: Method, pairs: &[(&str, &str)], from: &str) -> Result<Admitted, Refusal> {
        gate.admit_admin(&method, &headers(pairs), from.parse().ok())
    }

    #[test]
    fn the_admin_key_admits_from_anywhere_and_nothing_else_does() {
        for gate in [Gate::local(None, Some(KEY)).unwrap(), Gate::cloud(None, Some(KEY)).unwrap()] {
            for (authorization, want) in [
                (format!("Bearer {KEY}"), Ok(Admitted::Key)),
                (format!("bearer  {KEY} "), Ok(Admitted::Key)),
                (format!("Bearer {KEY}0"), Err(Refusal::WrongAdminKey)),
                ("Bearer ".to_owned(), Err(Refusal::WrongAdminKey)),
                ("x".to_owned(), Err(Refusal::NoAdminKey)),
            ] {
                let pairs = [("authorization", authorization.as_str())];
                assert_eq!(asked(&gate, Method::POST, &pairs, "10.0.0.1:5"), want, "{authorization}");
            }
            assert_eq!(asked(&gate, Method::GET, &[], "127.0.0.1:5"), Err(Refusal::NoAdminKey));
        }
    }

    #[test]
    fn without_an_admin_key_only_this_machine_is_admitted_and_in_the_cloud_nobody() {
        let gate = Gate::local(None, Some("")).unwrap();
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
        let cloud = Gate::cloud(None, None).unwrap();
        assert_eq!(asked(&cloud, Method::GET, &[], "127.0.0.1:5"), Err(Refusal::AdminClosed));
        assert!(
            Gate::cloud(None, Some("short")).unwrap_err().to_string().contains("WEIR_ADMIN_KEY has 5 bytes")
        );
        assert!(
            Gate::cloud(Some("short"), None).unwrap_err().to_string().contains("WEIR_API_KEY has 5 bytes")
        );
    }

    #[test]
    fn the_api_key_or_the_admin_key_admits_to_the_rest_and_without_one_the_cloud_is_closed() {
        let (other, basic) = ("the admin's very own key", "Basic ZzowMTIzNDU2Nzg5YWJjZGVm");
        let keyed = Gate::cloud(Some(KEY), Some(other)).unwrap();
        let local = Gate::local(Some(KEY), None).unwrap();
        let ask =
            |gate: &Gate, authorization: &str| gate.admit(&headers(&[("authorization", authorization)]));
        for gate in [&keyed, &local] {
            assert_eq!(ask(gate, &format!("Bearer {KEY}")), Ok(()));
            assert_eq!(ask(gate, basic), Ok(()));
            assert_eq!(ask(gate, "Bearer 0123456789abcdeg"), Err(Refusal::WrongKey));
            assert_eq!(gate.admit(&HeaderMap::new()), Err(Refusal::NoKey));
        }
        assert_eq!(ask(&keyed, &format!("Bearer {other}")), Ok(()));
        for (gate, want) in [
            (Gate::cloud(None, None), Err(Refusal::Closed)),
            (Gate::cloud(Some("open"), None), Ok(())),
            (Gate::local(None, None), Ok(())),
        ] {
            assert_eq!(gate.unwrap().admit(&HeaderMap::new()), want);
        }
    }

    #[tokio::test]
    async fn health_links_and_preflights_answer_without_a_key() {
        use tower::ServiceExt;
        let routes = Gate::cloud(Some(KEY), None).unwrap().guard(Router::new().fallback(|| async { "in" }));
        for (method, path, want) in [
            ("GET", "/-/healthy", 200),
            ("GET", "/api/v1/export/files/t/e/p", 200),
            ("OPTIONS", "/api/v1/query", 200),
            ("GET", "/api/v1/query", 401),
            ("POST", "/api/v1/write", 401),
            ("GET", "/api/v2/alerts", 401),
            ("GET", "/api/v1/admin/metrics/storage", 403),
        ] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let response = routes.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status().as_u16(), want, "{method} {path}");
        }
    }
}
