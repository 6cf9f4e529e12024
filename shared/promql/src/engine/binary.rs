//! Binary operators between two vectors: finding the partners, then the operator over their columns.

use hashbrown::HashMap;
use weir_model::{Labels, LabelsBuilder};

use super::column::{ABSENT, Column, Presence, Series, is_absent};
use super::error::QueryError;
use super::grid::Grid;
use super::labels::{Key, METRIC_LABELS, Numbering, Output};
use super::limits::{Ledger, Weight};
use super::notes::Notes;
use super::ops::{self, Sample};
use crate::ast::{BinaryOp, Cardinality, Position, VectorMatching};

/// An operator with its modifiers.
pub(crate) struct Operation<'o> {
    pub(crate) op: BinaryOp,
    pub(crate) matching: &'o VectorMatching,
    pub(crate) return_bool: bool,
    pub(crate) position: Position,
}

/// Evaluates a binary operator between two vectors.
pub(crate) fn evaluate(
    operation: &Operation<'_>,
    left: &[Series],
    right: &[Series],
    grid: &Grid,
    ledger: &Ledger,
    notes: &mut Notes,
) -> Result<Vec<Series>, QueryError> {
    let key = Key::new(&operation.matching.labels, operation.matching.on);
    let mut numbering = Numbering::default();
    let mut number = |series: &[Series]| -> Vec<usize> {
        series.iter().map(|s| numbering.number(&key, &s.labels).0).collect()
    };
    let (left_groups, right_groups) = (number(left), number(right));
    let groups = numbering.len();
    if operation.op.is_set() {
        return set(operation.op, (left, &left_groups), (right, &right_groups), groups, grid, ledger);
    }
    // From here on the "one" side stands second; the operator's sides are put right again at each sample.
    let swapped = operation.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let (many_groups, one_groups) =
        if swapped { (right_groups, left_groups) } else { (left_groups, right_groups) };
    let mut members: Vec<(Vec<usize>, Vec<usize>)> = vec![(Vec::new(), Vec::new()); groups];
    many_groups.iter().enumerate().for_each(|(index, group)| members[*group].0.push(index));
    one_groups.iter().enumerate().for_each(|(index, group)| members[*group].1.push(index));
    let mut join = Join {
        operation,
        swapped,
        key: &key,
        many,
        one,
        many_present: Presence::of(many, grid.steps),
        one_present: Presence::of(one, grid.steps),
        steps: grid.steps,
        notes,
        output: Output::default(),
    };
    for (many, one) in &members {
        ledger.check()?;
        join.group(many, one, ledger)?;
    }
    Ok(join.output.into_series())
}

/// `and`, `or`, `unless`
fn set(
    op: BinaryOp,
    (left, left_groups): (&[Series], &[usize]),
    (right, right_groups): (&[Series], &[usize]),
    groups: usize,
    grid: &Grid,
    ledger: &Ledger,
) -> Result<Vec<Series>, QueryError> {
    let presence = |series: &[Series], numbers: &[usize]| -> Result<Vec<Option<Presence>>, QueryError> {
        let mut all: Vec<Option<Presence>> = vec![None; groups];
        for (one, group) in series.iter().zip(numbers) {
            all[*group].get_or_insert_with(|| Presence::none(grid.steps)).add(&one.column);
        }
        ledger.check()?;
        Ok(all)
    };
    let keep = |one: &Series, has: Option<&Presence>, wanted: bool| {
        let mut kept = one.clone();
        for step in 0..grid.steps {
            if has.is_some_and(|p| p.0[step]) != wanted {
                kept.column.clear(step);
            }
        }
        kept
    };
    let mut output = Output::default();
    if op == BinaryOp::Or {
        left.iter().try_for_each(|one| output.add(one.clone()))?;
        let present = presence(left, left_groups)?;
        for (one, group) in right.iter().zip(right_groups) {
            output.add(keep(one, present[*group].as_ref(), false))?;
        }
    } else {
        let present = presence(right, right_groups)?;
        for (one, group) in left.iter().zip(left_groups) {
            output.add(keep(one, present[*group].as_ref(), op == BinaryOp::And))?;
        }
    }
    Ok(output.into_series())
}

/// An operator at work on series that match.
struct Join<'j> {
    operation: &'j Operation<'j>,
    swapped: bool,
    key: &'j Key,
    many: &'j [Series],
    one: &'j [Series],
    many_present: Presence,
    one_present: Presence,
    steps: usize,
    notes: &'j mut Notes,
    output: Output,
}

