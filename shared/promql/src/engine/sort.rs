//! `sort`, `sort_desc` and `sort_by_label`, which order the answer of an instant query.

use std::cmp::Ordering;

use super::column::{Series, is_absent};
use super::float::nan_first;
use super::grid::Grid;
use super::labels;

/// By value, NaN last; histograms are left out. Range queries are ordered by labels at the end anyway.
pub(crate) fn by_value(mut series: Vec<Series>, grid: &Grid, descending: bool) -> Vec<Series> {
    for one in &mut series {
        one.column.histograms.clear();
    }
    series.retain(|s| s.column.any_present());
    if grid.is_instant() {
        let value =
            |s: &Series| s.column.floats.first().copied().filter(|x| !is_absent(*x)).unwrap_or(f64::NAN);
        series.sort_by(|a, b| {
            let (a, b) = (value(a), value(b));
            match (a.is_nan(), b.is_nan()) {
                (false, false) if descending => nan_first(b, a),
                (false, false) => nan_first(a, b),
                (a, b) => a.cmp(&b),
            }
        });
    }
    series
}

/// By the listed labels in natural order, then by all labels.
pub(crate) fn by_labels(mut series: Vec<Series>, names: &[String], descending: bool) -> Vec<Series> {
    series.sort_by(|a, b| {
        let order = names
            .iter()
            .map(|name| natural(a.labels.get(name).unwrap_or(""), b.labels.get(name).unwrap_or("")))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or_else(|| labels::compare(&a.labels, &b.labels));
        if descending { order.reverse() } else { order }
    });
    series
}

/// Texts with numbers in them: runs of digits compare as numbers, so that `a2` comes before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_runs, mut b_runs) = (runs(a), runs(b));
    loop {
        match (a_runs.next(), b_runs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = compare_runs(x, y);
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

fn compare_runs(x: &str, y: &str) -> Ordering {
    let is_number = |run: &str| run.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if is_number(x) && is_number(y) {
        let (a, b) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
        // Without leading zeros the longer number is the larger one.
        return a.len().cmp(&b.len()).then_with(|| a.cmp(b)).then_with(|| x.len().cmp(&y.len()));
    }
    x.cmp(y)
}

/// A text cut where digits begin or end.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = rest.as_bytes().first()?.is_ascii_digit();
        let end = rest.bytes().position(|b| b.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::natural;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn numbers_in_texts_compare_as_numbers() {
        for (a, b, want) in [
            ("cpu2", "cpu10", Less),
            ("cpu10", "cpu10", Equal),
            ("cpu10a", "cpu10b", Less),
            ("10.0.9.1", "10.0.10.1", Less),
            ("b1", "a2", Greater),
            ("", "a", Less),
            ("a", "aé", Less),
            ("007", "7", Greater),
            ("9", "a", Less),
        ] {
            assert_eq!(natural(a, b), want, "{a} {b}");
        }
    }
}
