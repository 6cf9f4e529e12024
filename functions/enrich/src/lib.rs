//! The enrich function: batches of stream records become hot segments of the lake.
//!
//! The one place where data enters the lake. A record that cannot be read goes to quarantine with its
//! bytes and the reason, and never holds up the rest; a batch delivered again changes nothing.

mod handler;
mod metrics;

pub use handler::{Enrich, EnrichError};
