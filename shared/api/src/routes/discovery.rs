//! Which series, labels and metadata there are.

use super::{END, GET, GET_POST, LIMIT, MATCH, START, TENANT};
use crate::schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const NAME: Parameter =
    Parameter::path("name", Kind::Text, "The label; `U__` escapes any name as Prometheus does.")
        .example("job");
const WITHIN: &[Parameter] = &[TENANT, MATCH, START, END, LIMIT];
const MATCHED: &[Parameter] = &[TENANT, MATCH.required(), START, END, LIMIT];
const FAILURES: &[u16] = &[400, 422, 503];

const fn lists(
    id: &'static str,
    methods: &'static [&'static str],
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: fn() -> serde_json::Value,
) -> Route {
    Route::new(id, Function::Query, methods, path, summary, Answer::Json(answer))
        .tag("discovery")
        .parameters(parameters)
        .body(if methods.len() > 1 { Body::Form } else { Body::None })
        .failures(FAILURES)
}

pub(super) static ROUTES: &[Route] = &[
    lists("series", GET_POST, "/api/v1/series", "Series that match.", MATCHED, schema::series),
    lists("labels", GET_POST, "/api/v1/labels", "Names of labels.", WITHIN, schema::texts),
    lists(
        "label_values",
        GET,
        "/api/v1/label/{name}/values",
        "Values of a label.",
        &[NAME, TENANT, MATCH, START, END, LIMIT],
        schema::texts,
    ),
    lists(
        "metadata",
        GET,
        "/api/v1/metadata",
        "Type, help and unit of metrics.",
        &[
            TENANT,
            LIMIT,
            Parameter::query("limit_per_metric", Kind::Whole(0), "Most entries of a metric."),
            Parameter::query("metric", Kind::Text, "This metric only."),
        ],
        schema::metadata,
    ),
    lists(
        "internal_labels",
        GET,
        "/api/v1/internal/metrics/labels",
        "As /api/v1/labels, under the module specification's name.",
        WITHIN,
        schema::texts,
    ),
    lists(
        "internal_label_values",
        GET,
        "/api/v1/internal/metrics/label/{name}/values",
        "As /api/v1/label/{name}/values, under the module specification's name.",
        &[NAME, TENANT, MATCH, START, END, LIMIT],
        schema::texts,
    ),
    lists(
        "internal_series",
        GET,
        "/api/v1/internal/metrics/series",
        "As /api/v1/series, under the module specification's name.",
        MATCHED,
        schema::series,
    ),
];
