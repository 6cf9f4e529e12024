//! How urgent an alert is: points that add up, each with its reason.

use serde::Serialize;
use weir_model::Labels;

use super::ImpactLevel;

/// Points from which on an alert is of medium, high and critical priority.
const BANDS: [(f64, Level); 3] = [(70.0, Level::Critical), (45.0, Level::High), (20.0, Level::Medium)];
/// Points of an alert whose rule says nothing of its severity.
const UNKNOWN_SEVERITY: f64 = 20.0;

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Below 20 points.
    Low,
    /// From 20 points on.
    Medium,
    /// From 45 points on.
    High,
    /// From 70 points on.
    Critical,
}

impl Level {
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

/// The priority of an alert and how it was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Priority {
    /// How urgent it is.
    pub level: Level,
    /// The sum of the parts.
    pub score: f64,
    /// What gave points, in the order of the table at `Priority::of`.
    pub parts: Vec<Part>,
}

/// One reason of a priority.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What it goes by: `severity`, `distance`, `anomaly`, `impact`, `duration`, `hours` or `correlated`.
    pub name: &'static str,
    /// What it gives.
    pub points: f64,
    /// Why.
    pub why: String,
}

/// What a priority is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) labels: &'a Labels,
    pub(super) times_past: Option<f64>,
    pub(super) anomaly_score: Option<f64>,
    pub(super) impact: Option<ImpactLevel>,
    pub(super) active_ms: i64,
    pub(super) business_hours: Option<bool>,
    pub(super) correlated: usize,
}

impl Priority {
    /// Adds up the points:
    ///
    /// | part | points |
    /// |---|---|
    /// | severity | critical 50, error or high 35, warning or medium 25, info or low 5, anything else or none 20 |
    /// | distance | 5 from 1.1 times the threshold on, 10 from 1.5, 15 from 2, 20 from 5 |
    /// | anomaly | 5 for a score from 0.99 on, 10 from 0.999, 15 from 0.9999 |
    /// | impact | critical 20, high 12, medium 6, low 0 |
    /// | duration | 3 after 15 minutes, 6 after an hour, 10 after four |
    /// | hours | 5 within business hours, when customers are there to notice |
    /// | correlated | 3 for one other alert, 6 from three on, 10 from ten on |
    ///
    /// So severity alone decides the level of an alert that nothing else is known of, and everything else
    /// together can lift it by one level, and by two in the worst case.
    pub(super) fn of(facts: Facts<'_>) -> Self {
        let mut parts = vec![severity(facts.labels)];
        let mut add = |name, points: f64, why: String| {
            if points > 0.0 {
                parts.push(Part { name, points, why });
            }
        };
        if let Some(times) = facts.times_past {
            let points = step(times, &[(5.0, 20.0), (2.0, 15.0), (1.5, 10.0), (1.1, 5.0)]);
            let why = if times < 1000.0 {
                format!("{times:.1} times past the threshold")
            } else {
                "more than a thousand times past the threshold".to_owned()
            };
            add("distance", points, why);
        }
        if let Some(score) = facts.anomaly_score {
            let points = step(score, &[(0.9999, 15.0), (0.999, 10.0), (0.99, 5.0)]);
            add("anomaly", points, format!("anomaly score {score}"));
        }
        if let Some(impact) = facts.impact {
            let (points, word) = match impact {
                ImpactLevel::Critical => (20.0, "critical"),
                ImpactLevel::High => (12.0, "high"),
                ImpactLevel::Medium => (6.0, "medium"),
                ImpactLevel::Low => (0.0, "low"),
            };
            add("impact", points, format!("{word} impact on the business"));
        }
        let minutes = facts.active_ms as f64 / 60_000.0;
        let points = step(minutes, &[(240.0, 10.0), (60.0, 6.0), (15.0, 3.0)]);
        add("duration", points, format!("active for {minutes:.0} minutes"));
        if facts.business_hours == Some(true) {
            add("hours", 5.0, "within business hours".to_owned());
        }
        let points = step(facts.correlated as f64, &[(10.0, 10.0), (3.0, 6.0), (1.0, 3.0)]);
        add("correlated", points, format!("{} correlated alerts", facts.correlated));
        let score = parts.iter().map(|part| part.points).sum();
        let level = BANDS.iter().find(|(from, _)| score >= *from).map_or(Level::Low, |(_, level)| *level);
        Self { level, score, parts }
    }

