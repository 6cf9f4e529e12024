//! The alert function: alerting rules, and the recording rules that stand with them or are in a hurry,
//! evaluated every minute; and telling of alerts.

mod handler;
mod notify;

pub use handler::{AlertError, AlertFunction, Outcome};
pub use notify::{Dispatch, DispatchError, DispatchPorts, Dispatched, Environment};
