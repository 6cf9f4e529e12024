//! Where alerts go: Alertmanager's configuration file, and what follows from it, as pure logic.
//! Only silences have a store, over the bucket's port.

mod alert;
mod config;
mod dispatch;
mod message;
mod quoted;
mod silence;
mod standing;

pub use alert::{Alert, Status};
pub use config::{
    Channel, Config, ConfigError, GroupBy, InhibitRule, Integration, MAX_ENTRIES, MAX_FILE_BYTES, Receiver,
    Route, SecretSource, Text, TimeInterval, all_match, parse_matchers,
};
pub use dispatch::{DispatchState, Dispatcher, Due, MAX_GROUPS, Outcome, Round};
pub use message::{About, Message, Told, parse_rfc3339_ms, rfc3339_ms};
pub use silence::{
    MAX_SILENCES, RETENTION_MS, Silence, SilenceError, SilenceMatcher, SilenceState, SilenceStore, Silences,
    WindowsError, parse_windows,
};
pub use standing::{Standing, standings};
