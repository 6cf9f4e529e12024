//! The ports on AWS, and what runs a function as a Lambda: the only crate that names an AWS SDK.
//!
//! Clients are made once per execution environment out of the variables that Lambda sets. Retries are
//! bounded and end well before a function's own time limit, so that a sender gets a 503 it can act on
//! instead of a gateway's 504.

mod account;
mod bucket;
mod emf;
mod events;
mod lambda;
mod notify;
mod own_file;
mod permissions;
mod routing;
mod rules;
mod sinks;
mod stream;
mod wiring;

pub use account::Account;
pub use bucket::S3Bucket;
pub use emf::Emf;
pub use events::{EventError, batches, failures};
pub use lambda::{Error, MAX_BODY_BYTES, serve_events, serve_http, serve_http_and_events};
pub use notify::{SnsNotifier, SnsOptions};
pub use permissions::{
    BUCKET_CALLS, BUCKET_HEADERS, NOTIFIER_CALLS, Permission, SINK_CALLS, STREAM_CALLS, permissions,
};
pub use routing::{notifier, routing};
pub use rules::{rule_event, rule_library, rule_runner};
pub use sinks::{CloudWatchSink, SinkOptions, TimestreamSink};
pub use stream::{KinesisOptions, KinesisStream};
pub use wiring::{Settings, SettingsError, VARIABLES, Wiring};
