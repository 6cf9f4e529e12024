//! Waits between attempts: doubling, with jitter, never beyond a deadline.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// The waits of one call and its retries.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
    deadline: Instant,
}

impl Backoff {
    /// Waits that begin at `first`, double up to `longest`, and end `within` from now.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, within: Duration) -> Self {
        Self { next: first, longest, deadline: Instant::now() + within }
    }

    /// When everything must have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sleeps until the next attempt is due and returns true; false, at once, if that would be too late.
    pub async fn pause(&mut self) -> bool {
        let wait = jittered(self.next);
        if Instant::now() + wait >= self.deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        self.next = (self.next * 2).min(self.longest);
        true
    }
}

/// Between half of a wait and all of it, so that callers that failed together do not return together.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    wait.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_longest_and_end_before_the_deadline() {
        let begin = Instant::now();
        let mut backoff =
            Backoff::new(Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(2));
        let mut waits = Vec::new();
        let mut last = begin;
        while backoff.pause().await {
            waits.push(last.elapsed());
            last = Instant::now();
        }
        assert!(begin.elapsed() < Duration::from_secs(2));
        assert!((5..=12).contains(&waits.len()), "{waits:?}");
        // A millisecond of slack: the timer's grain.
        for (wait, full) in waits.iter().zip([100, 200, 400, 400, 400]) {
            assert!((full / 2..=full + 1).contains(&(wait.as_millis() as u64)), "{waits:?}");
        }
    }
}
