//! What relative gauges (`+3|g`) need: the value before.

use std::collections::HashMap;

use weir_model::{LabelsRef, SeriesId, Temporality};

/// Remembers the values of gauges between bodies, for one tenant; the caller of the parser supplies it.
pub trait GaugeMemory {
    /// Notes that the gauge of these labels now stands at `value`.
    fn set(&mut self, labels: LabelsRef<'_>, value: f64);

    /// Changes the gauge of these labels by `delta`, from zero when it is new, and returns where it
    /// stands now; `None` when this receiver cannot remember it.
    fn add(&mut self, labels: LabelsRef<'_>, delta: f64) -> Option<f64>;
}

/// No memory, for receivers without state between requests: relative gauges are refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGaugeMemory;

impl GaugeMemory for NoGaugeMemory {
    fn set(&mut self, _: LabelsRef<'_>, _: f64) {}

    fn add(&mut self, _: LabelsRef<'_>, _: f64) -> Option<f64> {
        None
    }
}

/// Gauges in memory, up to a number of series; later ones are not remembered.
#[derive(Debug, Clone)]
pub struct GaugeTable {
    values: HashMap<SeriesId, f64>,
    capacity: usize,
}

impl GaugeTable {
    /// An empty table for at most `capacity` series.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { values: HashMap::new(), capacity }
    }

    fn entry(&mut self, labels: LabelsRef<'_>) -> Option<&mut f64> {
        let id = SeriesId::of(labels, Temporality::Cumulative);
        if self.values.len() >= self.capacity && !self.values.contains_key(&id) {
            return None;
        }
        Some(self.values.entry(id).or_default())
    }
}

impl GaugeMemory for GaugeTable {
    fn set(&mut self, labels: LabelsRef<'_>, value: f64) {
        if let Some(entry) = self.entry(labels) {
            *entry = value;
        }
    }

    fn add(&mut self, labels: LabelsRef<'_>, delta: f64) -> Option<f64> {
        let entry = self.entry(labels)?;
        *entry += delta;
        Some(*entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::Labels;

    #[test]
    fn a_full_table_keeps_its_gauges_and_remembers_no_others() {
        let [a, b] = ["a", "b"].map(|name| Labels::from_pairs([("__name__", name)]));
        let mut table = GaugeTable::new(1);
        table.set(a.borrowed(), 5.0);
        assert_eq!(table.add(a.borrowed(), -2.0), Some(3.0));
        assert_eq!(table.add(b.borrowed(), 1.0), None);
        assert_eq!(table.add(a.borrowed(), 0.0), Some(3.0));
    }
}
