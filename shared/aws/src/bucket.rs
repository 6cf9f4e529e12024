//! The bucket port on S3: create-only writes by `If-None-Match: *`.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};
use bytes::Bytes;
use weir_platform::{Bucket, BucketError, Created, ObjectInfo, Placement, Restore, StorageClass, check_key};

use crate::account::Account;

/// Attempts at what the SDK does not try again: conflicting creations and answers cut off half-way.
const ATTEMPTS: u32 = 5;
const BACKOFF: Duration = Duration::from_millis(50);
/// Longest that S3 honours a signed address.
const LONGEST_PRESIGNED: Duration = Duration::from_hours(7 * 24);
/// S3's words for an object that needs no restore.
const ACTIVE: &str = "ObjectAlreadyInActiveTierError";
/// And for one that must be restored before it is read, or, so older ones of its answers, that needs no restore.
const FROZEN: &str = "InvalidObjectState";
/// Most keys of one listing: S3's quota.
const PAGE: usize = 1_000;

/// A bucket of S3.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    client: Client,
    name: String,
}

impl S3Bucket {
    /// The bucket of that name, which must exist.
    #[must_use]
    pub fn new(account: &Account, name: impl Into<String>) -> Self {
        Self { client: account.s3(), name: name.into() }
    }

    /// An object, whole or in part, tried again when its bytes break off.
    async fn read(&self, key: &str, range: Option<&Range<u64>>) -> Result<Bytes, BucketError> {
        check_key(key)?;
        let header = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let mut attempt = 1;
        loop {
            let request = self.client.get_object().bucket(&self.name).key(key);
            let answer = match request.set_range(header.clone()).send().await {
                Ok(answer) => answer,
                Err(error) => match (status(&error), range) {
                    (Some(403), _) if error.code() == Some(FROZEN) => {
                        return Err(BucketError::Frozen { key: key.to_owned() });
                    }
                    (Some(404), _) => return Err(BucketError::NotFound { key: key.to_owned() }),
                    (Some(416), Some(range)) => return Err(bad_range(key, range)),
                    _ => return Err(unavailable(key, error)),
                },
            };
            match answer.body.collect().await {
                Ok(body) => return Ok(body.into_bytes()),
                Err(_) if attempt < ATTEMPTS => pause(&mut attempt).await,
                Err(error) => return Err(unavailable(key, error)),
            }
        }
    }
}

#[async_trait]
impl Bucket for S3Bucket {
    fn has_classes(&self) -> bool {
        true
    }

    async fn create_in(
        &self,
        key: &str,
        bytes: Bytes,
        placement: &Placement,
    ) -> Result<Created, BucketError> {
        check_key(key)?;
        let class = Some(placement.class).filter(|class| *class != StorageClass::Standard);
        let class = class.map(|class| aws_sdk_s3::types::StorageClass::from(class.name()));
        let tags = Some(tagging(&placement.tags)).filter(|tags| !tags.is_empty());
        let mut attempt = 1;
        loop {
            let request = self.client.put_object().bucket(&self.name).key(key).if_none_match("*");
            let request = request.set_storage_class(class.clone()).set_tagging(tags.clone());
            match request.body(ByteStream::from(bytes.clone())).send().await {
                Ok(_) => return Ok(Created::New),
                Err(error) => match status(&error) {
                    Some(412) => return Ok(Created::Existed),
                    // Another creation or deletion of that key is under way: S3 says to try again.
                    Some(409) if attempt < ATTEMPTS => pause(&mut attempt).await,
                    _ => return Err(unavailable(key, error)),
                },
            }
        }
    }

