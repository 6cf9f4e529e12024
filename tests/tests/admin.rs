//! The admin API of the local stack: who may use it, retention by request, statistics and storage.

#![expect(clippy::expect_used, reason = "a step that fails fails the test")]

use serde_json::Value;
use weir_tests::{Weir, http, peers};

const KEY: &str = "correct horse battery staple";
const RETENTION: &str = "/api/v1/admin/metrics/retention";
const QUIET: [&str; 3] = ["--no-self", "--no-statsd", "--no-rules"];
const DAY_S: i64 = 86_400;

fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_secs()).expect("and before the end of time")
}

#[test]
fn with_a_key_the_admin_api_answers_nobody_else_and_everything_else_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_with(folder.path(), &[&QUIET[..], &["--admin-key", KEY]].concat()).unwrap();
    let right = format!("Bearer {KEY}");
    let paths = weir_api::all().filter(|route| route.tag == "admin");
    for route in paths {
        assert!(route.path.starts_with("/api/v1/admin/"), "{} is behind the gate", route.path);
        let ask = |headers: &[(&str, &str)]| {
            let url = format!("{}{}", weir.url, route.path);
            match route.methods[0] {
                "GET" => http::get(&url, headers).unwrap(),
                _ if route.id == "admin_erase" => {
                    http::post(&url, headers, br#"{"matcher":"none","dry_run":true}"#).unwrap()
                }
                _ => http::post(&url, headers, b"retention_policies: {}").unwrap(),
            }
        };
        for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "Basic x")]] {
            let reply = ask(headers);
            assert_eq!(
                (reply.status, &reply.json()["errorType"]),
                (401, &"unauthorized".into()),
                "{}",
                route.path
            );
        }
        let reply = ask(&[("authorization", &right)]);
        assert_eq!(reply.status, 200, "{}: {}", route.path, reply.text());
    }
    assert_eq!(weir.get("/api/v1/labels").unwrap().status, 200);
}

#[test]
fn a_policy_posted_hides_at_once_is_versioned_and_says_who_changed_what() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_with(folder.path(), &QUIET).unwrap();
    let now = now_s();
    let lines = format!(
        "trade_x 1 {}\ntrade_x 2 {}\nother 3 {}\n",
        (now - 3 * DAY_S) * 1000,
        now * 1000,
        (now - 3 * DAY_S) * 1000
    );
    assert_eq!(weir.post("/api/v1/import/prometheus", &[], lines.as_bytes()).unwrap().status, 200);
    let counted =
        |name: &str| weir.value_at(&format!("sum(count_over_time({name}[7d]))"), now as f64).unwrap();
    peers::wait_until("what was written is visible", 5, || counted("other") == Some(1.0));
    assert_eq!(counted("trade_x"), Some(2.0));

    let yaml = "retention_policies:\n  high_frequency:\n    metrics: ['trade_.*']\n    raw_retention: 24h\n";
    let reply = weir.post(&format!("{RETENTION}?by=anna"), &[], yaml.as_bytes()).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let update = &reply.json()["retention_update"];
    assert_eq!((update["version"].as_u64(), update["changed"].as_bool()), (Some(1), Some(true)));
    assert_eq!(update["changed_by"], "anna (this machine)");
    assert_eq!((counted("trade_x"), counted("other")), (Some(1.0), Some(1.0)));

    // The same again, as JSON: no change. Then one that is refused, and one of a tenant.
    let json = update["policy"].to_string();
    let again = weir.post(RETENTION, &[], json.as_bytes()).unwrap().json();
    assert_eq!(
        (&again["retention_update"]["version"], &again["retention_update"]["changed"]),
        (&1.into(), &false.into())
    );
    let wrong = "retention_policies:\n  a:\n    metrics: [x]\n    raw_retention: soon\n";
    let refused = weir.post(RETENTION, &[], wrong.as_bytes()).unwrap();
    let error = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(refused.status == 400 && error.contains("line 4") && error.contains("soon"), "{error}");
    let own = weir.post(&format!("{RETENTION}?tenant=acme"), &[], b"retention_policies: {}").unwrap();
    assert_eq!(own.json()["retention_update"]["tenant"], "acme");

    let longer = yaml.replace("24h", "30d");
    let changed = weir.post(RETENTION, &[], longer.as_bytes()).unwrap().json();
    let previous = &changed["retention_update"]["previous_policy"]["retention_policies"]["high_frequency"];
    assert_eq!(previous["raw_retention"], "1d");
    let told = weir.get(RETENTION).unwrap().json();
    let versions: Vec<&Value> =
        told["retention"]["history"].as_array().unwrap().iter().map(|change| &change["version"]).collect();
    assert_eq!(versions, [&Value::from(2), &Value::from(1)]);
    assert_eq!(told["retention"]["policy"]["retention_policies"]["high_frequency"]["raw_retention"], "30d");
    let told = weir.get(&format!("{RETENTION}?tenant=acme")).unwrap().json();
    assert_eq!(
        (&told["retention"]["own"], told["retention"]["history"].as_array().unwrap().len()),
        (&true.into(), 1)
    );
}

