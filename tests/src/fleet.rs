//! A made-up fleet for benchmarks: hosts of 100 series each, shaped like a node exporter and one HTTP
//! service, as remote-write bodies in the order and size in which Prometheus sends them.

use weir_formats::remote_write::encode::{self, TimeSeries};

use crate::{Random, body};

/// Series of one host.
pub const SERIES_PER_HOST: usize = 100;
/// Prometheus' default for `max_samples_per_send`.
pub const SAMPLES_PER_REQUEST: usize = 2_000;

/// How a series moves.
#[derive(Clone, Copy)]
enum Shape {
    /// Grows by up to this much a scrape, in hundredths.
    Hundredths(u64),
    /// Grows by up to this much a scrape.
    Counter(u64),
    /// Walks in pages of 4,096.
    Pages,
    /// Walks in hundredths.
    Level,
    /// Never changes.
    Constant,
}

struct Series {
    labels: Vec<(String, String)>,
    shape: Shape,
    value: f64,
}

/// The fleet at one moment.
pub struct Fleet {
    series: Vec<Series>,
    random: Random,
}

impl Fleet {
    /// `hosts` hosts; the same seed gives the same samples.
    #[must_use]
    pub fn new(hosts: usize, random: Random) -> Self {
        let mut fleet = Self { series: Vec::with_capacity(hosts * SERIES_PER_HOST), random };
        (0..hosts).for_each(|host| fleet.add_host(host));
        fleet
    }

    fn add(&mut self, host: usize, name: &str, labels: &[(&str, &str)], shape: Shape, value: f64) {
        let instance = format!("prod-{host:04}.example.net:9100");
        let region = ["eu-west-1", "us-east-1", "ap-south-1", "eu-north-1"][host % 4];
        let common = [("env", "production"), ("instance", &instance), ("job", "node"), ("region", region)];
        let mut labels: Vec<(String, String)> = [("__name__", name)]
            .iter()
            .chain(labels)
            .chain(&common)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        self.series.push(Series { labels, shape, value });
    }

    fn add_host(&mut self, host: usize) {
        let modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
        for cpu in ["0", "1", "2", "3"] {
            for (at, mode) in modes.iter().enumerate() {
                let labels = [("cpu", cpu), ("mode", mode)];
                let shape = Shape::Hundredths(if at == 0 { 1400 } else { 40 * at as u64 });
                self.add(host, "node_cpu_seconds_total", &labels, shape, (host * 1000 + at) as f64);
            }
        }
        for device in ["eth0", "eth1"] {
            for direction in ["receive", "transmit"] {
                for (what, by) in [("bytes", 900_000), ("packets", 1_500), ("errs", 0), ("drop", 0)] {
                    let shape = if by == 0 { Shape::Constant } else { Shape::Counter(by) };
                    let name = format!("node_network_{direction}_{what}_total");
                    self.add(host, &name, &[("device", device)], shape, 0.0);
                }
            }
        }
        for state in ["MemFree", "MemAvailable", "Buffers", "Cached", "Active", "Inactive", "Dirty", "Slab"] {
            self.add(host, &format!("node_memory_{state}_bytes"), &[], Shape::Pages, 4096.0 * 700_000.0);
        }
        for mountpoint in ["/", "/var/lib"] {
            let labels = [("device", "/dev/nvme0n1p1"), ("fstype", "ext4"), ("mountpoint", mountpoint)];
            for (what, shape) in
                [("avail", Shape::Pages), ("size", Shape::Constant), ("files", Shape::Constant)]
            {
                self.add(
                    host,
                    &format!("node_filesystem_{what}_bytes"),
                    &labels,
                    shape,
                    4096.0 * 9_000_000.0,
                );
            }
        }
        for minutes in ["1", "5", "15"] {
            self.add(host, &format!("node_load{minutes}"), &[], Shape::Level, 1.5);
        }
        for bound in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"] {
            let labels = [("handler", "/api/orders"), ("le", bound), ("service", "orders")];
            self.add(host, "http_request_duration_seconds_bucket", &labels, Shape::Counter(300), 0.0);
        }
        let mut number = 0;
        while self.series.len() < (host + 1) * SERIES_PER_HOST {
            let code = ["200", "201", "400", "404", "500"][number % 5];
            let method = ["GET", "POST", "PUT", "DELETE"][number / 5 % 4];
            let handler = format!("/api/v{}", number / 20);
            let labels =
                [("code", code), ("handler", handler.as_str()), ("method", method), ("service", "orders")];
            let shape = if number.is_multiple_of(3) { Shape::Constant } else { Shape::Counter(60) };
            self.add(host, "http_requests_total", &labels, shape, 0.0);
            number += 1;
        }
    }

    /// Moves every series on by one scrape and encodes it: remote write 1.0, snappy, an entry a sample.
    pub fn scrape(&mut self, timestamp_ms: i64) -> Vec<Vec<u8>> {
        let random = &mut self.random;
        for series in &mut self.series {
            let by = |bound: u64, random: &mut Random| random.below(bound) as f64;
            match series.shape {
                Shape::Hundredths(bound) => {
                    series.value = ((series.value * 100.0).round() + by(bound, random)) / 100.0;
                }
                Shape::Counter(bound) => series.value += by(bound, random),
                Shape::Pages => series.value = (series.value + 4096.0 * (by(400, random) - 200.0)).max(0.0),
                Shape::Level => {
                    series.value = ((series.value * 100.0).round() + by(21, random) - 10.0).abs() / 100.0;
                }
                Shape::Constant => {}
            }
        }
        let chunks = self.series.chunks(SAMPLES_PER_REQUEST);
        let encode = |chunk: &[Series]| {
            let series: Vec<TimeSeries> = chunk
                .iter()
                .map(|series| TimeSeries {
                    labels: series.labels.clone(),
                    samples: vec![(timestamp_ms, series.value)],
                    ..TimeSeries::default()
                })
                .collect();
            body::snappy(&encode::v1(&series, &[]))
        };
        chunks.map(encode).collect()
    }
}
