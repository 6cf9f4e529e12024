//! The real `weir` binary as a child process on a free port.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build;
use crate::http::{self, Reply};

/// A running `weir`; killed when dropped.
pub struct Weir {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// How long the start took until it was ready.
    pub ready_after: Duration,
}

/// Says a line on the test's error output.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The release binary, built once per test process: what users run is what is tested. `WEIR_BINARY`
/// names another one.
///
/// # Panics
/// When it does not build.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("WEIR_BINARY") {
            return PathBuf::from(path);
        }
        let built = build::executables(&["--release", "--package", "weir"]);
        let executable = built.into_iter().find(|path| path.ends_with("weir"));
        executable.unwrap_or_else(|| panic!("cargo named no executable"))
    })
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Weir {
    /// Starts on `data` without own metrics, StatsD and rules, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready within 20 s.
    pub fn start(data: &Path) -> Result<Self> {
        Self::start_with(data, &["--no-self", "--no-statsd", "--no-rules"])
    }

    /// Starts on `data` with the given flags.
    ///
    /// # Errors
    /// When it does not become ready within 20 s.
    pub fn start_with(data: &Path, flags: &[&str]) -> Result<Self> {
        let port = free_port()?;
        // Built first: that takes minutes, and is no part of the start.
        let binary = binary();
        let started = Instant::now();
        let child = Command::new(binary)
            .args(["up", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .args(flags)
            .stdout(Stdio::null())
            .spawn()
            .context("weir cannot be started")?;
        let mut weir = Self { child, url: format!("http://127.0.0.1:{port}"), ready_after: Duration::ZERO };
        while started.elapsed() < Duration::from_secs(20) {
            if let Some(status) = weir.child.try_wait()? {
                bail!("weir ended at its start: {status}");
            }
            if http::get(&format!("{}/-/ready", weir.url), &[]).is_ok_and(|reply| reply.status == 200) {
                weir.ready_after = started.elapsed();
                return Ok(weir);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("weir was not ready after 20 s")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// `kill -TERM`, and how long it took to end, which must be with status 0.
    ///
    /// # Errors
    /// When it ends otherwise or not within 10 s.
    pub fn stop(mut self) -> Result<Duration> {
        let asked = Instant::now();
        let status = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        anyhow::ensure!(status.success(), "kill failed");
        while asked.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "weir ended with {status}");
                return Ok(asked.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("weir was still there 10 s after SIGTERM")
    }

    /// Posts a body.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        http::post(&format!("{}{path}", self.url), headers, body)
    }

    /// Gets a path.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Result<Reply> {
        http::get(&format!("{}{path}", self.url), &[])
    }

    /// An instant query's `data.result` at `time_s`.
    ///
    /// # Errors
    /// When the query fails.
    pub fn query_at(&self, expr: &str, time_s: f64) -> Result<Value> {
        self.result(&format!("/api/v1/query?query={}&time={time_s}", http::encode(expr)))
    }

    /// An instant query's `data.result` now.
    ///
    /// # Errors
    /// When the query fails.
    pub fn query(&self, expr: &str) -> Result<Value> {
        self.result(&format!("/api/v1/query?query={}", http::encode(expr)))
    }

    /// The value of the one sample that an instant query at `time_s` answers with; `None` for none.
    ///
    /// # Errors
    /// When the query fails or answers with several.
    pub fn value_at(&self, expr: &str, time_s: f64) -> Result<Option<f64>> {
        let result = self.query_at(expr, time_s)?;
        let samples = result.as_array().context("the result is no vector")?;
        anyhow::ensure!(samples.len() <= 1, "{expr} gave {} series", samples.len());
        let Some(sample) = samples.first() else { return Ok(None) };
        let text = sample["value"][1].as_str().with_context(|| format!("{expr} gave {sample}"))?;
        Ok(Some(text.replace("Inf", "inf").parse()?))
    }

    fn result(&self, path: &str) -> Result<Value> {
        let reply = self.get(path)?;
        anyhow::ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.text());
        Ok(reply.json()["data"]["result"].clone())
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
