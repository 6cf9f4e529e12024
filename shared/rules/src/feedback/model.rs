//! How likely a firing is a false positive, learned verdict by verdict: Bayesian logistic regression, online.
//!
//! Each feature has a weight with a Gaussian belief of its own: a mean, and a precision that grows with what was
//! seen. A verdict moves the means to the most likely weights given the belief so far and adds the curvature
//! there to the precisions (Laplace's approximation with a diagonal covariance: O. Chapelle and L. Li, "An
//! empirical evaluation of Thompson sampling", 2011, algorithm 3, one example at a time). The belief is the
//! regularisation: there is no learning rate. A probability is moderated by how sure the weights are (D. MacKay,
//! "The evidence framework applied to classification networks", 1992), so little data gives careful ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The share of false positives that is assumed before there are verdicts: one in four.
pub const PRIOR: f64 = 0.25;
/// Verdicts from which on the model is asked; below, [`PRIOR`] is told.
pub const MIN_VERDICTS: u64 = 10;
/// Precision of the belief that alerts are as the prior says. A verdict adds `p (1 - p)`, about 0.19, so it is
/// worth about five.
const BIAS_PRECISION: f64 = 1.0;
/// Precision of the belief that an alert is like the others.
const NAME_PRECISION: f64 = 1.0;
/// Precision of the belief that a circumstance does not matter.
const FEATURE_PRECISION: f64 = 3.0;
/// Beliefs do not get firmer than that, so that a model of many verdicts can still learn that things have
/// changed: about 500 of them count.
const MAX_PRECISION: f64 = 100.0;
/// Most features that are remembered; later ones are not learned.
const MAX_FEATURES: usize = 4096;
/// Most features of one firing.
pub(super) const MAX_ACTIVE: usize = 32;
/// Log odds beyond which nothing is ever as certain: probabilities stay within 0.0003 and 0.9997.
const MAX_LOG_ODDS: f64 = 8.0;
/// Halvings that find a step to the last bit.
const HALVINGS: usize = 60;

/// The belief about one weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Belief {
    mean: f64,
    precision: f64,
}

/// What was learned from verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    verdicts: u64,
    bias: Belief,
    features: BTreeMap<String, Belief>,
}

impl Default for Model {
    fn default() -> Self {
        let mean = (PRIOR / (1.0 - PRIOR)).ln();
        let bias = Belief { mean, precision: BIAS_PRECISION };
        Self { verdicts: 0, bias, features: BTreeMap::new() }
    }
}

/// What is believed of a feature that was never seen.
fn unseen(feature: &str) -> Belief {
    let precision = if feature.starts_with("alert=") { NAME_PRECISION } else { FEATURE_PRECISION };
    Belief { mean: 0.0, precision }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Model {
    /// Verdicts that it learned from.
    #[must_use]
    pub fn verdicts(&self) -> u64 {
        self.verdicts
    }

    /// The probability that a firing of these features is a false positive, strictly between 0 and 1: the
    /// prior, and not learned, while there are fewer than [`MIN_VERDICTS`].
    #[must_use]
    pub fn probability(&self, features: &[String]) -> f64 {
        if self.verdicts < MIN_VERDICTS { PRIOR } else { self.learned(features) }
    }

    fn learned(&self, features: &[String]) -> f64 {
        let (mean, variance) = self.log_odds(features);
        let moderated = mean / (1.0 + std::f64::consts::PI * variance / 8.0).sqrt();
        sigmoid(moderated.clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS))
    }

    /// What each feature adds to the log odds, the largest amounts first.
    pub(super) fn reasons(&self, features: &[String]) -> Vec<(String, f64)> {
        let mut all: Vec<(String, f64)> = active(features)
            .map(|f| (f.clone(), self.belief(f).mean))
            .filter(|(_, mean)| *mean != 0.0)
            .collect();
        all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
        all
    }

    /// Learns that a firing of these features was a false positive, or not.
    pub(super) fn learn(&mut self, features: &[String], false_positive: bool) {
        let (mean, variance) = self.log_odds(features);
        let target = f64::from(u8::from(false_positive));
        // The best weights are the old means plus `step / precision` each, where `step` is the error that is left
        // with them: a falling function of it, between the errors of none and of all.
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..HALVINGS {
            let step = f64::midpoint(low, high);
            if target - sigmoid(mean + step * variance) > step {
                low = step;
            } else {
                high = step;
            }
        }
        let step = f64::midpoint(low, high);
        let p = sigmoid(mean + step * variance);
        let moved = |belief: Belief| Belief {
            mean: belief.mean + step / belief.precision,
            precision: (belief.precision + p * (1.0 - p)).min(MAX_PRECISION),
        };
        self.bias = moved(self.bias);
        for feature in active(features) {
            let is_known = self.features.contains_key(feature);
            if is_known || self.features.len() < MAX_FEATURES {
                let belief = self.belief(feature);
                self.features.insert(feature.clone(), moved(belief));
            }
        }
        self.verdicts += 1;
    }

    fn belief(&self, feature: &str) -> Belief {
        self.features.get(feature).copied().unwrap_or_else(|| unseen(feature))
    }

    /// Mean and variance of the log odds.
    fn log_odds(&self, features: &[String]) -> (f64, f64) {
        let beliefs = active(features).map(|feature| self.belief(feature)).chain([self.bias]);
        beliefs.fold((0.0, 0.0), |(mean, variance), b| (mean + b.mean, variance + 1.0 / b.precision))
    }
}

