//! The query function: the Prometheus HTTP API over the lake.
//!
//! `router` takes the routes of the API's table to their modules, which have the routes' names. All of them
//! answer in Prometheus' own JSON, so a Prometheus data source needs the URL alone.

mod admin;
mod alertmanager;
mod answer;
mod batch;
mod cache;
mod discovery;
mod error;
mod evaluate;
mod exemplars;
mod export;
mod federate;
mod feedback;
mod json;
mod metrics;
mod params;
mod remote_read;
mod router;
mod rules;
mod status;
mod syntax;
mod targets;

pub use router::{Query, QueryOptions, router};