impl Join<'_> {
    fn is_one_to_one(&self) -> bool {
        self.operation.matching.cardinality == Cardinality::OneToOne
    }

    /// The series of one match group.
    fn group(&mut self, many: &[usize], one: &[usize], ledger: &Ledger) -> Result<(), QueryError> {
        let matching = self.operation.matching;
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        if (one.is_empty() && fill_one.is_none()) || (many.is_empty() && fill_many.is_none()) {
            return self.check_one_side(one);
        }
        self.check_one_side(one)?;
        let weight = Weight::of_cells(many.len() * self.steps);
        ledger.hold(weight)?;
        if let ([many], [one], None, None) = (many, one, fill_many, fill_one) {
            self.pair(&self.many[*many], &self.one[*one])?;
        } else {
            self.cross(many, one)?;
        }
        ledger.release(weight);
        Ok(())
    }

    /// No two series of a group may be there at once on the "one" side, as long as there is anything on both
    /// sides (or anything at all with a value to fill in).
    fn check_one_side(&self, one: &[usize]) -> Result<(), QueryError> {
        if one.len() < 2 {
            return Ok(());
        }
        let matching = self.operation.matching;
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        for step in 0..self.steps {
            let both_sides = self.many_present.0[step] && self.one_present.0[step];
            if !(both_sides || fills) {
                continue;
            }
            let mut present = one.iter().filter(|i| self.one[**i].column.is_present(step));
            if let (Some(first), Some(second)) = (present.next(), present.next()) {
                return Err(self.duplicates(*first, *second));
            }
        }
        Ok(())
    }

    fn duplicates(&self, first: usize, second: usize) -> QueryError {
        let side = if self.swapped { "left" } else { "right" };
        let mut names = [first, second].map(|i| message_labels(&self.one[i].labels));
        names.sort();
        let group = message_labels(&self.key.of(&self.one[first].labels));
        QueryError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            names[0], names[1]
        ))
    }

    /// The common case: one series on each side and nothing to fill in.
    fn pair(&mut self, many: &Series, one: &Series) -> Result<(), QueryError> {
        let labels = self.result_labels(&many.labels, &one.labels);
        let drop_name = self.drops_name(many);
        let column = if many.column.histograms.is_empty() && one.column.histograms.is_empty() {
            self.floats(&many.column.floats, &one.column.floats)
        } else {
            let mut column = Column::absent(self.steps);
            for step in 0..self.steps {
                let (Some(a), Some(b)) = (sample(&many.column, step), sample(&one.column, step)) else {
                    continue;
                };
                self.put(&a, &b, step, &mut column);
            }
            column
        };
        self.output.add(Series { labels, drop_name, column })
    }

    /// The operator over two columns of floats.
    fn floats(&self, many: &[f64], one: &[f64]) -> Column {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let op = self.operation.op;
        let floats = if let Some(f) = ops::arithmetic(op) {
            let value =
                |(a, b): (&f64, &f64)| if is_absent(*a) || is_absent(*b) { ABSENT } else { f(*a, *b) };
            left.iter().zip(right).map(value).collect()
        } else if let Some(compare) = ops::comparison(op) {
            let value = |(a, b): (&f64, &f64)| match (is_absent(*a) || is_absent(*b), compare(*a, *b)) {
                (true, _) => ABSENT,
                (_, holds) if self.operation.return_bool => f64::from(u8::from(holds)),
                (_, true) => *a,
                (_, false) => ABSENT,
            };
            left.iter().zip(right).map(value).collect()
        } else {
            vec![ABSENT; self.steps]
        };
        Column { floats, histograms: Vec::new() }
    }

    /// Any number of series on both sides, with values filled in for missing ones.
    fn cross(&mut self, many: &[usize], one: &[usize]) -> Result<(), QueryError> {
        let matching = self.operation.matching;
        let (all_many, all_one) = (self.many, self.one);
        // Which result series were made at which step, kept or filtered out.
        let mut made: HashMap<Labels, Vec<bool>> = HashMap::new();
        let mut matched = vec![false; self.steps];
        for index in many {
            let many = &all_many[*index];
            let mut labels: HashMap<Option<usize>, Labels> = HashMap::new();
            for step in 0..self.steps {
                let Some(a) = sample(&many.column, step) else { continue };
                let partner = one.iter().copied().find(|i| all_one[*i].column.is_present(step));
                let b = match (partner, matching.fill_right) {
                    (Some(partner), _) => sample(&all_one[partner].column, step),
                    (None, Some(fill)) => Some(Sample::Float(fill)),
                    (None, None) => None,
                };
                let Some(b) = b else { continue };
                let result = labels
                    .entry(partner)
                    .or_insert_with(|| match partner {
                        Some(partner) => self.result_labels(&many.labels, &all_one[partner].labels),
                        None => self.result_labels(&many.labels, &self.key.of(&many.labels)),
                    })
                    .clone();
                self.put_checked(&a, &b, step, &result, self.drops_name(many), &mut made, &mut matched)?;
            }
        }
        let Some(fill) = matching.fill_left else { return Ok(()) };
        for index in one {
            let one = &all_one[*index];
            let stand_in = self.key.of(&one.labels);
            let result = self.result_labels(&stand_in, &one.labels);
            for (step, matched) in matched.iter().enumerate() {
                let Some(b) = sample(&one.column, step).filter(|_| !matched) else { continue };
                let mut unmatched = vec![false; self.steps];
                let a = Sample::Float(fill);
                self.put_checked(&a, &b, step, &result, self.drops_name(one), &mut made, &mut unmatched)?;
            }
        }
        Ok(())
    }

    /// Puts a result after checking that it is the only one of its kind at the step.
    #[allow(clippy::too_many_arguments)] // the state of one loop, which borrows from several places
    fn put_checked(
        &mut self,
        a: &Sample,
        b: &Sample,
        step: usize,
        labels: &Labels,
        drop_name: bool,
        made: &mut HashMap<Labels, Vec<bool>>,
        matched: &mut [bool],
    ) -> Result<(), QueryError> {
        let mut column = Column::absent(1);
        if !self.put(a, b, 0, &mut column) {
            return Ok(());
        }
        if self.is_one_to_one() {
            if matched[step] {
                return Err(QueryError::Execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                        .to_owned(),
                ));
            }
        } else {
            let steps = made.entry(labels.clone()).or_insert_with(|| vec![false; self.steps]);
            if std::mem::replace(&mut steps[step], true) {
                return Err(QueryError::Execution(
                    "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
                ));
            }
        }
        matched[step] = true;
        if !column.is_present(0) {
            return Ok(());
        }
        let target = self.output.column(labels, drop_name, self.steps);
        if target.is_present(step) {
            return Err(super::error::same_labelset());
        }
        target.floats[step] = column.floats[0];
        if let Some(histogram) = column.histogram(0) {
            target.set_histogram(step, histogram.clone());
        }
        Ok(())
    }

    /// Puts the result of two samples into a column; false when the operator does not exist for them.
    fn put(&mut self, many: &Sample, one: &Sample, step: usize, column: &mut Column) -> bool {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let outcome = ops::samples(self.operation.op, left, right, self.operation.position, self.notes);
        let Some(outcome) = outcome else { return false };
        if self.operation.return_bool {
            column.floats[step] = f64::from(u8::from(outcome.keep));
        } else if outcome.keep {
            match outcome.sample {
                Sample::Float(x) => column.floats[step] = x,
                Sample::Histogram(h) => column.set_histogram(step, h),
            }
        }
        true
    }

    fn drops_name(&self, many: &Series) -> bool {
        self.operation.return_bool || many.drop_name
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = self.operation.matching;
        let new_quantity = ops::arithmetic(self.operation.op).is_some();
        let one_to_one = self.is_one_to_one();
        let kept = many.retain(|name| {
            let listed = || matching.labels.iter().any(|l| l == name);
            !(new_quantity && METRIC_LABELS.contains(&name)) && (!one_to_one || listed() == matching.on)
        });
        if matching.include.is_empty() {
            return kept;
        }
        let mut builder = LabelsBuilder::from_labels(&kept);
        for name in &matching.include {
            builder.set(name, one.get(name).unwrap_or(""));
        }
        builder.build()
    }
}

fn sample(column: &Column, step: usize) -> Option<Sample> {
    if let Some(histogram) = column.histogram(step) {
        return Some(Sample::Histogram(histogram.clone()));
    }
    let x = column.floats[step];
    (!is_absent(x)).then_some(Sample::Float(x))
}

/// A label set as Prometheus' messages show it: everything in braces, the name among them.
fn message_labels(labels: &Labels) -> String {
    let parts: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", parts.join(", "))
}
