//! Deliveries of delta samples have a key each, by which what a stream's client repeats counts once.

#[cfg(test)]
mod delivery {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use weir_ingest::{BodyForm, Dialect, Ingest, IngestOptions};
    use weir_model::{Record, RecordKey, TenantId};
    use weir_platform::{
        NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError, SystemClock, Telemetry,
    };

    /// Puts everything twice, as a client does whose first request was answered too late.
    #[derive(Default)]
    struct Repeating(Mutex<Vec<NewRecord>>);

    #[async_trait]
    impl Stream for Repeating {
        async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
            let mut held = self.0.lock().unwrap();
            let placed = |_| Placed { shard: ShardId(0), sequence: SequenceNumber::from(1) };
            let answer = records.iter().map(placed).collect();
            held.extend(records.iter().cloned());
            held.extend(records);
            Ok(answer)
        }
    }

    async fn keys_of(body: &str) -> Vec<Option<RecordKey>> {
        let stream = Arc::new(Repeating::default());
        let telemetry = Arc::new(Telemetry::default());
        let ingest = Ingest::new(stream.clone(), Arc::new(SystemClock), telemetry, IngestOptions::default());
        let tenant = TenantId::default();
        let form = BodyForm { content_type: "", query: "" };
        for _ in 0..2 {
            let parsed = ingest.parse(&tenant, Dialect::Statsd, form, body.as_bytes()).unwrap();
            ingest.accept(&tenant, Dialect::Statsd, parsed, None).await.unwrap();
        }
        let records = stream.0.lock().unwrap();
        records.iter().map(|record| Record::decode(&record.data).unwrap().key).collect()
    }

    #[tokio::test]
    async fn a_repeat_of_counts_has_the_key_of_the_first_and_another_delivery_has_another() {
        let keys = keys_of("hits:1|c").await;
        assert!(keys[0].is_some());
        assert_eq!((keys[0], keys[2]), (keys[1], keys[3]));
        assert_ne!(keys[0], keys[2]);
    }

    #[tokio::test]
    async fn values_that_a_repeat_does_not_change_need_no_key() {
        assert_eq!(keys_of("temperature:21|g").await, [None; 4]);
    }
}
