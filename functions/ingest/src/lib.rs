//! The ingest function: HTTP bodies in every dialect become durable stream records.
//!
//! `router` serves the same routes on a laptop and, unchanged, behind API Gateway. A request passes
//! through four steps, one file each: `request` bounds and reads it, `dialect` parses it into a batch,
//! `accept` puts the batch on the stream, `reply` says what happened in the sender's own terms.

mod accept;
mod dialect;
mod gauges;
mod metrics;
mod reply;
mod request;
mod router;

pub use accept::{Ingest, IngestError, IngestOptions, Outcome};
pub use dialect::{BodyForm, Dialect};
pub use router::router;
