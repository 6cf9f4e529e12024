//! A real Prometheus that takes remote writes and scrapes nothing.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::peers::{self, Peer};
use crate::{http, weir};

/// A running Prometheus, which ends when dropped.
pub struct Prometheus {
    peer: Peer,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl Prometheus {
    /// Starts Debian's Prometheus on an empty folder and waits until it is ready; `None` where it cannot be had.
    ///
    /// # Errors
    /// When its configuration cannot be written or there is no port.
    ///
    /// # Panics
    /// When it is not ready within 30 s, and in CI when it cannot be had.
    pub fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(program) = peers::debian("prometheus", "prometheus") else { return Ok(None) };
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "global: {}\n")?;
        let port = weir::free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let peer = peers::start(
            Command::new(program)
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"])
                .args(["--storage.tsdb.retention.time=100y", "--log.level=error"]),
        );
        peers::wait_until("Prometheus is ready", 30, || {
            http::get(&format!("{url}/-/ready"), &[]).is_ok_and(|reply| reply.status == 200)
        });
        Ok(Some(Self { peer, url }))
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.peer.pid()
    }
}
