//! The stream port on Kinesis: PutRecords, with what failed of a request tried again until its deadline.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::put_records::PutRecordsError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use weir_platform::{Backoff, NewRecord, Placed, ShardId, Stream, StreamError};

use crate::account::{Account, chain};

/// Largest record in bytes, partition key included: what a stream takes unless told otherwise.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// Most bytes of one PutRecords request. Kinesis takes 10 MiB since 2025, emulators 5.
const MAX_REQUEST_BYTES: usize = 5 << 20;
/// Most records of one PutRecords request.
const MAX_REQUEST_RECORDS: usize = 500;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// When a sender is told to come back: a shard's budget is per second.
const RETRY_AFTER_MS: u64 = 2_000;

/// Settings of [`KinesisStream`].
#[derive(Debug, Clone, Copy)]
pub struct KinesisOptions {
    /// How long one put may try; API Gateway gives a request 30 s in all.
    pub deadline: Duration,
}

impl Default for KinesisOptions {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(15) }
    }
}

/// A Kinesis data stream.
#[derive(Debug, Clone)]
pub struct KinesisStream {
    client: Client,
    name: String,
    options: KinesisOptions,
}

/// Why a request, or some of its records, did not get through.
enum Trouble {
    /// The stream takes no more for now.
    Full,
    /// Something else that may pass.
    Passing(String),
}

impl KinesisStream {
    /// The stream of that name, which must exist.
    #[must_use]
    pub fn new(account: &Account, name: impl Into<String>, options: KinesisOptions) -> Self {
        Self { client: account.kinesis(), name: name.into(), options }
    }

    /// Sends some of the entries; what is placed leaves `None` in `placed`, the rest stays in `left`.
    async fn send(
        &self,
        entries: &[PutRecordsRequestEntry],
        indexes: &[usize],
        placed: &mut [Option<Placed>],
    ) -> Result<Option<Trouble>, StreamError> {
        let records = indexes.iter().map(|&index| entries[index].clone()).collect();
        let request = self.client.put_records().stream_name(&self.name).set_records(Some(records));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return trouble(error).map(Some),
        };
        let results = answer.records;
        if results.len() != indexes.len() {
            let text = format!("{} records were answered with {} results", indexes.len(), results.len());
            return Err(StreamError::Unavailable(text.into()));
        }
        let mut trouble = None;
        for (result, &index) in results.iter().zip(indexes) {
            match outcome(result)? {
                Ok(place) => placed[index] = Some(place),
                Err(why) => trouble = Some(why),
            }
        }
        Ok(trouble)
    }
}

#[async_trait]
impl Stream for KinesisStream {
    async fn put(&self, records: Vec<NewRecord>) -> Result<Vec<Placed>, StreamError> {
        let entries = records.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let mut placed: Vec<Option<Placed>> = vec![None; entries.len()];
        let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF, self.options.deadline);
        loop {
            let left: Vec<usize> = (0..entries.len()).filter(|&index| placed[index].is_none()).collect();
            let mut last = None;
            for request in requests(&left, |index| size(&entries[index])) {
                let sent = self.send(&entries, &left[request], &mut placed);
                let sent = tokio::time::timeout_at(backoff.deadline(), sent).await;
                last =
                    sent.unwrap_or_else(|_| Ok(Some(Trouble::Passing("no answer in time".into()))))?.or(last);
            }
            let Some(trouble) = last else { break };
            if !backoff.pause().await {
                return Err(match trouble {
                    Trouble::Full => StreamError::Throttled { retry_after_ms: RETRY_AFTER_MS },
                    Trouble::Passing(text) => StreamError::Unavailable(text.into()),
                });
            }
        }
        Ok(placed.into_iter().flatten().collect())
    }
}

fn entry(record: NewRecord) -> Result<PutRecordsRequestEntry, StreamError> {
    let bytes = record.data.len() + record.partition_key.len();
    if bytes > MAX_RECORD_BYTES {
        return Err(StreamError::TooLarge { bytes, limit: MAX_RECORD_BYTES });
    }
    PutRecordsRequestEntry::builder()
        .partition_key(record.partition_key)
        .data(Blob::new(record.data))
        .build()
        .map_err(|error| StreamError::Unavailable(error.into()))
}

