//! Sets of unique members (StatsD sets, daily active users) as HyperLogLog sketches.
//!
//! Sketch: Apache DataSketches' HLL with 2^12 registers of 4 bits: exact below some dozens of members,
//! about 2 % relative error above, at most about 2.1 KB. Union is associative and repeat-safe, so a
//! member reported twice, in any order and through any retry, counts once.

use std::fmt;

use datasketches::hll::{HllSketch, HllType, HllUnion};

/// Base-two logarithm of the number of registers.
const LG_REGISTERS: u8 = 12;
/// Longest accepted encoding in bytes; an HLL4 sketch of 2^12 registers stays well below.
const MAX_ENCODED_BYTES: usize = 8 * 1024;

/// A mergeable count of distinct members.
#[derive(Clone)]
pub struct UniqueSet(HllSketch);

/// Bytes that are no sketch, or one of another size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad unique-count sketch: {0}")]
pub struct SetError(String);

impl UniqueSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        match HllSketch::new(LG_REGISTERS, HllType::Hll4) {
            Ok(sketch) => Self(sketch),
            // The argument is a constant within the crate's documented range of 4 to 21.
            Err(error) => unreachable!("lg {LG_REGISTERS} is a valid HLL size: {error}"),
        }
    }

    /// Adds a member; adding it again changes nothing.
    pub fn insert(&mut self, member: &[u8]) {
        self.0.update(member);
    }

    /// Adds every member of `other`.
    pub fn merge(&mut self, other: &Self) {
        let Ok(mut union) = HllUnion::new(LG_REGISTERS) else { return };
        union.update(&self.0);
        union.update(&other.0);
        self.0 = union.to_sketch(HllType::Hll4);
    }

    /// The estimated number of distinct members.
    #[must_use]
    pub fn count(&self) -> f64 {
        // Small sets are kept as lists of hashes, whose estimate is within 1e-4 of a whole number.
        let estimate = self.0.estimate();
        if (estimate - estimate.round()).abs() < 1e-3 { estimate.round() } else { estimate }
    }

    /// The encoding in the Apache binary format.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.serialize()
    }

    /// Reads [`UniqueSet::to_bytes`].
    ///
    /// # Errors
    /// [`SetError`] for bytes of another format or size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SetError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(SetError(format!("{} bytes, at most {MAX_ENCODED_BYTES}", bytes.len())));
        }
        let sketch = HllSketch::deserialize(bytes).map_err(|error| SetError(error.to_string()))?;
        if sketch.lg_config_k() != LG_REGISTERS {
            return Err(SetError(format!("2^{} registers, not 2^{LG_REGISTERS}", sketch.lg_config_k())));
        }
        Ok(Self(sketch))
    }
}

impl Default for UniqueSet {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal encodings mean equal sets; the same members gathered in another order may differ in encoding
/// and so compare unequal, though they count alike.
impl PartialEq for UniqueSet {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl fmt::Debug for UniqueSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UniqueSet(about {})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::UniqueSet;

    fn of(members: impl IntoIterator<Item = u32>) -> UniqueSet {
        let mut set = UniqueSet::new();
        members.into_iter().for_each(|m| set.insert(format!("user-{m}").as_bytes()));
        set
    }

    #[test]
    fn few_members_are_counted_exactly_and_repeats_once() {
        let mut set = of(0..20);
        set.merge(&of(10..30));
        set.merge(&of(10..30));
        assert!((set.count() - 30.0).abs() < 1e-9, "{}", set.count());
    }

    #[test]
    fn many_members_are_counted_within_five_percent_after_a_round_trip() {
        let mut set = of(0..60_000);
        set.merge(&of(40_000..100_000));
        let back = UniqueSet::from_bytes(&set.to_bytes()).unwrap();
        assert!((back.count() / 100_000.0 - 1.0).abs() < 0.05, "{}", back.count());
        assert!(back.to_bytes().len() < 4096);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panicking() {
        for bytes in [&[][..], &[1], &[0xff; 64], &[0; 9000]] {
            assert!(UniqueSet::from_bytes(bytes).is_err());
        }
    }
}
