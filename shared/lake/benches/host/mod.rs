//! How the values of a host move: the shape of node_exporter with one small HTTP service, 113 series.

use std::fmt::Debug;

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in 0..1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal with mean 0 and deviation 1: the sum of twelve uniforms.
    pub(crate) fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// A count of events of which `mean` are expected.
    pub(crate) fn events(&mut self, mean: f64) -> f64 {
        (mean + self.noise() * mean.sqrt() + self.share() - 0.5).round().max(0.0)
    }
}

/// How a series moves.
#[derive(Clone, Copy)]
pub(crate) enum Course {
    /// Grows by so many events a tick, each `weight` large, then divided.
    Counter { mean: f64, weight: f64, divisor: f64 },
    /// Walks at random in multiples of a unit, from and by so many of them.
    Gauge { start: f64, spread: f64, unit: f64, divisor: f64 },
    /// Stays.
    Constant(f64),
    /// Sums observations in full precision.
    Sum(f64),
}

impl Course {
    /// So many values, one a tick.
    pub(crate) fn values(self, random: &mut Random, ticks: usize) -> Vec<f64> {
        let mut at = match self {
            Self::Counter { mean, weight, .. } => (mean * weight * 40_000.0 * (0.2 + random.share())).round(),
            Self::Gauge { start, .. } => (start * (0.5 + random.share())).round(),
            Self::Constant(value) => value,
            Self::Sum(mean) => mean * 40_000.0 * random.share(),
        };
        let load = 0.4 + random.share();
        let values = (0..ticks).map(|_| match self {
            Self::Counter { mean, weight, divisor } => {
                let events = random.events(mean * load);
                // Packets and requests differ in size.
                let extra = if weight > 1.0 { (random.share() * weight * 4.0).round() } else { 0.0 };
                at += events * weight + if events > 0.0 { extra } else { 0.0 };
                at / divisor
            }
            Self::Gauge { spread, unit, divisor, .. } => {
                at = (at + (random.noise() * spread).round()).max(0.0);
                at * unit / divisor
            }
            Self::Constant(value) => value,
            Self::Sum(mean) => {
                at += mean * (0.5 + random.share());
                at
            }
        });
        values.collect()
    }
}

/// Name, further labels, course.
pub(crate) type Template = (&'static str, Vec<(&'static str, String)>, Course);

