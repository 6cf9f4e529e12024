//! A set of small integers as bits, for uniting and intersecting postings.

/// Ordinals below a fixed bound.
#[derive(Debug, Clone)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// An empty set for ordinals below `len`.
    pub(crate) fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)] }
    }

    /// Every ordinal below `len`.
    pub(crate) fn full(len: usize) -> Self {
        let mut all = Self { words: vec![u64::MAX; len.div_ceil(64)] };
        if !len.is_multiple_of(64)
            && let Some(last) = all.words.last_mut()
        {
            *last = (1 << (len % 64)) - 1;
        }
        all
    }

    /// Adds an ordinal below the bound.
    #[inline]
    pub(crate) fn insert(&mut self, ordinal: u32) {
        self.words[ordinal as usize / 64] |= 1 << (ordinal % 64);
    }

    /// True when the ordinal, below the bound, is in the set.
    #[inline]
    pub(crate) fn contains(&self, ordinal: u32) -> bool {
        self.words[ordinal as usize / 64] & (1 << (ordinal % 64)) != 0
    }

    /// True when every ordinal below `len`, the bound, is in the set.
    pub(crate) fn is_full(&self, len: usize) -> bool {
        self.words.iter().map(|word| word.count_ones() as usize).sum::<usize>() == len
    }

    /// Takes an ordinal below the bound out.
    #[inline]
    pub(crate) fn remove(&mut self, ordinal: u32) {
        self.words[ordinal as usize / 64] &= !(1 << (ordinal % 64));
    }

    /// Keeps what is in `other` too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// The ordinals, ascending.
    pub(crate) fn ordinals(&self) -> Vec<u32> {
        let count: u32 = self.words.iter().map(|w| w.count_ones()).sum();
        let mut ordinals = Vec::with_capacity(count as usize);
        for (index, &word) in self.words.iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                ordinals.push(index as u32 * 64 + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        ordinals
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn sets_hold_what_was_put_in_at_every_length() {
        for len in [0usize, 1, 63, 64, 65, 130] {
            let mut even = Bitmap::new(len);
            (0..len as u32).step_by(2).for_each(|o| even.insert(o));
            let mut all = Bitmap::full(len);
            assert_eq!(all.ordinals(), (0..len as u32).collect::<Vec<_>>(), "full to {len}");
            all.intersect(&even);
            assert_eq!(all.ordinals(), (0..len as u32).step_by(2).collect::<Vec<_>>(), "even to {len}");
            (0..len as u32).step_by(2).for_each(|o| all.remove(o));
            assert!(all.ordinals().is_empty());
        }
    }
}
