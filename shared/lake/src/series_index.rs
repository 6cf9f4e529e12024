//! Which series there are and which of them match: ids to ordinals, labels, and postings by label.

use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use weir_model::{Labels, LabelsRef, Matcher, MetricKind, SeriesId, Temporality};

use crate::bitmap::Bitmap;

/// Below this many candidates, looking at their labels is cheaper than uniting postings.
const FEW: usize = 64;

/// A series as the index knows it.
#[derive(Debug, Clone)]
pub(crate) struct IndexedSeries {
    /// Identity.
    pub id: SeriesId,
    /// Labels, the metric's name included.
    pub labels: Labels,
    /// Declared type; the last one that was not unknown.
    pub kind: MetricKind,
    /// Whether samples are states or changes.
    pub temporality: Temporality,
}

/// Series of an index that a question is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Live<'a> {
    /// All of them.
    All,
    /// Those of the bitmap.
    Some(&'a Bitmap),
}

impl Live<'_> {
    fn has_any(self, posting: &[u32]) -> bool {
        match self {
            Self::All => !posting.is_empty(),
            Self::Some(live) => posting.iter().any(|ordinal| live.contains(*ordinal)),
        }
    }

    /// The series' ordinals, ascending; `count` is the number of series of the index.
    pub(crate) fn ordinals(self, count: usize) -> Vec<u32> {
        match self {
            Self::All => (0..count as u32).collect(),
            Self::Some(live) => live.ordinals(),
        }
    }
}

/// Series of one tenant under dense ordinals, found by id or by matchers.
#[derive(Debug, Default)]
pub(crate) struct SeriesIndex {
    by_id: HashMap<SeriesId, u32>,
    series: Vec<IndexedSeries>,
    postings: HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>,
    memory_bytes: usize,
    block_order: OnceLock<Arc<[u32]>>,
}

impl SeriesIndex {
    /// Number of series; ordinals are `0..len`.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Estimated memory, for budgets.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The ordinal of a known series.
    #[inline]
    pub(crate) fn ordinal(&self, id: SeriesId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// The series at an ordinal of this index.
    #[inline]
    pub(crate) fn get(&self, ordinal: u32) -> &IndexedSeries {
        &self.series[ordinal as usize]
    }

    /// The ordinal of a series, which is added when it is new.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        id: SeriesId,
        labels: LabelsRef<'_>,
        kind: MetricKind,
        temporality: Temporality,
    ) -> u32 {
        if let Some(&ordinal) = self.by_id.get(&id) {
            self.note_kind(ordinal, kind);
            return ordinal;
        }
        self.insert_new(id, labels, kind, temporality)
    }

    /// Remembers a declared kind.
    #[inline]
    pub(crate) fn note_kind(&mut self, ordinal: u32, kind: MetricKind) {
        if kind != MetricKind::Unknown {
            self.series[ordinal as usize].kind = kind;
        }
    }

    fn insert_new(
        &mut self,
        id: SeriesId,
        labels: LabelsRef<'_>,
        kind: MetricKind,
        temporality: Temporality,
    ) -> u32 {
        let ordinal = self.series.len() as u32;
        for (name, value) in labels.iter() {
            let values = match self.postings.get_mut(name) {
                Some(values) => values,
                None => self.postings.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(list) => list.push(ordinal),
                None => {
                    self.memory_bytes += value.len() + 64;
                    values.insert(value.into(), vec![ordinal]);
                }
            }
            self.memory_bytes += 6;
        }
        self.memory_bytes += labels.as_bytes().len() + 120;
        self.by_id.insert(id, ordinal);
        self.series.push(IndexedSeries { id, labels: labels.to_labels(), kind, temporality });
        self.block_order = OnceLock::new();
        ordinal
    }