fn size(entry: &PutRecordsRequestEntry) -> usize {
    entry.data().as_ref().len() + entry.partition_key().map_or(0, str::len)
}

/// Cuts a list of entries into requests within the bounds of PutRecords.
fn requests(left: &[usize], size: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let mut requests: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, &index) in left.iter().enumerate() {
        let more = size(index);
        match requests.last_mut() {
            Some(request) if request.len() < MAX_REQUEST_RECORDS && bytes + more <= MAX_REQUEST_BYTES => {
                request.end = at + 1;
                bytes += more;
            }
            _ => {
                requests.push(at..at + 1);
                bytes = more;
            }
        }
    }
    requests
}

/// One record's result: its place, or why it has none.
fn outcome(result: &PutRecordsResultEntry) -> Result<Result<Placed, Trouble>, StreamError> {
    match (result.error_code(), result.shard_id(), result.sequence_number()) {
        (Some("ProvisionedThroughputExceededException"), ..) => Ok(Err(Trouble::Full)),
        (Some(code), ..) => {
            let text = result.error_message().unwrap_or("no reason given");
            Ok(Err(Trouble::Passing(format!("{code}: {text}"))))
        }
        (None, Some(shard), Some(sequence)) => {
            let unread = || StreamError::Unavailable(format!("unknown place {shard:?} {sequence:?}").into());
            let sequence = sequence.parse().map_err(|_| unread())?;
            Ok(Ok(Placed { shard: shard_id(shard).ok_or_else(unread)?, sequence }))
        }
        _ => Ok(Err(Trouble::Passing("a record came back without a place".into()))),
    }
}

/// `shardId-000000000003` is shard 3.
pub(crate) fn shard_id(name: &str) -> Option<ShardId> {
    name.strip_prefix("shardId-")?.parse().ok().map(ShardId)
}

/// Whether a refused request may succeed later.
fn trouble(error: SdkError<PutRecordsError>) -> Result<Trouble, StreamError> {
    match &error {
        SdkError::ServiceError(refused) => {
            let (kind, status) = (refused.err(), refused.raw().status().as_u16());
            let code = kind.code().unwrap_or("");
            if kind.is_provisioned_throughput_exceeded_exception() || code.contains("Throttling") {
                Ok(Trouble::Full)
            } else if status >= 500 {
                Ok(Trouble::Passing(chain(&error)))
            } else {
                Err(StreamError::Unavailable(Box::new(error)))
            }
        }
        SdkError::ConstructionFailure(_) => Err(StreamError::Unavailable(Box::new(error))),
        _ => Ok(Trouble::Passing(chain(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_within_the_bounds_of_put_records() {
        let rows: [(&[usize], &[Range<usize>]); 4] = [
            (&[], &[]),
            (&[1; 501], &[0..500, 500..501]),
            (&[MAX_RECORD_BYTES; 7], &[0..5, 5..7]),
            (&[MAX_REQUEST_BYTES - 1, 1, 1], &[0..2, 2..3]),
        ];
        for (sizes, want) in rows {
            let left: Vec<usize> = (0..sizes.len()).collect();
            assert_eq!(requests(&left, |index| sizes[index]), want);
        }
    }

    #[test]
    fn a_records_result_is_a_place_or_a_reason() {
        let result = |code: Option<&str>, shard: Option<&str>, sequence: Option<&str>| {
            let result = PutRecordsResultEntry::builder();
            let result = result.set_error_code(code.map(Into::into)).set_shard_id(shard.map(Into::into));
            outcome(&result.set_sequence_number(sequence.map(Into::into)).build())
        };
        let sequence = "49590338271490256608559692538361571095921575989136588898";
        let placed = result(None, Some("shardId-000000000003"), Some(sequence));
        let Ok(Ok(placed)) = placed else { panic!("no place") };
        assert_eq!((placed.shard, placed.sequence.to_string().as_str()), (ShardId(3), sequence));
        let full = result(Some("ProvisionedThroughputExceededException"), None, None);
        assert!(matches!(full, Ok(Err(Trouble::Full))));
        assert!(matches!(result(Some("InternalFailure"), None, None), Ok(Err(Trouble::Passing(_)))));
        assert!(matches!(result(None, None, None), Ok(Err(Trouble::Passing(_)))));
        assert!(result(None, Some("shard 3"), Some(sequence)).is_err());
    }
}
