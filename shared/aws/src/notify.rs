//! The notifier port on SNS: PublishBatch, with what failed of a batch tried again until a deadline.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish_batch::PublishBatchError;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use tokio::time::timeout_at;
use weir_platform::{
    Backoff, Destination, ID_ATTRIBUTE, MAX_NOTIFICATION_BYTES, Notification, Notifier, NotifyError,
};

use crate::account::{Account, chain};

/// Most entries of one PublishBatch request; its bytes are those of one message.
const MAX_ENTRIES: usize = 10;
/// Longest subject in characters.
const MAX_SUBJECT_CHARS: usize = 100;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Settings of [`SnsNotifier`].
#[derive(Debug, Clone, Copy)]
pub struct SnsOptions {
    /// How long the notifications of one call may take, all topics together.
    pub deadline: Duration,
}

impl Default for SnsOptions {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(20) }
    }
}

/// Publishes to SNS topics, attributes as message attributes of type String. A subject is made what SNS
/// takes: ASCII, one line, 100 characters. To a FIFO topic messages go in one group, their id telling
/// repetitions within five minutes.
#[derive(Debug, Clone)]
pub struct SnsNotifier {
    client: Client,
    options: SnsOptions,
}

impl SnsNotifier {
    /// Calls as the account.
    #[must_use]
    pub fn new(account: &Account, options: SnsOptions) -> Self {
        Self { client: account.sns(), options }
    }

    /// Sends one batch; what was taken or refused gets its result, what may pass is left with its reason.
    async fn publish(
        &self,
        arn: &str,
        batch: &[usize],
        all: &[Notification],
        results: &mut [Option<Result<(), NotifyError>>],
        reasons: &mut BTreeMap<usize, String>,
    ) {
        let mut entries = Vec::with_capacity(batch.len());
        for (at, &index) in batch.iter().enumerate() {
            match entry(at, &all[index], arn.ends_with(".fifo")) {
                Ok(entry) => entries.push(entry),
                Err(reason) => results[index] = Some(Err(NotifyError::refused(&all[index], reason))),
            }
        }
        let request =
            self.client.publish_batch().topic_arn(arn).set_publish_batch_request_entries(Some(entries));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let (reason, passing) = (chain(&error), may_pass(&error));
                for &index in batch.iter().filter(|&&index| results[index].is_none()).collect::<Vec<_>>() {
                    if passing {
                        reasons.insert(index, reason.clone());
                    } else {
                        results[index] = Some(Err(NotifyError::refused(&all[index], reason.as_str())));
                    }
                }
                return;
            }
        };
        // An entry's id is its place in the batch.
        let place = |id: Option<&str>| id.and_then(|id| batch.get(id.parse::<usize>().ok()?)).copied();
        for index in answer.successful().iter().filter_map(|entry| place(entry.id())) {
            results[index] = Some(Ok(()));
        }
        for failed in answer.failed() {
            let Some(index) = place(Some(failed.id())) else { continue };
            let reason = format!("{}: {}", failed.code(), failed.message().unwrap_or("no reason given"));
            if failed.sender_fault() && !failed.code().contains("Throttl") {
                results[index] = Some(Err(NotifyError::refused(&all[index], reason)));
            } else {
                reasons.insert(index, reason);
            }
        }
    }
}

#[async_trait]
impl Notifier for SnsNotifier {
    async fn notify(&self, notifications: Vec<Notification>) -> Vec<Result<(), NotifyError>> {
        let mut results: Vec<Option<Result<(), NotifyError>>> = Vec::with_capacity(notifications.len());
        let mut topics: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, it) in notifications.iter().enumerate() {
            let result = match (it.check(), &it.destination) {
                (Err(error), _) => Some(Err(error)),
                (Ok(()), Destination::Topic { arn }) => {
                    topics.entry(arn).or_default().push(index);
                    None
                }
                (Ok(()), _) => Some(Err(NotifyError::refused(it, "it is no SNS topic"))),
            };
            results.push(result);
        }
        let mut reasons = BTreeMap::new();
        let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF, self.options.deadline);
        loop {
            for (arn, indexes) in &topics {
                let left: Vec<usize> =
                    indexes.iter().copied().filter(|&index| results[index].is_none()).collect();
                for batch in batches(&left, |index| size(&notifications[index])) {
                    let sent = self.publish(arn, &left[batch], &notifications, &mut results, &mut reasons);
                    // What a batch cut off by the deadline leaves has no result, and is unavailable.
                    let _ = timeout_at(backoff.deadline(), sent).await;
                }
            }
            if results.iter().all(Option::is_some) || !backoff.pause().await {
                break;
            }
        }
        let unavailable = |index: usize| {
            let reason = reasons.remove(&index).unwrap_or_else(|| "no answer in time".to_owned());
            Err(NotifyError::unavailable(&notifications[index], reason))
        };
        let mut unavailable = unavailable;
        let results = results.into_iter().enumerate();
        results.map(|(index, result)| result.unwrap_or_else(|| unavailable(index))).collect()
    }
}