    /// All ordinals in the order in which a block holds series.
    pub(crate) fn block_order(&self) -> Arc<[u32]> {
        let sorted = || {
            // As `series_order` has it, but the metric's name is looked up once a series, not twice a
            // comparison.
            let keyed = self.series.iter().zip(0u32..).map(|(series, ordinal)| {
                let IndexedSeries { labels, temporality, .. } = series;
                (labels.metric_name(), labels.as_bytes(), *temporality == Temporality::Delta, ordinal)
            });
            let mut keyed: Vec<_> = keyed.collect();
            keyed.sort_unstable();
            keyed.into_iter().map(|(.., ordinal)| ordinal).collect()
        };
        self.block_order.get_or_init(sorted).clone()
    }

    /// Names of the labels that a series among `live` has, in no order.
    pub(crate) fn names_among(&self, live: Live<'_>) -> impl Iterator<Item = &str> {
        let among =
            self.postings.iter().filter(move |(_, values)| values.values().any(|list| live.has_any(list)));
        among.map(|(name, _)| &**name)
    }

    /// Values of label `name` that a series among `live` has, in no order.
    pub(crate) fn values_among(&self, name: &str, live: Live<'_>) -> impl Iterator<Item = &str> {
        let values = self.postings.get(name).into_iter().flatten();
        values.filter(move |(_, list)| live.has_any(list)).map(|(value, _)| &**value)
    }

    /// Visits each pair of a label's name and value with how many series among `among` have it, unless none.
    pub(crate) fn each_pair_among(&self, among: &Bitmap, mut visit: impl FnMut(&str, &str, u64)) {
        for (name, values) in &self.postings {
            for (value, list) in values {
                let series = list.iter().filter(|ordinal| among.contains(**ordinal)).count() as u64;
                if series > 0 {
                    visit(name, value, series);
                }
            }
        }
    }

