//! What people said of alerts, and what is learned from it: how likely a firing is a false positive.

mod features;
mod log;
mod model;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evaluate::Alert;
use crate::explain::Explained;
pub use log::{FeedbackError, FeedbackLog, Learned};
pub use model::{MIN_VERDICTS, Model, PRIOR};

/// Most reasons told of a probability.
const MAX_REASONS: usize = 3;

/// What somebody found an alert to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something was wrong.
    TruePositive,
    /// Nothing was.
    FalsePositive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TruePositive => "true_positive",
            Self::FalsePositive => "false_positive",
        })
    }
}

/// A verdict on one firing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// Which firing, as [`crate::identity`] names it.
    pub firing: String,
    /// What it was.
    pub verdict: Verdict,
    /// When this was said, milliseconds since the Unix epoch.
    pub given_ms: i64,
    /// Who said it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// What was known of the firing.
    pub features: Vec<String>,
}

/// How likely a firing is a false positive.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FalsePositive {
    /// Between 0 and 1.
    pub probability: f64,
    /// `prior` while there are fewer than [`MIN_VERDICTS`], then `learned`.
    pub basis: &'static str,
    /// Verdicts that were given for any alert.
    pub verdicts: u64,
    /// What moved a learned probability most.
    pub reasons: Vec<Reason>,
    /// What the firing itself was found to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What moved a probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// `name=value`.
    pub feature: String,
    /// What it adds to the logarithm of the odds; above zero speaks for a false positive.
    pub log_odds: f64,
}

impl Learned {
    /// Feedback on a firing, with what is known of it.
    #[must_use]
    pub fn feedback(alert: &Alert, explained: &Explained, verdict: Verdict, given_ms: i64) -> Feedback {
        Feedback {
            firing: explained.id.clone(),
            verdict,
            given_ms,
            by: None,
            comment: None,
            features: features::features(alert, explained),
        }
    }

    /// How likely a firing is a false positive.
    #[must_use]
    pub fn false_positive(&self, alert: &Alert, explained: &Explained) -> FalsePositive {
        let features = features::features(alert, explained);
        let verdicts = self.model.verdicts();
        let is_learned = verdicts >= MIN_VERDICTS;
        let mut reasons = if is_learned { self.model.reasons(&features) } else { Vec::new() };
        reasons.truncate(MAX_REASONS);
        FalsePositive {
            probability: self.model.probability(&features),
            basis: if is_learned { "learned" } else { "prior" },
            verdicts,
            reasons: reasons.into_iter().map(|(feature, log_odds)| Reason { feature, log_odds }).collect(),
            verdict: self.verdict(&explained.id),
        }
    }
}
