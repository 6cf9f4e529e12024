//! What events become: the shipped mapping, or that of `--events`.

use std::path::Path;

use anyhow::{Context, Result};
use weir_formats::json::EventMapping;

/// The shipped mapping.
const SHIPPED: &str = include_str!("../../config/events.yml");

/// The mapping in a file, or the shipped one.
pub(crate) fn mapping(file: Option<&Path>) -> Result<EventMapping> {
    let (name, text) = match file {
        None => ("infra/config/events.yml".into(), SHIPPED.to_owned()),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            (path.display().to_string(), text)
        }
    };
    read(&name, &text)
}

/// Reads and checks a mapping.
pub(crate) fn read(name: &str, text: &str) -> Result<EventMapping> {
    let mapping: EventMapping =
        serde_norway::from_str(text).with_context(|| format!("{name} is no mapping of events"))?;
    mapping.check().map_err(anyhow::Error::msg).with_context(|| format!("{name} is no mapping of events"))?;
    Ok(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_formats::Limits;
    use weir_formats::json::parse_mapped;

    /// The series that an event becomes, with the numbers of its floats.
    fn series(event: &str) -> Vec<String> {
        let body = format!("{{\"event_metrics\": {event}}}");
        let mapping = mapping(None).unwrap();
        let parsed = parse_mapped(body.as_bytes(), 1000, &Limits::default(), Some(&mapping)).unwrap();
        assert_eq!(parsed.rejections.by_kind().count(), 0, "{event}");
        let batch = &parsed.batch;
        let mut all: Vec<String> = batch.series().iter().map(|s| batch.labels(s).to_string()).collect();
        for sample in &batch.floats {
            all[sample.series as usize].push_str(&format!(" {}", sample.value));
        }
        all.sort();
        all
    }

    #[test]
    fn a_completed_payment_becomes_what_the_rules_ask() {
        let event = r#"{"event_type": "payment_completion", "source_service": "pay", "timestamp": "2026-11-21T10:00:00Z",
            "labels": {"status": "completed", "currency": "USD"}, "metrics": {"amount": 120.5, "fees": 3.5, "processing_time_ms": 450}}"#;
        let tags = r#"currency="USD", payment_method="unknown", processing_time_bucket="normal", service="pay", status="completed""#;
        let want = [
            format!("business_payment_completions{{{tags}}} 1"),
            format!("business_payment_processing_time{{{tags}}}"),
            format!("business_payment_success_rate{{{tags}, success=\"true\"}} 1"),
            format!("business_revenue_fees{{{tags}}}"),
            format!("business_revenue_transaction_value{{{tags}}}"),
        ];
        assert_eq!(series(event), want);
    }

    #[test]
    fn conditions_ranges_and_absent_fields_decide() {
        let failed =
            series(r#"{"event_type": "payment_completion", "data": {"status": "failed", "amount": 5}}"#);
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed[1].contains("success=\"false\""), "{failed:?}");
        let attempt = series(
            r#"{"event_type": "payment_attempt", "amount": 10000, "sender_id": "u1", "currency": "EUR"}"#,
        );
        assert_eq!(attempt.len(), 3);
        assert!(attempt.iter().all(|s| s.contains("amount_range=\"enterprise\"")), "{attempt:?}");
        let miss = series(r#"{"event_type": "cache_operation", "operation": "get", "hit": false}"#);
        assert!(miss[1].contains("result=\"miss\""), "{miss:?}");
        let call = series(
            r#"{"event_type": "external_service_call", "service_name": "bank", "circuit_breaker_state": "open"}"#,
        );
        assert!(
            call.iter()
                .any(|s| s.starts_with("external_service_calls_success_rate")
                    && s.contains("success=\"true\"")),
            "{call:?}"
        );
        assert!(
            call.iter().any(|s| s.starts_with("external_service_circuit_breaker_state") && s.ends_with(" 1")),
            "{call:?}"
        );
        let pool = series(r#"{"event_type": "database_operation", "connection_pool": {"active": 7}}"#);
        assert!(
            pool.iter().any(|s| s.starts_with("database_pool_active_connections") && s.ends_with(" 7")),
            "{pool:?}"
        );
    }

    #[test]
    fn what_transactions_and_services_say_become_gauges() {
        let business = series(
            r#"{"event_type": "business", "region": "eu", "transaction_amount": 12.5, "acquisition_cost": 0, "churn_risk": 0.2}"#,
        );
        let tags = r#"business_unit="default", geography="eu", product="default""#;
        let want =
            [format!("churn_probability{{{tags}}} 0.2"), format!("revenue_per_transaction{{{tags}}} 12.5")];
        assert_eq!(business, want);
        let performance = series(
            r#"{"event_type": "performance", "service_name": "pay", "requests_per_second": 40, "error_rate": 0.01}"#,
        );
        let tags = r#"endpoint="unknown", method="unknown", service="pay""#;
        assert_eq!(
            performance,
            [format!("error_rate{{{tags}}} 0.01"), format!("throughput_rps{{{tags}}} 40")]
        );
    }

    #[test]
    fn other_events_become_what_they_always_did() {
        let found = series(r#"{"event_type": "prediction_completed", "duration_ms": 5}"#);
        assert_eq!(found, ["prediction_completed_duration_ms", "prediction_completed_total 1"]);
    }

    #[test]
    fn mappings_that_cannot_work_are_refused() {
        let rows = [
            (
                "events: {a: {metrics: [{count: x, gauge: y}]}}",
                "needs one of count, gauge, distribution and set",
            ),
            ("events: {a: {metrics: [{gauge: y}]}}", "needs a field"),
            ("events: {a: {tags: {t: {field: f, range: r}}, metrics: []}}", "no ranges are called"),
            ("events: {a: {tags: {t: {}}, metrics: []}}", "needs one of field, when and value"),
            ("ranges: {r: [{below: 2, is: a}, {below: 1, is: b}]}", "must ascend"),
            ("events: {a: {metric: []}}", "unknown field"),
        ];
        let folder = std::env::temp_dir().join(format!("weir-events-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("events.yml");
        for (text, want) in rows {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", mapping(Some(&path)).unwrap_err());
            assert!(error.contains(want), "{text}: {error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
