//! The scoring of the Numenta Anomaly Benchmark, standard profile, written from its description:
//! A. Lavin and S. Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly
//! Benchmark", ICMLA 2015, section III, and the appendix of S. Ahmad et al., Neurocomputing 2017.
//!
//! A window of the labels pays once, for its earliest alarm, the more the earlier; every alarm outside costs,
//! less just after a window. One threshold serves the whole corpus, and is the best one.

use std::collections::BTreeMap;

/// Weight of a false alarm in the standard profile; a missed window and a found one weigh 1.
const FALSE_ALARM: f64 = 0.11;
/// The share of a series that is for learning and not scored, and the length beyond which it stays the same.
const PROBATION: (f64, f64) = (0.15, 5000.0);

/// A row that is scored.
struct Row {
    score: f64,
    /// The window that it lies in.
    window: Option<usize>,
    /// What an alarm here adds: the worth of finding the window here, or minus the cost of a false alarm.
    worth: f64,
}

/// The scored rows of one series.
pub(crate) struct Scored {
    rows: Vec<Row>,
    /// How many windows can be found.
    pub(crate) windows: usize,
}

/// What a threshold leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The benchmark's sum, not normalised.
    pub(crate) raw: f64,
    pub(crate) found: usize,
    pub(crate) false_alarms: usize,
    /// Alarms inside windows, repetitions too.
    pub(crate) true_alarms: usize,
}

/// A sigmoid from 1 to -1, almost -1 at 1 and -1 from 3 on.
fn worth_at(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// Weighs the rows of a series. Windows are first and last rows, both inside.
pub(crate) fn scored(scores: &[f64], windows: &[(usize, usize)]) -> Scored {
    let probation = (PROBATION.0 * (scores.len() as f64).min(PROBATION.1)).floor() as usize;
    let mut rows = Vec::new();
    let mut seen = vec![false; windows.len()];
    for (i, score) in scores.iter().enumerate().skip(probation) {
        let window = windows.iter().position(|(first, last)| (*first..=*last).contains(&i));
        let worth = if let Some(w) = window {
            seen[w] = true;
            let (first, last) = windows[w];
            worth_at(-((last - i + 1) as f64) / (last - first + 1) as f64) / worth_at(-1.0)
        } else {
            let before = windows.iter().rfind(|(_, last)| *last < i);
            let position = before.map(|(first, last)| (i - last) as f64 / (last - first).max(1) as f64);
            FALSE_ALARM * position.map_or(-1.0, worth_at)
        };
        rows.push(Row { score: *score, window, worth });
    }
    Scored { rows, windows: seen.iter().filter(|seen| **seen).count() }
}

/// What the threshold leads to on one series.
pub(crate) fn outcome(series: &Scored, threshold: f64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut best: BTreeMap<usize, f64> = BTreeMap::new();
    for row in series.rows.iter().filter(|row| row.score >= threshold) {
        if let Some(window) = row.window {
            outcome.true_alarms += 1;
            let entry = best.entry(window).or_insert(row.worth);
            *entry = entry.max(row.worth);
        } else {
            outcome.false_alarms += 1;
            outcome.raw += row.worth;
        }
    }
    outcome.found = best.len();
    outcome.raw += best.values().sum::<f64>() - (series.windows - best.len()) as f64;
    outcome
}

/// The threshold with the highest sum over all these series.
pub(crate) fn best_threshold(all: &[&Scored]) -> f64 {
    let mut rows: Vec<(usize, &Row)> =
        all.iter().enumerate().flat_map(|(i, s)| s.rows.iter().map(move |row| (i, row))).collect();
    rows.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut found: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let (mut sum, mut best) = (0.0, (0.0, f64::INFINITY));
    for (i, (series, row)) in rows.iter().enumerate() {
        match row.window {
            // A window goes from missed, -1, to found.
            Some(window) => {
                let entry = found.entry((*series, window)).or_insert(-1.0);
                sum += row.worth.max(*entry) - *entry;
                *entry = entry.max(row.worth);
            }
            None => sum += row.worth,
        }
        let last_of_equals = rows.get(i + 1).is_none_or(|next| next.1.score < row.score);
        if last_of_equals && sum > best.0 {
            best = (sum, row.score);
        }
    }
    best.1
}

/// The sum on the benchmark's scale: 0 for no alarms at all, 100 for every window found at its first row.
pub(crate) fn normalised(raw: f64, windows: usize) -> f64 {
    100.0 * (raw + windows as f64) / (2.0 * windows as f64)
}
