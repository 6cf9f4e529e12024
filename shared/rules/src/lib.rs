//! Rules: Prometheus' rule files, their evaluation over the engine, what alerts say, and unit tests of rules.

pub mod datadog;
mod evaluate;
mod explain;
mod feedback;
mod file;
mod run;
pub mod serial;
mod shipped;
pub mod template;
mod unit_test;
mod yaml;

pub use evaluate::{
    ALERT_NAME, ALERTS, ALERTS_FOR_STATE, Alert, AlertState, GroupState, Health, Overlay, RuleError,
    RuleSample, RuleState, Settings, evaluate_group,
};
pub use explain::{
    BusinessImpact, Condition, Correlated, Explained, Explainer, Guide, ImpactLevel, Level, MAX_EXPLAINED,
    Part, Priority, TimeContext, firing_id, identity,
};
pub use feedback::{
    FalsePositive, Feedback, FeedbackError, FeedbackLog, Learned, MIN_VERDICTS, Model, PRIOR, Reason, Verdict,
};
pub use file::{
    Alerting, Duplicate, Group, MAX_FILE_BYTES, MAX_RULES, Rule, RuleFile, RuleFileError, duplicates,
    is_label_name,
};
pub use run::{
    Books, EventError, Job, RuleBook, RuleEvent, RuleLibrary, Run, RunError, RunReport, RunState, Runner,
    RunnerPorts, StateStore, StoreError, Tenants,
};
pub use shipped::shipped;
pub use unit_test::{Failure, UnitTestFile};
pub use yaml::{Problem, read as read_yaml};
