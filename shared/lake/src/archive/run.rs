//! One run of the archive: one merge after the other is written and then named by an entry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use weir_platform::StorageClass;

use super::plan::{Due, due};
use crate::compact::{NewBlock, Planned, all};
use crate::error::LakeError;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::{ArchivedMeta, BlockMeta, Catalog, Entry};

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ArchiveReport {
    /// Days, or parts of large ones, that were archived.
    pub merged: u64,
    /// Blocks written.
    pub blocks_written: u64,
    /// Blocks replaced.
    pub blocks_replaced: u64,
    /// Samples in the blocks written.
    pub samples: u64,
    /// Size of the blocks replaced, in bytes.
    pub bytes_replaced: u64,
    /// Size of the blocks written, in bytes.
    pub bytes_written: u64,
    /// Left to the next run, since blocks changed meanwhile.
    pub changed: u64,
    /// Left to the next run, since this one had no time for them.
    pub left: u64,
    /// What could not be archived: the log says why.
    pub failed: u64,
}

impl Lake {
    /// Archives days that are old enough at `now_ms` (at most the time by this process' clock), the oldest first
    /// and tenants in turn; begins nothing more once `longest` has passed. Answers stay the same; running it
    /// twice, or in two processes at once, does no harm.
    ///
    /// # Errors
    /// [`LakeError`] when the lake cannot be asked. A day that fails is told in the log and by the report, and
    /// does not keep others from being archived.
    pub async fn archive(
        self: &Arc<Self>,
        now_ms: i64,
        longest: Duration,
    ) -> Result<ArchiveReport, LakeError> {
        let _one_at_a_time = self.archiving.lock().await;
        self.refresh_for_maintenance().await?;
        let (before, began_ms) = (self.catalog().version, self.clock.now_ms());
        let mut report = ArchiveReport::default();
        for due in due(&self.catalog(), &self.options, now_ms.min(began_ms)) {
            if u128::from(self.clock.now_ms().abs_diff(began_ms)) >= longest.as_millis() {
                report.left += 1;
            } else if let Err(error) = self.archive_one(&due, &mut report).await {
                report.failed += 1;
                let (day, error) = (keys::date(due.day), &error as &dyn std::error::Error);
                tracing::warn!(tenant = %due.tenant, day, error, "a day could not be archived");
            }
        }
        if report.merged > 0 {
            self.write_due_checkpoint(before).await?;
            self.forget_replaced_blocks();
        }
        Ok(report)
    }

    async fn archive_one(self: &Arc<Self>, due: &Due, report: &mut ArchiveReport) -> Result<(), LakeError> {
        // As of now: until it is done, what it reads stays in the bucket.
        let (catalog, _guard) = {
            let state = self.state();
            (state.catalog.clone(), self.snapshots.hold(state.catalog.version))
        };
        let inputs = &due.inputs;
        let awaits = |block: &Arc<BlockMeta>| catalog.awaits_erasure(&due.tenant, block);
        // Whatever else came of these hours meanwhile was written later.
        let unchanged = |catalog: &Catalog| inputs.iter().all(|block| catalog.contains(&block.id));
        if !unchanged(&catalog) || inputs.iter().any(awaits) {
            report.changed += 1;
            return Ok(());
        }
        let new = NewBlock {
            tenant: due.tenant.clone(),
            hour: inputs.iter().map(|block| block.hour).min().unwrap_or(due.day * 24),
            generation: inputs.iter().map(|block| block.generation).max().unwrap_or(0),
            complete: true,
            rollup: None,
            archived: Some(archived(inputs, due.class)),
            planned: Planned::under(&catalog, &due.tenant),
        };
        let Some(add) = self.write_merged(inputs, new, Arc::new(all)).await? else {
            report.changed += 1;
            return Ok(());
        };
        let entry = |now: &Catalog| {
            let remove = inputs.iter().map(|block| block.id.clone()).collect();
            unchanged(now).then(|| Entry { add: add.clone(), remove, ..Entry::default() })
        };
        if self.commit(entry).await?.is_none() {
            report.changed += 1;
            return Ok(());
        }
        report.merged += 1;
        report.blocks_written += add.len() as u64;
        report.blocks_replaced += inputs.len() as u64;
        report.samples += add.iter().map(|block| block.samples).sum::<u64>();
        report.bytes_replaced += inputs.iter().map(|block| block.bytes()).sum::<u64>();
        report.bytes_written += add.iter().map(BlockMeta::bytes).sum::<u64>();
        Ok(())
    }
}

/// What the manifest says of a block made of these.
fn archived(group: &[Arc<BlockMeta>], class: StorageClass) -> ArchivedMeta {
    let mut days: BTreeMap<i64, u64> = BTreeMap::new();
    for (day, generation) in group.iter().flat_map(|block| block.days()) {
        let known = days.entry(day).or_default();
        *known = generation.max(*known);
    }
    let first = group.iter().map(|block| block.hour).min().unwrap_or(0);
    let end = group.iter().map(|block| block.end_hour()).max().unwrap_or(first);
    ArchivedMeta { hours: end - first, days, class }
}
