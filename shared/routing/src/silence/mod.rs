//! Silences: created, changed and expired by Alertmanager's rules, or read from a file of maintenance windows.

mod store;
mod windows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_model::{Labels, MatchOp, Matcher};

use crate::config::all_match;

pub use store::SilenceStore;
pub use windows::{WindowsError, parse_windows};

/// Most silences, expired ones among them.
pub const MAX_SILENCES: usize = 10_000;
/// Most matchers of a silence.
const MAX_MATCHERS: usize = 100;
/// Longest text of a silence in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// For how long a silence is shown after it ended, in milliseconds: Alertmanager's 120 hours.
pub const RETENTION_MS: i64 = 120 * 3_600_000;

/// Whether a silence silences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// Not yet.
    Pending,
    /// It does.
    Active,
    /// No longer.
    Expired,
}

/// A matcher as Alertmanager's API writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    /// The label.
    pub name: String,
    /// What it is compared with.
    pub value: String,
    /// Whether that is a regular expression.
    pub is_regex: bool,
    /// Whether the label is to match, or not to.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

impl From<&Matcher> for SilenceMatcher {
    fn from(matcher: &Matcher) -> Self {
        Self {
            name: matcher.name().to_owned(),
            value: matcher.value().to_owned(),
            is_regex: matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(matcher.op(), MatchOp::Regex | MatchOp::Equal),
        }
    }
}

impl SilenceMatcher {
    fn compile(&self) -> Result<Matcher, String> {
        let op = match (self.is_equal, self.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        Matcher::new(&self.name, op, &self.value).map_err(|error| error.to_string())
    }
}

/// Alerts of certain labels are not told of for a while. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Who it is.
    pub id: String,
    /// Which alerts.
    pub matchers: Vec<SilenceMatcher>,
    /// From when.
    pub starts_ms: i64,
    /// Until when.
    pub ends_ms: i64,
    /// When it was changed last.
    pub updated_ms: i64,
    /// By whom.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// Whether it silences at a time.
    #[must_use]
    pub fn state(&self, at_ms: i64) -> SilenceState {
        if at_ms < self.starts_ms {
            SilenceState::Pending
        } else if at_ms < self.ends_ms {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    /// What makes it none.
    fn check(&self) -> Result<Vec<Matcher>, SilenceError> {
        let invalid = |reason: String| Err(SilenceError::Invalid(reason));
        if self.matchers.is_empty() || self.matchers.len() > MAX_MATCHERS {
            return invalid(format!("{} matchers; 1 to {MAX_MATCHERS} are allowed", self.matchers.len()));
        }
        if self.ends_ms < self.starts_ms {
            return invalid("it ends before it starts".to_owned());
        }
        let texts = self.matchers.iter().map(|m| m.name.len() + m.value.len()).sum::<usize>();
        let bytes = texts + self.comment.len() + self.created_by.len();
        if bytes > MAX_TEXT_BYTES {
            return invalid(format!("its texts have {bytes} bytes, at most {MAX_TEXT_BYTES}"));
        }
        let mut compiled = Vec::with_capacity(self.matchers.len());
        for matcher in &self.matchers {
            if matcher.name.is_empty() {
                return invalid("a matcher without a label's name".to_owned());
            }
            compiled.push(matcher.compile().map_err(SilenceError::Invalid)?);
        }
        let takes_all = |m: &Matcher| matches!(m.op(), MatchOp::Equal | MatchOp::Regex) && m.matches_absent();
        if compiled.iter().all(takes_all) {
            return invalid("at least one matcher must not match the empty string".to_owned());
        }
        Ok(compiled)
    }
}

/// A silence was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// There is none of that id.
    #[error("no silence has the id {0:?}")]
    NotFound(String),
    /// It is none.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// There are too many.
    #[error("there are {MAX_SILENCES} silences; expire some, they are forgotten after five days")]
    TooMany,
}

/// All silences.
#[derive(Debug, Clone, Default)]
pub struct Silences {
    by_id: BTreeMap<String, (Silence, Vec<Matcher>)>,
}

impl Silences {
    /// These silences; of several versions of one the one changed last counts. What is invalid silences nothing.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = Silence>) -> Self {
        let mut silences = Self::default();
        for silence in all {
            silences.put(silence);
        }
        silences
    }

