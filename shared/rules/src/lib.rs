//! Rules: Prometheus' rule files, their evaluation over the engine, and their unit tests.

mod evaluate;
mod file;
mod serial;
pub mod template;
mod yaml;

pub use evaluate::{
    ALERT_NAME, ALERTS, ALERTS_FOR_STATE, Alert, AlertState, GroupState, Health, Overlay, RuleError,
    RuleSample, RuleState, Settings, evaluate_group,
};
pub use file::{
    Alerting, Duplicate, Group, MAX_FILE_BYTES, MAX_RULES, Rule, RuleFile, RuleFileError, duplicates,
    is_label_name,
};
pub use yaml::Problem;
