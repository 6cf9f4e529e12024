//! Files of their own that people put into the bucket in place of the shipped ones.

use weir_platform::{Bucket, BucketError};

/// What a file says, if it is there. One that cannot be used is told, and counts as none: the shipped one is in force.
///
/// # Errors
/// [`BucketError`] when the bucket fails.
pub(crate) async fn own_file<T>(
    bucket: &dyn Bucket,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, BucketError> {
    let bytes = match bucket.get(key).await {
        Ok(bytes) => bytes,
        Err(BucketError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string());
    match text.and_then(parse) {
        Ok(said) => Ok(Some(said)),
        Err(reason) => {
            tracing::error!(key, reason, "the file is refused; the shipped one is in force");
            Ok(None)
        }
    }
}
