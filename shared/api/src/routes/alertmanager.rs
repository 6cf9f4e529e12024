//! Alertmanager's API, version 2.

use super::{GET, POST, TENANT};
use crate::schema::alertmanager as schema;
use crate::table::{Answer, Body, Function, Kind, Parameter, Route};

const DELETE: &[&str] = &["DELETE"];
const FILTER: Parameter = Parameter::query("filter", Kind::Texts, "Matchers, all of which must match.")
    .example("severity=critical");
const ID: Parameter =
    Parameter::path("id", Kind::Text, "A silence's id.").example("00000000-0000-4000-8000-000000000000");
const ALERT_PARAMETERS: &[Parameter] = &[
    TENANT,
    FILTER,
    Parameter::query("receiver", Kind::Text, "Alerts of receivers whose names this expression matches.")
        .example(".*"),
    Parameter::query("active", Kind::Flag, "Without it, alerts that nothing keeps quiet are left out."),
    Parameter::query("silenced", Kind::Flag, "Without it, silenced alerts are left out."),
    Parameter::query("inhibited", Kind::Flag, "Without it, inhibited alerts are left out."),
    Parameter::query("unprocessed", Kind::Flag, "There are none."),
];

const fn tells(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: fn() -> serde_json::Value,
) -> Route {
    Route::new(id, Function::Query, GET, path, summary, Answer::Json(answer))
        .tag("alertmanager")
        .parameters(parameters)
        .failures(&[400, 404, 503])
}

pub(super) static ROUTES: &[Route] = &[
    tells(
        "am_status",
        "/api/v2/status",
        "The configuration that alerts are routed by.",
        &[TENANT],
        schema::status,
    ),
    tells("am_receivers", "/api/v2/receivers", "Names of receivers.", &[TENANT], schema::receivers),
    tells(
        "am_alerts",
        "/api/v2/alerts",
        "Alerts that fire, and what keeps them quiet.",
        ALERT_PARAMETERS,
        schema::alerts,
    ),
    tells(
        "am_groups",
        "/api/v2/alerts/groups",
        "The same by groups of routes.",
        ALERT_PARAMETERS,
        schema::groups,
    ),
    tells(
        "am_silences",
        "/api/v2/silences",
        "Silences, those that ended in the last five days among them.",
        &[TENANT, FILTER],
        schema::silences,
    ),
    Route::new(
        "am_silence_create",
        Function::Query,
        POST,
        "/api/v2/silences",
        "Creates a silence, or changes the one whose id is given; a change of its past makes a new one.",
        Answer::Json(schema::created),
    )
    .tag("alertmanager")
    .parameters(&[TENANT])
    .body(Body::Json(schema::silence_body))
    .failures(&[400, 404, 409, 503]),
    tells("am_silence", "/api/v2/silence/{id}", "A silence.", &[TENANT, ID], schema::silence),
    Route::new(
        "am_silence_expire",
        Function::Query,
        DELETE,
        "/api/v2/silence/{id}",
        "Ends a silence.",
        Answer::Json(schema::nothing),
    )
    .tag("alertmanager")
    .parameters(&[TENANT, ID])
    .failures(&[400, 404, 409, 503]),
];
