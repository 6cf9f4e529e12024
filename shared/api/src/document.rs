//! The OpenAPI 3.1 document, made of the table.

use serde_json::{Map, Value, json};

use crate::gate::is_public;
use crate::schema;
use crate::table::{Answer, Body, Kind, Parameter, Place, Route};

/// The OpenAPI document of everything that Weir serves.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in crate::all() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        for method in route.methods {
            path[method.to_lowercase()] = operation(route, method);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Metrics in, PromQL out. Unknown parameters are ignored, as Prometheus does.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        // Keys are what an installation may ask for; a single machine asks for none.
        "security": [{}, { "bearer": [] }, { "basic": [] }],
        "components": {
            "schemas": { "Error": schema::error() },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The key as a token." },
                "basic": { "type": "http", "scheme": "basic", "description": "The key as the password, for any user." },
            },
        },
    })
}

fn operation(route: &Route, method: &str) -> Value {
    // A name of its own for each method: clients are generated from them.
    let id = if route.methods.len() > 1 && method != route.methods[0] {
        format!("{}_{}", route.id, method.to_lowercase())
    } else {
        route.id.to_owned()
    };
    let is_form = method == "POST" && matches!(route.body, Body::Form);
    let parameters: Vec<Value> =
        route.parameters.iter().filter(|p| !(is_form && p.place == Place::Query)).map(parameter).collect();
    let mut operation = json!({
        "operationId": id,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route),
    });
    if method != "GET"
        && let Some(body) = body(route)
    {
        operation["requestBody"] = body;
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let mut out = json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": kind(parameter),
    });
    if !parameter.example.is_empty() {
        out["example"] = example(parameter);
    }
    out
}

fn example(parameter: &Parameter) -> Value {
    match parameter.kind {
        Kind::Texts => json!([parameter.example]),
        Kind::Whole(_) => parameter.example.parse::<i64>().map_or(Value::Null, Value::from),
        _ => Value::from(parameter.example),
    }
}

fn kind(parameter: &Parameter) -> Value {
    let least = u8::from(parameter.required || parameter.place == Place::Path);
    match parameter.kind {
        Kind::Text | Kind::Promql => json!({ "type": "string", "minLength": least }),
        Kind::Instant => {
            json!({ "anyOf": [{ "type": "number" }, { "type": "string", "format": "date-time" }] })
        }
        Kind::Span => json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": "^([0-9]{1,4}(ms|[smhdwy]))$" },
        ] }),
        Kind::Whole(from) => json!({ "type": "integer", "minimum": from, "maximum": i32::MAX }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
        Kind::Texts => {
            json!({ "type": "array", "items": { "type": "string", "minLength": least }, "minItems": least })
        }
        Kind::Tenant => json!({ "type": "string", "pattern": "^[A-Za-z0-9!_.*'()-]{1,150}$" }),
    }
}

fn body(route: &Route) -> Option<Value> {
    let content = match route.body {
        Body::None => return None,
        Body::Form => {
            let fields: Vec<&Parameter> =
                route.parameters.iter().filter(|p| p.place == Place::Query).collect();
            let properties: Map<String, Value> =
                fields.iter().map(|p| (p.name.to_owned(), kind(p))).collect();
            let required: Vec<&str> = fields.iter().filter(|p| p.required).map(|p| p.name).collect();
            let mut schema = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            json!({ "application/x-www-form-urlencoded": { "schema": schema } })
        }
        Body::Media(types) => types
            .iter()
            .map(|(media, example)| {
                let mut content = json!({ "schema": { "type": "string" } });
                if !example.is_empty() {
                    content["example"] = json!(example);
                }
                ((*media).to_owned(), content)
            })
            .collect::<Map<_, _>>()
            .into(),
        Body::Json(schema) => json!({ "application/json": { "schema": schema() } }),
    };
    let required = !matches!(route.body, Body::Form);
    Some(json!({ "required": required, "content": content }))
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, success) = match route.answer {
        Answer::Json(schema) | Answer::JsonOrNothing(schema) | Answer::JsonOrAccepted(schema) => (
            "200",
            json!({ "description": "Done.", "content": { "application/json": { "schema": schema() } } }),
        ),
        Answer::Media(types) => {
            ("200", json!({ "description": "Done.", "content": media(types).collect::<Map<_, _>>() }))
        }
        Answer::MediaOrJson(types, schema) => {
            let told = ("application/json".to_owned(), json!({ "schema": schema() }));
            let content: Map<String, Value> = media(types).chain([told]).collect();
            ("200", json!({ "description": "Done.", "content": content }))
        }
        Answer::Empty => ("204", json!({ "description": "Done." })),
    };
    responses.insert(status.to_owned(), success);
    if let Answer::JsonOrNothing(_) = route.answer {
        responses.insert("204".to_owned(), json!({ "description": "Nothing to say." }));
    }
    if let Answer::JsonOrAccepted(schema) = route.answer {
        let content = json!({ "application/json": { "schema": schema() } });
        responses.insert("202".to_owned(), json!({ "description": "Recorded.", "content": content }));
    }
    let no_key = (!is_public(route.path) && !route.failures.contains(&401)).then_some(&401);
    for failure in route.failures.iter().chain(no_key) {
        let told = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
        responses.insert(failure.to_string(), json!({ "description": reason(*failure), "content": told }));
    }
    responses.into()
}

fn media(types: &[&str]) -> impl Iterator<Item = (String, Value)> {
    types.iter().map(|media| ((*media).to_owned(), json!({ "schema": { "type": "string" } })))
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "The request is at fault; for bodies of samples: part of it was refused, the rest is stored.",
        401 => "The key is missing or wrong.",
        403 => "There is no admin key, and the request does not come from this machine.",
        404 => "There is no such thing.",
        409 => "Something else decides it.",
        413 => "The body is too large.",
        415 => "The type or encoding of the body is not known.",
        422 => "The query cannot be answered; a bound may have been passed.",
        503 => "Busy, timed out or unavailable: try again.",
        _ => "Failed.",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                assert_ne!(operation["summary"], "", "{method} {path}");
                assert_ne!(operation["tags"][0], "", "{method} {path}");
            }
        }
        assert!(ids.contains("query") && ids.contains("query_post"));
    }

    #[test]
    fn path_parameters_are_those_of_the_path() {
        for route in crate::all() {
            let inside: BTreeSet<&str> =
                route.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
            let said: BTreeSet<&str> =
                route.parameters.iter().filter(|p| p.place == Place::Path).map(|p| p.name).collect();
            assert_eq!(inside, said, "{}", route.path);
        }
    }
}
