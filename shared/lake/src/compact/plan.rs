//! Which blocks are worth merging.

use std::sync::Arc;

use weir_model::TenantId;

use super::CompactMode;
use crate::keys::HOUR_MS;
use crate::manifest::{BlockMeta, Catalog};
use crate::options::LakeOptions;

/// Blocks are about one size while none is larger than this many times the average of the newer ones.
const SIZE_RATIO: u64 = 4;
/// An hour with this many times the fan-in of blocks is merged whatever their sizes.
const TOO_MANY: usize = 3;
/// Most blocks of one merge; more are merged in several runs.
const MAX_INPUTS: usize = 64;

/// Blocks of one hour, consecutive in order of writes, that become one.
#[derive(Debug, Clone)]
pub(super) struct Merge {
    pub tenant: TenantId,
    pub hour: i64,
    pub inputs: Vec<Arc<BlockMeta>>,
    /// True when these are all blocks of the hour and it has closed.
    pub complete: bool,
}

/// The merges due now.
pub(super) fn merges(catalog: &Catalog, mode: CompactMode, options: &LakeOptions, now_ms: i64) -> Vec<Merge> {
    let mut due = Vec::new();
    for (tenant, blocks) in &catalog.tenants {
        for (hour, blocks) in &blocks.hours {
            // Hours beyond the calendar of milliseconds are closed or not, never a failure.
            let ends_ms = hour.saturating_add(1).saturating_mul(HOUR_MS);
            let closed = now_ms >= ends_ms.saturating_add(options.close_after_ms);
            // What is merged lies side by side in the order of writes, so full blocks bound it, and those that
            // an erasure has yet to look at.
            let mut runs = blocks.split(|block| {
                block.series >= options.block_series() as u64 || catalog.awaits_erasure(tenant, block)
            });
            let inputs = runs.find_map(|run| inputs(run, mode, options.merge_fan_in, closed));
            if let Some((inputs, complete)) = inputs {
                due.push(Merge { tenant: tenant.clone(), hour: *hour, inputs: inputs.to_vec(), complete });
            }
        }
    }
    due
}

fn inputs(
    blocks: &[Arc<BlockMeta>],
    mode: CompactMode,
    fan_in: usize,
    closed: bool,
) -> Option<(&[Arc<BlockMeta>], bool)> {
    if blocks.len() < 2 {
        return None;
    }
    let all = blocks.len() <= MAX_INPUTS;
    let oldest = &blocks[..blocks.len().min(MAX_INPUTS)];
    let never_complete = blocks.iter().all(|b| !b.complete);
    if mode == CompactMode::Full || (closed && never_complete) || blocks.len() >= TOO_MANY * fan_in.max(2) {
        return Some((oldest, all && closed));
    }
    // The newest blocks of about one size: an old large one is not written again for few new samples.
    let mut run = 0;
    let mut total = 0;
    for block in blocks.iter().rev() {
        if run > 0 && block.samples > SIZE_RATIO * total / run as u64 {
            break;
        }
        run += 1;
        total += block.samples;
    }
    let run = run.min(MAX_INPUTS);
    (run >= fan_in.max(2)).then(|| (&blocks[blocks.len() - run..], false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(sizes: &[u64], complete: bool) -> Vec<Arc<BlockMeta>> {
        let block = |(at, samples): (usize, &u64)| BlockMeta {
            id: at.to_string(),
            tenant: "t".into(),
            hour: 0,
            min_ms: 0,
            max_ms: 0,
            series: 1,
            samples: *samples,
            samples_bytes: 0,
            series_bytes: 0,
            samples_key: String::new(),
            series_key: String::new(),
            generation: at as u64,
            complete: complete && at == 0,
            exemplars: None,
            rollup: None,
            erased: 0,
            archived: None,
        };
        sizes.iter().enumerate().map(|b| Arc::new(block(b))).collect()
    }

    #[test]
    fn blocks_are_merged_when_it_pays() {
        use CompactMode::{Full, Scheduled};
        /// What the row shows; sizes, oldest first; whether the oldest is complete; mode; whether the hour
        /// has closed; how many are merged.
        type Row<'a> = (&'a str, &'a [u64], bool, CompactMode, bool, Option<usize>);
        let rows: &[Row<'_>] = &[
            ("one block is never merged", &[5], false, Full, true, None),
            ("a full run merges any two", &[500, 1], true, Full, true, Some(2)),
            ("few blocks of an open hour wait", &[5, 5, 5], false, Scheduled, false, None),
            ("many of one size are merged", &[5, 5, 6, 4], false, Scheduled, false, Some(4)),
            ("a large old one is left alone", &[500, 5, 5, 6, 4], false, Scheduled, false, Some(4)),
            ("a closed hour is merged once", &[500, 5], false, Scheduled, true, Some(2)),
            ("late blocks wait for company", &[500, 5, 5], true, Scheduled, true, None),
            ("late blocks are merged by themselves", &[500, 5, 5, 5, 5], true, Scheduled, true, Some(4)),
            ("too many are merged whatever their size", &[1 << 40; 12], true, Scheduled, true, Some(12)),
        ];
        for (shows, sizes, complete, mode, closed, want) in rows {
            let blocks = blocks(sizes, *complete);
            let found = inputs(&blocks, *mode, 4, *closed).map(|(inputs, _)| inputs.len());
            assert_eq!(found, *want, "{shows}");
        }
    }
}
