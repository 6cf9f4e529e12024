//! `explain`: the plan of a query with what each of its nodes took.

use super::meter::Meters;
use super::plan::{Kind, Node, Select};
use crate::storage::SelectionStats;

/// A node of the plan after its evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The part of the query's text that it stands for; empty when the query came without a text.
    pub expr: String,
    /// What it does.
    pub kind: &'static str,
    /// Steps that it was evaluated at; 1 for what does not change from step to step.
    pub steps: u64,
    /// Series that came out.
    pub series: u64,
    /// Samples that it read from storage itself.
    pub samples_read: u64,
    /// Time spent in it and below it, in seconds. What streams series by series is summed over threads.
    pub seconds: f64,
    /// True when it stands in the query more than once and may have been evaluated at another place only.
    pub repeated: bool,
    /// What it asked of storage, for selectors.
    pub storage: Option<ExplainedStorage>,
    /// What it is made of.
    pub children: Vec<Explained>,
}

/// What a selector asked of storage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExplainedStorage {
    /// Series found.
    pub series: u64,
    /// Time that finding them and fetching their samples took, in seconds.
    pub seconds: f64,
    /// True when an equal selector stands elsewhere in the query, which shares this selection.
    pub shared: bool,
    /// What was fetched.
    pub stats: SelectionStats,
}

/// Reports the plan; `storage` has what each selection took, `text` is the query's.
pub(crate) fn explain(node: &Node, meters: &Meters, storage: &[ExplainedStorage], text: &str) -> Explained {
    let mut node = node;
    let mut repeated = false;
    // What only says how the node below is evaluated is told with that one.
    while let Kind::Once(inner) | Kind::Repeated { inner, .. } = &node.kind {
        repeated |= matches!(node.kind, Kind::Repeated { .. });
        node = inner;
    }
    let (start, end) = (node.position.start as usize, node.position.end as usize);
    let counters = meters.of(node);
    let (series, samples_read, steps) = counters.map_or((0, 0, 0), super::meter::Counters::counts);
    Explained {
        expr: text.get(start..end).unwrap_or_default().to_owned(),
        kind: node.kind.name(),
        steps,
        series,
        samples_read,
        seconds: counters.map_or(0.0, super::meter::Counters::seconds),
        repeated,
        storage: node.kind.select().and_then(|s: &Select| storage.get(s.selection).cloned()),
        children: node.children().into_iter().map(|child| explain(child, meters, storage, text)).collect(),
    }
}
