//! The archive: the blocks of a day (UTC) that has grown old become one, compressed as much as pays.
//!
//! A large day becomes several blocks, of some hours each. Every merge is one entry of the manifest, and given up if
//! one of its blocks has been replaced meanwhile. What comes late lies in blocks of an hour beside the archived ones
//! until there is enough of it to be worth merging.

mod plan;
mod run;

pub use run::ArchiveReport;
