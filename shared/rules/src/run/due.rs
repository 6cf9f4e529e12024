//! When a group is due: at multiples of its interval.

/// Most evaluations of one group in one run.
const MAX_EVALUATIONS: i64 = 600;

/// The times at which a group is to be evaluated now, ascending, and how many it missed for good.
///
/// Due are the multiples of `interval_ms` within `window_ms` up to `at_ms` that lie after the last
/// evaluation. What lies between that and the window was missed: Prometheus, too, does not make up for it. A
/// group that was never evaluated begins with the latest time.
pub(super) fn due(interval_ms: i64, last_ms: Option<i64>, window_ms: i64, at_ms: i64) -> (Vec<i64>, u64) {
    let interval_ms = interval_ms.max(1);
    let newest = at_ms.div_euclid(interval_ms);
    let Some(last_ms) = last_ms else { return (vec![newest * interval_ms], 0) };
    let last = last_ms.div_euclid(interval_ms);
    if newest <= last {
        return (Vec::new(), 0);
    }
    // An interval longer than the window has at most one time in it, which is made up for when late.
    let oldest = (at_ms - window_ms).div_euclid(interval_ms).min(newest - 1).max(newest - MAX_EVALUATIONS);
    let first = oldest.max(last) + 1;
    let missed = u64::try_from(first - last - 1).unwrap_or(0);
    ((first..=newest).map(|n| n * interval_ms).collect(), missed)
}

#[cfg(test)]
mod tests {
    use super::due;

    const S: i64 = 1000;

    #[test]
    fn groups_are_due_at_multiples_of_their_interval() {
        let rows = [
            ("at first the latest", due(60 * S, None, 60 * S, 125 * S), vec![120 * S], 0),
            ("each minute", due(60 * S, Some(60 * S), 60 * S, 120 * S), vec![120 * S], 0),
            ("not twice", due(60 * S, Some(120 * S), 60 * S, 120 * S), vec![], 0),
            ("not before its last", due(60 * S, Some(180 * S), 60 * S, 120 * S), vec![], 0),
            (
                "several within a window",
                due(15 * S, Some(60 * S), 60 * S, 120 * S),
                vec![75 * S, 90 * S, 105 * S, 120 * S],
                0,
            ),
            ("rarely", due(300 * S, Some(300 * S), 60 * S, 540 * S), vec![], 0),
            ("rarely, when it is time", due(300 * S, Some(300 * S), 60 * S, 600 * S), vec![600 * S], 0),
            ("rarely and late", due(300 * S, Some(300 * S), 60 * S, 720 * S), vec![600 * S], 0),
            ("after a pause", due(60 * S, Some(60 * S), 60 * S, 300 * S), vec![300 * S], 3),
            ("after a pause, rarely", due(300 * S, Some(300 * S), 60 * S, 1260 * S), vec![1200 * S], 2),
        ];
        for (shows, (times, missed), want, want_missed) in rows {
            assert_eq!((times, missed), (want, want_missed), "{shows}");
        }
    }

    #[test]
    fn times_of_one_run_are_bounded() {
        assert_eq!(due(1, Some(0), 60 * S, 60 * S).0.len(), 600);
    }
}
