//! What evaluating takes, counted while it happens and only when somebody asked: for each node of the plan
//! (`explain`) and for each step (`stats`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::column::Column;
use super::plan::Node;
use super::window::Window;
use hashbrown::HashMap;

/// What one node took.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    nanoseconds: AtomicU64,
    series: AtomicU64,
    samples: AtomicU64,
    steps: AtomicU64,
}

/// The counters of a query.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// By the place of the node in memory, since plans do not move while they are evaluated.
    nodes: HashMap<usize, Counters>,
    /// Samples that each step of the query looks at; empty when nobody wants to know.
    touched: Vec<AtomicU64>,
}

/// How the steps that a node is evaluated at relate to those of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Steps {
    /// They are the same.
    #[default]
    Own,
    /// It is evaluated once for all of them.
    Shared,
    /// They are a subquery's, whose results are counted instead.
    Inner,
}

/// The counters that one stage of a pipeline reports to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter<'e> {
    node: Option<&'e Counters>,
    source: Option<&'e Counters>,
    touched: &'e [AtomicU64],
    shared: bool,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn key(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Counters {
    pub(crate) fn took(&self, started: Instant) {
        add(&self.nanoseconds, u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn made(&self, series: usize, steps: usize) {
        add(&self.series, series as u64);
        self.steps.store(steps as u64, Ordering::Relaxed);
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9
    }

    /// Series, samples read and steps.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.series), read(&self.samples), read(&self.steps))
    }
}

impl Meters {
    /// Counters for each node if wanted, and for so many steps.
    pub(crate) fn new(root: &Node, explain: bool, steps: usize) -> Self {
        let mut meters = Self { nodes: HashMap::new(), touched: Vec::new() };
        meters.touched.resize_with(steps, AtomicU64::default);
        if explain {
            meters.add(root);
        }
        meters
    }

    fn add(&mut self, node: &Node) {
        self.nodes.insert(key(node), Counters::default());
        node.children().into_iter().for_each(|child| self.add(child));
    }

    /// The counters of a node.
    pub(crate) fn of(&self, node: &Node) -> Option<&Counters> {
        self.nodes.get(&key(node))
    }

    /// What a stage that reads storage or windows reports to.
    pub(crate) fn stage(&self, node: &Node, source: Option<&Node>, steps: Steps) -> Meter<'_> {
        Meter {
            node: self.of(node),
            source: source.and_then(|source| self.of(source)),
            touched: if steps == Steps::Inner { &[] } else { &self.touched },
            shared: steps == Steps::Shared,
        }
    }

    /// Samples that each step looked at.
    pub(crate) fn touched(&self) -> Vec<u64> {
        self.touched.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

impl Meter<'_> {
    /// The time, if anybody wants to know.
    pub(crate) fn start(&self) -> Option<Instant> {
        self.node.map(|_| Instant::now())
    }

    /// A series has been read from storage for the source, or for the stage itself when it is its own.
    pub(crate) fn read(&self, started: Option<Instant>, samples: usize) {
        let (Some(started), Some(node)) = (started, self.source.or(self.node)) else { return };
        add(&node.samples, samples as u64);
        if let Some(source) = self.source {
            source.took(started);
            source.made(usize::from(samples > 0), 0);
        }
    }

    /// A column is done.
    pub(crate) fn done(&self, started: Option<Instant>, out: &Column) {
        if let (Some(started), Some(node)) = (started, self.node) {
            node.took(started);
            node.made(usize::from(out.any_present()), out.steps());
        }
    }

    /// True when samples are counted step by step.
    pub(crate) fn counts_steps(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Counts the samples of a column, one a step.
    pub(crate) fn touch_column(&self, column: &Column) {
        if !self.counts_steps() {
            return;
        }
        for step in (0..column.steps()).filter(|step| column.is_present(*step)) {
            self.touch(step, column.histogram(step).map_or(1, |h| histogram_samples(h)));
        }
    }

    /// Counts the samples of a window.
    pub(crate) fn touch_window(&self, w: &Window<'_>) {
        let histograms: u64 = w.hs.iter().map(|(_, h)| histogram_samples(h)).sum();
        self.touch(w.step, w.ts.len() as u64 + histograms);
    }

    /// Counts samples at a step.
    pub(crate) fn touch(&self, step: usize, samples: u64) {
        if self.shared {
            self.touched.iter().for_each(|counter| add(counter, samples));
        } else if let Some(counter) = self.touched.get(step) {
            add(counter, samples);
        }
    }
}

/// As how many samples a histogram counts: as many as take its memory, as in Prometheus (histogram/float_histogram.go,
/// `Size`: 168 bytes and what its slices hold; a sample has 16).
fn histogram_samples(h: &weir_model::Histogram) -> u64 {
    let slots = h.positive_spans.len()
        + h.negative_spans.len()
        + h.positive_buckets.len()
        + h.negative_buckets.len()
        + h.custom_values.len();
    (168 + 8 * slots as u64 + 8) / 16
}