    /// The points of one part; zero when it gave none.
    #[must_use]
    pub fn points(&self, name: &str) -> f64 {
        self.parts.iter().find(|part| part.name == name).map_or(0.0, |part| part.points)
    }
}

fn severity(labels: &Labels) -> Part {
    let given = labels.get("severity").unwrap_or_default();
    let known = match given.to_ascii_lowercase().as_str() {
        "critical" | "crit" | "page" | "emergency" | "fatal" | "p1" => Some(50.0),
        "error" | "high" | "major" | "p2" => Some(35.0),
        "warning" | "warn" | "medium" | "minor" | "p3" => Some(25.0),
        "info" | "information" | "low" | "notice" | "debug" | "none" | "p4" | "p5" => Some(5.0),
        _ => None,
    };
    let why = match known {
        None if given.is_empty() => "the rule has no severity".to_owned(),
        _ => format!("severity {given}"),
    };
    Part { name: "severity", points: known.unwrap_or(UNKNOWN_SEVERITY), why }
}

/// The points of the first step that is reached; steps descend.
fn step(reached: f64, steps: &[(f64, f64)]) -> f64 {
    steps.iter().find(|(from, _)| reached >= *from).map_or(0.0, |(_, points)| *points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_add_up_to_levels() {
        let none = Facts {
            labels: &Labels::empty(),
            times_past: None,
            anomaly_score: None,
            impact: None,
            active_ms: 0,
            business_hours: None,
            correlated: 0,
        };
        let severe = |word: &str| Labels::from_pairs([("severity", word)]);
        let (critical, warning, info, own) =
            (severe("critical"), severe("Warning"), severe("info"), severe("team-x"));
        let hours = Some(true);
        for (facts, score, level) in [
            (none, 20.0, Level::Medium),
            (Facts { labels: &own, ..none }, 20.0, Level::Medium),
            (Facts { labels: &info, ..none }, 5.0, Level::Low),
            (Facts { labels: &warning, business_hours: Some(false), ..none }, 25.0, Level::Medium),
            (Facts { labels: &warning, times_past: Some(7.0), ..none }, 45.0, Level::High),
            (Facts { labels: &warning, anomaly_score: Some(0.9995), ..none }, 35.0, Level::Medium),
            (Facts { labels: &critical, ..none }, 50.0, Level::High),
            (Facts { labels: &critical, impact: Some(ImpactLevel::Critical), ..none }, 70.0, Level::Critical),
            (
                Facts { labels: &critical, impact: Some(ImpactLevel::High), correlated: 2, ..none },
                65.0,
                Level::High,
            ),
            (
                Facts {
                    labels: &info,
                    times_past: Some(1.2),
                    active_ms: 3_600_000,
                    business_hours: hours,
                    ..none
                },
                21.0,
                Level::Medium,
            ),
            (
                Facts {
                    labels: &critical,
                    times_past: Some(1e9),
                    anomaly_score: Some(1.0),
                    impact: Some(ImpactLevel::Critical),
                    active_ms: i64::MAX,
                    business_hours: hours,
                    correlated: 10,
                },
                130.0,
                Level::Critical,
            ),
        ] {
            let priority = Priority::of(facts);
            assert_eq!((priority.score, priority.level), (score, level), "{facts:?}");
            assert_eq!(priority.parts.iter().map(|part| part.points).sum::<f64>(), score);
        }
    }
}
