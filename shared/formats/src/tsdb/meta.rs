//! A block's `meta.json`: its time range and what it was made of.

use serde::Deserialize;

/// The part of `meta.json` that importing needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// Unique name, in the form of a ULID.
    pub ulid: String,
    /// First timestamp in milliseconds, inclusive.
    pub min_time: i64,
    /// Last timestamp in milliseconds, exclusive.
    pub max_time: i64,
    /// Version of the block's layout; 1 is the one there is.
    pub version: u32,
    /// How much it holds, for a progress bar.
    #[serde(default)]
    pub stats: BlockStats,
}

/// How much a block holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of every kind.
    pub num_samples: u64,
    /// Series.
    pub num_series: u64,
    /// Chunks.
    pub num_chunks: u64,
}
