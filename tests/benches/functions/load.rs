//! What is sent: the scrapes of a fleet, as Prometheus sends them.

use weir_tests::Random;
use weir_tests::fleet::{Fleet, SERIES_PER_HOST};

const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
pub(crate) const SCRAPES_PER_MINUTE: usize = (60_000 / INTERVAL_MS) as usize;
pub(crate) const SCRAPES_PER_DAY: usize = (DAY_MS / INTERVAL_MS) as usize;

/// Scrapes of a fleet, 15 s apart.
pub(crate) struct Load {
    pub(crate) hosts: usize,
    pub(crate) scrapes: usize,
    /// They come after it, milliseconds since the Unix epoch: what is at the very start of an hour or a day belongs
    /// to the one before.
    pub(crate) start_ms: i64,
}

impl Load {
    pub(crate) fn samples(&self) -> f64 {
        (self.hosts * SERIES_PER_HOST * self.scrapes) as f64
    }

    /// Remote-write bodies, scrape by scrape.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = Vec<u8>> {
        let mut fleet = Fleet::new(self.hosts, Random::from_env());
        let (start_ms, scrapes) = (self.start_ms, self.scrapes as i64);
        (0..scrapes).flat_map(move |n| fleet.scrape(start_ms + (n + 1) * INTERVAL_MS))
    }
}

/// How many scrapes have so many million samples.
pub(crate) fn scrapes(hosts: usize, millions: f64) -> usize {
    (millions * 1e6 / (hosts * SERIES_PER_HOST) as f64).ceil().max(1.0) as usize
}

/// Start of the next hour, which is still open when all is done.
pub(crate) fn hour_to_come_ms() -> i64 {
    (now_ms() / HOUR_MS + 1) * HOUR_MS
}

/// Start of a day that has ended.
pub(crate) fn past_day_ms() -> i64 {
    (now_ms() / DAY_MS - 2) * DAY_MS
}

fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or_default()
}
