//! What a process has used, as Linux tells it.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Processor seconds (user and system) of a process so far.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    // Fields 14 and 15 of proc(5)'s stat, counted after the command's closing parenthesis, in ticks of
    // 1/100 s on every Linux that matters.
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Most main memory that a process has held, in MiB.
#[must_use]
pub fn peak_memory_mib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Bytes that a folder's files take on disk.
#[must_use]
pub fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Waits until a process has nothing left to do, two and a half minutes at most.
pub fn settle(pid: u32) {
    let mut quiet = 0;
    let mut before = cpu_seconds(pid);
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(250));
        let now = cpu_seconds(pid);
        quiet = if now - before < 0.02 { quiet + 1 } else { 0 };
        before = now;
        if quiet == 6 {
            return;
        }
    }
}
