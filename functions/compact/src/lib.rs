//! The compact function: hot segments become blocks, small blocks larger ones, and what no reader
//! needs any more is deleted.

mod handler;

pub use handler::{Compact, CompactError, CompactEvent, Outcome};
