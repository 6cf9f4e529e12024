//! Reproducible randomness: the seed is printed, and `WEIR_SEED` sets it again.

/// A splitmix64 generator (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Seeds from `WEIR_SEED`, else from the clock, and prints the seed.
    #[must_use]
    pub fn from_env() -> Self {
        let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos() as u64);
        let seed = std::env::var("WEIR_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(clock);
        crate::weir::note(&format!("WEIR_SEED={seed}"));
        Self(seed)
    }

    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }
}
