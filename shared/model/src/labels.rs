//! Label sets in one canonical byte string, so that comparing and hashing them is one pass.
//!
//! Encoding (pinned by a test, since series ids are hashes of it): for each label in ascending order
//! of its name's bytes, the name's length as a varint, the name, the value's length, the value.
//! The metric's name is the label `__name__`. Names are unique; empty values are left out.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::varint;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds a classic histogram bucket's upper bound.
pub const BUCKET_LABEL: &str = "le";

/// Borrowed canonical labels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelsRef<'a>(&'a [u8]);

/// Owned canonical labels; cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[u8]>);

/// Bytes that are not a canonical label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// A length or a text is cut off.
    #[error("labels are cut off at byte {0}")]
    Truncated(usize),
    /// A name or value is not UTF-8.
    #[error("labels hold bytes that are not UTF-8")]
    Utf8,
    /// Names are not strictly ascending.
    #[error("label {0:?} is out of order or repeated")]
    Order(String),
    /// A name is empty.
    #[error("a label has an empty name")]
    EmptyName,
    /// A value is empty: such a label is the same as none and must be left out.
    #[error("label {0:?} has an empty value")]
    EmptyValue(String),
}

impl<'a> LabelsRef<'a> {
    /// Takes bytes that are known to be canonical, for instance because this crate wrote them.
    ///
    /// Nothing unsafe follows from wrong bytes: iteration ends early or yields replacement text.
    #[must_use]
    pub fn from_canonical(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Checks that `bytes` are a canonical label set.
    ///
    /// # Errors
    /// [`LabelsError`] names the first label that breaks a rule.
    pub fn check(bytes: &'a [u8]) -> Result<Self, LabelsError> {
        let mut input = bytes;
        let mut previous: Option<&[u8]> = None;
        while !input.is_empty() {
            let at = bytes.len() - input.len();
            let name = take_text(&mut input).ok_or(LabelsError::Truncated(at))?;
            let value = take_text(&mut input).ok_or(LabelsError::Truncated(at))?;
            let text = std::str::from_utf8(name).map_err(|_| LabelsError::Utf8)?;
            std::str::from_utf8(value).map_err(|_| LabelsError::Utf8)?;
            if name.is_empty() {
                return Err(LabelsError::EmptyName);
            }
            if value.is_empty() {
                return Err(LabelsError::EmptyValue(text.to_owned()));
            }
            if previous.is_some_and(|p| p >= name) {
                return Err(LabelsError::Order(text.to_owned()));
            }
            previous = Some(name);
        }
        Ok(Self(bytes))
    }

    /// The canonical bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// True when there is no label at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each label, ascending by name.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        LabelsIter(self.0)
    }

    /// The value of `name`, or `None` when the series has no such label.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        let wanted = name.as_bytes();
        let mut input = self.0;
        while !input.is_empty() {
            let name = take_text(&mut input)?;
            let value = take_text(&mut input)?;
            if name == wanted {
                return Some(text(value));
            }
            if name > wanted {
                return None;
            }
        }
        None
    }

    /// The metric's name, or the empty string.
    #[must_use]
    pub fn metric_name(self) -> &'a str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// An owned copy.
    #[must_use]
    pub fn to_labels(self) -> Labels {
        Labels(self.0.into())
    }
}

#[derive(Clone)]
struct LabelsIter<'a>(&'a [u8]);

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let name = take_text(&mut self.0)?;
        let value = take_text(&mut self.0)?;
        Some((text(name), text(value)))
    }
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint::take_u64(input)?).ok()?;
    varint::take_bytes(input, len)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("\u{fffd}")
}

