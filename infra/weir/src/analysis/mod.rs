//! Statistics of a series in a file: `weir detect` and `weir forecast`.

mod detect;
mod forecast;
mod moment;
mod rows;

pub(crate) use detect::{Detect, detect};
pub(crate) use forecast::{ForecastSettings, forecast};
