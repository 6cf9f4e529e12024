//! From a parsed body to durable stream records.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use weir_formats::json::EventMapping;
use weir_formats::{Accepted, FormatError, Limits, Parsed, RejectKind, Rejections};
use weir_model::{Batch, Record, RecordKey, TenantId};
use weir_platform::{Clock, NewRecord, Stream, StreamError, Telemetry};

use crate::dialect::Dialect;
use crate::gauges::Gauges;
use crate::metrics;

/// Bounds of the function.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// Bounds on bodies, labels and samples.
    pub limits: Limits,
    /// Samples older than this are refused; `None` accepts any age.
    pub max_age: Option<Duration>,
    /// Samples further in the future than this are refused.
    pub max_future: Option<Duration>,
    /// What events become, beyond the rule for all of them.
    pub events: Option<Arc<EventMapping>>,
    /// Bytes of bodies held in memory at once, over all requests; further requests wait briefly, then
    /// are told to come back.
    pub max_bytes_in_flight: usize,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_age: None,
            max_future: None,
            events: None,
            max_bytes_in_flight: 256 << 20,
        }
    }
}

/// The function over its ports.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    stream: Arc<dyn Stream>,
    clock: Arc<dyn Clock>,
    telemetry: Arc<Telemetry>,
    options: IngestOptions,
    gauges: Mutex<Gauges>,
    in_flight: Arc<Semaphore>,
}

/// What became of a body, all of it that was good being durable now.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was made durable, counted as the sender counts.
    pub accepted: Accepted,
    /// What was refused, and why.
    pub rejections: Rejections,
    /// Lines understood and passed over on purpose (StatsD events, service checks).
    pub ignored: u64,
}

