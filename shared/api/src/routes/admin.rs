//! What operators do.

use super::POST;
use crate::schema;
use crate::table::{Answer, Function, Route};

pub(super) static ROUTES: &[Route] = &[Route::new(
    "admin_compact",
    Function::Compact,
    POST,
    "/api/v1/admin/compact",
    "Compacts now, and says what it did.",
    Answer::Json(schema::compacted),
)
.tag("admin")
.failures(&[503])];
