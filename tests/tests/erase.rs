//! Erasure over HTTP on the local stack: asked for, done, told; nothing of it is answered or stored any more.

#![expect(clippy::expect_used, reason = "a step that fails fails the test")]

use std::path::Path;
use std::time::Duration;

use weir_tests::Weir;

const ERASE: &str = "/api/v1/admin/metrics/erase";

/// Files below a folder whose bytes hold the text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).is_ok_and(|b| b.windows(text.len()).any(|w| w == text.as_bytes())) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn an_erasure_is_recorded_done_and_told_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_with(folder.path(), &["--no-self", "--no-statsd", "--no-rules"]).unwrap();
    let write = |value: u32| {
        let lines = format!("clicks{{user_id=\"u-4711-x\"}} {value}\nclicks{{user_id=\"u-1\"}} {value}\n");
        assert_eq!(weir.post("/api/v1/import/prometheus", &[], lines.as_bytes()).unwrap().status, 200);
    };
    let users = || weir.get("/api/v1/label/user_id/values").unwrap().json()["data"].clone();
    write(1);
    // What is stored as a block, and what is hot.
    for _ in 0..200 {
        if users() == serde_json::json!(["u-1", "u-4711-x"]) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    write(2);

    for body in
        ["", "{}", r#"{"matcher":"{}"}"#, r#"{"matcher":"{user_id=~\".*\"}"}"#, r#"{"matcher":"a","x":1}"#]
    {
        let reply = weir.post(ERASE, &[], body.as_bytes()).unwrap();
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    }
    let body = |dry_run: bool| {
        serde_json::json!({ "matcher": "{user_id=\"u-4711-x\"}", "dry_run": dry_run }).to_string()
    };
    let dry = weir.post(ERASE, &[], body(true).as_bytes()).unwrap();
    assert_eq!((dry.status, &dry.json()["dry_run"]["raw"]["rewritten"]), (200, &1.into()), "{}", dry.text());
    let asked = weir.post(ERASE, &[], body(false).as_bytes()).unwrap();
    assert_eq!(asked.status, 202, "{}", asked.text());
    let number = asked.json()["erasures"][0]["number"].as_u64().expect("its number");
    let place = format!("{ERASE}?tenant=default&number={number}");
    let told = || weir.get(&place).unwrap().json()["erasures"][0].clone();
    for _ in 0..200 {
        if told()["counts"]["quarantine"].is_object() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let report = told();
    assert_eq!(report["state"], "watched", "{report}");
    assert_eq!(report["counts"]["raw"]["samples"], 1, "{report}");
    assert_eq!(users(), serde_json::json!(["u-1"]));
    assert_eq!(files_with(&folder.path().join("lake"), "u-4711-x"), Vec::<String>::new());
    let all = weir.get(ERASE).unwrap().json()["erasures"].clone();
    assert_eq!(all, serde_json::json!([report]));
    assert_eq!(weir.get(&format!("{ERASE}?number=999")).unwrap().status, 404);
    assert_eq!(weir.get(&format!("{ERASE}?number=x")).unwrap().status, 400);
}
