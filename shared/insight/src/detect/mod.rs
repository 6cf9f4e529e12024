//! Finding anomalies: a streaming detector that learns row by row, and the score of one newest point.

mod newest;
mod shapes;
mod tail;

use std::collections::VecDeque;

use self::shapes::Book;
use self::tail::Tail;

pub use self::newest::{anomaly_score, expected_band};

/// Rows per point of the shapes that are looked at; a shape has eight points.
const BLOCKS: [usize; 4] = [1, 2, 4, 8];
/// What is looked at: a shape per block size, the level, and the deviation.
const VIEWS: usize = BLOCKS.len() + 2;
/// Exponent of the mean over views: at 1 all must agree, at infinity one is enough.
const EMPHASIS: i32 = 3;
/// How fast the short-run level follows.
const LEVEL_RATE: f64 = 0.1;
/// The long-run mean and variance weigh all rows alike, up to so many.
const MEMORY: f64 = 2000.0;
/// Rows in which the memory of an alarm fades by a factor of e: a base, a share of the rows seen, a bound.
const SETTLE_BASE: f64 = 50.0;
const SETTLE_SHARE: f64 = 0.06;
const SETTLE_MOST: f64 = 1000.0;
/// Bound on values in units of the series' first change.
const FARTHEST: f64 = 1e12;

/// Scores the rows of one series as they come; a score depends on nothing that came later.
///
/// Each view of the newest rows has a strangeness: how far their shape is from every shape before, at four
/// time scales, how far the short-run level is from the long-run mean, and how far the value is. A learned
/// distribution turns each strangeness into a surprise, minus the decimal logarithm of its probability, so
/// that surprises compare across views and series. The combined surprise becomes a score, unless a higher
/// one came shortly before: an anomaly is told once, and the score settles while it lasts.
///
/// Takes tens of microseconds a row and at most 350 kB, however long the series. Neither the unit nor the
/// zero of the values matters.
#[derive(Debug, Clone)]
pub struct Detector {
    rows: u64,
    /// The first value, and the size of the first change: what values are measured against.
    origin: Option<f64>,
    unit: Option<f64>,
    recent: VecDeque<f64>,
    level: f64,
    mean: f64,
    variance: f64,
    books: [Book; BLOCKS.len()],
    tails: [Tail; VIEWS],
    /// The highest surprise so far, fading.
    settled: f64,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rows: 0,
            origin: None,
            unit: None,
            recent: VecDeque::new(),
            level: 0.0,
            mean: 0.0,
            variance: 0.0,
            books: BLOCKS.map(Book::new),
            tails: std::array::from_fn(|_| Tail::new()),
            settled: 0.0,
        }
    }

    /// How anomalous the next value is, from 0 to 1: one minus the estimated probability of rows at least
    /// this strange. A value that is not finite counts as missing: it scores 0 and teaches nothing.
    pub fn score(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let measured = self.measured(value);
        let surprise = self.surprise(measured);
        self.rows += 1;
        let fade = SETTLE_BASE + (SETTLE_SHARE * self.rows as f64).min(SETTLE_MOST);
        let told = surprise > self.settled;
        self.settled = (self.settled * (-1.0 / fade).exp()).max(surprise);
        if told { 1.0 - 10f64.powf(-surprise) } else { 0.0 }
    }

    /// The value in the series' own origin and unit.
    fn measured(&mut self, value: f64) -> f64 {
        let from_origin = value - *self.origin.get_or_insert(value);
        if from_origin == 0.0 {
            return 0.0;
        }
        let unit = *self.unit.get_or_insert(from_origin.abs());
        // Differences of the largest numbers overflow to infinity, and so does their ratio.
        (from_origin / unit).clamp(-FARTHEST, FARTHEST)
    }

    /// Looks at the value from every side, and learns it.
    fn surprise(&mut self, value: f64) -> f64 {
        self.level += LEVEL_RATE * (value - self.level);
        let [level, deviation] = [(self.level - self.mean).abs(), (value - self.mean).abs()];
        let rate = (1.0 / (self.rows as f64 + 1.0)).max(1.0 / MEMORY);
        self.mean += rate * (value - self.mean);
        self.variance += rate * ((value - self.mean).powi(2) - self.variance);

        let span = self.books.iter().map(Book::span).max().unwrap_or(0);
        if self.recent.len() == span {
            self.recent.pop_front();
        }
        self.recent.push_back(value);
        let (recent, spread, row) = (&self.recent, self.variance.sqrt(), self.rows);
        let shapes = self.books.iter_mut().map(|book| book.step(recent, spread, row));
        let strangeness = shapes.chain([level, deviation]);
        let surprises = self.tails.iter_mut().zip(strangeness).map(|(tail, size)| tail.step(size));
        let mean = surprises.map(|surprise| surprise.powi(EMPHASIS)).sum::<f64>() / VIEWS as f64;
        mean.powf(1.0 / f64::from(EMPHASIS))
    }
}
