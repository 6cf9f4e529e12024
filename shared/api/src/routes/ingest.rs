//! Metrics in.

use super::{GET, POST, TENANT};
use crate::schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const ENCODING: Parameter = Parameter::header(
    "Content-Encoding",
    Kind::Choice(&["gzip", "zstd", "deflate", "snappy", "identity"]),
    "How the body is compressed.",
);
const RETRY: Parameter =
    Parameter::header("Idempotency-Key", Kind::Text, "Makes a retry of counters count once; 1 to 256 bytes.");
const HEADERS: &[Parameter] = &[TENANT, ENCODING, RETRY];
const FAILURES: &[u16] = &[400, 413, 415, 503];

const PROTOBUF: Body = Body::Media(&[("application/x-protobuf", "")]);
const TEXT: Body = Body::Media(&[
    ("text/plain", "hello{from=\"curl\"} 1\n"),
    ("application/openmetrics-text", "hello{from=\"curl\"} 1\n# EOF\n"),
]);
const JSON: Body = Body::Media(&[("application/json", "{\"MetricName\":\"orders\",\"Value\":3}")]);

const fn takes(id: &'static str, path: &'static str, summary: &'static str, body: Body) -> Route {
    Route::new(id, Function::Ingest, POST, path, summary, Answer::Json(schema::accepted))
        .tag("ingest")
        .parameters(HEADERS)
        .body(body)
        .failures(FAILURES)
}

const fn remote_write(id: &'static str, path: &'static str) -> Route {
    Route { answer: Answer::Empty, ..takes(id, path, "Prometheus remote write 1.0 and 2.0.", PROTOBUF) }
}

pub(super) static ROUTES: &[Route] = &[
    remote_write("write", "/api/v1/write"),
    remote_write("push", "/api/v1/push"),
    takes("import_prometheus", "/api/v1/import/prometheus", "Prometheus text and OpenMetrics.", TEXT),
    takes(
        "import_statsd",
        "/api/v1/import/statsd",
        "StatsD and DogStatsD lines.",
        Body::Media(&[("text/plain", "jobs.done:1|c|#queue:mail\n")]),
    ),
    takes("import_json", "/api/v1/import/json", "Custom, event and CloudWatch-style JSON.", JSON),
    takes("import_batch", "/api/v1/import/batch", "A JSON list that mixes formats.", JSON),
    takes(
        "internal_prometheus",
        "/api/v1/internal/metrics/prometheus",
        "As /api/v1/import/prometheus, under the module specification's name.",
        TEXT,
    ),
    takes(
        "internal_custom",
        "/api/v1/internal/metrics/custom",
        "As /api/v1/import/json, under the module specification's name.",
        JSON,
    ),
    takes(
        "internal_batch",
        "/api/v1/internal/metrics/batch",
        "As /api/v1/import/batch, under the module specification's name.",
        JSON,
    ),
    Route::new(
        "internal_health",
        Function::Ingest,
        GET,
        "/api/v1/internal/metrics/health",
        "Health under the module specification's name.",
        Answer::Json(schema::health),
    )
    .tag("ingest"),
];
