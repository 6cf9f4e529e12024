//! The emulated cloud: an emulator of the AWS APIs on loopback, the real template deployed to it with the
//! real functions.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::build;
use crate::peers::{self, Peer};
use crate::weir::{free_port, note};

const MINISTACK: &str = "1.5.33";
const MOTO: &str = "5.2.5";
/// What ministack needs for SAM templates and for our scripts.
const BESIDE: [&str; 3] = ["aws-sam-translator==1.115.0", "cbor2==6.2.1", "boto3==1.43.106"];
/// The functions of the template that have a binary.
pub const FUNCTIONS: [&str; 9] =
    ["ingest", "enrich", "compact", "query", "rollup", "archive", "kpi", "alert", "forward"];

/// An endpoint of the AWS APIs. One that was started here ends with it.
pub struct Cloud {
    python: PathBuf,
    folder: tempfile::TempDir,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    given: bool,
}

/// A deployed stack: its outputs.
pub struct Deployed {
    /// Base of the HTTP API's paths.
    pub api: String,
    /// The lake's bucket.
    pub bucket: String,
    /// The topic that alerts go to.
    pub alerts: String,
}

/// The Python that has ministack, and what reads SAM templates.
#[must_use]
pub fn python() -> Option<PathBuf> {
    peers::pypi_with("python", "ministack", MINISTACK, &BESIDE)
}

