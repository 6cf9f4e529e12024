//! What the kinds of documents share: places in a document, label sets, and writing series.

use std::fmt;

use bumpalo::Bump;
use weir_model::{DistributionBuilder, METRIC_NAME, MetricKind, Temporality, UniqueSet};

use super::tape::Node;
use crate::names;
use crate::outcome::{Problem, RejectKind, quote};
use crate::sink::Sink;

/// A path into a document, written out only when something is wrong there.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Index(usize),
}

impl Place<'_> {
    pub(super) fn root() -> Self {
        Self { parent: None, step: Step::Root }
    }
}

impl<'p> Place<'p> {
    pub(super) fn member<'q>(&'q self, name: &'q str) -> Place<'q>
    where
        'p: 'q,
    {
        Place { parent: Some(self), step: Step::Member(name) }
    }

    pub(super) fn index(&self, index: usize) -> Place<'_> {
        Place { parent: Some(self), step: Step::Index(index) }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.write(f)?;
        }
        let first = self.parent.is_none_or(|parent| parent.parent.is_none());
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) if first && matches!(self.parent.map(|p| p.step), Some(Step::Root)) => {
                f.write_str(name)
            }
            Step::Member(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Root => f.write_str("the document"),
            _ => self.write(f),
        }
    }
}

/// A problem with the member of a document where it lies; the empty name is the document itself.
pub(super) type Located = (&'static str, Problem);

/// Most labels collected before the limit on those of a series is asked; each is compared with all.
const MAX_LABELS: usize = 256;

/// Labels of a series to be.
#[derive(Debug, Clone, Default)]
pub(super) struct LabelSet<'t> {
    pairs: Vec<(&'t str, &'t str)>,
}

impl<'t> LabelSet<'t> {
    /// Labels of a metric whose name follows the rule of names.
    pub(super) fn named(name: &'t str, arena: &'t Bump) -> Self {
        let mut pairs = Vec::with_capacity(16);
        pairs.push((METRIC_NAME, names::metric_name(name, arena)));
        Self { pairs }
    }

    /// The metric's name.
    pub(super) fn name(&self) -> &'t str {
        self.pairs.first().map_or("", |(_, name)| *name)
    }

    /// Sets a label, whose name follows the rule of names; of a name that stands twice the last counts.
    pub(super) fn set(&mut self, name: &'t str, value: &'t str, arena: &'t Bump) -> Result<(), Problem> {
        let clean = names::label_name(name, arena);
        if clean.is_empty() || clean == METRIC_NAME {
            return Err(Problem::new(
                RejectKind::Labels,
                format!("label {} has no usable name", quote(name)),
            ));
        }
        let full = self.pairs.len() >= MAX_LABELS;
        match self.pairs.iter_mut().find(|(known, _)| *known == clean) {
            Some(pair) => pair.1 = value,
            None if full => {
                return Err(Problem::new(RejectKind::Labels, format!("more than {MAX_LABELS} labels")));
            }
            None => self.pairs.push((clean, value)),
        }
        Ok(())
    }

    /// True when the label is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| *known == name)
    }

    /// Sets a label from a value: text as it is, numbers and booleans as JSON writes them, null not at all.
    pub(super) fn set_node(
        &mut self,
        name: &'t str,
        value: Node<'t, '_>,
        arena: &'t Bump,
    ) -> Result<(), Problem> {
        match scalar_text(value, arena) {
            Some(text) => self.set(name, text, arena),
            None if value.is_null() => Ok(()),
            None => Err(Problem::new(
                RejectKind::Labels,
                format!("label {} is {}, not a text", quote(name), value.describe()),
            )),
        }
    }

    /// Sets labels from an object, or from a list of `name:value` texts (a text without a colon gets
    /// the value `true`, as in StatsD).
    pub(super) fn read(&mut self, labels: Node<'t, '_>, most: usize, arena: &'t Bump) -> Result<(), Problem> {
        let bounded = |count: usize| {
            if count > most {
                return Err(Problem::new(RejectKind::Labels, format!("more than {most} labels")));
            }
            Ok(())
        };
        if let Some(tags) = labels.list() {
            for tag in tags {
                let text = tag.text().ok_or_else(|| {
                    Problem::new(RejectKind::Labels, format!("tag {} is not a text", tag.describe()))
                })?;
                let (name, value) = text.split_once(':').unwrap_or((text, "true"));
                self.set(name, value, arena)?;
                bounded(self.pairs.len())?;
            }
            return Ok(());
        }
        if !labels.is_object() {
            return Err(Problem::new(
                RejectKind::Labels,
                format!("expected an object of labels, found {}", labels.describe()),
            ));
        }
        for (name, value) in labels.members() {
            self.set_node(name, value, arena)?;
            bounded(self.pairs.len())?;
        }
        Ok(())
    }

    /// These labels with another ending of the metric's name and perhaps one label more.
    fn with(
        &self,
        suffix: &str,
        extra: Option<(&'t str, &'t str)>,
        arena: &'t Bump,
    ) -> Vec<(&'t str, &'t str)> {
        let mut pairs = Vec::with_capacity(self.pairs.len() + 1);
        pairs.extend_from_slice(&self.pairs);
        if !suffix.is_empty()
            && let Some(first) = pairs.first_mut()
        {
            first.1 = arena.alloc_str(&format!("{}{suffix}", first.1));
        }
        pairs.extend(extra);
        pairs
    }
}

