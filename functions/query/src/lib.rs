//! The query function: the Prometheus HTTP API over the lake.
//!
//! `router` names the routes; `evaluate` answers queries, `discovery` says what series, labels and
//! metadata there are, `status` what this server is. All of them answer in Prometheus' own JSON, so a
//! Prometheus data source needs the URL alone.

mod discovery;
mod error;
mod evaluate;
mod json;
mod metrics;
mod params;
mod router;
mod status;
mod storage;

pub use router::{Query, QueryOptions, router};
