//! Readings of the machine Weir runs on: CPU, memory, disks, network, and Weir's own process.

use sysinfo::{Disks, Networks, Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use weir_platform::{MetricSpec, MetricType, Reading};

/// Keeps what the counters of the machine need from one reading to the next.
pub(crate) struct Host {
    system: System,
    disks: Disks,
    networks: Networks,
    pid: Option<Pid>,
}

const fn gauge(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Gauge }
}

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

const CPU_USAGE: MetricSpec = gauge("host_cpu_usage_ratio", "Share of time a processor was busy, 0 to 1.");
const LOAD: MetricSpec = gauge("host_load_average", "Load average by minutes looked back.");
const MEMORY: MetricSpec = gauge("host_memory_bytes", "Main memory by state.");
const SWAP: MetricSpec = gauge("host_swap_bytes", "Swap space by state.");
const UPTIME: MetricSpec = gauge("host_uptime_seconds", "Time since the machine started.");
const DISK_SIZE: MetricSpec = gauge("host_filesystem_size_bytes", "Size of a file system.");
const DISK_AVAILABLE: MetricSpec = gauge("host_filesystem_avail_bytes", "Space left on a file system.");
const RECEIVED: MetricSpec = counter("host_network_receive_bytes_total", "Bytes received by a device.");
const SENT: MetricSpec = counter("host_network_transmit_bytes_total", "Bytes sent by a device.");
const RECEIVED_PACKETS: MetricSpec =
    counter("host_network_receive_packets_total", "Packets received by a device.");
const SENT_PACKETS: MetricSpec = counter("host_network_transmit_packets_total", "Packets sent by a device.");
const PROCESS_CPU: MetricSpec = counter("process_cpu_seconds_total", "Processor time that Weir has used.");
const PROCESS_MEMORY: MetricSpec = gauge("process_resident_memory_bytes", "Main memory that Weir holds.");

impl Host {
    /// Looks at the machine for the first time.
    pub(crate) fn new() -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self {
            system,
            disks: Disks::new_with_refreshed_list()?,
            networks: Networks::new_with_refreshed_list()?,
            pid: sysinfo::get_current_pid().ok(),
        })
    }

    /// The machine's name, for the `instance` label.
    pub(crate) fn name() -> String {
        System::host_name().unwrap_or_else(|_| "localhost".to_owned())
    }

    /// Reads everything. What the machine does not tell is left out.
    pub(crate) fn read(&mut self) -> Vec<Reading> {
        let mut readings = Readings::default();
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        for (number, cpu) in self.system.cpus().iter().enumerate() {
            readings.push(CPU_USAGE, &[("cpu", &number.to_string())], f64::from(cpu.usage()) / 100.0);
        }
        if let Ok(load) = System::load_average() {
            for (minutes, value) in [("1", load.one), ("5", load.five), ("15", load.fifteen)] {
                readings.push(LOAD, &[("minutes", minutes)], value);
            }
        }
        if let Ok(uptime) = System::uptime() {
            readings.push(UPTIME, &[], uptime as f64);
        }
        let system = &self.system;
        for (state, bytes) in [
            ("total", system.total_memory()),
            ("used", system.used_memory()),
            ("available", system.available_memory()),
        ] {
            readings.push(MEMORY, &[("state", state)], bytes as f64);
        }
        for (state, bytes) in [("total", system.total_swap()), ("used", system.used_swap())] {
            readings.push(SWAP, &[("state", state)], bytes as f64);
        }
        self.read_disks(&mut readings);
        self.read_networks(&mut readings);
        self.read_process(&mut readings);
        readings.0
    }

    fn read_disks(&mut self, readings: &mut Readings) {
        self.disks.refresh(true);
        for disk in &self.disks {
            let device = disk.name().to_string_lossy();
            let mountpoint = disk.mount_point().to_string_lossy();
            let fstype = disk.file_system().to_string_lossy();
            let labels = [("device", &*device), ("mountpoint", &*mountpoint), ("fstype", &*fstype)];
            readings.push(DISK_SIZE, &labels, disk.total_space() as f64);
            readings.push(DISK_AVAILABLE, &labels, disk.available_space() as f64);
        }
    }

    fn read_networks(&mut self, readings: &mut Readings) {
        self.networks.refresh(true);
        for (device, network) in &self.networks {
            let device = device.to_string_lossy();
            let labels = [("device", &*device)];
            readings.push(RECEIVED, &labels, network.total_received() as f64);
            readings.push(SENT, &labels, network.total_transmitted() as f64);
            readings.push(RECEIVED_PACKETS, &labels, network.total_packets_received() as f64);
            readings.push(SENT_PACKETS, &labels, network.total_packets_transmitted() as f64);
        }
    }

    fn read_process(&mut self, readings: &mut Readings) {
        let Some(pid) = self.pid else { return };
        let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, wanted);
        if let Some(process) = self.system.process(pid) {
            readings.push(PROCESS_CPU, &[], process.accumulated_cpu_time() as f64 / 1000.0);
            readings.push(PROCESS_MEMORY, &[], process.memory() as f64);
        }
    }
}

#[derive(Default)]
struct Readings(Vec<Reading>);

impl Readings {
    fn push(&mut self, spec: MetricSpec, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.0.push(Reading { spec, labels, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_processor() {
        let readings = Host::new().unwrap().read();
        let value = |name: &str| readings.iter().find(|r| r.spec.name == name).map(|r| r.value);
        assert!(value("host_memory_bytes").is_some_and(|bytes| bytes > 0.0));
        assert!(value("host_cpu_usage_ratio").is_some_and(|ratio| (0.0..=1.5).contains(&ratio)));
        assert!(value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 0.0));
    }
}
