//! Cuts an hour of a tenant into several blocks, by series, where it has more of them than one block takes.

use weir_model::Samples;

use crate::block::{BlockError, BlockOptions, BlockWriter, EncodedBlock, SeriesEntry};
use crate::exemplars::ExemplarSet;

/// Takes series in block order and goes on in a further block whenever one is full.
pub(crate) struct Parts {
    names: Box<dyn FnMut() -> String + Send>,
    max_series: usize,
    archived: bool,
    current: Option<BlockWriter>,
    done: Vec<EncodedBlock>,
}

impl Parts {
    /// No block yet; `names` makes a new name for each, and a block takes `max_series` series.
    pub(crate) fn new(names: impl FnMut() -> String + Send + 'static, max_series: usize) -> Self {
        Self {
            names: Box::new(names),
            max_series: max_series.max(1),
            archived: false,
            current: None,
            done: Vec::new(),
        }
    }

    /// From now on blocks are written as they are archived.
    pub(crate) fn archive(&mut self) {
        self.archived = true;
    }

    fn current(&mut self) -> Result<&mut BlockWriter, BlockError> {
        if let Some(full) = self.current.take_if(|writer| writer.series() >= self.max_series) {
            self.done.push(full.finish()?);
        }
        let writer = match self.current.take() {
            Some(writer) => writer,
            None if self.archived => BlockWriter::new(BlockOptions::archived((self.names)()))?,
            None => BlockWriter::new(BlockOptions::new((self.names)()))?,
        };
        Ok(self.current.insert(writer))
    }

    /// See [`BlockWriter::push`].
    pub(crate) fn push(&mut self, series: &SeriesEntry<'_>, samples: &Samples) -> Result<(), BlockError> {
        self.current()?.push(series, samples)
    }

    /// Gives the block at hand the exemplars of the whole hour, which are bounded as a whole.
    pub(crate) fn set_exemplars(&mut self, exemplars: ExemplarSet, dropped: u64) -> Result<(), BlockError> {
        if !exemplars.is_empty() {
            self.current()?.set_exemplars(exemplars, dropped);
        }
        Ok(())
    }

    /// The blocks; none when nothing was pushed.
    pub(crate) fn finish(mut self) -> Result<Vec<EncodedBlock>, BlockError> {
        if let Some(last) = self.current.take() {
            self.done.push(last.finish()?);
        }
        Ok(self.done)
    }
}
