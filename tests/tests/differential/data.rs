//! An hour of made-up metrics, as remote-write bodies in the order of time.
//!
//! Every sample stands between 0.5 and 0.9 s after a whole second, so that no window of a query at .417 s or
//! of a subquery step (whole seconds) has one on its edge.

use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_model::{Histogram, STALE_NAN, Span};
use weir_tests::{Random, body};

/// Seconds of data.
pub(crate) const SECONDS: i64 = 3_600;
const INTERVAL_S: i64 = 15;
const JOBS: [&str; 2] = ["api", "web"];
const INSTANCES: [&str; 3] = ["a", "b", "c"];
const BOUNDS: [&str; 6] = ["0.1", "0.25", "0.5", "1", "5", "+Inf"];

type Labels = Vec<(String, String)>;

/// How a series moves.
enum Shape {
    /// A counter that never misses a scrape; it starts again from zero now and then.
    Restarting,
    /// A counter far above zero that misses scrapes and ends and comes back.
    Gappy,
    /// A gauge in quarters above zero, whose sums are exact and whose means do not cancel out, with gaps and
    /// ends.
    Quarters,
    /// A gauge of which no two values are the same.
    Wave,
    /// NaN and infinities, as often as the number says of ten.
    Odd(u64),
    /// A sample every few minutes.
    Sparse,
    /// A number that stays.
    Constant(f64),
    /// There in even or in odd tens of minutes only, with an end in between.
    Alternating(i64),
    /// The buckets, count and sum of a classic histogram, of which this is the place.
    Classic(usize),
    /// A native histogram.
    Native,
}

struct Series {
    labels: Labels,
    shape: Shape,
    value: f64,
    buckets: [f64; 6],
    away: u64,
}

fn all_series() -> Vec<Series> {
    let mut all = Vec::new();
    let mut add = |name: &str, labels: &[(&str, &str)], shape: Shape, value: f64| {
        let pairs = [("__name__", name)];
        let pairs = pairs.iter().chain(labels);
        let mut labels: Labels = pairs.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        labels.sort();
        all.push(Series { labels, shape, value, buckets: [0.0; 6], away: 0 });
    };
    for job in JOBS {
        add("capacity", &[("job", job)], Shape::Constant(if job == "api" { 64.0 } else { 48.0 }), 0.0);
        for queue in ["mail", "push"] {
            add("jobs_total", &[("job", job), ("queue", queue)], Shape::Gappy, 1e6);
        }
        for (number, instance) in INSTANCES.iter().enumerate() {
            let both = [("instance", *instance), ("job", job)];
            add("wave", &both, Shape::Wave, 0.0);
            for code in ["200", "404", "500"] {
                for method in ["GET", "POST"] {
                    let labels = [both[0], both[1], ("code", code), ("method", method)];
                    add("http_requests_total", &labels, Shape::Restarting, 40.0);
                }
            }
            for (at, version) in ["1.0", "1.1"].iter().enumerate() {
                let labels = [both[0], both[1], ("version", version)];
                add("build_info", &labels, Shape::Alternating(at as i64), 0.0);
            }
            for (place, bound) in BOUNDS.iter().enumerate() {
                let labels = [both[0], both[1], ("le", bound)];
                add("request_seconds_bucket", &labels, Shape::Classic(place), 0.0);
            }
            add("request_seconds_count", &both, Shape::Classic(5), 0.0);
            add("request_seconds_sum", &both, Shape::Classic(6), 0.0);
            add("native_seconds", &both, Shape::Native, 0.0);
            for (floor, room) in ["hall", "attic", "cellar"].iter().enumerate() {
                let floor = floor.to_string();
                let labels = [both[0], both[1], ("room", room), ("floor", &floor)];
                add("temperature", &labels, Shape::Quarters, 15.0 + number as f64);
            }
        }
    }
    for (kind, often) in [("nan", 9), ("mixed", 4), ("plain", 0)] {
        add("odd", &[("kind", kind)], Shape::Odd(often), 5.0);
    }
    for site in ["a", "b", "c"] {
        add("sparse", &[("site", site)], Shape::Sparse, 7.0);
    }
    all
}

