//! The last values of gauges that StatsD lines change by steps (`+3`, `-1`), per tenant.
//!
//! A step means nothing without the value before it, and StatsD leaves that memory to the daemon. This
//! process is the daemon: it remembers what it has seen and starts from zero, as other daemons do.

use std::collections::HashMap;

use weir_formats::statsd::{GaugeMemory, GaugeTable, NoGaugeMemory};
use weir_model::TenantId;

/// Most tenants with stepped gauges; steps of further ones are refused.
const MAX_TENANTS: usize = 1_000;
/// Most gauges of one tenant; steps of further ones are refused.
const MAX_GAUGES: usize = 100_000;

/// Values by tenant.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    tenants: HashMap<TenantId, GaugeTable>,
    none: NoGaugeMemory,
}

impl Gauges {
    /// One tenant's values.
    pub(crate) fn of(&mut self, tenant: &TenantId) -> &mut dyn GaugeMemory {
        if self.tenants.len() >= MAX_TENANTS && !self.tenants.contains_key(tenant) {
            return &mut self.none;
        }
        self.tenants.entry(tenant.clone()).or_insert_with(|| GaugeTable::new(MAX_GAUGES))
    }
}
