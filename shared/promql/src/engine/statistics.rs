//! Weir's own functions: anomalies, forecasts and trends of a window, and outliers among series. The
//! statistics themselves are those of weir-insight.

use weir_insight::{
    anomaly_score, calendar_seasons, evenly, expected_band, forecast, outlier_scores, theil_sen, usual_step,
};

use super::column::{ABSENT, Series, is_absent};
use super::error::QueryError;
use super::grid::Grid;
use super::labels::{Key, Numbering};
use super::limits::Ledger;
use super::window::Window;

/// Most values of a window that scores and bands look at: the newest ones.
const MOST_SCORED: usize = 4096;
/// Most values of a window that a forecast looks at, and most steps that it goes ahead.
const MOST_FORECAST: usize = 2000;
const MOST_AHEAD: usize = 1000;

/// A statistic of the floats in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    AnomalyScore,
    Forecast,
    SeasonalBandLower,
    SeasonalBandUpper,
    Trend,
}

impl Statistic {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "anomaly_score" => Self::AnomalyScore,
            "forecast" => Self::Forecast,
            "seasonal_band_lower" => Self::SeasonalBandLower,
            "seasonal_band_upper" => Self::SeasonalBandUpper,
            "trend" => Self::Trend,
            _ => return None,
        })
    }

    /// Its value for a window, if the window has samples enough; `arg` is the second argument.
    pub(crate) fn of(self, w: &Window<'_>, arg: f64) -> Result<Option<f64>, QueryError> {
        Ok(match self {
            Self::AnomalyScore => anomaly_score(&values(w).0, &seasons(w)),
            Self::SeasonalBandLower => expected_band(&values(w).0, &seasons(w)).map(|band| band.0),
            Self::SeasonalBandUpper => expected_band(&values(w).0, &seasons(w)).map(|band| band.1),
            Self::Trend => {
                // Measured from the end, so that no precision is lost on the age of the epoch.
                let times: Vec<f64> = w.ts.iter().map(|t| (t - w.end) as f64 / 1000.0).collect();
                theil_sen(&times, w.vs)
            }
            Self::Forecast => ahead(w, arg)?,
        })
    }
}

/// The values of a window at even steps, and the step.
fn values(w: &Window<'_>) -> (Vec<f64>, i64) {
    // Samples of a second's millisecond jitter are one step apart, as the median says.
    let step = usual_step(w.ts).unwrap_or(1);
    (evenly(w.ts, w.vs, step, MOST_SCORED), step)
}

fn seasons(w: &Window<'_>) -> Vec<usize> {
    usual_step(w.ts).map_or_else(Vec::new, |step| calendar_seasons(step, MOST_SCORED / 2))
}

/// The forecast so many seconds after the end of the window, on a line between those of the steps around.
fn ahead(w: &Window<'_>, seconds: f64) -> Result<Option<f64>, QueryError> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(QueryError::Execution(format!(
            "invalid horizon in forecast(): {seconds}; it is so many seconds after the range, at least 0"
        )));
    }
    let (Some(step), Some(newest)) = (usual_step(w.ts), w.ts.last()) else { return Ok(None) };
    let steps = ((w.end - newest) as f64 + seconds * 1000.0) / step as f64;
    if steps > MOST_AHEAD as f64 {
        return Err(QueryError::Execution(format!(
            "forecast() of {seconds} s is {steps:.0} steps of {} s ahead, and at most {MOST_AHEAD} are possible; \
             take a shorter horizon, or coarser samples through a subquery such as [7d:1h]",
            step as f64 / 1000.0
        )));
    }
    let values = evenly(w.ts, w.vs, step, MOST_FORECAST);
    let known = values.last().copied().unwrap_or(f64::NAN);
    let seasons = calendar_seasons(step, MOST_FORECAST / 2);
    let Some(forecast) = forecast(&values, steps.ceil() as usize, &seasons) else { return Ok(None) };
    let at = |step: usize| match step.checked_sub(1) {
        None => Some(known),
        Some(place) => forecast.values.get(place).copied(),
    };
    let (before, after) = (at(steps.floor() as usize), at(steps.ceil() as usize));
    let share = steps - steps.floor();
    Ok(before.zip(after).map(|(x, y)| if share == 0.0 { x } else { x * (1.0 - share) + y * share }))
}

/// How far each series stands from those that share the labels `by`, step by step; histograms are left out.
pub(crate) fn outliers(
    mut series: Vec<Series>,
    by: &[String],
    grid: &Grid,
    ledger: &Ledger,
) -> Result<Vec<Series>, QueryError> {
    let key = Key::new(by, true);
    let mut numbering = Numbering::default();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, one) in series.iter_mut().enumerate() {
        one.column.histograms.clear();
        one.drop_name = true;
        let (number, is_new) = numbering.number(&key, &one.labels);
        if is_new {
            groups.push(Vec::new());
        }
        groups[number].push(place);
    }
    let mut members = Vec::new();
    let mut values = Vec::new();
    for group in &groups {
        for step in 0..grid.steps {
            ledger.check()?;
            members.clear();
            values.clear();
            for place in group {
                let value = series[*place].column.floats.get(step).copied().unwrap_or(ABSENT);
                if !is_absent(value) {
                    members.push(*place);
                    values.push(value);
                }
            }
            for (place, score) in members.iter().zip(outlier_scores(&values)) {
                series[*place].column.floats[step] = score;
            }
        }
    }
    series.retain(|one| one.column.any_present());
    Ok(series)
}