enum Point {
    Float(f64),
    Native(Histogram),
}

/// Observations that cumulate; `restart` begins again from a few.
fn observe(buckets: &mut [f64; 6], random: &mut Random, restart: bool) {
    if restart {
        *buckets = [0.0; 6];
    }
    let mut below = 0.0;
    for bucket in buckets {
        below += random.below(9) as f64;
        *bucket += below;
    }
}

fn next(series: &mut Series, scrape: i64, random: &mut Random, restart: bool) -> Option<Point> {
    if let Shape::Gappy | Shape::Quarters = series.shape {
        if series.away > 0 {
            series.away -= 1;
            return None;
        }
        match random.below(40) {
            0 => {
                series.away = random.below(28);
                return Some(Point::Float(STALE_NAN));
            }
            1 => {
                series.away = random.below(6);
                return None;
            }
            _ => {}
        }
    }
    let value = match series.shape {
        Shape::Restarting if random.below(90) == 0 => random.below(6) as f64,
        Shape::Restarting | Shape::Gappy => series.value + random.below(12) as f64,
        Shape::Quarters => (series.value + random.below(17) as f64 / 4.0 - 2.0).abs() + 0.25,
        Shape::Wave => random.below(1 << 52) as f64 / f64::from(1 << 20) - 2e9,
        Shape::Odd(often) if random.below(10) < often => {
            return Some(Point::Float(
                [f64::NAN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY][random.below(4) as usize],
            ));
        }
        Shape::Odd(_) => random.below(20) as f64 / 2.0,
        Shape::Sparse if random.below(18) != 0 => return None,
        Shape::Sparse => series.value + random.below(5) as f64,
        Shape::Constant(value) => value,
        Shape::Alternating(turn) => match (scrape / 40 % 2 == turn, series.value == 1.0) {
            (true, _) => 1.0,
            (false, true) => {
                series.value = 0.0;
                return Some(Point::Float(STALE_NAN));
            }
            (false, false) => return None,
        },
        Shape::Classic(place) => {
            observe(&mut series.buckets, random, restart);
            series.buckets.get(place).copied().unwrap_or(series.buckets[5] / 4.0)
        }
        Shape::Native => {
            observe(&mut series.buckets, random, false);
            return Some(Point::Native(native(&series.buckets)));
        }
    };
    series.value = value;
    Some(Point::Float(value))
}

/// A histogram of the six counts: a zero bucket, three positive ones in two spans, two negative ones.
fn native(buckets: &[f64; 6]) -> Histogram {
    let counts: Vec<f64> = buckets.iter().map(|count| count + 5_000.0).collect();
    Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: counts[0],
        count: counts.iter().sum(),
        sum: counts[5] / 4.0,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: counts[1..4].to_vec(),
        negative_spans: vec![Span { offset: 0, length: 2 }],
        negative_buckets: counts[4..].to_vec(),
        ..Histogram::default()
    }
}

/// Bodies of an hour from `start_s` on, one a scrape.
pub(crate) fn bodies(start_s: i64, random: &mut Random) -> Vec<Vec<u8>> {
    let mut all = all_series();
    let scrape = |scrape: i64| {
        let restart = random.below(70) == 0;
        // The series of one histogram move alike, as if scraped from one process.
        let (shared, mut entries) = (random.number(), Vec::new());
        for series in &mut all {
            let at_ms = (start_s + scrape * INTERVAL_S) * 1_000 + 500 + random.below(400) as i64;
            let mut alike = Random::new(shared);
            let random = if matches!(series.shape, Shape::Classic(_)) { &mut alike } else { &mut *random };
            let Some(point) = next(series, scrape, random, restart) else { continue };
            let mut entry = TimeSeries { labels: series.labels.clone(), ..TimeSeries::default() };
            match point {
                Point::Float(value) => entry.samples.push((at_ms, value)),
                Point::Native(histogram) => entry.histograms.push((at_ms, histogram)),
            }
            entries.push(entry);
        }
        body::snappy(&encode::v1(&entries, &[]))
    };
    (0..SECONDS / INTERVAL_S).map(scrape).collect()
}
