//! PromQL, and samples out.

use super::{END, GET, GET_POST, LIMIT, MATCH, POST, START, TENANT};
use crate::schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const QUERY: Parameter =
    Parameter::query("query", Kind::Promql, "A PromQL expression.").required().example("up");
const TIME: Parameter = Parameter::query("time", Kind::Instant, "When; now without it.");
const STEP: Parameter =
    Parameter::query("step", Kind::Span, "Time between two points.").required().example("15");
const TIMEOUT: Parameter =
    Parameter::query("timeout", Kind::Span, "Longest time to take, within the server's bound.");
const LOOKBACK: Parameter =
    Parameter::query("lookback_delta", Kind::Span, "How far back an instant selector looks.");
const STATS: Parameter = Parameter::query(
    "stats",
    Kind::Text,
    "Adds figures about the evaluation; `all` adds those of each step.",
);
const EXPLAIN: Parameter =
    Parameter::query("explain", Kind::Text, "`1` adds the plan with what each part of it took.");
const NO_CACHE: Parameter = Parameter::query(
    "nocache",
    Kind::Text,
    "`1` goes around cached answers, `all` around indexes in memory, too.",
);

const TIER: Parameter = Parameter::query(
    "tier",
    Kind::Text,
    "`raw` reads samples only, `1m`, `1h` or `1d` that rollup; otherwise the coarsest that gives the same answer.",
);

const INSTANT: &[Parameter] =
    &[TENANT, QUERY, TIME, TIMEOUT, LIMIT, LOOKBACK, STATS, EXPLAIN, NO_CACHE, TIER];
const RANGE: &[Parameter] = &[
    TENANT,
    QUERY,
    START.required().example("0"),
    END.required().example("60"),
    STEP,
    TIMEOUT,
    LIMIT,
    LOOKBACK,
    STATS,
    EXPLAIN,
    NO_CACHE,
    TIER,
];
const EITHER: &[Parameter] = &[
    TENANT,
    QUERY,
    TIME,
    START,
    END,
    Parameter { required: false, ..STEP },
    TIMEOUT,
    LIMIT,
    LOOKBACK,
    STATS,
    EXPLAIN,
    NO_CACHE,
];
const FAILURES: &[u16] = &[400, 422, 503];

const fn asks(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: fn() -> serde_json::Value,
) -> Route {
    Route::new(id, Function::Query, GET_POST, path, summary, Answer::Json(answer))
        .tag("query")
        .parameters(parameters)
        .body(Body::Form)
        .failures(FAILURES)
}

pub(super) static ROUTES: &[Route] = &[
    asks("query", "/api/v1/query", "Evaluates an expression at one instant.", INSTANT, schema::query),
    asks("query_range", "/api/v1/query_range", "Evaluates an expression over a range.", RANGE, schema::query),
    Route::new(
        "query_exemplars",
        Function::Query,
        GET_POST,
        "/api/v1/query_exemplars",
        "The exemplars of every series that an expression selects; nothing when it selects none.",
        Answer::JsonOrNothing(schema::exemplars),
    )
    .tag("query")
    .parameters(&[TENANT, QUERY, START, END])
    .body(Body::Form)
    .failures(FAILURES),
    asks(
        "internal_query",
        "/api/v1/internal/metrics/query",
        "A range query when `start` is given, else an instant one; the module specification's name.",
        EITHER,
        schema::query,
    ),
    Route::new(
        "internal_query_batch",
        Function::Query,
        POST,
        "/api/v1/internal/metrics/query/batch",
        "Up to 100 queries at once, each instant or range; the module specification's name.",
        Answer::Json(schema::query_batch),
    )
    .tag("query")
    .parameters(&[TENANT])
    .body(Body::Json(schema::query_batch_body))
    .failures(&[400, 503]),
    asks(
        "format_query",
        "/api/v1/format_query",
        "Writes an expression in canonical form.",
        &[TENANT, QUERY],
        schema::formatted,
    ),
    asks(
        "parse_query",
        "/api/v1/parse_query",
        "The syntax tree of an expression, as Prometheus' user interface reads it.",
        &[TENANT, QUERY],
        schema::syntax_tree,
    ),
    Route::new(
        "federate",
        Function::Query,
        GET,
        "/federate",
        "The latest sample of every selected series, for another Prometheus to scrape.",
        Answer::Media(&["text/plain"]),
    )
    .tag("query")
    .parameters(&[TENANT, MATCH])
    .failures(FAILURES),
    Route::new(
        "read",
        Function::Query,
        POST,
        "/api/v1/read",
        "Prometheus remote read: samples, or streamed chunks.",
        Answer::Media(&["application/x-protobuf", "application/x-streamed-protobuf"]),
    )
    .tag("query")
    .parameters(&[TENANT])
    .body(Body::Media(&[("application/x-protobuf", "")]))
    .failures(FAILURES),
];
