//! What Weir counts about itself: counters and gauges with a few labels, cheap enough for every
//! request, read as one snapshot.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A metric that Weir keeps about itself. Names end in their unit or in `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricSpec {
    /// Name in the Prometheus convention.
    pub name: &'static str,
    /// One sentence for the reader of `/metrics`.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: MetricType,
}

type Key = (&'static str, Vec<(&'static str, String)>);

/// The process's own metrics.
#[derive(Debug, Default)]
pub struct Telemetry {
    values: Mutex<BTreeMap<Key, (MetricSpec, f64)>>,
}

/// One value of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it is.
    pub spec: MetricSpec,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

impl Telemetry {
    /// Most label combinations kept; further ones are dropped, so that no input can grow the table.
    const MAX_READINGS: usize = 10_000;

    /// Adds to a counter.
    pub fn add(&self, spec: &MetricSpec, labels: &[(&'static str, &str)], by: f64) {
        self.update(spec, labels, |value| value + by);
    }

    /// Sets a gauge.
    pub fn set(&self, spec: &MetricSpec, labels: &[(&'static str, &str)], to: f64) {
        self.update(spec, labels, |_| to);
    }

    fn update(&self, spec: &MetricSpec, labels: &[(&'static str, &str)], f: impl FnOnce(f64) -> f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let full = values.len() >= Self::MAX_READINGS;
        match values.entry((spec.name, labels)) {
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let value = &mut entry.get_mut().1;
                *value = f(*value);
            }
            std::collections::btree_map::Entry::Vacant(entry) if !full => {
                entry.insert((*spec, f(0.0)));
            }
            std::collections::btree_map::Entry::Vacant(_) => {}
        }
    }

    /// Every value, ascending by name and labels.
    #[must_use]
    pub fn read(&self) -> Vec<Reading> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = |((_, labels), (spec, value)): (&Key, &(MetricSpec, f64))| Reading {
            spec: *spec,
            labels: labels.clone(),
            value: *value,
        };
        values.iter().map(reading).collect()
    }

    /// Every value in the Prometheus text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut previous = "";
        for reading in self.read() {
            let MetricSpec { name, help, kind } = reading.spec;
            if name != previous {
                let kind = if kind == MetricType::Counter { "counter" } else { "gauge" };
                text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
                previous = name;
            }
            text.push_str(name);
            for (index, (label, value)) in reading.labels.iter().enumerate() {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                text.push_str(&format!("{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' }));
            }
            if !reading.labels.is_empty() {
                text.push('}');
            }
            text.push_str(&format!(" {}\n", reading.value));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: MetricSpec =
        MetricSpec { name: "weir_requests_total", help: "Requests.", kind: MetricType::Counter };

    #[test]
    fn readings_become_exposition_text() {
        let telemetry = Telemetry::default();
        telemetry.add(&REQUESTS, &[("format", "a\"b")], 1.0);
        telemetry.add(&REQUESTS, &[("format", "a\"b")], 2.0);
        let want = "# HELP weir_requests_total Requests.\n# TYPE weir_requests_total counter\nweir_requests_total{format=\"a\\\"b\"} 3\n";
        assert_eq!(telemetry.to_text(), want);
    }

    #[test]
    fn the_table_of_readings_is_bounded() {
        let telemetry = Telemetry::default();
        (0..20_000).for_each(|n| telemetry.add(&REQUESTS, &[("n", &n.to_string())], 1.0));
        assert_eq!(telemetry.read().len(), Telemetry::MAX_READINGS);
    }
}