    /// Adds a version of a silence, unless a later one is there.
    pub fn put(&mut self, silence: Silence) {
        let newer = |known: &(Silence, _)| known.0.updated_ms > silence.updated_ms;
        if self.by_id.get(&silence.id).is_some_and(newer) {
            return;
        }
        let matchers = silence.check().unwrap_or_default();
        self.by_id.insert(silence.id.clone(), (silence, matchers));
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values().map(|(silence, _)| silence)
    }

    /// The one of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id).map(|(silence, _)| silence)
    }

    /// Ids of the silences that mute an alert of these labels.
    #[must_use]
    pub fn muting(&self, labels: &Labels, at_ms: i64) -> Vec<&str> {
        let mutes = |(silence, matchers): &&(Silence, Vec<Matcher>)| {
            !matchers.is_empty()
                && silence.state(at_ms) == SilenceState::Active
                && all_match(matchers, labels)
        };
        self.by_id.values().filter(mutes).map(|(silence, _)| silence.id.as_str()).collect()
    }

    /// What creating or changing a silence comes to: the versions to be kept, the one asked for last. A change that
    /// would rewrite what was silenced in the past expires the old silence and makes a new one, of `new_id`.
    ///
    /// # Errors
    /// [`SilenceError`] when there is none of the given id (an empty one makes a new silence), when it is invalid,
    /// or when there are too many.
    pub fn set(&self, mut wanted: Silence, at_ms: i64, new_id: &str) -> Result<Vec<Silence>, SilenceError> {
        wanted.updated_ms = at_ms;
        let mut changed = Vec::new();
        if !wanted.id.is_empty() {
            let known = self.get(&wanted.id).ok_or_else(|| SilenceError::NotFound(wanted.id.clone()))?;
            if may_become(known, &wanted, at_ms) {
                wanted.check()?;
                return Ok(vec![wanted]);
            }
            changed.extend(self.expire(&wanted.id, at_ms)?);
        }
        if self.by_id.len() >= MAX_SILENCES {
            return Err(SilenceError::TooMany);
        }
        wanted.id = new_id.to_owned();
        wanted.starts_ms = wanted.starts_ms.max(at_ms);
        wanted.check()?;
        changed.push(wanted);
        Ok(changed)
    }

    /// What expiring a silence comes to: its new version, or nothing when it has expired before.
    ///
    /// # Errors
    /// [`SilenceError::NotFound`].
    pub fn expire(&self, id: &str, at_ms: i64) -> Result<Option<Silence>, SilenceError> {
        let mut silence = self.get(id).ok_or_else(|| SilenceError::NotFound(id.to_owned()))?.clone();
        match silence.state(at_ms) {
            SilenceState::Expired => return Ok(None),
            SilenceState::Active => silence.ends_ms = at_ms,
            SilenceState::Pending => (silence.starts_ms, silence.ends_ms) = (at_ms, at_ms),
        }
        silence.updated_ms = at_ms;
        Ok(Some(silence))
    }
}

/// Whether a silence can change without changing what it silenced until now.
fn may_become(known: &Silence, wanted: &Silence, at_ms: i64) -> bool {
    known.matchers == wanted.matchers
        && match known.state(at_ms) {
            SilenceState::Active => {
                known.starts_ms.div_euclid(1000) == wanted.starts_ms.div_euclid(1000)
                    && wanted.ends_ms >= at_ms
            }
            SilenceState::Pending => wanted.starts_ms >= at_ms,
            SilenceState::Expired => false,
        }
}

#[cfg(test)]
mod tests;