impl Labels {
    /// The empty label set.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from([].as_slice()))
    }

    /// Builds a canonical set from pairs in any order; a repeated name keeps its last value.
    #[must_use]
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Borrows these labels.
    #[must_use]
    pub fn borrowed(&self) -> LabelsRef<'_> {
        LabelsRef(&self.0)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True when there is no label at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each label, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.borrowed().iter()
    }

    /// The value of `name`, or `None`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.borrowed().get(name)
    }

    /// The metric's name, or the empty string.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.borrowed().metric_name()
    }

    /// These labels, keeping only those for which `keep` holds.
    #[must_use]
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len());
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            put_label(&mut bytes, name, value);
        }
        Self(bytes.into())
    }

    /// These labels without `name`.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        self.retain(|other| other != name)
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Deref for Labels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Labels {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

fn write_labels(labels: LabelsRef<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = labels.metric_name();
    f.write_str(name)?;
    let mut rest = labels.iter().filter(|(n, _)| *n != METRIC_NAME).peekable();
    if rest.peek().is_none() && !name.is_empty() {
        return Ok(());
    }
    f.write_str("{")?;
    for (index, (name, value)) in rest.enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{name}={value:?}")?;
    }
    f.write_str("}")
}

impl fmt::Display for LabelsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(*self, f)
    }
}

impl fmt::Debug for LabelsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(*self, f)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(self.borrowed(), f)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(self.borrowed(), f)
    }
}

/// Appends one label in the canonical encoding; the caller keeps the order.
pub(crate) fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    varint::put_u64(out, name.len() as u64);
    out.extend_from_slice(name.as_bytes());
    varint::put_u64(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// Collects labels in any order and writes the canonical form.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder(Vec<(String, String)>);

impl LabelsBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts from existing labels.
    #[must_use]
    pub fn from_labels(labels: &Labels) -> Self {
        Self(labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    /// Sets `name` to `value`; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.0.iter().position(|(n, _)| n == name) {
            Some(at) if value.is_empty() => drop(self.0.swap_remove(at)),
            Some(at) => value.clone_into(&mut self.0[at].1),
            None if value.is_empty() => {}
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The canonical labels.
    #[must_use]
    pub fn build(mut self) -> Labels {
        self.0.sort_unstable();
        let mut bytes = Vec::with_capacity(self.0.iter().map(|(n, v)| n.len() + v.len() + 2).sum());
        for (name, value) in &self.0 {
            put_label(&mut bytes, name, value);
        }
        Labels(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_canonical_bytes_never_change() {
        let labels = Labels::from_pairs([("job", "api"), ("__name__", "up"), ("A", "1"), ("empty", "")]);
        assert_eq!(labels.as_bytes(), b"\x01A\x011\x08__name__\x02up\x03job\x03api");
        assert_eq!(labels.to_string(), r#"up{A="1", job="api"}"#);
    }

    #[test]
    fn bytes_that_break_a_rule_are_refused() {
        let rows: [(&str, &[u8], LabelsError); 5] = [
            ("a repeated name", b"\x01a\x011\x01a\x012", LabelsError::Order("a".into())),
            ("a cut-off value", b"\x01a\x051", LabelsError::Truncated(0)),
            ("not UTF-8", b"\x01a\x01\xff", LabelsError::Utf8),
            ("an empty name", b"\x00\x011", LabelsError::EmptyName),
            ("an empty value", b"\x01a\x00", LabelsError::EmptyValue("a".into())),
        ];
        for (shows, bytes, want) in rows {
            assert_eq!(LabelsRef::check(bytes).unwrap_err(), want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn any_pairs_become_a_checked_set(pairs: Vec<(String, String)>) {
            let pairs: Vec<_> = pairs.into_iter().filter(|(n, _)| !n.is_empty()).collect();
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            prop_assert!(LabelsRef::check(labels.as_bytes()).is_ok());
            for (name, value) in labels.iter() {
                prop_assert_eq!(labels.get(name), Some(value));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let labels = LabelsRef::from_canonical(&bytes);
            let _ = LabelsRef::check(&bytes);
            let _ = (labels.iter().count(), labels.get("job"), labels.to_string());
        }
    }
}
