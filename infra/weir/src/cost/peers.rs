//! What other services of AWS charge for the same load.

use serde::Serialize;

use super::bill::Terms;
use super::load::{Load, MONTH_SECONDS};
use super::usage::GB;

/// Metrics that a call of PutMetricData takes.
const METRICS_PER_CALL: f64 = 1000.0;

/// A service and its bill of a month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) usd: f64,
}

/// The bills of each, in one order. Left out is what depends on use beyond the queries assumed: CloudWatch's
/// dashboards and queries, Timestream's query units.
pub(super) fn peers(load: &Load, terms: &Terms) -> [Peer; 4] {
    let (a, prices) = (&terms.assumptions, &terms.prices);
    let samples = load.samples();
    let custom = prices.usd("cloudwatch_metric", load.series)
        + prices.usd("cloudwatch_request", samples / METRICS_PER_CALL);
    let otel = prices.usd("cloudwatch_otel_gb", samples * a.otel_bytes_per_sample / GB);
    let read = a.queries_per_minute * MONTH_SECONDS / 60.0 * a.samples_per_query;
    let prometheus = prices.usd("amp_sample", samples)
        + prices.usd("amp_gb_month", samples * a.amp_bytes_per_sample * a.retention_months / GB)
        + prices.usd("amp_query_sample", read);
    let written_gb = samples * a.timestream_bytes_per_sample / GB;
    let in_memory_gb = written_gb * a.timestream_memory_hours / 730.0;
    let timestream = prices.usd("timestream_write", samples * a.timestream_bytes_per_sample / 1024.0)
        + prices.usd("timestream_memory_gb_hour", in_memory_gb * 730.0)
        + prices.usd("timestream_gb_month", written_gb * a.retention_months);
    [
        Peer { name: "CloudWatch custom metrics (PutMetricData)", usd: custom },
        Peer { name: "CloudWatch OTel metrics", usd: otel },
        Peer { name: "Amazon Managed Prometheus", usd: prometheus },
        Peer { name: "Timestream for LiveAnalytics", usd: timestream },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::bill::tests::terms;
    use super::*;
    use std::time::Duration;

    #[test]
    fn peers_cost_what_hand_computation_gives() {
        // 10,000 series at 60 s: 438 M samples.
        let found = peers(&Load::new(10_000, Duration::from_secs(60)), &terms());
        let gb = 1_073_741_824.0;
        let written = 438e6 * 50.0 / gb;
        for (peer, want_usd) in found.iter().zip([
            // 10,000 metrics and 438,000 calls.
            3000.0 + 4.38,
            438e6 * 100.0 / gb * 0.5,
            // 398 M samples beyond the free ones; 7.3 GB and 87.6 G samples read are free.
            39.8 * 0.9,
            438e6 * 50.0 / 1024.0 / 1e6 * 0.5 + written * 12.0 * 0.036 + written * 12.0 * 0.03,
        ]) {
            assert!((peer.usd - want_usd).abs() < 1e-6, "{}: {}, not {want_usd}", peer.name, peer.usd);
        }
    }
}
