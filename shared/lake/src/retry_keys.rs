//! Which deliveries a shard has seen lately, so that a sender's retry is dropped.
//!
//! Time is that of arrival, which records carry, not that of processing: a stream that lags by an hour
//! still drops what was sent twice within the window.

use std::collections::VecDeque;

use hashbrown::HashMap;
use weir_model::RecordKey;

/// How long after its arrival a key is forgotten even though nothing newer came: longer than a stream
/// usually keeps records, in milliseconds.
pub(crate) const IDLE_LIMIT_MS: i64 = 24 * 3_600_000;

/// The retry keys of one shard.
#[derive(Debug)]
pub(crate) struct RetryKeys {
    window_ms: i64,
    seen: HashMap<RecordKey, i64>,
    /// Keys about in order of arrival; the memory is bounded by what arrives within a window.
    order: VecDeque<(i64, RecordKey)>,
    latest_ms: i64,
}

impl RetryKeys {
    pub(crate) fn new(window_ms: i64) -> Self {
        Self { window_ms, seen: HashMap::new(), order: VecDeque::new(), latest_ms: i64::MIN }
    }

    /// True when a record of that key arrived within the window around `received_ms`.
    pub(crate) fn is_repeat(&self, key: RecordKey, received_ms: i64) -> bool {
        self.seen.get(&key).is_some_and(|at| at.abs_diff(received_ms) <= self.window_ms.unsigned_abs())
    }

    /// Notes a record that counts. An arrival after `now_ms` does not move the window.
    pub(crate) fn note(&mut self, key: Option<RecordKey>, received_ms: i64, now_ms: i64) {
        self.latest_ms = self.latest_ms.max(received_ms.min(now_ms));
        if let Some(key) = key {
            // Segments are not always noted in the order in which they arrived.
            let at = self.seen.entry(key).or_insert(received_ms);
            *at = received_ms.max(*at);
            self.order.push_back((received_ms, key));
        }
        while let Some(&(at, key)) = self.order.front() {
            if !self.is_past(at) {
                break;
            }
            self.order.pop_front();
            if self.seen.get(&key) == Some(&at) {
                self.seen.remove(&key);
            }
        }
    }

    /// True when no record that is still to come can repeat one that arrived at `received_ms`.
    pub(crate) fn is_past(&self, received_ms: i64) -> bool {
        received_ms < self.latest_ms.saturating_sub(self.window_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_remembered_for_the_window_of_arrival_times() {
        let key = RecordKey(7);
        let mut keys = RetryKeys::new(100);
        keys.note(Some(key), 1_000, 5_000);
        assert!(keys.is_repeat(key, 1_100) && keys.is_repeat(key, 900));
        assert!(!keys.is_repeat(key, 1_101) && !keys.is_repeat(RecordKey(8), 1_000));
        keys.note(None, 1_100, 5_000);
        assert!(keys.is_repeat(key, 1_000) && !keys.is_past(1_000));
        keys.note(None, 1_101, 5_000);
        assert!(!keys.is_repeat(key, 1_000) && keys.is_past(1_000));
    }

    #[test]
    fn the_latest_arrival_of_a_key_counts_in_whatever_order_they_are_noted() {
        let mut keys = RetryKeys::new(100);
        keys.note(Some(RecordKey(1)), 1_150, 5_000);
        keys.note(Some(RecordKey(1)), 1_049, 5_000);
        assert!(keys.is_repeat(RecordKey(1), 1_200));
    }

    #[test]
    fn an_arrival_in_the_future_does_not_make_it_forget() {
        let mut keys = RetryKeys::new(100);
        keys.note(Some(RecordKey(1)), 1_000, 1_050);
        keys.note(None, i64::MAX, 1_060);
        assert!(keys.is_repeat(RecordKey(1), 1_000));
    }
}
