//! The table of routes, a file a heading of the document.

mod admin;
mod alertmanager;
mod discovery;
mod export;
mod ingest;
mod query;
mod rules;
mod server;

use crate::table::{Kind, Parameter, Route};

/// Every route.
pub fn all() -> impl Iterator<Item = &'static Route> {
    [
        ingest::ROUTES,
        query::ROUTES,
        discovery::ROUTES,
        rules::ROUTES,
        alertmanager::ROUTES,
        export::ROUTES,
        server::ROUTES,
        admin::ROUTES,
    ]
    .into_iter()
    .flatten()
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const GET_POST: &[&str] = &["GET", "POST"];

const TENANT: Parameter =
    Parameter::header("X-Scope-OrgID", Kind::Tenant, "Whose data; the tenant `default` without it.");
const START: Parameter = Parameter::query("start", Kind::Instant, "From when, inclusive.");
const END: Parameter = Parameter::query("end", Kind::Instant, "Until when, inclusive.");
const LIMIT: Parameter = Parameter::query(
    "limit",
    Kind::Whole(0),
    "Most entries of the answer, a warning telling when there were more; 0 for the server's own bound.",
);
const MATCH: Parameter =
    Parameter::query("match[]", Kind::Texts, "Series selectors, one of which must match.").example("up");
