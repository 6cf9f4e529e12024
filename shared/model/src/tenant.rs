//! Whose data it is: every object path, cache key and query stands under one tenant.

use std::fmt;
use std::sync::Arc;

/// The name of a tenant, safe as a path segment and as a header value.
///
/// The rules are those of Mimir's tenant ids, narrowed to what is safe in object keys: 1 to 150 of
/// `A-Z a-z 0-9 ! - _ . * ' ( )`, and neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// A tenant name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// Empty, or longer than 150 bytes.
    #[error("tenant id must have 1 to {max} bytes, got {0}", max = TenantId::MAX_BYTES)]
    Length(usize),
    /// A byte outside the allowed set.
    #[error("tenant id may hold A-Z a-z 0-9 ! - _ . * ' ( ) only, got {0:?}")]
    Character(char),
    /// `.` or `..`, which are not names in a path.
    #[error("tenant id may not be {0:?}")]
    Reserved(String),
}

impl TenantId {
    /// Longest name in bytes.
    pub const MAX_BYTES: usize = 150;
    /// The tenant of requests that name none.
    pub const DEFAULT: &'static str = "default";

    /// Accepts a tenant name.
    ///
    /// # Errors
    /// [`TenantError`] says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self, TenantError> {
        if name.is_empty() || name.len() > Self::MAX_BYTES {
            return Err(TenantError::Length(name.len()));
        }
        if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"!-_.*'()".contains(*c)) {
            return Err(TenantError::Character(bad));
        }
        if name == "." || name == ".." {
            return Err(TenantError::Reserved(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{TenantError, TenantId};

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        let rows = [
            ("a plain name", "team-a", Ok(())),
            ("empty", "", Err(TenantError::Length(0))),
            ("a slash", "a/b", Err(TenantError::Character('/'))),
            ("a pipe, which names several tenants in Mimir", "a|b", Err(TenantError::Character('|'))),
            ("an equals sign, which would confuse Hive paths", "a=b", Err(TenantError::Character('='))),
            ("the parent folder", "..", Err(TenantError::Reserved("..".into()))),
        ];
        for (shows, name, want) in rows {
            assert_eq!(TenantId::new(name).map(drop), want, "{shows}");
        }
    }
}
