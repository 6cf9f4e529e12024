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

const LINES: Body = Body::Media(&[(
    "application/x-ndjson",
    "{\"metric\":{\"__name__\":\"up\"},\"values\":[1],\"timestamps\":[1700000000000]}\n",
)]);
const CSV: Body =
    Body::Media(&[("text/csv", "metric,host,timestamp,value\nload,a,2026-01-01T00:00:00Z,0.5\n")]);
const CSV_PARAMETERS: &[Parameter] = &[
    TENANT,
    ENCODING,
    RETRY,
    Parameter::query(
        "format",
        Kind::Text,
        "Columns by place, as in VictoriaMetrics: `2:metric:ask,1:time:unix_s,3:label:pair`; else the first row is a header.",
    ),
    Parameter::query("metric", Kind::Text, "The metric's name, for a header without a column for it."),
];

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
    takes("import_series", "/api/v1/import", "Series as lines of JSON, in VictoriaMetrics' form.", LINES),
    takes("import_jsonl", "/api/v1/import/jsonl", "As /api/v1/import.", LINES),
    Route {
        parameters: CSV_PARAMETERS,
        ..takes("import_csv", "/api/v1/import/csv", "CSV, a row a sample.", CSV)
    },
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
