//! The models that compete: naive ones, and smoothers at several rates, of the values or their logarithms.

use super::smoother::{Rates, Smoother};
use crate::robust::median;

/// Positive series whose largest value is so many times the smallest are also smoothed as logarithms.
const WIDE: f64 = 2.0;

/// A way to forecast.
#[derive(Debug, Clone)]
pub(super) enum Model {
    /// The median of the same phase over the last few periods; one of one is the naive forecast.
    Phase {
        period: usize,
        count: usize,
    },
    Smooth {
        start: Smoother,
        logarithms: bool,
    },
}

/// Every model for a series with these periods, in the order of trust when nothing can be tried. Smoothers
/// start from what was known before `origin`.
pub(super) fn all(history: &[f64], origin: usize, periods: &[usize]) -> Vec<Model> {
    let first = &history[..origin];
    let mut models = Vec::new();
    for period in periods.iter().rev().chain([&1]) {
        // Without a season the median of many values is what mostly is.
        let counts = if *period == 1 { [1, 24, 240] } else { [1, 2, 5] };
        let known = counts.into_iter().filter(|count| period * count <= origin);
        models.extend(known.map(|count| Model::Phase { period: *period, count }));
    }
    let mut seasonal: Vec<Vec<usize>> = vec![vec![]];
    seasonal.extend(periods.iter().filter(|p| 2 * **p <= origin).map(|p| vec![*p]));
    if let [short, long] = periods
        && 2 * long <= origin
    {
        seasonal.push(vec![*short, *long]);
    }
    let (least, most) = history.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    let wide = least > 0.0 && most > WIDE * least;
    let logs: Vec<f64> = if wide { first.iter().map(|x| x.ln()).collect() } else { Vec::new() };
    for periods in &seasonal {
        for level in [0.01, 0.05, 0.2, 0.6] {
            for trend in [0.0, 0.1] {
                for season in if periods.is_empty() { &[0.0][..] } else { &[0.05, 0.2] } {
                    for error in [0.0, 0.7, 0.9] {
                        let rates = Rates { level, trend, season: *season, error };
                        let start = Smoother::start(rates, periods, first);
                        models.push(Model::Smooth { start, logarithms: false });
                        if wide {
                            let start = Smoother::start(rates, periods, &logs);
                            models.push(Model::Smooth { start, logarithms: true });
                        }
                    }
                }
            }
        }
    }
    models
}

impl Model {
    /// Forecasts of `horizon` steps from each of the ascending `origins`, knowing only what came before.
    pub(super) fn forecasts(&self, history: &[f64], origins: &[usize], horizon: usize) -> Vec<Vec<f64>> {
        match self {
            Self::Phase { period, count } => {
                origins.iter().map(|origin| phases(&history[..*origin], horizon, *period, *count)).collect()
            }
            Self::Smooth { start, logarithms } => {
                let mut smoother = start.clone();
                let mut learnt = 0;
                let mut forecast = |origin: &usize| {
                    for value in &history[learnt..*origin] {
                        smoother.learn(if *logarithms { value.ln() } else { *value });
                    }
                    learnt = *origin;
                    let mut guess = vec![0.0; horizon];
                    smoother.predict(&mut guess);
                    if *logarithms {
                        guess.iter_mut().for_each(|x| *x = x.exp().min(f64::MAX));
                    }
                    guess
                };
                origins.iter().map(&mut forecast).collect()
            }
        }
    }
}

/// The median of the same phase over the last `count` periods of `past`.
fn phases(past: &[f64], horizon: usize, period: usize, count: usize) -> Vec<f64> {
    let phase = |ahead: usize| {
        let newest = past.len() - period + ahead;
        median(&(0..count).map(|k| past[newest - k * period]).collect::<Vec<_>>())
    };
    let season: Vec<f64> = (0..period.min(horizon)).map(phase).collect();
    (0..horizon).map(|ahead| season[ahead % period]).collect()
}
