//! What every function's router shares: the table's routes, refusals, CORS, HEAD and compression.

use std::collections::BTreeMap;
use std::io::Write;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use axum::{Json, Router};
use serde_json::json;

use crate::table::{Function, Route};

/// Smaller bodies are not worth compressing.
const MIN_GZIP_BYTES: u64 = 1024;
/// From this size on compression leaves the thread that serves requests.
const LONG_GZIP_BYTES: u64 = 64 * 1024;
/// The fastest level: it takes a third of the time of the usual one and most of the bytes.
const GZIP_LEVEL: u32 = 1;

/// The router of a function's routes; `answer` is asked with the route that matched.
pub fn router<A, F>(function: Function, answer: A) -> Router
where
    A: Fn(&'static Route, Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let mut by_path: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in crate::all().filter(|route| route.function == function) {
        by_path.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in by_path {
        let allowed: Vec<&str> = routes.iter().flat_map(|route| route.methods).copied().collect();
        let allowed = allowed.join(", ");
        let mut methods = MethodRouter::new()
            .fallback(move |request: Request<Body>| async move { not_allowed(&request, &allowed) });
        for route in routes {
            for filter in route.methods.iter().filter_map(|method| filter(method)) {
                let answer = answer.clone();
                methods = methods.on(filter, move |request: Request<Body>| answer(route, request));
            }
        }
        router = router.route(path, methods);
    }
    router.fallback(nothing_here).layer(middleware::from_fn(finish))
}

fn filter(method: &str) -> Option<MethodFilter> {
    Method::from_bytes(method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok())
}

/// Refuses a method that the path does not take; `allowed` lists those it takes.
pub fn not_allowed(request: &Request<Body>, allowed: &str) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let error = format!("{} takes {allowed}, not {}", request.uri().path(), request.method());
    let body = json!({ "status": "error", "errorType": "bad_data", "error": error });
    let allow = HeaderValue::from_str(&allow_header(allowed)).unwrap_or(HeaderValue::from_static("GET"));
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)], Json(body)).into_response()
}

/// What may be asked of a path, with the methods that come by themselves.
fn allow_header(allowed: &str) -> String {
    let head = if allowed.contains("GET") { ", HEAD" } else { "" };
    format!("{allowed}{head}, OPTIONS")
}

/// Answers what no route matches.
pub async fn nothing_here(request: Request<Body>) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let path = request.uri().path();
    let error = format!("nothing is built at {path} (yet); /api/openapi.json lists every path");
    let body = json!({ "status": "error", "errorType": "not_found", "error": error });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// Adds what browsers need, and compresses where the client takes it.
async fn finish(request: Request<Body>, next: Next) -> Response {
    let from_browser = request.headers().contains_key(header::ORIGIN);
    let takes_gzip = takes_gzip(request.headers()) && request.method() != Method::HEAD;
    let mut response = next.run(request).await;
    if from_browser {
        allow_origins(response.headers_mut());
    }
    if takes_gzip { compressed(response).await } else { response }
}

/// Prometheus' headers, every origin being allowed as it is by default there: who may ask is the business
/// of whatever authenticates, and nothing here goes by cookies.
pub(crate) fn allow_origins(headers: &mut HeaderMap) {
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, Origin, X-Scope-OrgID",
        ),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, Weir-Tier"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

/// True when `Accept-Encoding` names gzip (or anything) and does not weigh it zero.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut named = None;
    let mut any = false;
    for offer in offers.flat_map(|text| text.split(',')) {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
        let wanted = weight.is_none_or(|q| q > 0.0);
        match coding.trim() {
            "gzip" | "x-gzip" => named = Some(wanted),
            "*" => any = wanted,
            _ => {}
        }
    }
    named.unwrap_or(any)
}

async fn compressed(response: Response) -> Response {
    let size = response.body().size_hint().exact().unwrap_or(0);
    if size < MIN_GZIP_BYTES || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A body that knows its size is in memory already.
    let Ok(plain) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let work = {
        let plain = plain.clone();
        move || gzip(&plain)
    };
    let packed = if size < LONG_GZIP_BYTES {
        work()
    } else {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    };
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let Ok(packed) = packed else { return Response::from_parts(parts, Body::from(plain)) };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let out = Vec::with_capacity(plain.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_when_it_is_asked_for() {
        for (offer, want) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("br, deflate", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, offer.parse().unwrap())]);
            assert_eq!(takes_gzip(&headers), want, "{offer}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
