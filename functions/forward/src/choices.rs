//! Which series go to a sink, remembered: rules are asked once a series, not once a sample.

use std::collections::HashMap;
use std::sync::Arc;

use weir_model::{Record, SeriesId, TenantId};

use crate::rules::SinkRules;

/// Most series that are remembered; then it begins anew.
const MAX_SERIES: usize = 500_000;

/// What rules said of series, for one sink.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    rules: Arc<SinkRules>,
    known: HashMap<TenantId, HashMap<SeriesId, Option<i64>>>,
    series: usize,
}

impl Choices {
    /// The interval of each series of a record in milliseconds, none for those that stay away; nothing at all
    /// when no rule concerns the record.
    pub(crate) fn of(
        &mut self,
        sink: &str,
        rules: &Arc<SinkRules>,
        record: &Record,
    ) -> Option<Vec<Option<i64>>> {
        let of_tenant = rules.of(&record.tenant, sink);
        if of_tenant.is_empty() {
            return None;
        }
        if !Arc::ptr_eq(&self.rules, rules) || self.series >= MAX_SERIES {
            *self = Self { rules: rules.clone(), ..Self::default() };
        }
        let known = self.known.entry(record.tenant.clone()).or_default();
        let before = known.len();
        let batch = &record.batch;
        let chosen = batch.series().iter().map(|series| {
            *known.entry(series.id).or_insert_with(|| {
                let labels = batch.labels(series);
                of_tenant.iter().find(|rule| rule.chooses(labels)).map(|rule| rule.every_ms)
            })
        });
        let chosen = chosen.collect();
        self.series += known.len() - before;
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::{Batch, Labels, MetricKind, Temporality};

    #[test]
    fn what_is_remembered_goes_with_its_rules_and_is_of_its_tenant() {
        let record = |tenant: &str| {
            let mut batch = Batch::new();
            for name in ["a", "b"] {
                let labels = Labels::from_pairs([("__name__", name)]);
                batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
            }
            Record { tenant: TenantId::new(tenant).unwrap(), key: None, received_ms: 0, batch }
        };
        let rules = |text: &str| Arc::new(SinkRules::parse("rules", text).unwrap());
        let first =
            rules("sinks:\n- { metrics: [a], every: 60s }\n- { metrics: [b], every: 5s, tenant: acme }\n");
        let second = rules("sinks:\n- { metrics: [b], every: 1h }\n");
        let mut choices = Choices::default();
        for _ in 0..2 {
            assert_eq!(choices.of("cloudwatch", &first, &record("default")), Some(vec![Some(60_000), None]));
            assert_eq!(choices.of("cloudwatch", &first, &record("acme")), Some(vec![None, Some(5_000)]));
            assert_eq!(choices.series, 4);
        }
        assert_eq!(choices.of("cloudwatch", &second, &record("default")), Some(vec![None, Some(3_600_000)]));
        assert_eq!(choices.of("cloudwatch", &second, &record("acme")), None);
    }
}
