//! The database in a bucket: segments, blocks, manifest, compaction, reader.

pub mod block;
