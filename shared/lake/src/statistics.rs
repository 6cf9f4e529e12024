//! Figures about what the lake holds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::head::TenantHead;
use crate::lake::Lake;

/// What is hot: in segments that no block holds yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HotState {
    /// Number of segments.
    pub segments: u64,
    /// Samples in them, as they came.
    pub samples: u64,
    /// Size of the objects, in bytes.
    pub bytes: u64,
    /// Memory that they take here, in bytes, estimated.
    pub memory_bytes: u64,
    /// Segments that cannot be read: copied to quarantine, and passed by until their records come again or
    /// compaction has left them behind.
    pub damaged: u64,
    /// Earliest arrival among the others, milliseconds since the Unix epoch.
    pub oldest_ms: Option<i64>,
}

/// What the lake holds of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TenantStatistics {
    /// Number of blocks.
    pub blocks: u64,
    /// Size of the blocks, in bytes.
    pub bytes: u64,
    /// Samples in the blocks.
    pub samples: u64,
    /// Exemplars in the blocks.
    pub exemplars: u64,
    /// Most series that one block holds: about what is active at a time.
    pub series: u64,
    /// Series known to the head.
    pub hot_series: u64,
    /// Hot samples, as they came.
    pub hot_samples: u64,
    /// Hot exemplars.
    pub hot_exemplars: u64,
    /// First timestamp in the blocks, milliseconds since the Unix epoch.
    pub min_ms: Option<i64>,
    /// Last timestamp in the blocks.
    pub max_ms: Option<i64>,
}

/// What the lake holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Statistics {
    /// The manifest's version.
    pub version: u64,
    /// What is hot, of all tenants.
    pub hot: HotState,
    /// By tenant name.
    pub tenants: BTreeMap<String, TenantStatistics>,
}

impl Lake {
    /// What is hot now.
    #[must_use]
    pub fn hot(&self) -> HotState {
        let state = self.state();
        let segments = state.head.segments();
        let of_tenant = |tenant: &TenantHead| {
            let samples = tenant.series.iter().map(|s| s.memory_bytes() as u64).sum::<u64>();
            samples + tenant.exemplars.memory_bytes() as u64
        };
        HotState {
            segments: segments.len() as u64,
            samples: segments.iter().map(|s| s.samples).sum(),
            bytes: segments.iter().map(|s| s.bytes).sum(),
            memory_bytes: state.head.tenants().map(|(_, tenant)| of_tenant(tenant)).sum(),
            damaged: self.damage.len() as u64,
            oldest_ms: segments.iter().filter_map(|s| s.oldest_ms).min(),
        }
    }

    /// What the lake holds now, as far as this process knows.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let hot = self.hot();
        let state = self.state();
        let mut tenants: BTreeMap<String, TenantStatistics> = BTreeMap::new();
        for (tenant, part) in state.head.tenants() {
            let of = tenants.entry(tenant.to_string()).or_default();
            of.hot_series = part.index.len() as u64;
            of.hot_samples = part.series.iter().map(|s| s.len() as u64).sum();
            of.hot_exemplars = part.exemplars.len() as u64;
        }
        for (tenant, part) in &state.catalog.tenants {
            let of = tenants.entry(tenant.to_string()).or_default();
            for block in part.raw() {
                of.blocks += 1;
                of.bytes += block.bytes();
                of.samples += block.samples;
                of.exemplars += block.exemplars.as_ref().map_or(0, |e| e.count);
                of.series = of.series.max(block.series);
                of.min_ms = Some(of.min_ms.map_or(block.min_ms, |at| at.min(block.min_ms)));
                of.max_ms = Some(of.max_ms.map_or(block.max_ms, |at| at.max(block.max_ms)));
            }
        }
        Statistics { version: state.catalog.version, hot, tenants }
    }
}
