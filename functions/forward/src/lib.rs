//! The forward function: series that rules choose are copied to metrics services (sinks) beside the lake.
//!
//! It reads the stream as enrich does and keeps nothing: what a batch has of a series in an interval becomes
//! one point. Delivery is at least once; the lake stays the truth.

mod choices;
mod gather;
mod handler;
mod metrics;
mod rules;
mod source;

pub use handler::{Forward, ForwardError};
pub use rules::{MAX_FILE_BYTES, MAX_RULES, SinkRule, SinkRules, SinkRulesError};
pub use source::{RULES_KEY, RuleSource};
