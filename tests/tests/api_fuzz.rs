//! Schemathesis reads the OpenAPI document and asks everything in it, well formed and not: nothing may
//! answer otherwise than the document says, and nothing may fail inside.

use std::process::Command;

use weir_tests::{Random, Weir, peers, weir};

const VERSION: &str = "4.32.5";
/// What every answer is checked for. Left out are `positive_data_acceptance` (a schema cannot say what PromQL
/// or a metrics body is) and `negative_data_rejection` (Prometheus is lenient with parameters, and so are we).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,\
                      allow_header_conformance,missing_required_header";

/// Series of every kind, so that answers are not empty.
const METRICS: &str = "# HELP up Whether it is.\n# TYPE up gauge\nup{job=\"a\",instance=\"x\"} 1\nup{job=\"b\"} 0\n\
                       # TYPE http_requests_total counter\nhttp_requests_total{job=\"a\",code=\"200\"} 5\n";

#[test]
fn every_answer_is_as_the_document_says() {
    let Some(schemathesis) = peers::pypi("st", "schemathesis", VERSION) else { return };
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(&folder.path().join("weir")).unwrap();
    assert_eq!(weir.post("/api/v1/import/prometheus", &[], METRICS.as_bytes()).unwrap().status, 200);
    let timers = b"latency:23|ms\nlatency:7|ms\nusers:anna|s\njobs:1|c\n";
    assert_eq!(weir.post("/api/v1/import/statsd", &[], timers).unwrap().status, 200);
    let seed = Random::from_env().number() >> 32;
    let examples = std::env::var("WEIR_FUZZ_EXAMPLES").unwrap_or_else(|_| "10".to_owned());
    weir::note(&format!("schemathesis --seed {seed} --max-examples {examples}"));
    let output = Command::new(schemathesis)
        .args(["run", &format!("{}/api/openapi.json", weir.url), "--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", &examples])
        .args(["--seed", &seed.to_string(), "--continue-on-failure", "--suppress-health-check", "all"])
        .args(["--warnings", "off", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", "weir_hooks")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/schemathesis"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.lines().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>();
    weir::note(&summary.join("\n"));
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