#[test]
fn a_policy_out_of_a_file_is_not_changed_by_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("retention.yaml");
    std::fs::write(&file, "retention_policies: {}\n").unwrap();
    let flags = [&QUIET[..], &["--retention", file.to_str().unwrap()]].concat();
    let weir = Weir::start_with(&folder.path().join("weir"), &flags).unwrap();
    let reply = weir.post(RETENTION, &[], b"retention_policies: {}").unwrap();
    assert_eq!((reply.status, &reply.json()["errorType"]), (409, &"conflict".into()), "{}", reply.text());
    let own = weir.post(&format!("{RETENTION}?tenant=acme"), &[], b"retention_policies: {}").unwrap();
    assert_eq!(own.status, 200, "{}", own.text());
}

#[test]
fn statistics_and_storage_count_what_came_in_by_tenant_and_tier() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_with(folder.path(), &QUIET).unwrap();
    let now = now_s();
    let old = now - 2 * DAY_S;
    for (tenant, series) in [("a", 3), ("b", 1)] {
        let lines: String = (0..series)
            .flat_map(|s| [old, now - 60, now].map(|at| format!("m{{s=\"{s}\"}} {at} {}\n", at * 1000)))
            .collect();
        let reply =
            weir.post("/api/v1/import/prometheus", &[("X-Scope-OrgID", tenant)], lines.as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let hot = || weir.get("/api/v1/admin/metrics/storage?tier=hot").unwrap().json();
    let written = || hot()["metrics_storage"]["tiers"][0]["samples"] == 12;
    peers::wait_until("what was written is visible", 5, written);
    for (step, tier_name) in [("hot", "hot"), ("compacted", "raw")] {
        let storage = weir.get("/api/v1/admin/metrics/storage").unwrap().json()["metrics_storage"].clone();
        let tiers = storage["tiers"].as_array().unwrap();
        let tier = tiers.iter().find(|tier| tier["tier"] == tier_name).unwrap();
        assert_eq!((&tier["samples"], &tier["series"]), (&12.into(), &4.into()), "{step}: {storage}");
        assert!(tier["size_bytes"].as_u64() > Some(0), "{storage}");
        assert!(tier["oldest"].as_str() < tier["newest"].as_str(), "{storage}");
        let statistics =
            weir.get(&format!("/api/v1/admin/metrics/statistics?end={}", now + 1)).unwrap().json();
        let ingestion = &statistics["metrics_statistics"]["ingestion"];
        // Shares of blocks are rounded down.
        assert!((4..=8).contains(&ingestion["samples"].as_u64().unwrap()), "{step}: {statistics}");
        assert_eq!(ingestion["tenants"][0]["tenant"], "a", "{statistics}");
        assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    }
    let one = weir.get("/api/v1/admin/metrics/storage?tenant=b&tier=raw").unwrap().json();
    let one = &one["metrics_storage"]["tenants"];
    assert_eq!(
        (&one[0]["tenant"], &one[0]["tiers"][0]["samples"], one.as_array().unwrap().len()),
        (&"b".into(), &3.into(), 1)
    );
    for (path, part) in [
        ("storage?tier=cold", "cold"),
        ("statistics?start=5&end=4", "not after"),
        ("storage?tenant=..", "tenant"),
    ] {
        let reply = weir.get(&format!("/api/v1/admin/metrics/{path}")).unwrap();
        assert!(reply.status == 400 && reply.text().contains(part), "{path}: {}", reply.text());
    }
}