fn active(features: &[String]) -> impl Iterator<Item = &String> {
    features.iter().take(MAX_ACTIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A linear congruential generator (Knuth's MMIX constants), so that the figures are the same everywhere.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        fn below(&mut self, n: usize) -> usize {
            (self.next() * n as f64) as usize
        }
    }

    /// A firing of a planted world, and how likely it is a false positive there: 25 alerts, some noisy and some
    /// not, flapping ones more often, ones far past their threshold less often, and five things that do not matter.
    fn firing(random: &mut Random, base: f64) -> (Vec<String>, f64) {
        let (alert, flaps, distance) = (random.below(25), random.below(3), random.below(4));
        let odds = base + 0.15 * alert as f64 + 1.2 * flaps as f64 - 0.8 * distance as f64;
        let mut features =
            vec![format!("alert=a{alert}"), format!("flaps={flaps}"), format!("distance={distance}")];
        features.extend((0..5).map(|i| format!("noise{i}={}", random.below(3))));
        (features, sigmoid(odds))
    }

    /// Mean squared errors (Brier scores) over 4,000 further firings: of the model, of the share of false
    /// positives, and of whoever knows the world; and the worst error of ten groups by probability.
    fn judged(model: &Model, random: &mut Random, base: f64) -> [f64; 4] {
        let mut rows: Vec<(f64, f64, f64)> = (0..4_000)
            .map(|_| {
                let (features, truth) = firing(random, base);
                (model.probability(&features), f64::from(u8::from(random.next() < truth)), truth)
            })
            .collect();
        let mean = |rows: &[(f64, f64, f64)], f: &dyn Fn(&(f64, f64, f64)) -> f64| {
            rows.iter().map(f).sum::<f64>() / rows.len() as f64
        };
        let share = mean(&rows, &|row| row.1);
        let brier = [
            mean(&rows, &|row| (row.0 - row.1).powi(2)),
            mean(&rows, &|row| (share - row.1).powi(2)),
            mean(&rows, &|row| (row.2 - row.1).powi(2)),
        ];
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst = rows.chunks(400).map(|group| mean(group, &|row| row.0 - row.1).abs());
        [brier[0], brier[1], brier[2], worst.fold(0.0, f64::max)]
    }

    #[test]
    fn a_planted_pattern_is_learned_and_probabilities_are_calibrated() {
        const WORLDS: u64 = 8;
        // How many verdicts; how much of what can be gained over always saying the share must be gained; and the
        // largest error of a tenth of the firings. Means of eight worlds, whose shares are about 0.47 and 0.25.
        for base in [-2.0, -3.5] {
            for (verdicts, least, most) in [(50, 0.0, 0.2), (200, 0.35, 0.17), (1000, 0.8, 0.12)] {
                let mut sums = [0.0; 4];
                for seed in 1..=WORLDS {
                    let (mut random, mut model) =
                        (Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), Model::default());
                    for _ in 0..verdicts {
                        let (features, truth) = firing(&mut random, base);
                        model.learn(&features, random.next() < truth);
                    }
                    let figures = judged(&model, &mut random, base);
                    sums.iter_mut().zip(figures).for_each(|(sum, x)| *sum += x / WORLDS as f64);
                }
                let [brier, share, known, worst] = sums;
                let gain = (share - brier) / (share - known);
                println!(
                    "{verdicts} verdicts: Brier score {brier:.3}, of the share {share:.3}, at best {known:.3}: gain {gain:.2}; worst tenth {worst:.3}"
                );
                assert!(gain >= least && worst <= most, "{verdicts} of {base}: gain {gain}, worst {worst}");
            }
        }
    }

    #[test]
    fn the_prior_is_told_until_there_are_enough_verdicts() {
        let features = vec!["alert=a".to_owned()];
        let mut model = Model::default();
        for verdict in 0..MIN_VERDICTS {
            assert_eq!(model.probability(&features), PRIOR, "{verdict}");
            model.learn(&features, true);
        }
        assert!(model.probability(&features) > 0.7, "{}", model.probability(&features));
    }

    #[test]
    fn a_model_of_many_verdicts_still_learns_that_an_alert_has_changed() {
        let features = vec!["alert=a".to_owned(), "flaps=0".to_owned()];
        let mut model = Model::default();
        (0..5000).for_each(|_| model.learn(&features, true));
        assert!(model.probability(&features) > 0.97);
        (0..300).for_each(|_| model.learn(&features, false));
        assert!(model.probability(&features) < 0.5, "{}", model.probability(&features));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut model = Model::default();
        for index in 0..MAX_FEATURES + 100 {
            model.learn(&[format!("alert={index}")], index % 2 == 0);
        }
        assert_eq!(model.features.len(), MAX_FEATURES);
    }

    proptest! {
        #[test]
        fn probabilities_stay_between_zero_and_one(
            verdicts in proptest::collection::vec((proptest::collection::vec(0u8..6, 0..40), any::<bool>()), 0..200),
            asked in proptest::collection::vec(0u8..8, 0..40),
        ) {
            let names = |all: &[u8]| all.iter().map(|f| format!("f={f}")).collect::<Vec<_>>();
            let mut model = Model::default();
            for (features, verdict) in &verdicts {
                model.learn(&names(features), *verdict);
            }
            let p = model.probability(&names(&asked));
            prop_assert!(p > 0.0 && p < 1.0, "{p}");
        }
    }
}
