//! The archive function: takes over retention policies from a file or a request, takes out of the lake what has
//! expired, and archives what has grown old.

mod erasures;
mod handler;
mod http;
mod policy_file;

pub use handler::{Archive, ArchiveError, Report};
pub use policy_file::{PolicyError, parse_policy};
