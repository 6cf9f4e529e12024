//! Selections that read rollups where these give the same answers as samples.

use weir_lake::{Selection, TierReader, TierSelection, TierWish};
use weir_model::{AddedUp, Intervals, Samples, Tier};
use weir_promql::{
    Instead, SelectRequest, SelectedSeries, SelectionStats, SeriesReader, SeriesSet, StorageError,
};

use crate::{TenantStorage, selected, storage_error};

/// Which resolutions a query may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tiers {
    /// The coarsest that gives the same answers as samples.
    #[default]
    Any,
    /// Samples only.
    Raw,
    /// That tier; what it cannot answer is an error.
    Only(Tier),
}

impl Tiers {
    /// Reads the parameter `tier`.
    ///
    /// # Errors
    /// Which names there are.
    pub fn parse(text: Option<&str>) -> Result<Self, String> {
        match text {
            None => Ok(Self::Any),
            Some("raw") => Ok(Self::Raw),
            Some(name) => Tier::from_name(name)
                .map(Self::Only)
                .ok_or_else(|| format!("invalid parameter \"tier\": {name:?} is none of raw, 1m, 1h and 1d")),
        }
    }
}

impl TenantStorage {
    /// The selection from a tier; `None` when samples are to be read.
    pub(crate) async fn select_tier(
        &self,
        request: &SelectRequest,
        selection: &Selection,
    ) -> Result<Option<OfTier>, StorageError> {
        let tier = match self.tiers {
            Tiers::Raw => return Ok(None),
            Tiers::Any => None,
            Tiers::Only(tier) => Some(tier),
        };
        // On a grid of 0 no window is a union of intervals, and only expired samples are stood in for.
        let all = Instead { grid_ms: 0, aggregates: Vec::new(), added_up: AddedUp::None };
        let Instead { grid_ms, aggregates, added_up } = request.instead.clone().unwrap_or(all);
        let wish = TierWish { grid_ms, aggregates, added_up, tier };
        let found = self.lake.select_tier(&self.tenant, selection, &wish).await.map_err(storage_error)?;
        let found = found.map(|found| OfTier {
            series: selected(found.series()),
            has_intervals: !wish.aggregates.is_empty() && !found.is_approximate(),
            selection: found,
        });
        match (tier, &found) {
            (Some(tier), None) => Err(StorageError::Limit(format!(
                "tier {} cannot answer this: that takes a function that works on rollups; a start, step, range \
                 and offset that are multiples of the tier; series of floats, or of what the function adds up, and no counters where their spread is \
                 asked for, which no tier of minutes keeps; and days that are rolled up. \
                 Leave out the parameter \"tier\", and samples are read where they are needed",
                tier.name()
            ))),
            _ => Ok(found),
        }
    }
}

/// What a tier and, where it is not up to date, samples have.
pub(crate) struct OfTier {
    series: Vec<SelectedSeries>,
    selection: TierSelection,
    has_intervals: bool,
}

impl SeriesSet for OfTier {
    fn series(&self) -> &[SelectedSeries] {
        &self.series
    }

    fn stats(&self) -> SelectionStats {
        SelectionStats {
            bytes: self.selection.bytes(),
            blocks: self.selection.blocks() as u64,
            cached_indexes: self.selection.cached_indexes() as u64,
            tier: self.selection.tier().name(),
            approximate: self.selection.is_approximate(),
        }
    }

    fn has_intervals(&self) -> bool {
        self.has_intervals
    }

    fn reader(&self) -> Box<dyn SeriesReader + '_> {
        Box::new(Reader(self.selection.reader()))
    }
}

struct Reader<'a>(TierReader<'a>);

impl SeriesReader for Reader<'_> {
    fn read(&mut self, index: usize, into: &mut Samples) -> Result<(), StorageError> {
        self.0.read_last(index, into).map_err(storage_error)
    }

    fn read_intervals(&mut self, index: usize, into: &mut Intervals) -> Result<(), StorageError> {
        self.0.read_intervals(index, into).map_err(storage_error)
    }
}
