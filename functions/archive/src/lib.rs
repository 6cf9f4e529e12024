//! The archive function: takes over retention policies from a file or a request, and takes out of the lake what has expired.

mod erasures;
mod handler;
mod http;
mod policy_file;

pub use handler::{Archive, ArchiveError};
pub use policy_file::{PolicyError, parse_policy};
