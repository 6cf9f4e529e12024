//! The table of routes, the routers made from it and template.yaml say the same.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails fails the test")]

use std::collections::BTreeSet;

use weir_api::{Function, Place, Route};
use weir_tests::{Weir, http};

const TEMPLATE: &str = include_str!("../../template.yaml");

/// Function, method and path of every HTTP event of the template, which keeps each on one line.
fn template_routes() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut function = "";
    let mut routes = Vec::new();
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix("  ").and_then(|rest| rest.strip_suffix(':'))
            && !name.starts_with(' ')
        {
            function = name;
        }
        if let Some((_, event)) = line.split_once("Type: HttpApi,") {
            let field = |name: &str| {
                let (_, rest) = event.split_once(name).expect("an HTTP event has a method and a path");
                rest.trim_start().trim_start_matches('"').split([',', '"', ' ']).next().unwrap()
            };
            routes.push((function, field("Method:"), field(" Path:").trim_end_matches('}')));
        }
    }
    routes
}

fn covers(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(p), Some(_)) if p.starts_with('{') => {}
            (Some(p), Some(q)) if p == q => {}
            _ => return false,
        }
    }
}

#[test]
fn every_route_of_the_table_is_in_the_template_and_the_other_way_round() {
    let template = template_routes();
    let mut used = BTreeSet::new();
    for route in weir_api::all() {
        let Some(function) = route.function.logical_id() else { continue };
        for method in route.methods {
            let event = template.iter().position(|(f, m, pattern)| {
                *f == function && ["ANY", method].contains(m) && covers(&closed(pattern), route.path)
            });
            used.insert(event.unwrap_or_else(|| {
                panic!("template.yaml has no event of {function} for {method} {}", route.path)
            }));
        }
    }
    for (place, (function, method, path)) in template.iter().enumerate() {
        // Browsers ask about every path before they use it.
        assert!(
            used.contains(&place) || *method == "OPTIONS",
            "shared/api has no route of {function} for {method} {path}"
        );
    }
}

/// `{name` as cut off above, closed again.
fn closed(pattern: &str) -> String {
    if pattern.matches('{').count() > pattern.matches('}').count() {
        format!("{pattern}}}")
    } else {
        pattern.to_owned()
    }
}

/// A path and query string that give every parameter that must be there its example.
fn asked(route: &Route) -> String {
    let mut path = route.path.to_owned();
    let mut query = String::new();
    for parameter in route.parameters.iter().filter(|p| p.required) {
        match parameter.place {
            Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), parameter.example),
            _ => {
                let (name, value) = (http::encode(parameter.name), http::encode(parameter.example));
                query.push_str(&format!("{}{name}={value}", if query.is_empty() { "?" } else { "&" }));
            }
        }
    }
    path + &query
}

#[test]
fn every_route_answers_as_http_clients_and_browsers_expect() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let client = http::Client::new();
    for route in weir_api::all() {
        let url = format!("{}{}", weir.url, asked(route));
        let browser = [("Origin", "http://dashboard.example"), ("Accept-Encoding", "gzip")];
        if route.methods.contains(&"GET") {
            let reply = client.get(&url, &browser).unwrap();
            // What is named in the path may have to be made first; what there is answers.
            let status = if ["export_file", "am_silence"].contains(&route.id) { 404 } else { 200 };
            assert_eq!(reply.status, status, "{url}: {}", reply.text());
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{url}");
            let head = client.send("HEAD", &url, &[]).unwrap();
            assert_eq!((head.status, head.body.len()), (status, 0), "HEAD {url}");
        }
        let preflight = client.send("OPTIONS", &url, &browser).unwrap();
        assert_eq!(preflight.status, 204, "OPTIONS {url}");
        let methods = preflight.header("access-control-allow-methods");
        assert_eq!(methods, Some("GET, POST, DELETE, OPTIONS"), "OPTIONS {url}");
        let refused = client.send("PATCH", &url, &[]).unwrap();
        assert_eq!(refused.status, 405, "PATCH {url}: {}", refused.text());
        let allowed = refused.header("allow").unwrap_or("").to_owned();
        assert!(route.methods.iter().all(|method| allowed.contains(method)), "{url} allows {allowed}");
    }
    let none = client.get(&format!("{}/api/v1/nothing", weir.url), &[]).unwrap();
    assert_eq!((none.status, none.json()["errorType"].as_str()), (404, Some("not_found")));
    assert!(none.text().contains("yet"));
    // The document is large enough to be compressed, and its plain form is JSON.
    let plain =
        client.get(&format!("{}/api/openapi.json", weir.url), &[("Accept-Encoding", "identity")]).unwrap();
    assert_eq!(plain.json()["openapi"], "3.1.0");
    let packed =
        client.get(&format!("{}/api/openapi.json", weir.url), &[("Accept-Encoding", "gzip")]).unwrap();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 2);
    assert!(Function::Local.logical_id().is_none());
}
