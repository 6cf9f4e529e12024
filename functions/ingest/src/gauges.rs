//! The last value of each gauge that StatsD lines change by steps (`+3`, `-1`).
//!
//! A step means nothing without the value before it, and StatsD leaves that memory to the daemon. This
//! process is the daemon: it remembers what it has seen and starts from zero, as other daemons do.

use std::collections::HashMap;

use weir_formats::statsd::GaugeMemory;
use weir_model::{LabelsRef, SeriesId, Temporality, TenantId};

/// Values of stepped gauges, by tenant and series.
#[derive(Debug, Default)]
pub(crate) struct Gauges(HashMap<(TenantId, SeriesId), f64>);

impl Gauges {
    /// Most gauges remembered; when full, the table starts anew rather than growing.
    const MAX: usize = 100_000;

    fn set(&mut self, tenant: &TenantId, series: SeriesId, value: f64) {
        if self.0.len() >= Self::MAX {
            tracing::warn!(gauges = self.0.len(), "forgot the values of stepped gauges: there are too many");
            self.0.clear();
        }
        self.0.insert((tenant.clone(), series), value);
    }
}

/// One tenant's view of the table.
pub(crate) struct TenantGauges<'a> {
    pub(crate) gauges: &'a mut Gauges,
    pub(crate) tenant: &'a TenantId,
}

impl GaugeMemory for TenantGauges<'_> {
    fn set(&mut self, labels: LabelsRef<'_>, value: f64) {
        self.gauges.set(self.tenant, SeriesId::of(labels, Temporality::Cumulative), value);
    }

    fn add(&mut self, labels: LabelsRef<'_>, by: f64) -> f64 {
        let series = SeriesId::of(labels, Temporality::Cumulative);
        let value = self.gauges.0.get(&(self.tenant.clone(), series)).copied().unwrap_or(0.0) + by;
        self.gauges.set(self.tenant, series, value);
        value
    }
}