/// An entry of PublishBatch; of FIFO topics with what tells a repetition.
fn entry(at: usize, it: &Notification, fifo: bool) -> Result<PublishBatchRequestEntry, String> {
    let own = it.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let attributes = own.chain([(ID_ATTRIBUTE, it.id.as_str())]).map(|(name, value)| {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        value.map(|value| (name.to_owned(), value))
    });
    let attributes = attributes.collect::<Result<HashMap<_, _>, _>>().map_err(|error| error.to_string())?;
    PublishBatchRequestEntry::builder()
        .id(at.to_string())
        .message(&it.body)
        .set_subject(it.subject.as_deref().and_then(subject))
        .set_message_attributes(Some(attributes))
        .set_message_group_id(fifo.then(|| "weir".to_owned()))
        .set_message_deduplication_id(fifo.then(|| it.id.clone()))
        .build()
        .map_err(|error| error.to_string())
}

/// What SNS takes of a subject: printable ASCII on one line that does not begin with a space.
fn subject(text: &str) -> Option<String> {
    let fit = |c: char| match c {
        ' '..='~' => c,
        _ if c.is_control() || c.is_whitespace() => ' ',
        _ => '?',
    };
    let fitted: String = text.trim().chars().map(fit).take(MAX_SUBJECT_CHARS).collect();
    Some(fitted).filter(|fitted| !fitted.is_empty())
}

/// Bytes of a message in a batch, its subject among them.
fn size(it: &Notification) -> usize {
    it.size() + it.subject.as_ref().map_or(0, |subject| subject.len().min(MAX_SUBJECT_CHARS))
}

/// Cuts a list of messages into requests within the bounds of PublishBatch; a largest one stands alone.
fn batches(left: &[usize], size: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, &index) in left.iter().enumerate() {
        let more = size(index);
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_ENTRIES && bytes + more <= MAX_NOTIFICATION_BYTES => {
                batch.end = at + 1;
                bytes += more;
            }
            _ => {
                batches.push(at..at + 1);
                bytes = more;
            }
        }
    }
    batches
}

/// Whether a refused request may succeed later.
fn may_pass(error: &SdkError<PublishBatchError>) -> bool {
    match error {
        SdkError::ServiceError(refused) => {
            let code = refused.err().code().unwrap_or("");
            refused.raw().status().as_u16() >= 500 || code.contains("Throttl")
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stay_within_the_bounds_of_publish_batch() {
        let rows: [(&[usize], &[Range<usize>]); 4] = [
            (&[], &[]),
            (&[1; 11], &[0..10, 10..11]),
            (&[MAX_NOTIFICATION_BYTES; 2], &[0..1, 1..2]),
            (&[MAX_NOTIFICATION_BYTES - 1, 1, 1], &[0..2, 2..3]),
        ];
        for (sizes, want) in rows {
            let left: Vec<usize> = (0..sizes.len()).collect();
            assert_eq!(batches(&left, |index| sizes[index]), want);
        }
    }

    #[test]
    fn subjects_become_what_sns_takes() {
        let long = "x".repeat(101);
        let rows = [
            ("[FIRING:1] Disk", Some("[FIRING:1] Disk")),
            ("  Überlauf №1\nnow ", Some("?berlauf ?1 now")),
            (long.as_str(), Some(&long[..100])),
            (" \n", None),
        ];
        for (text, want) in rows {
            assert_eq!(subject(text).as_deref(), want, "{text:?}");
        }
    }
}
