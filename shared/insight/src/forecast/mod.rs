//! Forecasts with a 95 % band: many simple models compete on the series' own past, the best are averaged,
//! and their errors there make the band.

mod models;
mod smoother;

use crate::robust::quantile_of_sorted;
use crate::season;

/// Most values that a forecast looks at: the newest ones.
pub const MAX_FORECAST_VALUES: usize = 5000;
/// Most steps that can be forecast at once.
pub const MAX_HORIZON: usize = 10_000;
/// Times in the past from which forecasts are tried.
const ORIGINS: usize = 16;
/// How many of the best models are averaged.
const AVERAGED: usize = 5;
/// Models worse than the best by this factor are never averaged.
const TOLERANCE: f64 = 1.15;
/// The share of past errors within the band. More than 0.95: errors of the future are larger than those
/// of the past on which the models were chosen.
const COVERED: f64 = 0.965;

/// A forecast of the next steps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forecast {
    /// The expected value of each step.
    pub values: Vec<f64>,
    /// The lower edge of each step's 95 % band.
    pub lower: Vec<f64>,
    /// The upper edge of each step's 95 % band.
    pub upper: Vec<f64>,
}

/// Forecasts the `horizon` values after evenly spaced `values`; `None` if not one of these is finite.
///
/// `periods` are seasons that may be in the data (in values, such as 24 and 168 for hourly data); those that
/// are not clear, or longer than half the data, are left out. NaN stands for a missing value. At most the
/// newest [`MAX_FORECAST_VALUES`] count, and at most [`MAX_HORIZON`] steps are forecast. A series that was never
/// negative is not forecast to be.
#[must_use]
pub fn forecast(values: &[f64], horizon: usize, periods: &[usize]) -> Option<Forecast> {
    let newest = &values[values.len().saturating_sub(MAX_FORECAST_VALUES)..];
    let scale = newest.iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
    // Numbers near the largest would overflow in differences; in a unit of their own they do not.
    let unit = if scale > 1e100 || (scale > 0.0 && scale < 1e-100) { scale } else { 1.0 };
    let periods = clear_periods(newest, periods);
    let scaled: Vec<f64> = newest.iter().map(|x| x / unit).collect();
    let history = filled(&scaled, periods.last().copied())?;
    let horizon = horizon.min(MAX_HORIZON);
    let mut forecast = of_whole(&history, horizon, &periods);
    let never_negative = history.iter().all(|x| *x >= 0.0);
    let floor = if never_negative { 0.0 } else { f64::MIN };
    if never_negative {
        // Counts that are mostly 0: what is nearer to 0 than to any other value there was, is 0.
        let least = history.iter().filter(|x| **x > 0.0).fold(f64::MAX, |least, x| least.min(*x));
        forecast.values.iter_mut().filter(|x| **x < least / 2.0).for_each(|x| *x = 0.0);
    }
    for edge in [&mut forecast.values, &mut forecast.lower, &mut forecast.upper] {
        edge.iter_mut().for_each(|x| *x = (x.max(floor) * unit).clamp(f64::MIN, f64::MAX));
    }
    Some(forecast)
}

/// The periods that show, ascending; a multiple of a shorter one must add to what that one explains.
fn clear_periods(values: &[f64], candidates: &[usize]) -> Vec<usize> {
    let mut candidates: Vec<usize> = candidates.to_vec();
    candidates.sort_unstable();
    candidates.dedup();
    let mut clear: Vec<usize> =
        candidates.iter().copied().filter(|p| season::find_period(values, &[*p]).is_some()).collect();
    clear.truncate(2);
    clear
}

/// The values without gaps: a missing one is that of a period ago moved by how neighbours moved, or a line
/// between its neighbours.
fn filled(values: &[f64], period: Option<usize>) -> Option<Vec<f64>> {
    let first = values.iter().position(|x| x.is_finite())?;
    let mut whole: Vec<f64> = values[first..].to_vec();
    let mut i = 1;
    while i < whole.len() {
        if whole[i].is_finite() {
            i += 1;
            continue;
        }
        let end = (i..whole.len()).find(|j| whole[*j].is_finite()).unwrap_or(whole.len());
        let before = whole[i - 1];
        let after = whole.get(end).copied().unwrap_or(before);
        for j in i..end {
            let share = (j - i + 1) as f64 / (end - i + 1) as f64;
            let line = before * (1.0 - share) + after * share;
            whole[j] = match period {
                // A gap of a few values is a line; a longer one repeats the season.
                Some(p) if j >= p && end - i > p / 8 => whole[j - p],
                _ => line,
            };
        }
        i = end;
    }
    Some(whole)
}

