//! The HTTP API as data: one table of every route, from which the functions' routers and the OpenAPI
//! document are both made, so that neither can say something else than the other.
//!
//! To add a route: a row in `routes/`, an arm where the function dispatches on [`Route::id`], an event in
//! template.yaml. Tests fail while one of the three is missing.

mod document;
mod gate;
mod key;
mod routes;
mod schema;
mod serve;
mod table;

pub use document::document;
pub use gate::{ADMIN_KEY_VARIABLE, API_KEY_VARIABLE, Admitted, Gate};
pub use key::ShortKey;
pub use routes::all;
pub use serve::{not_allowed, nothing_here, router};
pub use table::{Answer, Body, Function, Kind, Parameter, Place, Route};
