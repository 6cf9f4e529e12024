//! Keys that requests carry, compared in constant time.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

/// Shortest key, in bytes: what nobody guesses.
const MIN_KEY_BYTES: usize = 16;

/// A key that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{variable} has {bytes} bytes, at least {MIN_KEY_BYTES} are needed; try: openssl rand -hex 32")]
pub struct ShortKey {
    variable: &'static str,
    bytes: usize,
}

/// What a request must have to be admitted.
#[derive(Clone)]
pub(crate) struct Key(Arc<[u8]>);

impl std::fmt::Debug for Key {
    /// Without the key, which has no place in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// The key that a variable has; none when it is empty.
    pub(crate) fn new(variable: &'static str, key: Option<&str>) -> Result<Option<Self>, ShortKey> {
        match key.map(str::trim).filter(|key| !key.is_empty()) {
            None => Ok(None),
            Some(key) if key.len() < MIN_KEY_BYTES => Err(ShortKey { variable, bytes: key.len() }),
            Some(key) => Ok(Some(Self(key.as_bytes().into()))),
        }
    }

    /// True for the key itself, in a time that does not tell how much of it was right.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        given.ct_eq(&self.0).into()
    }
}

/// What a request presents: the token of `Authorization: Bearer …` (RFC 6750) or the password of
/// `Authorization: Basic …` (RFC 7617), whoever the user.
pub(crate) fn credential(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut pair = BASE64_STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair.split_off(colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_or_the_password_of_basic_auth_is_the_credential() {
        for (value, want) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic dXNlcjpwYXNzOndvcmQ=", Some("pass:word")),
            ("Basic dXNlcg==", None),
            ("Basic %", None),
            ("Digest abc", None),
            ("abc", None),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(credential(&headers).as_deref(), want.map(str::as_bytes), "{value}");
        }
        assert_eq!(credential(&HeaderMap::new()), None);
    }
}
