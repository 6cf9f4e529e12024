//! The rollup function: days of samples that have settled become rollups of one minute, hour and day.

mod handler;

pub use handler::{Rollup, RollupError, RollupEvent};