/// Why nothing of a body was accepted.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The body, or its encoding, is at fault.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A header is at fault.
    #[error("{0}")]
    Header(String),
    /// The body is larger than accepted.
    #[error("{0}")]
    TooLarge(String),
    /// Too much is under way; the same request succeeds later.
    #[error("{reason}; try again in {} s", retry_after.as_secs())]
    Busy {
        /// What is full.
        reason: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The stream failed; the request may be repeated.
    #[error("the samples could not be made durable; send them again")]
    Unavailable(#[source] StreamError),
}

/// Requests may wait this long for memory.
const ADMISSION_WAIT: Duration = Duration::from_secs(2);
const PERMIT_BYTES: usize = 1024;

impl Ingest {
    /// Wires the function.
    #[must_use]
    pub fn new(
        stream: Arc<dyn Stream>,
        clock: Arc<dyn Clock>,
        telemetry: Arc<Telemetry>,
        options: IngestOptions,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new((options.max_bytes_in_flight / PERMIT_BYTES).max(1)));
        let gauges = Mutex::default();
        Self { inner: Arc::new(Inner { stream, clock, telemetry, options, gauges, in_flight }) }
    }

    pub(crate) fn options(&self) -> &IngestOptions {
        &self.inner.options
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.inner.telemetry
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    pub(crate) fn gauges(&self) -> MutexGuard<'_, Gauges> {
        self.inner.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes memory for a body of `bytes`, waiting briefly when others hold it.
    pub(crate) async fn admit(&self, bytes: usize) -> Result<tokio::sync::OwnedSemaphorePermit, IngestError> {
        let total = self.inner.options.max_bytes_in_flight / PERMIT_BYTES;
        let permits = u32::try_from((bytes / PERMIT_BYTES + 1).min(total.max(1))).unwrap_or(u32::MAX);
        let wait = self.inner.in_flight.clone().acquire_many_owned(permits);
        match tokio::time::timeout(ADMISSION_WAIT, wait).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(IngestError::Busy {
                reason: "too many bytes of write requests are under way",
                retry_after: Duration::from_secs(1),
            }),
        }
    }

    /// Makes a parsed body durable. When this returns `Ok`, everything it counts as accepted outlives
    /// any crash.
    ///
    /// # Errors
    /// [`IngestError::Busy`] or [`IngestError::Unavailable`]: nothing may be taken as accepted, and
    /// sending the same body (or the same idempotency key) again counts once.
    pub async fn accept(
        &self,
        tenant: &TenantId,
        dialect: Dialect,
        mut parsed: Parsed,
        key: Option<RecordKey>,
    ) -> Result<Outcome, IngestError> {
        let now_ms = self.now_ms();
        self.refuse_out_of_window(&mut parsed, now_ms);
        let Parsed { batch, accepted, rejections, ignored, .. } = parsed;
        if !batch.is_empty() {
            self.put(tenant, batch, key, now_ms).await?;
        }
        let labels = [("dialect", dialect.name())];
        let telemetry = self.telemetry();
        telemetry.add(&metrics::ACCEPTED, &labels, (accepted.samples + accepted.histograms) as f64);
        if accepted.exemplars > 0 {
            telemetry.add(&metrics::EXEMPLARS, &labels, accepted.exemplars as f64);
        }
        for (kind, count) in rejections.by_kind() {
            let labels = [("dialect", dialect.name()), ("reason", kind.name())];
            telemetry.add(&metrics::REJECTED, &labels, count as f64);
        }
        Ok(Outcome { accepted, rejections, ignored })
    }

    /// Takes samples outside the configured window out of the batch.
    fn refuse_out_of_window(&self, parsed: &mut Parsed, now_ms: i64) {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let options = &self.inner.options;
        let oldest = options.max_age.map_or(i64::MIN, |age| now_ms.saturating_sub(ms(age)));
        let newest = options.max_future.map_or(i64::MAX, |future| now_ms.saturating_add(ms(future)));
        if (oldest, newest) == (i64::MIN, i64::MAX) {
            return;
        }
        let Parsed { batch, rejections, accepted, .. } = parsed;
        let mut refused: Vec<(u32, i64)> = Vec::new();
        let mut keep = |series: u32, timestamp_ms: i64| {
            let inside = (oldest..=newest).contains(&timestamp_ms);
            if !inside {
                refused.push((series, timestamp_ms));
            }
            inside
        };
        let histograms = batch.histograms.len();
        batch.histograms.retain(|s| keep(s.series, s.timestamp_ms));
        let histograms = (histograms - batch.histograms.len()) as u64;
        batch.floats.retain(|s| keep(s.series, s.timestamp_ms));
        batch.sets.retain(|s| keep(s.series, s.timestamp_ms));
        accepted.histograms = accepted.histograms.saturating_sub(histograms);
        accepted.samples = accepted.samples.saturating_sub(refused.len() as u64 - histograms);
        for (series, timestamp_ms) in refused {
            rejections.add(1, RejectKind::Timestamp, || {
                let bound = if timestamp_ms < oldest {
                    format!("older than the accepted {oldest}")
                } else {
                    format!("later than the accepted {newest}")
                };
                (batch.labels_at(series).to_string(), format!("timestamp {timestamp_ms} is {bound}"))
            });
        }
    }

    async fn put(
        &self,
        tenant: &TenantId,
        batch: Batch,
        key: Option<RecordKey>,
        received_ms: i64,
    ) -> Result<(), IngestError> {
        // Records of one delivery, and of its retry, meet in one shard, where repeats are noticed; and
        // a series stays in one shard as long as its sender keeps its batches together.
        let spread = key.map_or_else(|| batch.series().first().map_or(0, |s| s.id.0), |key| key.0);
        let partition_key = format!("{tenant}/{}", spread % 1024);
        // A stream's client repeats what it had no answer to, and delta samples would count again.
        let key = key.or_else(|| if batch.has_delta_series() { unique_key() } else { None });
        let record = Record { tenant: tenant.clone(), key, received_ms, batch };
        let parts = record.encode_parts().map_err(|error| IngestError::TooLarge(error.to_string()))?;
        let records: Vec<NewRecord> = parts
            .into_iter()
            .map(|data| NewRecord { partition_key: partition_key.clone(), data: data.into() })
            .collect();
        match self.inner.stream.put(records).await {
            Ok(_) => Ok(()),
            Err(StreamError::Throttled { retry_after_ms }) => Err(IngestError::Busy {
                reason: "the stream is full",
                retry_after: Duration::from_millis(retry_after_ms.max(1000)),
            }),
            Err(error @ StreamError::TooLarge { .. }) => Err(IngestError::TooLarge(error.to_string())),
            Err(error) => Err(IngestError::Unavailable(error)),
        }
    }
}

/// A key that no other delivery has; `None`, and so no protection from repeats, if the system has no randomness.
fn unique_key() -> Option<RecordKey> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(RecordKey(u128::from_le_bytes(bytes)))
}
