//! Samples out.

use super::{END, GET, GET_POST, MATCH, TENANT};
use crate::schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const FORMATS: &[&str] = &["jsonl", "csv", "openmetrics", "parquet"];
const START: Parameter =
    Parameter::query("start", Kind::Instant, "From when, inclusive.").required().example("1700000000");
const COMPRESSION: Parameter = Parameter::query(
    "compression",
    Kind::Choice(&["none", "gzip", "zstd"]),
    "How the file is compressed; Parquet always is by itself.",
);
const DELIVERY: Parameter = Parameter::query(
    "delivery",
    Kind::Choice(&["stream", "link"]),
    "`stream` sends the file as the answer; `link` stores it for a day, in parts, and answers where.",
);
const FORMAT: Parameter =
    Parameter::query("format", Kind::Choice(FORMATS), "The file's format; jsonl without it.");
const FILE_OR_LINK: Answer = Answer::MediaOrJson(
    &[
        "application/x-ndjson",
        "text/csv",
        "application/openmetrics-text",
        "application/vnd.apache.parquet",
        "application/gzip",
        "application/zstd",
    ],
    schema::export_link,
);
const FAILURES: &[u16] = &[400, 422, 503];

const fn export(id: &'static str, path: &'static str, parameters: &'static [Parameter]) -> Route {
    Route::new(
        id,
        Function::Query,
        GET_POST,
        path,
        "The samples of selectors over a range as a file.",
        FILE_OR_LINK,
    )
    .tag("export")
    .parameters(parameters)
    .body(Body::Form)
    .failures(FAILURES)
}

pub(super) static ROUTES: &[Route] = &[
    export(
        "export",
        "/api/v1/export",
        &[TENANT, MATCH.required(), START, END, FORMAT, COMPRESSION, DELIVERY],
    ),
    export(
        "export_format",
        "/api/v1/export/{format}",
        &[
            Parameter::path("format", Kind::Choice(FORMATS), "The file's format.").example("csv"),
            TENANT,
            MATCH.required(),
            START,
            END,
            COMPRESSION,
            DELIVERY,
        ],
    ),
    Route::new(
        "export_file",
        Function::Query,
        GET,
        "/api/v1/export/files/{tenant}/{export}/{part}",
        "A part of an export that was asked for with delivery=link.",
        Answer::Media(&["application/octet-stream"]),
    )
    .tag("export")
    .parameters(&[
        Parameter::path("tenant", Kind::Text, "Whose export.").example("default"),
        Parameter::path("export", Kind::Text, "Its name, which cannot be guessed.")
            .example("export_20260101_000000_0"),
        Parameter::path("part", Kind::Text, "The file.").example("part-00001.jsonl"),
    ])
    .failures(&[400, 404, 503]),
];
