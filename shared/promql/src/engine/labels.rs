//! Label sets: grouping keys, `label_replace`, `label_join`, dropping names, joining equal series.

use std::cmp::Ordering;

use hashbrown::HashMap;
use regex::Regex;
use weir_model::{Labels, LabelsBuilder, LabelsRef, METRIC_NAME};

use super::column::{Column, Series};
use super::error::{QueryError, same_labelset};

/// The labels that say which metric it is: a function that makes another quantity drops them.
pub(crate) const METRIC_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Which labels make a group or a match.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Ascending, without repeats.
    names: Vec<String>,
    /// True for exactly these, false for all but these and the metric's name.
    only: bool,
}

impl Key {
    pub(crate) fn new(names: &[String], only: bool) -> Self {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        Self { names, only }
    }

    fn keeps(&self, name: &str) -> bool {
        let listed = self.names.binary_search_by(|n| n.as_str().cmp(name)).is_ok();
        if self.only { listed } else { !listed && name != METRIC_NAME }
    }

    /// Replaces `out` by the canonical bytes of what the key keeps of a label set.
    pub(crate) fn write(&self, labels: &Labels, out: &mut Vec<u8>) {
        out.clear();
        if self.only && self.names.is_empty() {
            return;
        }
        for (name, value) in labels.iter().filter(|(name, _)| self.keeps(name)) {
            put_text(out, name);
            put_text(out, value);
        }
    }

    /// What the key keeps of a label set.
    pub(crate) fn of(&self, labels: &Labels) -> Labels {
        labels.retain(|name| self.keeps(name))
    }
}

/// A text as in the canonical encoding of labels: its length as a varint, then its bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Numbers label sets in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    numbers: HashMap<Labels, usize>,
    key: Vec<u8>,
}

impl Numbering {
    /// The number of what `key` keeps of a label set, and whether it is new.
    pub(crate) fn number(&mut self, key: &Key, labels: &Labels) -> (usize, bool) {
        key.write(labels, &mut self.key);
        if let Some(number) = self.numbers.get(self.key.as_slice()) {
            return (*number, false);
        }
        let number = self.numbers.len();
        self.numbers.insert(LabelsRef::from_canonical(&self.key).to_labels(), number);
        (number, true)
    }

    /// The number of a label set that is a key already, and whether it is new.
    pub(crate) fn number_of(&mut self, key: Labels) -> (usize, bool) {
        let next = self.numbers.len();
        let number = *self.numbers.entry(key).or_insert(next);
        (number, number == next)
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The label sets in order of their numbers.
    pub(crate) fn into_labels(self) -> Vec<Labels> {
        let mut all: Vec<(usize, Labels)> = self.numbers.into_iter().map(|(l, n)| (n, l)).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, labels)| labels).collect()
    }
}

/// Series under construction: those of equal labels are one, and must not meet at a step. One whose name is to be
/// dropped is another than one that keeps it.
#[derive(Debug, Default)]
pub(crate) struct Output {
    places: [HashMap<Labels, usize>; 2],
    series: Vec<Series>,
}

impl Output {
    /// Which of the maps such a series is in.
    fn map(labels: &Labels, drop_name: bool) -> usize {
        usize::from(drop_name && labels.get(METRIC_NAME).is_some())
    }

    /// Adds a series.
    pub(crate) fn add(&mut self, series: Series) -> Result<(), QueryError> {
        let places = &mut self.places[Self::map(&series.labels, series.drop_name)];
        match places.get(&series.labels) {
            None => {
                places.insert(series.labels.clone(), self.series.len());
                self.series.push(series);
            }
            Some(place) => {
                let known = &mut self.series[*place].column;
                for step in (0..series.column.steps()).filter(|s| series.column.is_present(*s)) {
                    if known.is_present(step) {
                        return Err(same_labelset());
                    }
                    known.copy_step(step, &series.column);
                }
            }
        }
        Ok(())
    }