impl Cloud {
    /// The endpoint that `AWS_ENDPOINT_URL` names, else ministack out of PyPI with its permission checks on.
    /// `None` where that cannot be installed, which in CI is a failure.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let given = std::env::var("AWS_ENDPOINT_URL").ok();
        let mut cloud = Self { python, folder, url: String::new(), given: given.is_some() };
        cloud.url = given.unwrap_or_else(|| {
            cloud.emu(&["up"], &[]);
            let text = std::fs::read_to_string(cloud.folder.path().join("env.json")).unwrap_or_default();
            let env: Value = serde_json::from_str(&text).unwrap_or_default();
            env["AWS_ENDPOINT_URL"].as_str().unwrap_or_default().to_owned()
        });
        Some(cloud)
    }

    /// A variable of the account that tests act as: the emulator's root.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        match name {
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            _ => None,
        }
    }

    /// Deploys template.yaml with the functions as they are now.
    ///
    /// # Panics
    /// When anything of it fails.
    #[must_use]
    pub fn deploy(&self, stack: &str, parameters: &[&str]) -> Deployed {
        let folder = self.folder.path().join("deploy");
        let template = folder.join("template.yaml");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (name, binary) in build::functions() {
            let place = folder.join("target/lambda").join(name);
            let done = std::fs::create_dir_all(&place)
                .and_then(|()| std::fs::copy(&binary, place.join("bootstrap")).map(|_| ()));
            done.unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        }
        let copied = std::fs::copy(root.join("template.yaml"), &template);
        copied.unwrap_or_else(|error| panic!("template.yaml: {error}"));
        let template = template.to_string_lossy().into_owned();
        self.emu(&["deploy"], &[&[template.as_str(), stack], parameters].concat());
        let outputs =
            std::fs::read_to_string(self.folder.path().join(format!("{stack}.json"))).unwrap_or_default();
        let outputs: Value = serde_json::from_str(&outputs).unwrap_or_default();
        let output = |name: &str| outputs[name].as_str().unwrap_or_default().to_owned();
        Deployed { api: output("ApiUrl"), bucket: output("LakeBucket"), alerts: output("AlertTopicArn") }
    }

    /// Starts what ministack lacks of an event source mapping: partial failures, splitting, giving up.
    #[must_use]
    pub fn event_source(&self) -> Option<Peer> {
        let mut command = self.script("esm.py");
        for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"] {
            command.env(name, self.variable(name).unwrap_or_default());
        }
        (!self.given).then(|| peers::start(command.env("AWS_DEFAULT_REGION", "us-east-1")))
    }

    /// Starts a proxy in front of the endpoint that injects faults, those at random by the seed; its address.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn faults(&self, rules: &Value, seed: u64) -> (Peer, String) {
        self.faults_before(&self.url, rules, seed)
    }

    /// As [`Cloud::faults`], in front of another endpoint.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn faults_before(&self, url: &str, rules: &Value, seed: u64) -> (Peer, String) {
        let port = free_port().unwrap_or_else(|error| panic!("{error}"));
        let mut command = self.script("faultproxy.py");
        let peer =
            peers::start(command.args([&port.to_string(), url, &rules.to_string(), &seed.to_string()]));
        let reachable = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        peers::wait_until("the fault proxy listens", 10, reachable);
        (peer, format!("http://127.0.0.1:{port}"))
    }

    /// Sets a further environment variable of a deployed function.
    ///
    /// # Panics
    /// When that fails.
    pub fn point(&self, stack: &str, function: &str, variable: &str) {
        self.emu(&["point"], &[stack, function, variable]);
    }

    /// Calls a deployed function with an event, as its schedule would.
    ///
    /// # Panics
    /// When the function fails.
    pub fn invoke(&self, stack: &str, function: &str, event: &Value) {
        self.emu(&["invoke"], &[stack, function, &event.to_string()]);
    }

    /// Makes a bucket.
    ///
    /// # Panics
    /// When that fails.
    pub fn make_bucket(&self, bucket: &str) {
        self.emu(&["bucket"], &[bucket]);
    }

    /// Stores an object in a bucket.
    ///
    /// # Panics
    /// When that fails.
    pub fn put(&self, bucket: &str, key: &str, text: &str) {
        self.emu(&["put"], &[bucket, key, text]);
    }

    /// The metrics of a namespace of CloudWatch: `name`, `dimensions`, and `points` with their statistics.
    ///
    /// # Panics
    /// When they cannot be asked for.
    #[must_use]
    pub fn statistics(&self, namespace: &str) -> Vec<Value> {
        self.emu(&["statistics"], &[namespace]);
        let path = self.folder.path().join(format!("{}.json", namespace.replace('/', "-")));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A subscriber of a topic (tests/emulator/subscriber.py): what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn subscriber(&self, arguments: &[&str]) -> Value {
        let mut command = self.script("subscriber.py");
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"] {
            command.env(name, self.variable(name).unwrap_or_default());
        }
        let output = command.env("AWS_DEFAULT_REGION", "us-east-1").args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("python does not start: {error}"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "subscriber.py {arguments:?} failed: {text}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Starts moto, which has the services that ministack lacks (Timestream); its address. `None` as in
    /// [`Cloud::start`].
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn moto() -> Option<(Peer, String)> {
        let program = peers::pypi("moto_server", "moto[server]", MOTO)?;
        let port = free_port().unwrap_or_else(|error| panic!("{error}"));
        let peer = peers::start(Command::new(program).args(["-H", "127.0.0.1", "-p", &port.to_string()]));
        let reachable = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        peers::wait_until("moto listens", 60, reachable);
        Some((peer, format!("http://127.0.0.1:{port}")))
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("emulator").join(name));
        command
    }

    fn emu(&self, verb: &[&str], rest: &[&str]) {
        let output = self
            .script("emu.py")
            .args(verb)
            .arg(self.folder.path())
            .args(rest)
            .env("EMU__AUTH", "true")
            .output()
            .unwrap_or_else(|error| panic!("python does not start: {error}"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "emu.py {verb:?} failed: {text}");
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if !self.given {
            let log = std::fs::read_to_string(self.folder.path().join("ministack.log")).unwrap_or_default();
            if std::thread::panicking() {
                let lines: Vec<&str> = log.lines().rev().take(40).collect();
                note(&format!("the emulator said last:\n{}", lines.join("\n")));
            }
            let _ = self.script("emu.py").arg("down").arg(self.folder.path()).status();
        }
    }
}
