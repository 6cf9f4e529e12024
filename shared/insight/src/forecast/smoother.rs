//! Additive exponential smoothing with a damped trend, up to two seasons, and autocorrelated errors, after
//! J. W. Taylor, "Triple seasonal methods for short-term electricity demand forecasting", EJOR 2010.
//! Errors far beyond the usual are cut before they teach, after S. Gelper, R. Fried and C. Croux,
//! "Robust forecasting with exponential and Holt-Winters smoothing", Journal of Forecasting 2010.

use crate::robust::median;

/// Errors teach as if at most so many usual errors large.
const CUT: f64 = 3.5;
/// How fast the usual error follows.
const SCALE_RATE: f64 = 0.05;
/// What is left of the trend after each step.
const DAMPING: f64 = 0.97;

/// How fast each part follows the newest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) level: f64,
    pub(super) trend: f64,
    pub(super) season: f64,
    /// What share of the last error is expected to stay.
    pub(super) error: f64,
}

/// A smoother that has seen some values.
#[derive(Debug, Clone)]
pub(super) struct Smoother {
    rates: Rates,
    level: f64,
    trend: f64,
    seasons: Vec<Vec<f64>>,
    error: f64,
    usual: f64,
    seen: usize,
}

impl Smoother {
    /// Starts from `first`: level and usual error from its values, seasons from the median of each phase.
    pub(super) fn start(rates: Rates, periods: &[usize], first: &[f64]) -> Self {
        let mut rest: Vec<f64> = first.to_vec();
        let opening = &first[..periods.first().copied().unwrap_or(4).min(first.len())];
        let middle = median(first);
        rest.iter_mut().for_each(|x| *x -= middle);
        let mut seasons = Vec::new();
        for period in periods {
            let phase = |p: usize| median(&rest.iter().skip(p).step_by(*period).copied().collect::<Vec<_>>());
            let season: Vec<f64> =
                (0..*period).map(phase).map(|x| if x.is_nan() { 0.0 } else { x }).collect();
            rest.iter_mut().enumerate().for_each(|(i, x)| *x -= season[i % period]);
            seasons.push(season);
        }
        let usual = rest.iter().map(|x| x.abs() / rest.len() as f64).sum();
        let opening_seasons: f64 = (0..opening.len())
            .map(|i| seasons.iter().map(|s: &Vec<f64>| s[i % s.len()]).sum::<f64>() / opening.len() as f64)
            .sum();
        let mean = opening.iter().map(|x| x / opening.len() as f64).sum::<f64>();
        Self { rates, level: mean - opening_seasons, trend: 0.0, seasons, error: 0.0, usual, seen: 0 }
    }

    fn season(&self, ahead: usize) -> f64 {
        self.seasons.iter().map(|season| season[(self.seen + ahead) % season.len()]).sum()
    }

    /// Learns the next value.
    pub(super) fn learn(&mut self, value: f64) {
        let trend = DAMPING * self.trend;
        let structural = self.level + trend + self.season(0);
        let mut error = value - structural - self.rates.error * self.error;
        self.usual += SCALE_RATE * (error.abs().min(2.0 * CUT * self.usual) - self.usual);
        if self.usual > 0.0 {
            error = error.clamp(-CUT * self.usual, CUT * self.usual);
        } else {
            self.usual = SCALE_RATE * error.abs();
        }
        self.error = error + self.rates.error * self.error;
        self.level += trend + self.rates.level * error;
        self.trend = trend + self.rates.trend * self.rates.level * error;
        for season in &mut self.seasons {
            let phase = self.seen % season.len();
            season[phase] += self.rates.season * error;
        }
        self.seen += 1;
    }

    /// The next values as far as `into` is long.
    pub(super) fn predict(&self, into: &mut [f64]) {
        let (mut level, mut trend, mut error) = (self.level, self.trend, self.error);
        for (ahead, out) in into.iter_mut().enumerate() {
            trend *= DAMPING;
            level += trend;
            error *= self.rates.error;
            *out = level + self.season(ahead) + error;
        }
    }
}
