//! Rules, alerts, and what Prometheus' pages ask about scraping.

use super::{GET, POST, TENANT};
use crate::schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const fn tells(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: fn() -> serde_json::Value,
) -> Route {
    Route::new(id, Function::Query, GET, path, summary, Answer::Json(answer))
        .tag("rules and targets")
        .parameters(parameters)
        .failures(&[400])
}

pub(super) static ROUTES: &[Route] = &[
    tells(
        "rules",
        "/api/v1/rules",
        "Rule groups with their rules.",
        &[
            TENANT,
            Parameter::query("type", Kind::Choice(&["alert", "record"]), "Rules of this kind only."),
            Parameter::query("rule_name[]", Kind::Texts, "Rules of these names only."),
            Parameter::query("rule_group[]", Kind::Texts, "Rules of these groups only."),
            Parameter::query("file[]", Kind::Texts, "Rules of these files only."),
            Parameter::query("match[]", Kind::Texts, "Rules whose labels match only."),
            Parameter::query("exclude_alerts", Kind::Flag, "Leaves the active alerts out."),
            Parameter::query("group_limit", Kind::Whole(1), "Most groups of a page."),
            Parameter::query("group_next_token", Kind::Text, "Where the page before ended."),
        ],
        schema::rules,
    ),
    tells("alerts", "/api/v1/alerts", "Alerts that are pending or firing.", &[TENANT], schema::alerts),
    Route::new(
        "alert_feedback",
        Function::Query,
        POST,
        "/api/v1/alerts/{id}/feedback",
        "Says whether a firing was a true or a false positive. The first verdict stays; repeating it changes nothing.",
        Answer::Json(schema::feedback),
    )
    .tag("rules and targets")
    .parameters(&[
        TENANT,
        Parameter::path("id", Kind::Text, "The firing: `weir.id` of an alert, for a day after it ended.")
            .example("0123456789abcdef-1795255200000"),
    ])
    .body(Body::Json(schema::feedback_body))
    .failures(&[400, 404, 409, 503]),
    tells(
        "targets",
        "/api/v1/targets",
        "Scraped targets: none, since Weir is sent its metrics.",
        &[
            TENANT,
            Parameter::query(
                "state",
                Kind::Choice(&["active", "dropped", "any"]),
                "Targets of this state only.",
            ),
            Parameter::query("scrapePool", Kind::Text, "Targets of this pool only."),
        ],
        schema::targets,
    ),
    tells(
        "targets_metadata",
        "/api/v1/targets/metadata",
        "Metadata by scraped target: none.",
        &[
            TENANT,
            Parameter::query("match_target", Kind::Promql, "Targets whose labels match only."),
            Parameter::query("metric", Kind::Text, "This metric only."),
            Parameter::query("limit", Kind::Whole(0), "Most entries."),
        ],
        schema::target_metadata,
    ),
    tells("scrape_pools", "/api/v1/scrape_pools", "Scrape pools: none.", &[TENANT], schema::scrape_pools),
    tells(
        "alertmanagers",
        "/api/v1/alertmanagers",
        "Alertmanagers that are told: none, Weir routes alerts itself.",
        &[TENANT],
        schema::alertmanagers,
    ),
    tells(
        "notifications",
        "/api/v1/notifications",
        "Notices of the server: none.",
        &[TENANT],
        schema::notifications,
    ),
];