    async fn restore(&self, key: &str, days: u32) -> Result<Restore, BucketError> {
        check_key(key)?;
        let refused = |error: aws_sdk_s3::error::BuildError| unavailable(key, error);
        let tier = GlacierJobParameters::builder().tier(Tier::Standard).build().map_err(refused)?;
        let wish = RestoreRequest::builder().days(i32::try_from(days).unwrap_or(i32::MAX));
        let wish = wish.glacier_job_parameters(tier).build();
        let request = self.client.restore_object().bucket(&self.name).key(key).restore_request(wish);
        match request.send().await {
            // 200 when it has been restored before and is kept longer now, 202 when it begins; S3's answer does
            // not tell them apart here, so that reading tells.
            Ok(_) => match self.get_range(key, 0..1).await {
                Err(BucketError::Frozen { .. }) => Ok(Restore::UnderWay),
                Err(error @ BucketError::Unavailable { .. }) => Err(error),
                _ => Ok(Restore::Readable),
            },
            Err(error) => match (status(&error), error.code()) {
                (Some(404), _) => Err(BucketError::NotFound { key: key.to_owned() }),
                (Some(409), _) => Ok(Restore::UnderWay),
                // It lies in no class that freezes.
                (Some(403), Some(ACTIVE | FROZEN)) => Ok(Restore::Readable),
                _ => Err(unavailable(key, error)),
            },
        }
    }

    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        check_key(key)?;
        let request = self.client.put_object().bucket(&self.name).key(key);
        let put = request.body(ByteStream::from(bytes)).send().await;
        put.map(drop).map_err(|error| unavailable(key, error))
    }

    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        self.read(key, None).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        if range.start > range.end {
            return Err(bad_range(key, &range));
        }
        if range.is_empty() {
            // HTTP has no empty ranges: ask for the byte before, which must be there.
            return match range.start.checked_sub(1) {
                Some(before) => self.get_range(key, before..range.start).await.map(|_| Bytes::new()),
                None => self.read(key, None).await.map(|_| Bytes::new()),
            };
        }
        let bytes = self.read(key, Some(&range)).await?;
        // S3 answers with what there is when a range ends behind the object.
        if bytes.len() as u64 == range.end - range.start { Ok(bytes) } else { Err(bad_range(key, &range)) }
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError> {
        let mut listed: Vec<ObjectInfo> = Vec::new();
        let mut after = after.map(str::to_owned);
        while listed.len() < limit {
            let page = (limit - listed.len()).min(PAGE) as i32;
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).max_keys(page);
            let answer =
                request.set_start_after(after).send().await.map_err(|error| unavailable(prefix, error))?;
            let more = answer.is_truncated() == Some(true);
            listed.extend(answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
                Some(ObjectInfo {
                    key: object.key?,
                    size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    created_ms: object.last_modified.and_then(|at| at.to_millis().ok()).unwrap_or(0),
                })
            }));
            after = listed.last().map(|object| object.key.clone());
            if !more || after.is_none() {
                break;
            }
        }
        Ok(listed)
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        check_key(key)?;
        let deleted = self.client.delete_object().bucket(&self.name).key(key).send().await;
        match deleted {
            Err(error) if status(&error) != Some(404) => Err(unavailable(key, error)),
            _ => Ok(()),
        }
    }

    /// Valid for as long as said, or as the credentials that signed it live: a Lambda's, some hours.
    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, BucketError> {
        check_key(key)?;
        let refused = |error| unavailable(key, error);
        let config = PresigningConfig::expires_in(valid.min(LONGEST_PRESIGNED))
            .map_err(|error| BucketError::Unavailable { key: key.to_owned(), source: error.into() })?;
        let request = self.client.get_object().bucket(&self.name).key(key).presigned(config).await;
        Ok(Some(request.map_err(refused)?.uri().to_owned()))
    }
}

/// Tags as the header wants them: a query string. What S3 takes in no tag becomes `_`.
fn tagging(tags: &[(&'static str, String)]) -> String {
    let escaped = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => c.to_string(),
        ' ' | '+' | '=' | ':' | '/' | '@' => format!("%{:02X}", u32::from(c)),
        _ => "_".to_owned(),
    };
    let tag = |(name, value): &(&'static str, String)| {
        format!("{name}={}", value.chars().map(escaped).collect::<String>())
    };
    tags.iter().map(tag).collect::<Vec<_>>().join("&")
}

/// The HTTP status of a refusal.
fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn unavailable(key: &str, error: impl std::error::Error + Send + Sync + 'static) -> BucketError {
    BucketError::Unavailable { key: key.to_owned(), source: Box::new(error) }
}

fn bad_range(key: &str, range: &Range<u64>) -> BucketError {
    BucketError::BadRange { key: key.to_owned(), start: range.start, end: range.end }
}

async fn pause(attempt: &mut u32) {
    tokio::time::sleep(BACKOFF * (1 << *attempt)).await;
    *attempt += 1;
}
