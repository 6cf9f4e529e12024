//! A real Alertmanager, and the webhook that hears it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use weir_tests::peers::{self, Peer};
use weir_tests::{http, weir};

use crate::world::News;

type Heard = Arc<Mutex<Vec<(i64, String, Value)>>>;

/// A running Alertmanager, which ends when dropped.
pub(crate) struct Alertmanager {
    url: String,
    /// Where it sends to.
    pub(crate) receiver_url: String,
    start_ms: i64,
    heard: Heard,
    /// Its ids of silences, by ours.
    silences: BTreeMap<String, String>,
    _peer: Peer,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

fn now_ms() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

impl Alertmanager {
    /// Starts Debian's Alertmanager by the configuration for a receiver's address; `None` where it cannot be had.
    pub(crate) fn start(config: impl Fn(&str) -> String) -> Option<Self> {
        let program: PathBuf = peers::debian("prometheus-alertmanager", "prometheus-alertmanager")?;
        let heard = Heard::default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let receiver_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/{path}", post(hear)).with_state(heard.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, config(&receiver_url)).unwrap();
        let port = weir::free_port().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let peer = peers::start(
            Command::new(program)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--cluster.listen-address=", "--log.level=error"]),
        );
        peers::wait_until("Alertmanager is ready", 30, || {
            http::get(&format!("{url}/-/ready"), &[]).is_ok_and(|reply| reply.status == 200)
        });
        let (silences, start_ms) = (BTreeMap::new(), 0);
        Some(Self {
            url,
            receiver_url,
            start_ms,
            heard,
            silences,
            _peer: peer,
            _runtime: runtime,
            _folder: folder,
        })
    }

    /// Sets second 0, a moment from now, and returns it in milliseconds since the Unix epoch.
    pub(crate) fn begin(&mut self) -> i64 {
        self.start_ms = now_ms() + 500;
        self.start_ms
    }

    /// Waits until a second has come.
    pub(crate) fn wait_for(&self, second: i64) {
        let wait_ms = self.start_ms + second * 1000 - now_ms();
        std::thread::sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default()));
    }

    /// Tells it what is new.
    pub(crate) fn tell(&mut self, news: &News) {
        for (name, silence) in &news.silences {
            let reply = self.post("silences", silence);
            self.silences.insert(name.clone(), reply["silenceID"].as_str().unwrap().to_owned());
        }
        for name in &news.expired {
            let url = format!("{}/api/v2/silence/{}", self.url, self.silences[name]);
            assert_eq!(http::Client::new().send("DELETE", &url, &[]).unwrap().status, 200);
        }
        if !news.alerts.is_empty() {
            self.post("alerts", &Value::from(news.alerts.clone()));
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let json = [("content-type", "application/json")];
        let reply =
            http::post(&format!("{}/api/v2/{path}", self.url), &json, body.to_string().as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Everything it said: milliseconds since second 0, where to, and what.
    pub(crate) fn heard(&self) -> Vec<(i64, String, Value)> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .map(|(at_ms, path, message)| (at_ms - self.start_ms, path.clone(), message.clone()))
            .collect()
    }
}

async fn hear(State(heard): State<Heard>, Path(path): Path<String>, body: String) {
    heard.lock().unwrap().push((now_ms(), path, serde_json::from_str(&body).unwrap()));
}
