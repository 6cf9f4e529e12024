//! What operators do. Every path here takes the admin key.

use super::{GET, POST};
use crate::schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const TENANT: Parameter = Parameter::query(
    "tenant",
    Kind::Tenant,
    "Only this tenant; for retention its own policy instead of that of all tenants without one.",
);
const POLICY: &str = "retention_policies:\n  high_frequency:\n    metrics: [\"trade_.*\"]\n    raw_retention: 24h\n    aggregated_1m_retention: 7d\n    aggregated_1h_retention: 30d\n";

/// Refused: a parameter, no key, a wrong key, no key set; and the bucket failing.
const FAILURES: &[u16] = &[400, 401, 403, 503];

const fn admin(
    id: &'static str,
    function: Function,
    methods: &'static [&'static str],
    path: &'static str,
    summary: &'static str,
    answer: fn() -> serde_json::Value,
) -> Route {
    Route::new(id, function, methods, path, summary, Answer::Json(answer)).tag("admin").failures(FAILURES)
}

pub(super) static ROUTES: &[Route] = &[
    admin(
        "admin_compact",
        Function::Compact,
        POST,
        "/api/v1/admin/compact",
        "Compacts now, and says what it did.",
        schema::compacted,
    ),
    admin(
        "admin_retention",
        Function::Archive,
        GET,
        "/api/v1/admin/metrics/retention",
        "The retention policy in force, and the changes that led to it.",
        schema::retention,
    )
    .parameters(&[
        TENANT,
        Parameter::query("limit", Kind::Whole(1), "Most changes of the answer, the newest; 20 without it, at most 100.")
            .example("5"),
    ]),
    admin(
        "admin_set_retention",
        Function::Archive,
        POST,
        "/api/v1/admin/metrics/retention",
        "Puts a retention policy in force at once: classes of series, and how long each tier of them is kept.",
        schema::retention_update,
    )
    .parameters(&[
        TENANT,
        Parameter::query("by", Kind::Text, "Who changes it, for the history; up to 100 bytes.").example("anna"),
    ])
    .body(Body::Media(&[("application/yaml", POLICY), ("application/json", "")]))
    .failures(&[400, 401, 403, 409, 413, 503]),
    Route::new(
        "admin_erase",
        Function::Archive,
        POST,
        "/api/v1/admin/metrics/erase",
        "Has series erased from everything that is stored, and exemplars whose own labels match together with those of their series: recorded at once, done by the next run of archive. With dry_run, says how many objects hold some of them.",
        Answer::JsonOrAccepted(schema::erasures),
    )
    .tag("admin")
    .parameters(&[
        TENANT,
        Parameter::query("by", Kind::Text, "Who asks, for the report; up to 100 bytes.").example("anna"),
    ])
    .body(Body::Json(schema::erase))
    .failures(&[400, 401, 403, 413, 422, 503]),
    admin(
        "admin_erasures",
        Function::Archive,
        GET,
        "/api/v1/admin/metrics/erase",
        "What became of erasures: of one, or of all that are under way or watched.",
        schema::erasures,
    )
    .parameters(&[
        TENANT,
        Parameter::query("number", Kind::Whole(1), "Only the erasure of this number, settled ones too.").example("7"),
    ])
    .failures(&[400, 401, 403, 404, 503]),
    admin(
        "admin_statistics",
        Function::Query,
        GET,
        "/api/v1/admin/metrics/statistics",
        "Ingestion rates over a range, storage used, and how queries fare.",
        schema::metrics_statistics,
    )
    .parameters(&[
        TENANT,
        Parameter::query("start", Kind::Instant, "From when, inclusive; an hour before the end without it."),
        Parameter::query("end", Kind::Instant, "Until when, inclusive; now without it."),
    ]),
    admin(
        "admin_storage",
        Function::Query,
        GET,
        "/api/v1/admin/metrics/storage",
        "Objects, bytes, samples, series and age of each tier and tenant.",
        schema::metrics_storage,
    )
    .parameters(&[
        TENANT,
        Parameter::query("tier", Kind::Choice(&["hot", "raw", "1m", "1h", "1d"]), "Only this tier."),
    ]),
];
