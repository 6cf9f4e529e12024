//! What is known of a firing that may tell whether it is a false positive.

use crate::evaluate::{ALERT_NAME, Alert};
use crate::explain::Explained;

/// The features of a firing, each `name=value`.
///
/// How long it lasts is not among them: at its beginning nobody knows, and a model that learned from whole lives
/// would misjudge those that have just begun.
pub(super) fn features(alert: &Alert, explained: &Explained) -> Vec<String> {
    let priority = &explained.priority;
    let hours = match explained.time.business_hours {
        None => "unknown",
        Some(true) => "business",
        Some(false) => "off",
    };
    let count = |n: usize| if n > 2 { "many".to_owned() } else { n.to_string() };
    let impact =
        explained.impact.as_ref().map_or("unknown".to_owned(), |i| format!("{:?}", i.level).to_lowercase());
    vec![
        format!("alert={}", alert.labels.get(ALERT_NAME).unwrap_or_default()),
        format!("severity={}", priority.points("severity")),
        format!("distance={}", priority.points("distance")),
        format!("anomaly={}", priority.points("anomaly")),
        format!("impact={impact}"),
        format!("hours={hours}"),
        // Quarters of a day.
        format!("hour={}", explained.time.hour / 6 * 6),
        format!("flaps={}", count(alert.flaps as usize)),
        format!("correlated={}", count(explained.correlated.len())),
    ]
}
