//! How new the shape of the last rows is: the distance to the nearest shape seen before.
//!
//! Nearest neighbours of delayed values as a measure of strangeness: E. Burnaev and V. Ishimtsev,
//! "Conformalized density- and distance-based anomaly detection in time-series data" (2016). Here the
//! history is kept as a bounded book of exemplars instead of every row: a shape joins the book when none
//! in it is near (leader clustering), and pushes out the one that was met longest ago.

use std::collections::VecDeque;

/// Values of one shape; each is the mean of a block of rows.
const POINTS: usize = 8;
/// Most exemplars of one book.
const EXEMPLARS: usize = 1000;
/// Shapes nearer than this share of the series' standard deviation are one.
const SAME: f64 = 0.02;

/// The shapes of one block size.
#[derive(Debug, Clone)]
pub(super) struct Book {
    /// Rows per point.
    block: usize,
    exemplars: Vec<Exemplar>,
}

#[derive(Debug, Clone, Copy)]
struct Exemplar {
    shape: [f64; POINTS],
    last_met: u64,
}

impl Book {
    pub(super) fn new(block: usize) -> Self {
        Self { block, exemplars: Vec::new() }
    }

    /// How many rows a shape spans.
    pub(super) fn span(&self) -> usize {
        POINTS * self.block
    }

    /// The distance per point of the newest shape to the nearest exemplar; 0 until there are rows enough.
    /// `deviation` is the series' standard deviation, `row` counts rows.
    pub(super) fn step(&mut self, recent: &VecDeque<f64>, deviation: f64, row: u64) -> f64 {
        let Some(from) = recent.len().checked_sub(self.span()) else { return 0.0 };
        let mut shape = [0.0; POINTS];
        for (i, value) in recent.range(from..).enumerate() {
            shape[i / self.block] += value / self.block as f64;
        }
        let nearest = self.exemplars.iter_mut().map(|e| (square_distance(&e.shape, &shape), e));
        let Some((square, nearest)) = nearest.min_by(|a, b| a.0.total_cmp(&b.0)) else {
            self.exemplars.push(Exemplar { shape, last_met: row });
            return 0.0;
        };
        let distance = (square / POINTS as f64).sqrt();
        if distance <= SAME * deviation {
            nearest.last_met = row;
        } else {
            self.learn(Exemplar { shape, last_met: row });
        }
        distance
    }

    fn learn(&mut self, exemplar: Exemplar) {
        if self.exemplars.len() < EXEMPLARS {
            self.exemplars.push(exemplar);
        } else if let Some(oldest) = self.exemplars.iter_mut().min_by_key(|e| e.last_met) {
            *oldest = exemplar;
        }
    }
}

fn square_distance(a: &[f64; POINTS], b: &[f64; POINTS]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}
