//! Evenly spaced values out of timestamped ones, and the seasons that values so far apart may have.

use crate::robust::median;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The usual distance of neighbouring times, which ascend, in their unit: the median of the distances that
/// are not 0. `None` without two different times.
#[must_use]
pub fn usual_step(times: &[i64]) -> Option<i64> {
    let distances: Vec<f64> =
        times.windows(2).map(|w| w[1].saturating_sub(w[0]) as f64).filter(|d| *d > 0.0).collect();
    let usual = median(&distances).round();
    (usual >= 1.0).then_some(usual as i64)
}

/// At most the newest `most` values at steps that end at the newest of the ascending `times`: where several
/// fall together their mean, where none does NaN.
#[must_use]
pub fn evenly(times: &[i64], values: &[f64], step: i64, most: usize) -> Vec<f64> {
    let Some(newest) = times.last() else { return Vec::new() };
    let step = step.max(1);
    // From the newest backwards: how many values a step has, and their mean.
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for (time, value) in times.iter().zip(values).rev() {
        let back = newest.saturating_sub(*time).saturating_add(step / 2) / step;
        let Some(back) = usize::try_from(back).ok().filter(|back| *back < most) else { break };
        if back >= steps.len() {
            steps.resize(back + 1, (0.0, 0.0));
        }
        if value.is_finite() {
            let (count, mean) = &mut steps[back];
            *count += 1.0;
            // A running mean, which large values do not overflow.
            *mean += value / *count - *mean / *count;
        }
    }
    steps.iter().rev().map(|(count, mean)| if *count > 0.0 { *mean } else { f64::NAN }).collect()
}

/// The seasons that values so many milliseconds apart may have, in steps, ascending: hour, day, week, year;
/// none of fewer than four steps, which have no shape, or of more than `most`.
#[must_use]
pub fn calendar_seasons(step_ms: i64, most: usize) -> Vec<usize> {
    let step = step_ms.max(1);
    let seasons = [HOUR_MS, DAY_MS, 7 * DAY_MS, 365 * DAY_MS].into_iter();
    let steps = seasons.filter(|season| season / step >= 4).map(|season| (season + step / 2) / step);
    steps.filter_map(|steps| usize::try_from(steps).ok()).filter(|steps| *steps <= most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_even_steps() {
        let times = [0, 10, 11, 40, 49];
        let step = usual_step(&times).unwrap();
        assert_eq!(step, 10);
        let even = evenly(&times, &[1.0, 2.0, 4.0, f64::NAN, 9.0], step, 100);
        assert_eq!(format!("{even:?}"), "[1.0, 3.0, NaN, NaN, NaN, 9.0]");
        assert_eq!(evenly(&times, &[1.0, 2.0, 4.0, 5.0, 9.0], step, 2), [5.0, 9.0]);
        assert_eq!(usual_step(&[7, 7]), None);
        assert_eq!(evenly(&[i64::MIN, i64::MAX], &[1.0, 2.0], 1, 5), [2.0]);
    }

    #[test]
    fn seasons_follow_the_step() {
        for (step, want) in [
            (HOUR_MS, vec![24, 168]),
            (300_000, vec![12, 288, 2016]),
            (DAY_MS, vec![7, 365]),
            (15_000, vec![240]),
            (7 * DAY_MS, vec![52]),
        ] {
            assert_eq!(calendar_seasons(step, 2500), want, "step {step}");
        }
    }
}
