//! About the server.

use super::{GET, TENANT};
use crate::schema;
use crate::table::{Answer, Function, Kind, Parameter, Route};

const fn status(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    answer: fn() -> serde_json::Value,
) -> Route {
    Route::new(id, Function::Query, GET, path, summary, Answer::Json(answer))
        .tag("server")
        .parameters(&[TENANT])
        .failures(&[400])
}

const fn plain(id: &'static str, function: Function, path: &'static str, summary: &'static str) -> Route {
    Route::new(id, function, GET, path, summary, Answer::Media(&["text/plain"])).tag("server")
}

pub(super) static ROUTES: &[Route] = &[
    status("status_buildinfo", "/api/v1/status/buildinfo", "What is built.", schema::build_info),
    status("status_config", "/api/v1/status/config", "The configuration in force, as YAML.", schema::config),
    status("status_flags", "/api/v1/status/flags", "The settings in force.", schema::flags),
    status("status_runtimeinfo", "/api/v1/status/runtimeinfo", "How the process runs.", schema::runtime_info),
    status("status_walreplay", "/api/v1/status/walreplay", "How far a replay is: done.", schema::wal_replay),
    Route {
        parameters: &[
            TENANT,
            Parameter {
                example: "10",
                ..Parameter::query("limit", Kind::Whole(1), "Entries of each list, up to 10,000.")
            },
        ],
        failures: &[400, 422, 503],
        ..status(
            "status_tsdb",
            "/api/v1/status/tsdb",
            "Cardinality by metric, label and value.",
            schema::cardinality,
        )
    },
    Route::new(
        "openapi",
        Function::Query,
        GET,
        "/api/openapi.json",
        "This document.",
        Answer::Json(schema::openapi),
    )
    .tag("server"),
    plain("healthy", Function::Query, "/-/healthy", "Says that the process answers."),
    plain("ready", Function::Query, "/-/ready", "Says that queries can be served."),
    plain("health", Function::Query, "/health", "As /-/healthy, where load balancers look for it."),
    plain("metrics", Function::Local, "/metrics", "Weir's own metrics, as Prometheus text."),
];
