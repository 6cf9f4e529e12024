//! A made-up fleet for benchmarks: hosts of 100 series each, shaped like a node exporter and one HTTP
//! service, as remote-write bodies in the order and size in which Prometheus sends them.

use std::time::Duration;

use weir_formats::remote_write::encode::{self, TimeSeries};

use crate::{Random, body, http};

/// Series of one host.
pub const SERIES_PER_HOST: usize = 100;
/// Prometheus' default for `max_samples_per_send`.
pub const SAMPLES_PER_REQUEST: usize = 2_000;

/// Connections that requests are sent over; a series keeps to one.
const CONNECTIONS: usize = 4;

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

/// The fleet at one moment.
pub struct Fleet {
    /// Each with the one sample of the moment.
    series: Vec<TimeSeries>,
    shapes: Vec<Shape>,
    random: Random,
}

impl Fleet {
    /// `hosts` hosts; the same seed gives the same samples.
    #[must_use]
    pub fn new(hosts: usize, random: Random) -> Self {
        let mut fleet =
            Self { series: Vec::with_capacity(hosts * SERIES_PER_HOST), shapes: Vec::new(), random };
        (0..hosts).for_each(|host| fleet.add_host(host));
        fleet
    }

    /// Adds a histogram of 100 buckets to each host: five methods of a service, 20 bounds each.
    #[must_use]
    pub fn with_wide_histogram(mut self) -> Self {
        for host in 0..self.series.len() / SERIES_PER_HOST {
            for method in ["Get", "List", "Put", "Delete", "Watch"] {
                for place in 0..20 {
                    let bound = if place == 19 {
                        "+Inf".to_owned()
                    } else {
                        (0.001 * 1.7f64.powi(place)).to_string()
                    };
                    let labels = [("le", bound.as_str()), ("method", method), ("service", "store")];
                    let shape = Shape::Counter(30 * (place as u64 + 1));
                    self.add(host, "rpc_duration_seconds_bucket", &labels, shape, 0.0);
                }
            }
        }
        self
    }

    /// Number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series.len()
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
        self.series.push(TimeSeries { labels, samples: vec![(0, value)], ..TimeSeries::default() });
        self.shapes.push(shape);
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
        for (series, shape) in self.series.iter_mut().zip(&self.shapes) {
            let by = |bound: u64, random: &mut Random| random.below(bound) as f64;
            for (at_ms, value) in &mut series.samples {
                *at_ms = timestamp_ms;
                match *shape {
                    Shape::Hundredths(bound) => {
                        *value = ((*value * 100.0).round() + by(bound, random)) / 100.0;
                    }
                    Shape::Counter(bound) => *value += by(bound, random),
                    Shape::Pages => *value = (*value + 4096.0 * (by(400, random) - 200.0)).max(0.0),
                    Shape::Level => {
                        *value = ((*value * 100.0).round() + by(21, random) - 10.0).abs() / 100.0;
                    }
                    Shape::Constant => {}
                }
            }
        }
        let chunks = self.series.chunks(SAMPLES_PER_REQUEST);
        chunks.map(|chunk| body::snappy(&encode::v1(chunk, &[]))).collect()
    }
}

/// Sends the requests of some scrapes over several connections, scrape by scrape.
///
/// # Panics
/// When a request is refused for another reason than that the server is busy, or a hundred times.
pub fn send(url: &str, scrapes: &[Vec<Vec<u8>>]) {
    let url = format!("{url}/api/v1/write");
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let url = &url;
            scope.spawn(move || {
                let client = http::Client::new();
                for scrape in scrapes {
                    for body in scrape.iter().skip(connection).step_by(CONNECTIONS) {
                        send_one(&client, url, body);
                    }
                }
            });
        }
    });
}

fn send_one(client: &http::Client, url: &str, body: &[u8]) {
    for _ in 0..100 {
        let reply = client.post(url, &[("Content-Encoding", "snappy")], body);
        let reply = reply.unwrap_or_else(|error| panic!("{url}: {error}"));
        if reply.status == 204 {
            return;
        }
        assert!(reply.status == 503, "{}: {}", reply.status, reply.text());
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{url} was busy a hundred times");
}