/// The forecast of values that are all finite and of moderate size.
fn of_whole(history: &[f64], horizon: usize, periods: &[usize]) -> Forecast {
    if horizon == 0 {
        return Forecast::default();
    }
    let origins = origins(history.len(), horizon);
    let models = models::all(history, origins.first().copied().unwrap_or(history.len()), periods);
    let mut trials: Vec<(f64, usize, Vec<Vec<f64>>)> = Vec::new();
    for (index, model) in models.iter().enumerate() {
        let guesses = model.forecasts(history, &origins, horizon);
        let (mut error, mut count) = (0.0, 0.0);
        for (guess, origin) in guesses.iter().zip(&origins) {
            for (x, y) in guess.iter().zip(&history[*origin..]) {
                error += (x - y).abs();
                count += 1.0;
            }
        }
        trials.push((if count > 0.0 { error / count } else { index as f64 }, index, guesses));
    }
    trials.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let best = trials.first().map_or(0.0, |trial| trial.0);
    // Without trials models are in the order of how much they may be trusted.
    trials.truncate(if origins.is_empty() { 1 } else { AVERAGED });
    trials.retain(|trial| trial.0 <= best * TOLERANCE);
    let share = 1.0 / trials.len().max(1) as f64;

    let mut errors = Vec::new();
    for (place, origin) in origins.iter().enumerate() {
        for ahead in 0..horizon.min(history.len() - origin) {
            let mean: f64 = trials.iter().map(|trial| share * trial.2[place][ahead]).sum();
            errors.push((ahead, (history[origin + ahead] - mean).abs()));
        }
    }
    let mut values = vec![0.0; horizon];
    for trial in &trials {
        let guess = models[trial.1].forecasts(history, &[history.len()], horizon);
        for (sum, x) in values.iter_mut().zip(guess.iter().flatten()) {
            *sum += share * x;
        }
    }
    let reach = reach(&errors, history, horizon);
    let lower = values.iter().zip(&reach).map(|(x, r)| x - r).collect();
    let upper = values.iter().zip(&reach).map(|(x, r)| x + r).collect();
    Forecast { values, lower, upper }
}

/// Where in the past to stand and forecast: ascending, evenly over the newer half, the last one so that the
/// newest values test its forecast. None if the series is too short to learn from.
fn origins(len: usize, horizon: usize) -> Vec<usize> {
    /// Fewest values to learn from.
    const FEWEST: usize = 8;
    let first = (len / 2).max(FEWEST);
    let last = len.saturating_sub(horizon.min(len / 4).max(1));
    if last < first {
        return Vec::new();
    }
    let count = ORIGINS.min(last - first + 1);
    let mut origins: Vec<usize> =
        (0..count).map(|i| first + (last - first) * i / (count - 1).max(1)).collect();
    origins.dedup();
    origins
}

/// How far the band reaches from the forecast at each step: a high quantile of the past errors at about the
/// same lead, never less than at a shorter lead.
fn reach(errors: &[(usize, f64)], history: &[f64], horizon: usize) -> Vec<f64> {
    let mut reach = vec![0.0; horizon];
    let (mut from, mut least, mut known_to) = (0, 0.0, 0);
    while from < horizon {
        // Leads of similar size share their errors: 1, 2-3, 4-7, 8-15 ... and no fewer than 24 of them.
        let to = (2 * from + 1).min(horizon);
        let mut near: Vec<f64> =
            errors.iter().filter(|(ahead, _)| (from..to).contains(ahead)).map(|(_, e)| *e).collect();
        if near.len() < 24 {
            near = errors.iter().filter(|(ahead, _)| *ahead < 2 * to + 1).map(|(_, e)| *e).collect();
        }
        if !near.is_empty() {
            near.sort_unstable_by(f64::total_cmp);
            // The usual correction of a quantile for the number it is taken of.
            let q = (COVERED * (near.len() as f64 + 1.0) / near.len() as f64).min(1.0);
            least = quantile_of_sorted(q, &near).max(least);
            known_to = to;
        }
        reach[from..to].fill(least);
        from = to;
    }
    if known_to == 0 {
        // Nothing could be tried: steps of the size seen, growing as those of a random walk do.
        let steps: Vec<f64> = history.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
        let step = steps.iter().fold(0.0_f64, |most, x| most.max(*x));
        reach.iter_mut().enumerate().for_each(|(i, r)| *r = 2.0 * step * ((i + 1) as f64).sqrt());
    } else if known_to < horizon {
        let known = known_to as f64;
        let grown = |i: usize| ((i + 1) as f64 / known).max(1.0).sqrt();
        reach.iter_mut().enumerate().skip(known_to).for_each(|(i, r)| *r *= grown(i));
    }
    reach
}