/// The 100 series of a host, but for the histogram.
pub(crate) fn templates() -> Vec<Template> {
    let mut all = Vec::new();
    let counter = |mean: f64, weight: f64, divisor: f64| Course::Counter { mean, weight, divisor };
    let gauge =
        |start: f64, spread: f64, unit: f64, divisor: f64| Course::Gauge { start, spread, unit, divisor };
    let modes = [
        ("idle", 900.0),
        ("iowait", 18.0),
        ("irq", 0.0),
        ("nice", 0.02),
        ("softirq", 12.0),
        ("steal", 0.0),
        ("system", 120.0),
        ("user", 400.0),
    ];
    for cpu in 0..4 {
        for (mode, mean) in modes {
            let labels = vec![("cpu", cpu.to_string()), ("mode", mode.to_owned())];
            all.push(("node_cpu_seconds_total", labels, counter(mean, 1.0, 100.0)));
        }
    }
    for (name, spread) in [
        ("node_memory_Active_bytes", 16_000.0),
        ("node_memory_Buffers_bytes", 50.0),
        ("node_memory_Cached_bytes", 8_000.0),
        ("node_memory_Dirty_bytes", 1_200.0),
        ("node_memory_Inactive_bytes", 40_000.0),
        ("node_memory_MemAvailable_bytes", 40_000.0),
        ("node_memory_MemFree_bytes", 32_000.0),
        ("node_memory_MemTotal_bytes", 0.0),
        ("node_memory_SwapFree_bytes", 0.0),
        ("node_memory_SwapTotal_bytes", 0.0),
    ] {
        all.push((name, vec![], gauge(4e6, spread, 1024.0, 1.0)));
    }
    for name in ["node_load1", "node_load15", "node_load5"] {
        all.push((name, vec![], gauge(150.0, 4.0, 1.0, 100.0)));
    }
    for device in ["nvme0n1", "nvme1n1"] {
        let labels = vec![("device", device.to_owned())];
        all.push(("node_disk_io_time_seconds_total", labels.clone(), counter(200.0, 1.0, 1000.0)));
        all.push(("node_disk_read_bytes_total", labels.clone(), counter(3.0, 16_384.0, 1.0)));
        all.push(("node_disk_reads_completed_total", labels.clone(), counter(4.0, 1.0, 1.0)));
        all.push(("node_disk_writes_completed_total", labels.clone(), counter(300.0, 1.0, 1.0)));
        all.push(("node_disk_written_bytes_total", labels, counter(300.0, 4096.0, 1.0)));
    }
    for (device, mean) in [("eth0", 6_000.0), ("lo", 400.0)] {
        let labels = vec![("device", device.to_owned())];
        all.push(("node_network_receive_bytes_total", labels.clone(), counter(mean, 400.0, 1.0)));
        all.push(("node_network_receive_errs_total", labels.clone(), counter(0.002, 1.0, 1.0)));
        all.push(("node_network_receive_packets_total", labels.clone(), counter(mean, 1.0, 1.0)));
        all.push(("node_network_transmit_bytes_total", labels.clone(), counter(mean, 450.0, 1.0)));
        all.push(("node_network_transmit_packets_total", labels, counter(mean, 1.0, 1.0)));
    }
    for (mountpoint, spread) in [("/", 20.0), ("/boot/efi", 0.0), ("/var/lib", 300.0)] {
        let labels = vec![("fstype", "ext4".to_owned()), ("mountpoint", mountpoint.to_owned())];
        all.push(("node_filesystem_avail_bytes", labels.clone(), gauge(9e6, spread, 4096.0, 1.0)));
        all.push(("node_filesystem_size_bytes", labels, Course::Constant(214_643_507_200.0)));
    }
    for code in ["200", "404", "500"] {
        for (method, mean) in [("GET", 60.0), ("POST", 15.0)] {
            let mean = if code == "200" { mean } else { mean / 100.0 };
            let labels = vec![("code", code.to_owned()), ("method", method.to_owned())];
            all.push(("http_requests_total", labels, counter(mean, 1.0, 1.0)));
        }
    }
    for (name, course) in [
        ("node_boot_time_seconds", Course::Constant(1_749_000_123.0)),
        ("node_context_switches_total", counter(80_000.0, 1.0, 1.0)),
        ("node_filefd_allocated", gauge(100.0, 0.6, 32.0, 1.0)),
        ("node_procs_running", gauge(4.0, 1.0, 1.0, 1.0)),
        ("up", Course::Constant(1.0)),
        ("go_goroutines", gauge(60.0, 2.0, 1.0, 1.0)),
        ("http_request_duration_seconds_sum", Course::Sum(3.0)),
        ("process_cpu_seconds_total", counter(200.0, 1.0, 100.0)),
        ("process_open_fds", gauge(40.0, 0.8, 1.0, 1.0)),
        ("process_resident_memory_bytes", gauge(60_000.0, 250.0, 4096.0, 1.0)),
    ] {
        all.push((name, vec![], course));
    }
    all
}

/// The cumulative buckets of a latency histogram and its count.
pub(crate) fn histogram(
    random: &mut Random,
    ticks: usize,
) -> Vec<(&'static str, Option<&'static str>, Vec<f64>)> {
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    let shares = [0.02, 0.05, 0.2, 0.25, 0.25, 0.15, 0.05, 0.02, 0.008, 0.0015, 0.0003, 0.0];
    let own: Vec<Vec<f64>> = shares
        .iter()
        .map(|share| Course::Counter { mean: 75.0 * share, weight: 1.0, divisor: 1.0 }.values(random, ticks))
        .collect();
    let mut sums = vec![0.0; ticks];
    let mut all = Vec::new();
    for (bound, counts) in bounds.iter().zip(&own) {
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        all.push(("http_request_duration_seconds_bucket", Some(*bound), sums.clone()));
    }
    all.push(("http_request_duration_seconds_count", None, sums));
    all
}

/// A benchmark of a step that fails means nothing, so it ends.
pub(crate) fn must<T, E: Debug>(step: Result<T, E>) -> T {
    match step {
        Ok(value) => value,
        Err(error) => panic!("a step of the benchmark failed: {error:?}"),
    }
}
