//! Where alerts go: Alertmanager's configuration file, and what follows from it, as pure logic without I/O.

mod alert;
mod config;
mod message;
mod quoted;

pub use alert::{Alert, Status};
pub use config::{
    Channel, Config, ConfigError, GroupBy, InhibitRule, Integration, MAX_ENTRIES, MAX_FILE_BYTES, Receiver,
    Route, SecretSource, Text, TimeInterval, all_match, parse_matchers,
};
pub use message::{About, Message, Told, rfc3339_ms};
