//! Reads the samples of a selection, one series at a time.

use weir_model::Samples;

use crate::block::BlockCursor;
use crate::error::LakeError;
use crate::merge;
use crate::select::{LakeSelection, Source};

/// Reads series of a [`LakeSelection`]; fastest in ascending order, since it keeps the pages it last
/// unpacked.
pub struct LakeReader<'a> {
    selection: &'a LakeSelection,
    cursors: Vec<Option<BlockCursor<'a>>>,
    scratch: Samples,
}

impl<'a> LakeReader<'a> {
    pub(crate) fn new(selection: &'a LakeSelection) -> Self {
        let cursors = selection.blocks.iter().map(|_| None).collect();
        Self { selection, cursors, scratch: Samples::default() }
    }

    /// Replaces `into` by the samples of the series at `index` of [`LakeSelection::series`] within the
    /// selected range: ascending, one a timestamp.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when stored bytes are damaged, [`LakeError::Limit`] when there is no such
    /// series.
    pub fn read(&mut self, index: usize, into: &mut Samples) -> Result<(), LakeError> {
        into.clear();
        let selection = self.selection;
        let Some(info) = selection.series.get(index) else {
            let limit = selection.series.len().saturating_sub(1) as u64;
            return Err(LakeError::Limit { what: "place of a series", found: index as u64, limit });
        };
        let sources = selection.starts[index] as usize..selection.starts[index + 1] as usize;
        for source in &selection.sources[sources] {
            if into.is_empty() {
                self.read_source(*source, into)?;
            } else {
                let mut scratch = std::mem::take(&mut self.scratch);
                let done = self.read_source(*source, &mut scratch);
                merge::join(into, &mut scratch, info.temporality);
                self.scratch = scratch;
                done?;
            }
        }
        if let Some(floor) = selection.floors.get(index) {
            drop_before(into, *floor);
        }
        Ok(())
    }

    fn read_source(&mut self, source: Source, into: &mut Samples) -> Result<(), LakeError> {
        let (selection, range) = (self.selection, self.selection.range);
        match source {
            Source::Block { place, ordinal } => {
                let block = &selection.blocks[place as usize];
                let cursor = self.cursors[place as usize].get_or_insert_with(|| block.pages.cursor());
                cursor
                    .read(ordinal, range.start_ms, range.end_ms, into)
                    .map_err(|error| LakeError::damaged(&block.key, error))?;
            }
            Source::Plain { start, end } => {
                into.clear();
                into.timestamps.extend_from_slice(&selection.hot.timestamps[start..end]);
                into.values.extend_from_slice(&selection.hot.values[start..end]);
            }
            Source::Sorted(place) => into.clone_from(&selection.hot.sorted[place as usize]),
        }
        Ok(())
    }
}

/// Drops the samples before `floor`, which have expired.
pub(crate) fn drop_before(samples: &mut Samples, floor: i64) {
    let expired = samples.timestamps.partition_point(|at| *at < floor);
    samples.timestamps.drain(..expired);
    samples.values.drain(..expired);
    let expired = samples.histograms.partition_point(|sample| sample.0 < floor);
    samples.histograms.drain(..expired);
    let expired = samples.sets.partition_point(|sample| sample.0 < floor);
    samples.sets.drain(..expired);
}
