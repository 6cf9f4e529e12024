//! A function's process.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_tests::cloud::Cloud;
use weir_tests::peers::{self, Peer};
use weir_tests::usage;

use crate::runtime::Runtime;
use crate::stream::Stream;

/// What functions find in their environment.
pub(crate) struct Site<'a> {
    pub(crate) cloud: &'a Cloud,
    pub(crate) stream: &'a Stream,
    /// By name.
    pub(crate) binaries: &'a [(&'static str, PathBuf)],
}

impl Site<'_> {
    /// Starts a function over a bucket, and waits until it asks for its first event.
    pub(crate) fn start(&self, name: &str, bucket: &str) -> Function {
        let runtime = Runtime::start();
        let binary = &self.binaries.iter().find(|(known, _)| *known == name).unwrap().1;
        let mut command = Command::new(binary);
        command.env_clear().stdout(Stdio::null());
        for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"] {
            command.env(name, self.cloud.variable(name).unwrap_or_default());
        }
        command
            .env("AWS_ENDPOINT_URL_KINESIS", &self.stream.url)
            .env("AWS_LAMBDA_RUNTIME_API", &runtime.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("WEIR_BUCKET", bucket)
            .env("WEIR_STREAM", "records")
            .env("WEIR_API_KEY", "open")
            .env("WEIR_LOG", "error");
        let begun = Instant::now();
        let peer = peers::start(&mut command);
        let started_in = runtime.asked() - begun;
        Function { peer, runtime, started_in }
    }
}

/// A function that runs, and ends when dropped.
pub(crate) struct Function {
    peer: Peer,
    runtime: Runtime,
    /// How long it took from its start until it asked for its first event.
    pub(crate) started_in: Duration,
}

impl Function {
    /// Most memory that it has held.
    pub(crate) fn peak_memory_mib(&self) -> f64 {
        usage::peak_memory_mib(self.peer.pid())
    }

    /// Processor seconds that events take it, whose answers are checked.
    pub(crate) fn cost_of(
        &self,
        events: impl IntoIterator<Item = String>,
        mut check: impl FnMut(&Value),
    ) -> f64 {
        let before = usage::cpu_seconds(self.peer.pid());
        events.into_iter().for_each(|event| check(&self.runtime.invoke(event)));
        usage::cpu_seconds(self.peer.pid()) - before
    }
}