/// Text, number or boolean as a label's text.
pub(super) fn scalar_text<'t>(value: Node<'t, '_>, arena: &'t Bump) -> Option<&'t str> {
    value.text().or_else(|| {
        (value.bare_number().is_some() || value.bool().is_some())
            .then(|| &*arena.alloc_str(&value.describe()))
    })
}

/// A value: a number, a number as text, or a boolean as one or zero.
pub(super) fn value(node: Option<Node<'_, '_>>) -> Result<f64, Problem> {
    let Some(node) = node else { return Err(Problem::new(RejectKind::Value, "the value is missing")) };
    node.number()
        .or_else(|| node.bool().map(|value| f64::from(u8::from(value))))
        .ok_or_else(|| Problem::new(RejectKind::Value, format!("value {} is not a number", node.describe())))
}

/// A finite value.
pub(super) fn finite(node: Option<Node<'_, '_>>) -> Result<f64, Problem> {
    let value = value(node)?;
    if value.is_finite() {
        return Ok(value);
    }
    Err(Problem::new(RejectKind::Value, format!("value {value} is not finite")))
}

/// Writes series of one metric at one time.
pub(super) struct Writer<'w, 't, 'l> {
    pub(super) labels: &'w LabelSet<'t>,
    pub(super) own_ms: Option<i64>,
    pub(super) arena: &'t Bump,
    pub(super) sink: &'w mut Sink<'l>,
}

impl<'t> Writer<'_, 't, '_> {
    fn open(
        &mut self,
        suffix: &str,
        extra: Option<(&'t str, &'t str)>,
        kind: MetricKind,
        temporality: Temporality,
    ) -> Result<u32, Problem> {
        self.sink.check_time(self.time_ms())?;
        if self.sink.check_size().is_err() {
            // The reader of the document asks again and refuses the request; here the writing stops,
            // for one metric may have as many series as its body has bytes.
            return Err(Problem::new(RejectKind::Labels, "the request is full"));
        }
        let pairs = self.labels.with(suffix, extra, self.arena);
        self.sink.series(pairs.into_iter(), kind, temporality)
    }

    fn time_ms(&self) -> i64 {
        self.own_ms.unwrap_or(self.sink.now_ms)
    }

    /// A state.
    pub(super) fn float(
        &mut self,
        suffix: &str,
        extra: Option<(&'t str, &'t str)>,
        kind: MetricKind,
        value: f64,
    ) -> Result<(), Problem> {
        let series = self.open(suffix, extra, kind, Temporality::Cumulative)?;
        self.sink.float(series, self.time_ms(), value)
    }

    /// A change.
    pub(super) fn delta(&mut self, suffix: &str, kind: MetricKind, value: f64) -> Result<(), Problem> {
        let series = self.open(suffix, None, kind, Temporality::Delta)?;
        self.sink.delta(series, self.own_ms, value)
    }

    /// Observations, each a value and its weight.
    pub(super) fn distribution(&mut self, suffix: &str, observations: &[(f64, f64)]) -> Result<(), Problem> {
        let mut builder = DistributionBuilder::new();
        observations.iter().for_each(|(value, weight)| builder.observe(*value, *weight));
        let series = self.open(suffix, None, MetricKind::Histogram, Temporality::Delta)?;
        if let Err(problem) = self.sink.histogram(series, self.time_ms(), builder.build()) {
            self.sink.parsed.batch.pop_series();
            return Err(problem);
        }
        self.sink.parsed.accepted.samples += observations.len() as u64;
        self.sink.parsed.own_timestamps &= self.own_ms.is_some();
        Ok(())
    }

    /// Members of a set.
    pub(super) fn set(&mut self, members: &[&str]) -> Result<(), Problem> {
        let mut set = UniqueSet::new();
        members.iter().for_each(|member| set.insert(member.as_bytes()));
        let series = self.open("", None, MetricKind::Unknown, Temporality::Delta)?;
        self.sink.set(series, self.time_ms(), set)?;
        self.sink.parsed.accepted.samples += members.len() as u64;
        self.sink.parsed.own_timestamps &= self.own_ms.is_some();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tape::Tape;
    use super::*;

    #[test]
    fn numbers_and_booleans_become_the_text_that_json_writes() {
        let tape: Tape<'_> = serde_json::from_str("[200, 0.5, true, null, []]").unwrap();
        let arena = Bump::new();
        let texts: Vec<_> = tape.root().list().unwrap().map(|node| scalar_text(node, &arena)).collect();
        assert_eq!(texts, [Some("200"), Some("0.5"), Some("true"), None, None]);
    }

    #[test]
    fn places_are_written_as_paths() {
        let root = Place::root();
        let list = root.index(1);
        let custom = root.member("custom_metrics");
        let metrics = custom.member("metrics");
        assert_eq!(root.to_string(), "the document");
        assert_eq!(list.member("value").to_string(), "[1].value");
        assert_eq!(metrics.index(2).member("value").to_string(), "custom_metrics.metrics[2].value");
    }
}
