//! The kpi function: recording rules that need no more than five minutes' resolution, evaluated on a schedule;
//! their results are metrics like any other.

mod handler;

pub use handler::{Kpi, KpiError, Outcome};
