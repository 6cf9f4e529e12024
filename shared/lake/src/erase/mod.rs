//! Erasure: the right to be forgotten. Takes every sample of matching series out of every object, and with them
//! every exemplar that matches by its series' labels and its own.
//!
//! A request is one manifest entry, and its number is the version of that entry. From then on nothing that
//! was read before it can be added any more: names of blocks tell the version under which they were planned, and
//! [`Lake::commit`](crate::Lake::commit) refuses those of an earlier one, so that whatever a compaction, merge
//! or rollup under way carries over is done again. Hot samples are dropped, and records that arrive later are
//! filtered on their way in, for [`WATCHED_MS`]. Blocks that an erasure still has to look at are left alone by
//! everyone else; each says by `erased` which erasure it has been through.
//!
//! What a request names by `=` (or by a regular expression that only lists words) is kept as salted hashes, so
//! that the request itself does not hold what is to be forgotten.

mod filter;
mod hot;
mod objects;
mod quarantine;
mod request;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_model::{LabelsRef, MatchOp, Matcher, MatcherError, TenantId};

pub(crate) use filter::without;
pub use request::{EraseWish, ErasureReport};
pub use run::EraseProgress;

/// How long after a request records that arrive late are still looked at, in milliseconds: twice as long as
/// the template's stream keeps records. A sample of before the request that a sender brings later is a new one.
pub(crate) const WATCHED_MS: i64 = 48 * 3_600_000;
/// Most conditions of a request.
const MAX_MATCHERS: usize = 100;
/// Longest request in bytes of its texts.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// A condition as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMatcher {
    label: String,
    /// `=`, `!=`, `=~` or `!~`.
    op: String,
    /// Salted hashes of the values that are meant, where they are known; otherwise `pattern` is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

/// A request as the manifest states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredErasure {
    /// Whose series.
    pub tenant: String,
    /// Conditions, all of which hold for what goes.
    pub matchers: Vec<StoredMatcher>,
    /// Makes hashes of this request unlike those of others, and names it for its writer.
    pub salt: String,
    /// What was received up to then goes, and whatever is older; milliseconds since the Unix epoch.
    pub requested_ms: i64,
    /// Who asked, as far as known.
    pub by: String,
    /// Whether quarantined objects that cannot be read, and so might hold something, go, too.
    #[serde(default)]
    pub drop_unreadable: bool,
}

/// What an erasure has done to one kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Erased {
    /// Blocks or objects looked at.
    pub examined: u64,
    /// Those written again without what matches.
    pub rewritten: u64,
    /// Those of which nothing was left.
    pub dropped: u64,
    /// Samples gone.
    pub samples: u64,
    /// Exemplars gone.
    pub exemplars: u64,
    /// Objects that cannot be read, so that nobody knows what they hold.
    #[serde(default)]
    pub unreadable: u64,
}

impl Erased {
    pub(crate) fn add(&mut self, other: &Self) {
        self.examined += other.examined;
        self.rewritten += other.rewritten;
        self.dropped += other.dropped;
        self.samples += other.samples;
        self.exemplars += other.exemplars;
        self.unreadable += other.unreadable;
    }
}

/// By kind of object: `raw`, `1m`, `1h`, `1d`, `hot`, `quarantine`, `exports`, `leftovers`.
pub(crate) type Counts = BTreeMap<String, Erased>;

/// Adds to the counts of a kind.
pub(crate) fn count(counts: &mut Counts, kind: &str, more: &Erased) {
    match counts.get_mut(kind) {
        Some(known) => known.add(more),
        None => drop(counts.insert(kind.to_owned(), *more)),
    }
}

/// An erasure that the manifest knows of.
#[derive(Debug, Clone)]
pub(crate) struct Erasure {
    /// The version of the entry that stated it.
    pub number: u64,
    /// As stored.
    pub stored: StoredErasure,
    /// Whose series.
    pub tenant: TenantId,
    /// What it did so far.
    pub counts: Counts,
    /// When the last block had been through it.
    pub done_ms: Option<i64>,
    /// Blocks that have to be restored first, as of the last run.
    pub frozen: u64,
    tests: Arc<[(String, bool, Test)]>,
}

