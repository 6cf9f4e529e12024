//! Prometheus remote read: queries in, samples or streamed chunks out.
//!
//! Source: prompb/remote.proto and prompb/types.proto of Prometheus, and its documentation of the remote
//! read API.

mod request;
mod response;

pub use request::{Query, Request, ResponseType, parse};
pub use response::{QueryResult, Samples, frames};
