//! API Gateway's part on this machine: the template's routes, each to its function.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use weir_api::Function;
use weir_platform::Telemetry;

use crate::template::Wiring;

/// One router over all functions; what the template does not name is refused, as in the cloud.
pub(crate) fn router(
    wiring: &Wiring,
    functions: &HashMap<&str, Router>,
    telemetry: Arc<Telemetry>,
) -> Result<Router> {
    let routes = wiring
        .routes
        .iter()
        .map(|route| {
            let function = functions.get(route.function.as_str()).with_context(|| {
                format!("template.yaml routes {} to {}, which this build lacks", route.path, route.function)
            })?;
            let pattern = Pattern::parse(&route.path);
            Ok(Target { method: route.method.clone(), pattern, function: function.clone() })
        })
        .collect::<Result<Vec<_>>>()?;
    let local = weir_api::router(Function::Local, move |_route, _request| {
        let telemetry = telemetry.clone();
        async move { own_metrics(&telemetry).into_response() }
    });
    let routes = Arc::new(routes);
    Ok(local.fallback(move |request: Request<Body>| dispatch(routes.clone(), request)))
}

/// A route of the template and the function behind it.
struct Target {
    method: String,
    pattern: Pattern,
    function: Router,
}

/// A path pattern of API Gateway: literal segments, `{name}` for any one, `{name+}` for any rest.
#[derive(Debug, PartialEq)]
struct Pattern(Vec<Segment>);

#[derive(Debug, PartialEq)]
enum Segment {
    Literal(String),
    Any,
    Rest,
}

impl Pattern {
    fn parse(path: &str) -> Self {
        let segment = |text: &str| match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) if name.ends_with('+') => Segment::Rest,
            Some(_) => Segment::Any,
            None => Segment::Literal(text.to_owned()),
        };
        Self(path.trim_matches('/').split('/').map(segment).collect())
    }

    /// How many segments match literally, the most specific pattern having the most; `None` when the
    /// path does not match.
    fn matches(&self, path: &str) -> Option<usize> {
        let mut parts = path.trim_start_matches('/').split('/');
        let mut literal = 0;
        for segment in &self.0 {
            match (segment, parts.next()) {
                (Segment::Rest, Some(_)) => return Some(literal),
                (Segment::Any, Some(part)) if !part.is_empty() => {}
                (Segment::Literal(text), Some(part)) if text == part => literal += 1,
                _ => return None,
            }
        }
        parts.next().is_none().then_some(literal)
    }
}

async fn dispatch(routes: Arc<Vec<Target>>, request: Request<Body>) -> Response {
    let path = request.uri().path();
    // HEAD goes where GET goes.
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    let matching = || routes.iter().filter_map(|t| t.pattern.matches(path).map(|literal| (literal, t)));
    let allowed = matching().filter(|(_, t)| t.method == "ANY" || t.method == method);
    if let Some((_, target)) = allowed.max_by_key(|(literal, _)| *literal) {
        let function = target.function.clone();
        return match function.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    let known: Vec<&str> = matching().map(|(_, t)| t.method.as_str()).filter(|m| *m != "OPTIONS").collect();
    if known.is_empty() {
        weir_api::nothing_here(request).await
    } else {
        weir_api::not_allowed(&request, &known.join(", "))
    }
}

fn own_metrics(telemetry: &Telemetry) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry.to_text())
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_as_in_api_gateway() {
        for (pattern, path, want) in [
            ("/api/v1/write", "/api/v1/write", Some(3)),
            ("/api/v1/write", "/api/v1/writes", None),
            ("/api/v1/import/{dialect}", "/api/v1/import/json", Some(3)),
            ("/api/v1/import/{dialect}", "/api/v1/import/", None),
            ("/api/v1/import/{dialect}", "/api/v1/import/json/more", None),
            ("/api/v1/label/{name}/values", "/api/v1/label/job/values", Some(4)),
            ("/t/{proxy+}", "/t/a/b", Some(1)),
            ("/t/{proxy+}", "/t", None),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(path), want, "{pattern} {path}");
        }
    }
}
