//! How surprising a size is, given the sizes seen before: the upper tail of a distribution, learned online.
//!
//! The bulk is a histogram of logarithmic buckets. Beyond a high quantile the tail is taken to be a power
//! law whose exponent is the mean logarithmic excess (B. M. Hill, "A simple general approach to inference
//! about the tail of a distribution", Annals of Statistics 1975), so that sizes larger than any before still
//! get a probability; peaks over a threshold in streams: A. Siffer et al., "Anomaly detection in streams
//! with extreme value theory", KDD 2017.

/// Buckets per doubling.
const PER_OCTAVE: f64 = 12.0;
/// Doublings below 1 that are told apart; smaller sizes count as none.
const OCTAVES_BELOW: f64 = 40.0;
/// All buckets: 40 doublings below 1 and 45 above it.
const BUCKETS: usize = 1024;
/// The share of sizes that belongs to the tail.
const TAIL: f64 = 0.02;
/// Rows after which a size counts half.
const HALF_LIFE: f64 = 3000.0;
/// Mean excess assumed before any was seen, in doublings; the belief is worth one size.
const PRIOR_EXCESS: f64 = 0.3;

/// A distribution of sizes that forgets slowly.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    counts: Vec<f64>,
    total: f64,
    /// What one more size weighs; it grows instead of all others shrinking.
    weight: f64,
    /// The highest bucket in use.
    top: usize,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self { counts: vec![0.0; BUCKETS], total: 0.0, weight: 1.0, top: 0 }
    }

    /// The surprise of `size`, at least 0, then counts it.
    pub(super) fn step(&mut self, size: f64) -> f64 {
        let surprise = self.surprise(size);
        self.add(size);
        surprise
    }

    /// -log10 of the probability that a size is as large as this one.
    fn surprise(&self, size: f64) -> f64 {
        let seen = self.total / self.weight;
        if seen <= 0.0 {
            return 0.0;
        }
        let (mut beyond, mut edge) = (0.0, self.top);
        while edge > 0 && beyond + self.counts[edge] <= TAIL * self.total {
            beyond += self.counts[edge];
            edge -= 1;
        }
        let probability = |count: f64| (count / self.weight + 0.5) / (seen + 1.0);
        let start = (edge as f64 + 1.0) / PER_OCTAVE;
        let place = octave(size);
        if place > start {
            let middle = |bucket: usize| (bucket as f64 + 0.5) / PER_OCTAVE - start;
            let excess: f64 = (edge + 1..=self.top).map(|i| self.counts[i] * middle(i)).sum();
            let mean = (excess / self.weight + PRIOR_EXCESS) / (beyond / self.weight + 1.0);
            let far = (place - start) / mean * std::f64::consts::LOG10_E;
            // So many rows cannot vouch for something rarer than their number cubed.
            (far - probability(beyond).log10()).min(3.0 * (1.0 + seen).log10())
        } else {
            let own = bucket(size);
            let larger: f64 = self.counts[own + 1..=self.top.max(own)].iter().sum();
            -probability(larger + 0.5 * self.counts[own]).log10()
        }
        .max(0.0)
    }

    fn add(&mut self, size: f64) {
        let bucket = bucket(size);
        self.top = self.top.max(bucket);
        self.counts[bucket] += self.weight;
        self.total += self.weight;
        self.weight *= (std::f64::consts::LN_2 / HALF_LIFE).exp();
        if self.weight > 1e9 {
            self.counts.iter_mut().for_each(|count| *count /= self.weight);
            self.total /= self.weight;
            self.weight = 1.0;
        }
    }
}

/// The size on the scale of buckets, in doublings above the smallest; 0 for none.
fn octave(size: f64) -> f64 {
    if size > 0.0 { (size.log2() + OCTAVES_BELOW).clamp(0.0, (BUCKETS - 1) as f64 / PER_OCTAVE) } else { 0.0 }
}

fn bucket(size: f64) -> usize {
    ((octave(size) * PER_OCTAVE) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rarer_sizes_surprise_more() {
        let mut tail = Tail::new();
        for i in 0..10_000 {
            tail.step(f64::from(i % 100));
        }
        let sizes = [0.0, 10.0, 50.0, 90.0, 98.9, 120.0, 200.0, 1e6];
        let surprises = sizes.map(|size| tail.surprise(size));
        assert!(surprises.windows(2).all(|pair| pair[0] < pair[1]), "{surprises:?}");
        assert!((surprises[2] - 0.3).abs() < 0.05, "half are larger than the median: {}", surprises[2]);
    }

    #[test]
    fn nothing_surprises_before_anything_was_seen_and_no_size_breaks_it() {
        let mut tail = Tail::new();
        assert_eq!(tail.step(7.0), 0.0);
        // No more than the number of rows cubed vouches for.
        let most = 3.0 * 7f64.log10();
        for size in [0.0, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN, -1.0] {
            let surprise = tail.step(size);
            assert!((0.0..=most).contains(&surprise), "{size} gives {surprise}");
        }
    }
}
