//! The values of one series at every step.

use std::sync::Arc;

use weir_model::{Histogram, Labels, STALE_NAN, STALE_NAN_BITS};

use super::limits::Weight;

/// Stands for "no sample at this step". Arithmetic never yields this bit pattern: the results of operations
/// on NaN are quiet, this one is signalling.
pub(crate) const ABSENT: f64 = STALE_NAN;

/// True for [`ABSENT`].
#[inline]
pub(crate) fn is_absent(x: f64) -> bool {
    x.to_bits() == STALE_NAN_BITS
}

/// One value per step: a float, a histogram, or nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    /// Floats; [`ABSENT`] where there is none.
    pub(crate) floats: Vec<f64>,
    /// Histograms; empty when the column has none at all, else as long as `floats`.
    pub(crate) histograms: Vec<Option<Arc<Histogram>>>,
}

impl Column {
    /// A column without any sample.
    pub(crate) fn absent(steps: usize) -> Self {
        Self { floats: vec![ABSENT; steps], histograms: Vec::new() }
    }

    /// Empties it and sets its length; keeps its memory.
    pub(crate) fn reset(&mut self, steps: usize) {
        self.floats.clear();
        self.floats.resize(steps, ABSENT);
        self.histograms.clear();
    }

    /// Number of steps.
    pub(crate) fn steps(&self) -> usize {
        self.floats.len()
    }

    /// The histogram at a step.
    #[inline]
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.get(step).and_then(Option::as_ref)
    }

    /// True when there is a sample at that step.
    #[inline]
    pub(crate) fn is_present(&self, step: usize) -> bool {
        !is_absent(self.floats[step]) || self.histogram(step).is_some()
    }

    /// True when there is a sample at any step.
    pub(crate) fn any_present(&self) -> bool {
        self.floats.iter().any(|x| !is_absent(*x)) || self.has_histograms()
    }

    /// True when there is a histogram at any step.
    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms.iter().any(Option::is_some)
    }

    /// Puts a histogram at a step.
    pub(crate) fn set_histogram(&mut self, step: usize, histogram: Arc<Histogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.floats.len(), None);
        }
        self.histograms[step] = Some(histogram);
    }

    /// Removes whatever is at a step.
    pub(crate) fn clear(&mut self, step: usize) {
        self.floats[step] = ABSENT;
        if let Some(slot) = self.histograms.get_mut(step) {
            *slot = None;
        }
    }

    /// Copies what another column has at a step.
    pub(crate) fn copy_step(&mut self, step: usize, from: &Self) {
        self.floats[step] = from.floats[step];
        if let Some(histogram) = from.histogram(step) {
            self.set_histogram(step, Arc::clone(histogram));
        }
    }

    /// Makes this a copy of another; keeps its memory.
    pub(crate) fn copy_from(&mut self, from: &Self) {
        self.floats.clone_from(&from.floats);
        self.histograms.clone_from(&from.histograms);
    }

    /// Repeats the first step so often.
    pub(crate) fn repeat_first(&mut self, steps: usize) {
        let first = self.floats.first().copied().unwrap_or(ABSENT);
        self.floats.clear();
        self.floats.resize(steps, first);
        if let Some(first) = self.histograms.first().cloned() {
            self.histograms.clear();
            self.histograms.resize(steps, first);
        }
    }

    /// What it weighs in the ledger: a point per step, more with histograms.
    pub(crate) fn weight(&self) -> Weight {
        let slots = |h: &Arc<Histogram>| {
            h.positive_buckets.len()
                + h.negative_buckets.len()
                + h.positive_spans.len()
                + h.negative_spans.len()
        };
        let histogram = |h: &Arc<Histogram>| Weight {
            points: 4 + h.positive_buckets.len() + h.negative_buckets.len(),
            bytes: size_of::<Histogram>() + size_of::<f64>() * slots(h),
        };
        let places = Weight { points: 0, bytes: self.histograms.len() * size_of::<usize>() };
        Weight::of_cells(self.floats.len()) + places + self.histograms.iter().flatten().map(histogram).sum()
    }
}

/// A number at every step.
#[derive(Debug, Clone)]
pub(crate) enum Scalars {
    /// The same one.
    Constant(f64),
    /// One per step.
    Each(Vec<f64>),
}

impl Scalars {
    #[inline]
    pub(crate) fn get(&self, step: usize) -> f64 {
        match self {
            Self::Constant(x) => *x,
            Self::Each(values) => values[step],
        }
    }

    /// The numbers, each once for a constant.
    pub(crate) fn values(&self) -> &[f64] {
        match self {
            Self::Constant(x) => std::slice::from_ref(x),
            Self::Each(values) => values,
        }
    }
}

/// A series with its values.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Its labels, the metric's name among them even if it is to be dropped.
    pub(crate) labels: Labels,
    /// True when the name goes at the end, unless a function sets it anew.
    pub(crate) drop_name: bool,
    /// Its values.
    pub(crate) column: Column,
}

impl Series {
    /// What it weighs in the ledger; its labels are shared with the selection more often than not.
    pub(crate) fn weight(&self) -> Weight {
        self.column.weight() + Weight { points: 0, bytes: size_of::<Self>() }
    }
}

/// Which steps of a grid have a sample in any of some series.
#[derive(Debug, Clone)]
pub(crate) struct Presence(pub(crate) Vec<bool>);

impl Presence {
    pub(crate) fn none(steps: usize) -> Self {
        Self(vec![false; steps])
    }

    pub(crate) fn add(&mut self, column: &Column) {
        for (step, present) in self.0.iter_mut().enumerate() {
            *present |= column.is_present(step);
        }
    }

    pub(crate) fn of<'a>(series: impl IntoIterator<Item = &'a Series>, steps: usize) -> Self {
        let mut presence = Self::none(steps);
        series.into_iter().for_each(|s| presence.add(&s.column));
        presence
    }
}