/// An erasure in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErasureState {
    pub number: u64,
    pub stored: StoredErasure,
    #[serde(default)]
    pub counts: Counts,
    #[serde(default)]
    pub done_ms: Option<i64>,
    #[serde(default)]
    pub frozen: u64,
}

enum Test {
    Hashes(Vec<String>),
    Pattern(Matcher),
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hashes(_) => "Hashes",
            Self::Pattern(_) => "Pattern",
        })
    }
}

/// The salted hash of a value: 128 bits of SHA-256, in hexadecimal digits.
fn hash(salt: &str, value: &str) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update([0]).chain_update(value).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl StoredMatcher {
    fn of(matcher: &Matcher, salt: &str) -> Self {
        let known: Option<Vec<String>> = match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => Some(vec![matcher.value().to_owned()]),
            // What a negated expression lists, it says without the negation.
            MatchOp::Regex | MatchOp::NotRegex => {
                let positive = Matcher::new(matcher.name(), MatchOp::Regex, matcher.value()).ok();
                let words = positive.as_ref().and_then(Matcher::candidates);
                words.map(|words| words.into_iter().map(str::to_owned).collect())
            }
        };
        let mut hashes: Vec<String> = known.iter().flatten().map(|value| hash(salt, value)).collect();
        hashes.sort_unstable();
        Self {
            label: matcher.name().to_owned(),
            op: matcher.op().symbol().to_owned(),
            pattern: known.is_none().then(|| matcher.value().to_owned()),
            hashes,
        }
    }

    fn test(&self) -> Result<(String, bool, Test), String> {
        let wanted = matches!(self.op.as_str(), "=" | "=~");
        let test = match &self.pattern {
            None => Test::Hashes(self.hashes.clone()),
            Some(pattern) => {
                let bad = |error: MatcherError| error.to_string();
                Test::Pattern(Matcher::new(&self.label, MatchOp::Regex, pattern).map_err(bad)?)
            }
        };
        Ok((self.label.clone(), wanted, test))
    }
}

