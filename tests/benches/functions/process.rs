//! A function's process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_tests::cloud::Cloud;
use weir_tests::peers::{self, Peer};
use weir_tests::usage;

use crate::runtime::Runtime;

/// What functions find in their environment.
pub(crate) struct Variables<'a> {
    pub(crate) cloud: &'a Cloud,
    pub(crate) stream: &'a str,
    pub(crate) runtime: &'a str,
    pub(crate) bucket: &'a str,
}

/// A function that runs, and ends when dropped.
pub(crate) struct Function {
    begun: Instant,
    peer: Peer,
}

impl Function {
    pub(crate) fn start(name: &str, binary: &Path, variables: &Variables<'_>) -> Self {
        let mut command = Command::new(binary);
        command.env_clear().stdout(Stdio::null());
        for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"] {
            command.env(name, variables.cloud.variable(name).unwrap_or_default());
        }
        command
            .env("AWS_ENDPOINT_URL_KINESIS", variables.stream)
            .env("AWS_LAMBDA_RUNTIME_API", variables.runtime)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("WEIR_BUCKET", variables.bucket)
            .env("WEIR_STREAM", "records")
            .env("WEIR_API_KEY", "open")
            .env("WEIR_LOG", "error");
        let begun = Instant::now();
        Self { begun, peer: peers::start(&mut command) }
    }

    /// How long it took from its start until it asked for its first event.
    pub(crate) fn started_in(&self, runtime: &Runtime) -> Duration {
        runtime.asked() - self.begun
    }

    /// Most memory that it has held.
    pub(crate) fn peak_memory_mib(&self) -> f64 {
        usage::peak_memory_mib(self.peer.pid())
    }

    /// Processor seconds that events take it, beyond its start.
    pub(crate) fn cost_of(
        &self,
        runtime: &Runtime,
        events: impl Iterator<Item = String>,
        check: impl Fn(&Value),
    ) -> f64 {
        runtime.asked();
        let before = usage::cpu_seconds(self.peer.pid());
        events.for_each(|event| check(&runtime.invoke(event)));
        usage::cpu_seconds(self.peer.pid()) - before
    }
}

/// The binary that a zip holds, beside it.
pub(crate) fn unzipped(zip: &Path) -> PathBuf {
    let folder = zip.parent().unwrap_or(Path::new("."));
    let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract('bootstrap', sys.argv[2])";
    let done = Command::new("python3").args(["-c", script]).args([zip, folder]).status().unwrap();
    assert!(done.success(), "{} cannot be unpacked", zip.display());
    let binary = folder.join("bootstrap");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&binary, mode).unwrap();
    binary
}
