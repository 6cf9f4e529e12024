//! Label pairs into the canonical form in one pass that also checks them.
//!
//! Every sample pays for this, so it is written to touch each label once: order, bounds and the
//! metric's name are judged while the bytes are copied, and only labels that turn out to be out of
//! order are sorted and taken again.

use weir_model::METRIC_NAME;

use crate::limits::Limits;
use crate::outcome::{Problem, RejectKind, quote};

/// Appends a LEB128 varint, as lengths are in the canonical form.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Whether one name comes after the other; the first two bytes mostly decide, which saves a call.
#[inline(always)]
fn is_above(name: &[u8], other: &[u8]) -> bool {
    if let ([a, b, ..], [c, d, ..]) = (name, other) {
        let (name, other) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        if name != other {
            return name > other;
        }
    }
    name > other
}

/// Labels on their way into the canonical form, as long as they come ascending.
pub(crate) struct LabelRun<'b, 'c> {
    canonical: &'c mut Vec<u8>,
    previous: &'b [u8],
    count: usize,
    named: bool,
    ascending: bool,
    within: bool,
}

impl<'b, 'c> LabelRun<'b, 'c> {
    /// Starts over in `canonical`.
    #[inline]
    pub(crate) fn new(canonical: &'c mut Vec<u8>) -> Self {
        canonical.clear();
        Self { canonical, previous: &[], count: 0, named: false, ascending: true, within: true }
    }

    /// Takes a label.
    #[inline(always)]
    pub(crate) fn push(&mut self, name: &'b [u8], value: &'b [u8], limits: &Limits) {
        if self.admit(name, value, limits) {
            put_varint(self.canonical, name.len() as u64);
            self.canonical.extend_from_slice(name);
            put_varint(self.canonical, value.len() as u64);
            self.canonical.extend_from_slice(value);
        }
    }

    /// Takes a label whose texts have their lengths, as varints of one byte, before them.
    #[inline(always)]
    pub(crate) fn push_prefixed(&mut self, name: &'b [u8], value: &'b [u8], limits: &Limits) {
        if self.admit(&name[1..], &value[1..], limits) {
            self.canonical.extend_from_slice(name);
            self.canonical.extend_from_slice(value);
        }
    }

    /// Notes a label; true when it is to be written.
    #[inline(always)]
    fn admit(&mut self, name: &'b [u8], value: &'b [u8], limits: &Limits) -> bool {
        // The empty name is not above the empty start, so it leaves this path and is refused there.
        self.ascending &= is_above(name, self.previous);
        self.previous = name;
        self.count += 1;
        self.within &= name.len() <= limits.name_bytes && value.len() <= limits.value_bytes;
        if value.is_empty() || !self.within || !self.ascending {
            return false;
        }
        if name.len() == METRIC_NAME.len() && name[0] == b'_' && name == METRIC_NAME.as_bytes() {
            self.named = true;
            self.within &= value.len() <= limits.name_bytes;
        }
        true
    }

    /// Number of labels so far, those without a value included.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// True while every name was above the one before it.
    #[inline]
    pub(crate) fn is_ascending(&self) -> bool {
        self.ascending
    }

    /// What is wrong when there are more labels than a series may have.
    pub(crate) fn too_many(&self, limits: &Limits) -> Option<Problem> {
        (self.count > limits.labels).then(|| {
            Problem::new(RejectKind::Labels, format!("{} labels, at most {}", self.count, limits.labels))
        })
    }

    /// True when the labels, found ascending, keep every rule and bound but UTF-8.
    #[inline]
    pub(crate) fn is_good(&self, limits: &Limits) -> bool {
        self.count <= limits.labels && self.within && self.named
    }
}

/// What is wrong with labels that are sorted by name.
#[cold]
pub(crate) fn problem_of(pairs: &[(&[u8], &[u8])], limits: &Limits) -> Problem {
    let reason = 'reason: {
        if pairs.len() > limits.labels {
            break 'reason format!("{} labels, at most {}", pairs.len(), limits.labels);
        }
        for (index, (name, value)) in pairs.iter().enumerate() {
            let told = quote(&String::from_utf8_lossy(name));
            if name.is_empty() {
                break 'reason "a label has an empty name".to_owned();
            }
            if index > 0 && pairs[index - 1].0 == *name {
                break 'reason format!("label {told} stands twice");
            }
            if name.len() > limits.name_bytes {
                break 'reason format!("name {told} is longer than {} bytes", limits.name_bytes);
            }
            let most = if *name == METRIC_NAME.as_bytes() { limits.name_bytes } else { limits.value_bytes };
            if value.len() > most.min(limits.value_bytes) {
                break 'reason format!("the value of label {told} has {} bytes, at most {most}", value.len());
            }
        }
        "the series has no metric name".to_owned()
    };
    Problem::new(RejectKind::Labels, reason)
}

/// Takes pairs in any order into `canonical`, sorting a copy of them when they need it.
#[inline]
pub(crate) fn write<'b>(
    pairs: impl Iterator<Item = (&'b str, &'b str)> + Clone,
    canonical: &mut Vec<u8>,
    limits: &Limits,
) -> Result<(), Problem> {
    let mut run = LabelRun::new(canonical);
    pairs.clone().for_each(|(name, value)| run.push(name.as_bytes(), value.as_bytes(), limits));
    if run.is_ascending() && run.is_good(limits) {
        return Ok(());
    }
    write_sorted(pairs.collect(), canonical, limits)
}

#[cold]
fn write_sorted(
    mut pairs: Vec<(&str, &str)>,
    canonical: &mut Vec<u8>,
    limits: &Limits,
) -> Result<(), Problem> {
    pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let mut run = LabelRun::new(canonical);
    pairs.iter().for_each(|(name, value)| run.push(name.as_bytes(), value.as_bytes(), limits));
    if run.is_ascending() && run.is_good(limits) {
        return Ok(());
    }
    let bytes: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    Err(problem_of(&bytes, limits))
}

/// Of names that stand several times, keeps the last of each; leaves the pairs sorted if there were any.
pub(crate) fn keep_last(pairs: &mut Vec<(&str, &str)>) {
    if pairs.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    pairs.sort_by(|a, b| a.0.cmp(b.0));
    pairs.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 = later.1;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_model::Labels;

    #[test]
    fn of_a_name_that_stands_twice_the_last_value_is_kept() {
        let mut pairs = vec![("b", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("b", "5")];
        keep_last(&mut pairs);
        assert_eq!(pairs, [("a", "4"), ("b", "5")]);
    }

    proptest! {
        #[test]
        fn pairs_in_any_order_become_the_labels_of_the_model(
            mut pairs in prop::collection::btree_map("[a-z_é]{1,5}", "[a-z]{0,200}", 0..12),
            seed: u64,
        ) {
            pairs.insert("__name__".to_owned(), "up".to_owned());
            let mut shuffled: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let len = shuffled.len();
            (1..len).for_each(|i| shuffled.swap(i, (seed >> (i % 60)) as usize % (i + 1)));
            let mut canonical = Vec::new();
            prop_assert!(write(shuffled.iter().copied(), &mut canonical, &Limits::default()).is_ok());
            let want = Labels::from_pairs(pairs.clone());
            prop_assert_eq!(canonical.as_slice(), want.as_bytes());
        }
    }
}
