//! The lake of one tenant as the engine's storage: the one way from PromQL to stored samples.

mod tier;

use std::sync::Arc;

use async_trait::async_trait;
use weir_lake::{Lake, LakeError, LakeReader, LakeSelection, Selection, SeriesInfo};
use weir_model::{Samples, TenantId};
use weir_promql::{
    SelectRequest, SelectedSeries, SelectionStats, SeriesReader, SeriesSet, Storage, StorageError,
};

pub use tier::Tiers;

/// One tenant's data for the length of a query.
pub struct TenantStorage {
    /// Where the data is.
    pub lake: Arc<Lake>,
    /// Whose it is.
    pub tenant: TenantId,
    /// Reads indexes from the bucket again instead of from memory.
    pub bypass_cache: bool,
    /// Which resolutions may be read.
    pub tiers: Tiers,
}

#[async_trait]
impl Storage for TenantStorage {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, StorageError> {
        let selection = Selection {
            matchers: request.matchers.clone(),
            start_ms: request.start_ms,
            end_ms: request.end_ms,
            max_series: request.max_series,
            bypass_cache: self.bypass_cache,
        };
        if let Some(of_tier) = self.select_tier(request, &selection).await? {
            return Ok(Box::new(of_tier));
        }
        let selection = self.lake.select(&self.tenant, &selection).await.map_err(storage_error)?;
        Ok(Box::new(Selected { series: selected(selection.series()), selection }))
    }
}

fn selected(series: &[SeriesInfo]) -> Vec<SelectedSeries> {
    let about = |s: &SeriesInfo| SelectedSeries {
        labels: s.labels.clone(),
        kind: s.kind,
        temporality: s.temporality,
    };
    series.iter().map(about).collect()
}

fn storage_error(error: LakeError) -> StorageError {
    match error {
        LakeError::Limit { .. } => StorageError::Limit(error.to_string()),
        LakeError::Frozen { reason, retry_after_s } => StorageError::NotYet { reason, retry_after_s },
        other => StorageError::Unavailable(Box::new(other)),
    }
}

struct Selected {
    series: Vec<SelectedSeries>,
    selection: LakeSelection,
}

impl SeriesSet for Selected {
    fn series(&self) -> &[SelectedSeries] {
        &self.series
    }

    fn stats(&self) -> SelectionStats {
        SelectionStats {
            bytes: self.selection.bytes(),
            blocks: self.selection.blocks() as u64,
            cached_indexes: self.selection.cached_indexes() as u64,
            tier: "raw",
            approximate: false,
        }
    }

    fn reader(&self) -> Box<dyn SeriesReader + '_> {
        Box::new(Reader(self.selection.reader()))
    }
}

struct Reader<'a>(LakeReader<'a>);

impl SeriesReader for Reader<'_> {
    fn read(&mut self, index: usize, into: &mut Samples) -> Result<(), StorageError> {
        self.0.read(index, into).map_err(storage_error)
    }
}