impl Erasure {
    /// Reads what the manifest states.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(state: ErasureState) -> Result<Self, String> {
        let ErasureState { number, stored, counts, done_ms, frozen } = state;
        let tenant = TenantId::new(&stored.tenant).map_err(|error| error.to_string())?;
        let tests = stored.matchers.iter().map(StoredMatcher::test).collect::<Result<_, _>>()?;
        Ok(Self { number, stored, tenant, counts, done_ms, frozen, tests })
    }

    /// For a checkpoint.
    pub(crate) fn state(&self) -> ErasureState {
        let (stored, counts) = (self.stored.clone(), self.counts.clone());
        ErasureState { number: self.number, stored, counts, done_ms: self.done_ms, frozen: self.frozen }
    }

    /// True when a series of those labels goes.
    pub(crate) fn matches(&self, labels: LabelsRef<'_>) -> bool {
        self.holds(|label| labels.get(label))
    }

    /// True when an exemplar goes though its series stays: when the conditions hold for the labels of its series
    /// together with its own, which count where both have a name.
    pub(crate) fn matches_exemplar(&self, series: LabelsRef<'_>, own: LabelsRef<'_>) -> bool {
        // Most have a trace's id alone, which few conditions name: nothing is hashed for them.
        let is_named = self.tests.iter().any(|(label, ..)| own.get(label).is_some());
        is_named && self.holds(|label| own.get(label).or_else(|| series.get(label)))
    }

    fn holds<'a>(&self, label_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.tests.iter().all(|(label, wanted, test)| {
            let value = label_of(label).unwrap_or("");
            let hit = match test {
                Test::Hashes(hashes) => hashes.binary_search(&hash(&self.stored.salt, value)).is_ok(),
                Test::Pattern(matcher) => matcher.matches(value),
            };
            hit == *wanted
        })
    }

    /// True when what is declared about a family goes: when metrics go whatever their other labels.
    pub(crate) fn matches_family(&self, family: &str) -> bool {
        let named = weir_model::Labels::from_pairs([("__name__", family)]);
        self.tests.iter().all(|(label, ..)| label == "__name__") && self.matches(named.borrowed())
    }

    /// True when a sample or an exemplar that matches goes, though it came hot: late ones of before the request do.
    pub(crate) fn takes(&self, received_ms: i64, timestamp_ms: i64) -> bool {
        received_ms.min(timestamp_ms) <= self.stored.requested_ms
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use weir_model::Labels;

    use super::*;

    pub(crate) fn erasure(matchers: &[Matcher]) -> Erasure {
        let stored = StoredErasure {
            tenant: "default".into(),
            matchers: matchers.iter().map(|matcher| StoredMatcher::of(matcher, "salt")).collect(),
            salt: "salt".into(),
            requested_ms: 1_000,
            by: "test".into(),
            drop_unreadable: false,
        };
        Erasure::new(ErasureState { number: 1, stored, counts: Counts::new(), done_ms: None, frozen: 0 })
            .unwrap()
    }

    #[test]
    fn a_stored_request_matches_as_its_matchers_do_and_holds_no_value_that_it_lists() {
        let of = |op, value| Matcher::new("user", op, value).unwrap();
        let rows = [
            (of(MatchOp::Equal, "ann"), true),
            (of(MatchOp::NotEqual, "ann"), true),
            (of(MatchOp::Regex, "ann|bob"), true),
            (of(MatchOp::NotRegex, "ann|bob"), true),
            (of(MatchOp::Regex, "an.*"), false),
            (of(MatchOp::NotRegex, "an.+"), false),
            (of(MatchOp::Equal, ""), true),
        ];
        for (matcher, hidden) in rows {
            let erasure = erasure(std::slice::from_ref(&matcher));
            for user in ["ann", "bob", "anna", "", "carl"] {
                let labels = Labels::from_pairs([("__name__", "m"), ("user", user)]);
                assert_eq!(erasure.matches(labels.borrowed()), matcher.matches(user), "{matcher:?} {user}");
            }
            let text = serde_json::to_string(&erasure.state()).unwrap();
            assert!(!hidden || !text.contains("ann"), "{text}");
        }
    }

    #[test]
    fn an_exemplars_own_labels_count_before_those_of_its_series() {
        let of = |op, name: &str, value: &str| Matcher::new(name, op, value).unwrap();
        let (is, not) = (MatchOp::Equal, MatchOp::NotEqual);
        // Own labels, conditions, whether those hold.
        type Row<'a> = (&'a [(&'a str, &'a str)], Vec<Matcher>, bool);
        let rows: &[Row<'_>] = &[
            (&[("user", "ann")], vec![of(is, "user", "ann")], true),
            (&[("user", "ann")], vec![of(is, "user", "bob")], false),
            (&[("user", "ann")], vec![of(is, "user", "ann"), of(is, "job", "api")], true),
            (&[("user", "ann")], vec![of(is, "user", "ann"), of(is, "job", "db")], false),
            (&[("user", "ann")], vec![of(is, "user", "ann"), of(is, "__name__", "m")], true),
            (&[("user", "ann"), ("job", "db")], vec![of(is, "user", "ann"), of(is, "job", "db")], true),
            (&[("user", "ann"), ("job", "db")], vec![of(is, "user", "ann"), of(is, "job", "api")], false),
            (&[("user", "ann")], vec![of(is, "job", "api"), of(not, "user", "bob")], true),
            (&[("user", "ann")], vec![of(MatchOp::Regex, "user", "an.")], true),
            // As its series, which stays.
            (&[("trace_id", "t")], vec![of(is, "user", "ann")], false),
            (&[], vec![of(is, "user", "ann")], false),
        ];
        let series = Labels::from_pairs([("__name__", "m"), ("job", "api"), ("user", "bob")]);
        for (own, matchers, want) in rows {
            let own = Labels::from_pairs(own.iter().copied());
            let erasure = erasure(matchers);
            let found = erasure.matches_exemplar(series.borrowed(), own.borrowed());
            assert_eq!(found, *want, "{own:?} {matchers:?}");
        }
    }

    #[test]
    fn a_family_goes_only_when_its_metrics_go_whatever_their_labels() {
        let by_name = erasure(&[Matcher::equal("__name__", "secret")]);
        assert!(by_name.matches_family("secret") && !by_name.matches_family("other"));
        let by_both = erasure(&[Matcher::equal("__name__", "secret"), Matcher::equal("user", "ann")]);
        assert!(!by_both.matches_family("secret"));
    }
}
