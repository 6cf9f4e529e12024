//! Delivers batches of waiting records to a consumer, as Lambda's event source mapping does.
//!
//! One batch of a shard is under way at a time, in order. A batch closes when its window has passed or
//! it is full. What the consumer reports as not done, and everything after it, is delivered again,
//! later and later; a record that keeps failing on its own goes to the failure destination with its
//! bytes, so that it never blocks its shard for good.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::LocalStream;
use super::log::Entry;
use super::shard::Shard;
use crate::stream::{Batch, BatchOutcome, Delivered, SequenceNumber, ShardId};

/// How batches are cut and retried; the settings of an event source mapping.
#[derive(Debug, Clone)]
pub struct EventSourceOptions {
    /// How long a batch waits for more records.
    pub window: Duration,
    /// Most records of a batch.
    pub max_records: usize,
    /// Most bytes of a batch (Lambda: 6 MB of base64, so about 4.5 MB).
    pub max_bytes: usize,
    /// Deliveries of a batch without progress before it is halved, and of a single record before it is
    /// given up.
    pub max_attempts: u32,
    /// First wait after a failure; doubles up to [`EventSourceOptions::max_backoff`].
    pub backoff: Duration,
    /// Longest wait after a failure.
    pub max_backoff: Duration,
}

impl Default for EventSourceOptions {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(20),
            max_records: 10_000,
            max_bytes: 4_500_000,
            max_attempts: 10,
            backoff: Duration::from_millis(20),
            max_backoff: Duration::from_secs(5),
        }
    }
}

/// The mapping from a stream to its consumer.
pub struct EventSource {
    stream: LocalStream,
    options: EventSourceOptions,
}

impl EventSource {
    /// Prepares to deliver the stream's records.
    #[must_use]
    pub fn new(stream: LocalStream, options: EventSourceOptions) -> Self {
        Self { stream, options }
    }

    /// Delivers until `stop` turns true, then finishes what waits already and returns.
    ///
    /// `consume` handles one batch; an `Err` means that nothing of it is known to be done. `give_up`
    /// takes a record that failed too often; until it has succeeded the record stays.
    ///
    /// # Errors
    /// The file system's, when progress cannot be remembered.
    pub async fn run<C, CF, G, GF>(
        self,
        consume: C,
        give_up: G,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()>
    where
        C: Fn(Batch) -> CF + Clone + Send + Sync + 'static,
        CF: Future<Output = Result<BatchOutcome, String>> + Send + 'static,
        G: Fn(ShardId, Delivered, String) -> GF + Clone + Send + Sync + 'static,
        GF: Future<Output = bool> + Send + 'static,
    {
        let mut shards = JoinSet::new();
        for shard in self.stream.shards.iter() {
            let delivery = Delivery {
                shard: shard.clone(),
                options: self.options.clone(),
                consume: consume.clone(),
                give_up: give_up.clone(),
                stop: stop.clone(),
            };
            shards.spawn(delivery.run());
        }
        while let Some(ended) = shards.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

struct Delivery<C, G> {
    shard: Arc<Shard>,
    options: EventSourceOptions,
    consume: C,
    give_up: G,
    stop: watch::Receiver<bool>,
}

impl<C, CF, G, GF> Delivery<C, G>
where
    C: Fn(Batch) -> CF,
    CF: Future<Output = Result<BatchOutcome, String>>,
    G: Fn(ShardId, Delivered, String) -> GF,
    GF: Future<Output = bool>,
{
    async fn run(mut self) -> io::Result<()> {
        while self.next_arrived().await {
            self.deliver().await?;
        }
        Ok(())
    }

    /// Waits for records; false when it is time to stop and none wait.
    async fn next_arrived(&mut self) -> bool {
        if *self.stop.borrow() {
            return self.shard.waiting().1 > 0;
        }
        tokio::select! {
            () = self.shard.arrived() => {}
            // The sender's end going away means stop, too.
            _ = self.stop.wait_for(|stop| *stop) => return self.shard.waiting().1 > 0,
        }
        let full = self.shard.waiting().0 >= self.options.max_bytes;
        if !full && !self.options.window.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.options.window) => {}
                _ = self.stop.wait_for(|stop| *stop) => {}
            }
        }
        true
    }

    /// Delivers the first waiting batch until it, or the part of it that can be, is done.
    async fn deliver(&mut self) -> io::Result<()> {
        let mut max_records = self.options.max_records;
        let mut attempts = 0;
        let mut backoff = self.options.backoff;
        loop {
            let entries = self.shard.peek(max_records, self.options.max_bytes);
            let Some(last) = entries.last().map(|e| e.sequence) else { return Ok(()) };
            let first = entries[0].sequence;
            let failure = match (self.consume)(self.batch(&entries)).await {
                Ok(BatchOutcome { first_failure: None }) => return self.shard.consumed(last),
                Ok(BatchOutcome { first_failure: Some(SequenceNumber(failed)) }) => {
                    let failed = u64::try_from(failed).unwrap_or(last).clamp(first, last);
                    if failed > first {
                        self.shard.consumed(failed - 1)?;
                        attempts = 0;
                    }
                    "reported as failed".to_owned()
                }
                Err(error) => error,
            };
            attempts += 1;
            tracing::warn!(shard = %self.shard.id(), first, attempts, failure, "a batch is delivered again");
            if attempts >= self.options.max_attempts {
                attempts = 0;
                if entries.len() > 1 && max_records > 1 {
                    max_records = (entries.len().min(max_records) / 2).max(1);
                } else if let Some(entry) = self.shard.peek(1, 0).into_iter().next() {
                    let sequence = entry.sequence;
                    if (self.give_up)(self.shard.id(), delivered(&entry), failure).await {
                        self.shard.consumed(sequence)?;
                        return Ok(());
                    }
                }
            }
            if *self.stop.borrow() && attempts > 1 {
                // What cannot be done now stays in the log for the next start.
                return Err(io::Error::other(
                    "stopped while a batch kept failing; its records stay in the stream",
                ));
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(self.options.max_backoff);
        }
    }

    fn batch(&self, entries: &[Entry]) -> Batch {
        Batch { shard: self.shard.id(), records: entries.iter().map(delivered).collect() }
    }
}

fn delivered(entry: &Entry) -> Delivered {
    Delivered { sequence: SequenceNumber::from(u128::from(entry.sequence)), data: entry.data.clone() }
}