    /// Ordinals of the series that pass every matcher, ascending.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Vec<u32> {
        // Matchers that a series without the label fails can be answered from postings alone.
        let (needing, sparing): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|m| !m.matches_absent());
        let mut found = match self.smallest(&needing) {
            Some((_, few)) if few.len() <= FEW => {
                let passes = |ordinal: &u32| {
                    let labels = &self.get(*ordinal).labels;
                    matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")))
                };
                let mut few = few;
                few.retain(passes);
                few.sort_unstable();
                return few;
            }
            Some((place, many)) => {
                let mut found = Bitmap::new(self.len());
                many.iter().for_each(|ordinal| found.insert(*ordinal));
                for (_, matcher) in needing.iter().enumerate().filter(|(at, _)| *at != place) {
                    let mut other = Bitmap::new(self.len());
                    self.each_posting(matcher, true, |ordinal| other.insert(ordinal));
                    found.intersect(&other);
                }
                found
            }
            None => {
                let mut found = Bitmap::full(self.len());
                for matcher in &needing {
                    let mut other = Bitmap::new(self.len());
                    self.each_posting(matcher, true, |ordinal| other.insert(ordinal));
                    found.intersect(&other);
                }
                found
            }
        };
        for matcher in sparing {
            self.each_posting(matcher, false, |ordinal| found.remove(ordinal));
        }
        found.ordinals()
    }

    /// Of the matchers that name their values, the one with the fewest series: its place and those.
    fn smallest(&self, matchers: &[&Matcher]) -> Option<(usize, Vec<u32>)> {
        let sized = matchers.iter().enumerate().filter_map(|(place, matcher)| {
            let values = self.postings.get(matcher.name());
            let mut lists: Vec<&Vec<u32>> = Vec::new();
            for candidate in matcher.candidates()? {
                lists.extend(values.and_then(|values| values.get(candidate)));
            }
            Some((place, lists.iter().map(|l| l.len()).sum::<usize>(), lists))
        });
        let (place, _, lists) = sized.min_by_key(|(_, size, _)| *size)?;
        let mut ordinals: Vec<u32> = lists.into_iter().flatten().copied().collect();
        // A pattern may list a value twice.
        ordinals.sort_unstable();
        ordinals.dedup();
        Some((place, ordinals))
    }

    /// Visits the series whose label passes (or fails) the matcher; those without it are not visited.
    fn each_posting(&self, matcher: &Matcher, passing: bool, mut visit: impl FnMut(u32)) {
        let Some(values) = self.postings.get(matcher.name()) else { return };
        if passing && let Some(candidates) = matcher.candidates() {
            for list in candidates.iter().filter_map(|value| values.get(*value)) {
                list.iter().for_each(|ordinal| visit(*ordinal));
            }
            return;
        }
        for (_, list) in values.iter().filter(|(value, _)| matcher.matches(value) == passing) {
            list.iter().for_each(|ordinal| visit(*ordinal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_model::MatchOp;

    fn labels() -> impl Strategy<Value = Labels> {
        prop::collection::btree_map("[abc]", "[xyz]{1,2}", 0..4).prop_map(Labels::from_pairs)
    }

    fn matcher() -> impl Strategy<Value = Matcher> {
        let pattern =
            prop::sample::select(vec!["", "x", "y", "x|y", "x|x|zz", ".*", ".+", "x.*", "[yz]", "x|"]);
        (0usize..4, "[abcd]", pattern).prop_map(|(op, name, value)| {
            let op = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex][op];
            Matcher::new(&name, op, value).unwrap()
        })
    }

    proptest! {
        #[test]
        fn postings_find_what_looking_at_every_series_finds(
            all in prop::collection::vec(labels(), 0..200),
            matchers in prop::collection::vec(matcher(), 0..4),
        ) {
            let mut index = SeriesIndex::default();
            for labels in &all {
                let id = SeriesId::of(labels.borrowed(), Temporality::Cumulative);
                let ordinal = index.insert(id, labels.borrowed(), MetricKind::Unknown, Temporality::Cumulative);
                prop_assert_eq!(index.ordinal(id), Some(ordinal));
            }
            let want: Vec<u32> = (0..index.len() as u32)
                .filter(|o| matchers.iter().all(|m| m.matches(index.get(*o).labels.get(m.name()).unwrap_or(""))))
                .collect();
            prop_assert_eq!(index.matching(&matchers), want);
        }

        #[test]
        fn the_block_order_is_that_of_the_block_writer(
            all in prop::collection::vec((labels(), "[mn]?", any::<bool>()), 0..60),
        ) {
            let mut index = SeriesIndex::default();
            for (labels, name, delta) in &all {
                let temporality = if *delta { Temporality::Delta } else { Temporality::Cumulative };
                let mut named = weir_model::LabelsBuilder::from_labels(labels);
                named.set("__name__", name);
                let labels = named.build();
                let id = SeriesId::of(labels.borrowed(), temporality);
                index.insert(id, labels.borrowed(), MetricKind::Unknown, temporality);
            }
            let order = index.block_order();
            prop_assert_eq!(order.len(), index.len());
            for pair in order.windows(2) {
                let key = |ordinal| (index.get(ordinal).labels.borrowed(), index.get(ordinal).temporality);
                prop_assert!(crate::block::series_order(key(pair[0]), key(pair[1])).is_lt());
            }
        }
    }

    #[test]
    fn a_declared_kind_stays_until_another_is_declared() {
        let mut index = SeriesIndex::default();
        let labels = Labels::from_pairs([("__name__", "up")]);
        let id = SeriesId::of(labels.borrowed(), Temporality::Cumulative);
        for (kind, want) in [
            (MetricKind::Unknown, MetricKind::Unknown),
            (MetricKind::Gauge, MetricKind::Gauge),
            (MetricKind::Unknown, MetricKind::Gauge),
            (MetricKind::Counter, MetricKind::Counter),
        ] {
            let ordinal = index.insert(id, labels.borrowed(), kind, Temporality::Cumulative);
            assert_eq!(index.get(ordinal).kind, want);
        }
    }
}
