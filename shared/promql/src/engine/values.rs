//! The aggregations that need all values of a step: `quantile` and `count_values`.

use std::fmt::Write as _;

use hashbrown::HashMap;
use weir_model::{Labels, LabelsBuilder};

use super::column::{Column, Scalars, Series, is_absent};
use super::error::QueryError;
use super::float;
use super::grid::Grid;
use super::labels::{Key, Numbering, Output};
use super::limits::{Ledger, Weight};
use super::notes::{Note, Notes};
use crate::ast::{Grouping, Position};

/// `quantile`
pub(crate) fn quantile(
    series: &[Series],
    q: &Scalars,
    key: &Key,
    grid: &Grid,
    position: Position,
    ledger: &Ledger,
    notes: &mut Notes,
) -> Result<Vec<Series>, QueryError> {
    let mut numbering = Numbering::default();
    let mut groups: Vec<Vec<&Series>> = Vec::new();
    for one in series {
        if one.column.has_histograms() {
            notes.add(Note::HistogramIgnoredInAggregation { operator: "quantile" }, position);
        }
        let (group, new) = numbering.number(key, &one.labels);
        if new {
            groups.push(Vec::new());
        }
        groups[group].push(one);
    }
    let mut values = Vec::new();
    let mut result = Vec::with_capacity(groups.len());
    for (labels, members) in numbering.into_labels().into_iter().zip(groups) {
        ledger.check()?;
        let mut column = Column::absent(grid.steps);
        for step in 0..grid.steps {
            values.clear();
            values.extend(members.iter().map(|s| s.column.floats[step]).filter(|x| !is_absent(*x)));
            if !values.is_empty() {
                column.floats[step] = float::quantile(q.get(step), &mut values);
            }
        }
        let drop_name = members.iter().any(|s| s.drop_name);
        result.push(Series { labels, drop_name, column });
    }
    result.retain(|s| s.column.any_present());
    Ok(result)
}

/// `count_values`: a series per group and value, the value in a label.
pub(crate) fn count(
    series: &[Series],
    label: &str,
    grouping: &Grouping,
    grid: &Grid,
    ledger: &Ledger,
) -> Result<Vec<Series>, QueryError> {
    let key = match grouping {
        Grouping::By(names) => {
            let mut names = names.clone();
            names.push(label.to_owned());
            Key::new(&names, true)
        }
        Grouping::Without(names) => Key::new(names, false),
    };
    let mut output = Output::default();
    let mut text = String::new();
    for one in series {
        ledger.check()?;
        // Values repeat, so the labels of each are made once per series.
        let mut known: HashMap<u64, Labels> = HashMap::new();
        for step in (0..grid.steps).filter(|s| one.column.is_present(*s)) {
            let named = |text: &str| {
                let mut builder = LabelsBuilder::from_labels(&one.labels);
                builder.set(label, text);
                key.of(&builder.build())
            };
            let labels = if let Some(histogram) = one.column.histogram(step) {
                named(&histogram.to_string())
            } else {
                let x = one.column.floats[step];
                known
                    .entry(x.to_bits())
                    .or_insert_with(|| {
                        plain(x, &mut text);
                        named(&text)
                    })
                    .clone()
            };
            let slot = &mut output.column(&labels, false, grid.steps).floats[step];
            *slot = if is_absent(*slot) { 1.0 } else { *slot + 1.0 };
        }
        let weight = Weight::of_cells(known.len());
        ledger.hold(weight)?;
        ledger.release(weight);
    }
    Ok(output.into_series())
}

/// A number without exponent, infinities with their sign.
fn plain(x: f64, text: &mut String) {
    text.clear();
    // Writing to a string cannot fail.
    let _ = if x.is_infinite() {
        text.write_str(if x > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        write!(text, "{x}")
    };
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn values_are_written_without_exponent() {
        let mut text = String::new();
        for (x, want) in [
            (6.0, "6"),
            (1e21, "1000000000000000000000"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
            (-0.5, "-0.5"),
        ] {
            plain(x, &mut text);
            assert_eq!(text, want);
        }
    }
}