    /// The column of that label set, made when there is none.
    pub(crate) fn column(&mut self, labels: &Labels, drop_name: bool, steps: usize) -> &mut Column {
        let places = &mut self.places[Self::map(labels, drop_name)];
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            let column = Column::absent(steps);
            self.series.push(Series { labels: labels.clone(), drop_name, column });
            self.series.len() - 1
        });
        &mut self.series[place].column
    }

    /// The series in the order of their first appearance, without empty ones.
    pub(crate) fn into_series(mut self) -> Vec<Series> {
        self.series.retain(|s| s.column.any_present());
        self.series
    }
}

/// Makes series of equal labels one, as [`Output`] does.
///
/// # Errors
/// When two of them have a sample at the same step.
pub(crate) fn join_equal(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut seen = hashbrown::HashSet::with_capacity(series.len());
    if series.iter().all(|s| seen.insert(s.labels.clone())) {
        return Ok(series);
    }
    let mut output = Output::default();
    for one in series {
        output.add(one)?;
    }
    Ok(output.series)
}

/// Carries out the dropping of names that was put off until the end.
pub(crate) fn drop_names(mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    for one in series.iter_mut().filter(|s| s.drop_name) {
        one.labels = without_metric(&one.labels);
        one.drop_name = false;
    }
    join_equal(series)
}

/// A label set without what names the metric.
pub(crate) fn without_metric(labels: &Labels) -> Labels {
    labels.retain(|name| !METRIC_LABELS.contains(&name))
}

/// `label_replace`
pub(crate) fn replace(
    mut series: Vec<Series>,
    to: &str,
    template: &str,
    from: &str,
    pattern: &Regex,
) -> Result<Vec<Series>, QueryError> {
    for one in &mut series {
        let value = one.labels.get(from).unwrap_or("");
        let Some(captures) = pattern.captures(value) else { continue };
        let mut replacement = String::new();
        captures.expand(template, &mut replacement);
        set(one, to, &replacement);
    }
    join_equal(series)
}

/// `label_join`
pub(crate) fn join(
    mut series: Vec<Series>,
    to: &str,
    separator: &str,
    from: &[String],
) -> Result<Vec<Series>, QueryError> {
    for one in &mut series {
        let values: Vec<&str> = from.iter().map(|name| one.labels.get(name).unwrap_or("")).collect();
        let joined = values.join(separator);
        set(one, to, &joined);
    }
    join_equal(series)
}

/// Sets a label; a name that is set anew stays.
fn set(series: &mut Series, name: &str, value: &str) {
    let mut builder = LabelsBuilder::from_labels(&series.labels);
    builder.set(name, value);
    series.labels = builder.build();
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}

/// The order of label sets in Prometheus' answers: by the names and values of their labels in turn.
pub(crate) fn compare(a: &Labels, b: &Labels) -> Ordering {
    a.iter().cmp(b.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_or_leave_out_the_listed_labels() {
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "1"), ("b", "2"), ("c", "3")]);
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (list, only, want) in [
            (&["c", "a", "x"][..], true, "{a=\"1\", c=\"3\"}"),
            (&["__name__"], true, "m"),
            (&[], true, "{}"),
            (&["b"], false, "{a=\"1\", c=\"3\"}"),
            (&[], false, "{a=\"1\", b=\"2\", c=\"3\"}"),
        ] {
            let key = Key::new(&names(list), only);
            assert_eq!(key.of(&labels).to_string(), want);
            let mut bytes = Vec::new();
            key.write(&labels, &mut bytes);
            assert_eq!(bytes, key.of(&labels).as_bytes(), "the canonical encoding");
        }
        let long = Labels::from_pairs([("a", "x".repeat(300).as_str())]);
        let mut bytes = Vec::new();
        Key::new(&names(&["a"]), true).write(&long, &mut bytes);
        assert_eq!(bytes, long.as_bytes());
    }

    #[test]
    fn equal_series_join_unless_they_meet() {
        let series = |x: f64, y: f64| Series {
            labels: Labels::from_pairs([("a", "1")]),
            drop_name: false,
            column: Column { floats: vec![x, y], histograms: Vec::new() },
        };
        let absent = super::super::column::ABSENT;
        let joined = join_equal(vec![series(1.0, absent), series(absent, 2.0)]).unwrap();
        assert_eq!(joined[0].column.floats, [1.0, 2.0]);
        assert!(join_equal(vec![series(1.0, absent), series(3.0, 2.0)]).is_err());
    }
}
