//! An alert in the local stack from its rule to a webhook, silenced and shown by Alertmanager's own tool.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::Value;
use weir_tests::peers::{debian, wait_until};
use weir_tests::{Weir, http};

const RULES: &str = "
groups:
- name: g
  interval: 1m
  rules:
  - alert: AlwaysIll
    expr: vector(1)
    labels: {severity: critical, service: pay}
    annotations: {summary: it is ill}
  - alert: AlwaysTired
    expr: vector(1)
    labels: {severity: warning, service: pay}
";

type Heard = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// What amtool says.
fn amtool(program: &std::path::Path, url: &str, args: &[&str]) -> String {
    let output = Command::new(program).arg(format!("--alertmanager.url={url}")).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "amtool {args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn an_alert_reaches_its_webhook_and_amtool_silences_and_shows_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let hook = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = Heard::default();
    let router = Router::new().route("/hook", post(hear)).with_state(heard.clone());
    runtime.spawn(async move { axum::serve(listener, router).await });

    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("ill.yml"), RULES).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    let routing = folder.path().join("routing.yml");
    let config = format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s}}\n\
         inhibit_rules: [{{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [service]}}]\n\
         receivers: [{{name: hook, webhook_configs: [{{url: '{hook}', secret_file: '{}'}}]}}]\n",
        secret.display()
    );
    std::fs::write(&routing, config).unwrap();
    let flag = |path: &std::path::Path| path.display().to_string();
    let flags = ["--no-self", "--no-statsd", "--rules", &flag(&rules), "--routing", &flag(&routing)];
    let weir = Weir::start_with(&folder.path().join("data"), &flags).unwrap();

    // Alerts are evaluated at every full minute.
    wait_until("the alert is told", 90, || !heard.lock().unwrap().is_empty());
    let (headers, message) = heard.lock().unwrap()[0].clone();
    assert_eq!(message["commonLabels"]["alertname"], "AlwaysIll");
    assert_eq!((&message["status"], &message["receiver"]), (&"firing".into(), &"hook".into()));
    assert!(headers.keys().any(|name| name.as_str().contains("signature")), "{headers:?}");

    let alerts = http::get(&format!("{}/api/v2/alerts", weir.url), &[]).unwrap().json();
    let states: Vec<_> =
        alerts.as_array().unwrap().iter().map(|alert| alert["status"]["state"].clone()).collect();
    assert_eq!(states, ["active", "suppressed"], "{alerts}");
    assert_eq!(alerts[1]["status"]["inhibitedBy"][0], alerts[0]["fingerprint"]);

    let Some(program) = debian("amtool", "prometheus-alertmanager") else { return };
    let tool = |args: &[&str]| amtool(&program, &weir.url, args);
    assert!(tool(&["alert", "query"]).contains("AlwaysIll"));
    let id =
        tool(&["silence", "add", "alertname=AlwaysIll", "--author=me", "--comment=known", "--duration=1h"]);
    let id = id.trim();
    assert!(
        tool(&["silence", "query"]).contains("alertname=\"AlwaysIll\""),
        "{}",
        tool(&["silence", "query"])
    );
    assert!(!tool(&["alert", "query"]).contains("AlwaysIll"), "it is silenced");
    assert!(tool(&["alert", "query", "--silenced"]).contains("AlwaysIll"));
    assert!(tool(&["silence", "query", "alertname=Other"]).lines().count() <= 1);
    tool(&["silence", "update", id, "--duration=2h"]);
    tool(&["silence", "expire", id]);
    assert!(tool(&["silence", "query", "--expired"]).contains(id));
    assert!(tool(&["alert", "query", "severity=critical"]).contains("AlwaysIll"));
    assert!(tool(&["config", "show"]).contains("secret_file"));
    drop(weir);
    assert_eq!(heard.lock().unwrap().len(), 1, "the other is inhibited, and nothing is told twice");
}

async fn hear(State(heard): State<Heard>, headers: HeaderMap, body: String) {
    heard.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
}
