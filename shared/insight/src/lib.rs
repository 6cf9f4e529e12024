//! Statistics of series: anomalies, forecasts, seasons, trends and outliers. Pure computation on
//! slices of numbers: no I/O, no clock, no randomness, and nothing here knows PromQL or the lake.

mod detect;
mod even;
mod forecast;
mod outlier;
mod robust;
mod season;
mod trend;

pub use detect::{Detector, anomaly_score, expected_band};
pub use even::{calendar_seasons, evenly, usual_step};
pub use forecast::{Forecast, MAX_FORECAST_VALUES, MAX_HORIZON, forecast};
pub use outlier::outlier_scores;
pub use robust::{median, median_deviation, quantile};
pub use season::find_period;
pub use trend::theil_sen;
