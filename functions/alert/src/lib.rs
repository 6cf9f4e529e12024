//! The alert function: alerting rules, and the recording rules that stand with them or are in a hurry,
//! evaluated every minute.

mod handler;

pub use handler::{AlertError, AlertFunction, Outcome};
