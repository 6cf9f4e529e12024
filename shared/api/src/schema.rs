//! JSON Schemas of the answers.

pub(crate) mod alertmanager;

use serde_json::{Value, json};

/// Prometheus' error envelope. A refused body of samples says more: what was accepted, and why not the rest.
pub(crate) fn error() -> Value {
    json!({
        "type": "object",
        "required": ["status", "errorType", "error"],
        "properties": {
            "status": { "const": "error" },
            "errorType": { "enum": ["bad_data", "execution", "timeout", "canceled", "unavailable", "internal", "not_found", "conflict", "too_large", "unauthorized", "forbidden"] },
            "error": { "type": "string" },
            "accepted": accepted_counts(),
            "rejected": count(),
            "reasons": { "type": "object", "additionalProperties": count() },
            "first": { "type": "array", "items": object(&[("place", text()), ("reason", text()), ("kind", text())]) },
            "ignored": count(),
        },
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object all of whose listed properties are there.
fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn labels() -> Value {
    json!({ "type": "object", "additionalProperties": text() })
}

/// Prometheus' success envelope around `data`.
fn success(data: Value) -> Value {
    json!({
        "type": "object",
        "required": ["status", "data"],
        "properties": {
            "status": { "const": "success" },
            "data": data,
            "warnings": list(text()),
            "infos": list(text()),
        },
    })
}

/// A list of so many items of several kinds. (Their order is beyond what the fuzzer understands.)
fn tuple(length: usize, kinds: &[Value]) -> Value {
    json!({ "type": "array", "items": { "anyOf": kinds }, "minItems": length, "maxItems": length })
}

fn float_point() -> Value {
    tuple(2, &[number(), text()])
}

fn histogram_point() -> Value {
    let mut histogram = object(&[("count", text()), ("sum", text())]);
    histogram["properties"]["buckets"] =
        list(tuple(4, &[json!({ "type": "integer", "minimum": 0, "maximum": 3 }), text()]));
    tuple(2, &[number(), histogram])
}

fn query_data() -> Value {
    let result =
        |kind: &str, result: Value| object(&[("resultType", json!({ "const": kind })), ("result", result)]);
    let series = |properties: &[(&str, Value)]| {
        let mut series = object(&[("metric", labels())]);
        for (name, schema) in properties {
            series["properties"][*name] = schema.clone();
        }
        list(series)
    };
    json!({ "oneOf": [
        result("scalar", float_point()),
        result("string", float_point()),
        result("vector", series(&[("value", float_point()), ("histogram", histogram_point())])),
        result("matrix", series(&[("values", list(float_point())), ("histograms", list(histogram_point()))])),
    ] })
}

/// What a query answers.
pub(crate) fn query() -> Value {
    success(query_data())
}

/// Exemplars by series.
pub(crate) fn exemplars() -> Value {
    let exemplar = object(&[("labels", labels()), ("value", text()), ("timestamp", number())]);
    success(list(object(&[("seriesLabels", labels()), ("exemplars", list(exemplar))])))
}

/// The queries of a batch.
pub(crate) fn query_batch_body() -> Value {
    let mut query = json!({
        "type": "object",
        "required": ["query"],
        "properties": { "query": { "type": "string", "minLength": 1 } },
    });
    for name in ["time", "start", "end", "step", "timeout", "limit"] {
        query["properties"][name] = json!({ "type": ["string", "number"] });
    }
    let queries = json!({ "type": "array", "items": { "anyOf": [{ "type": "string", "minLength": 1 }, query] }, "maxItems": 100 });
    json!({
        "anyOf": [queries, { "type": "object", "required": ["queries"], "properties": { "queries": queries } }],
        "example": [{ "query": "up" }, { "query": "sum(up)", "start": 0, "end": 60, "step": 15 }],
    })
}

/// One answer for each query of a batch, failures among them.
pub(crate) fn query_batch() -> Value {
    success(list(json!({ "anyOf": [query(), error()] })))
}

/// An expression in canonical form.
pub(crate) fn formatted() -> Value {
    success(text())
}

/// A syntax tree.
pub(crate) fn syntax_tree() -> Value {
    success(object(&[("type", text())]))
}

/// Label sets.
pub(crate) fn series() -> Value {
    success(list(labels()))
}

/// Names or values.
pub(crate) fn texts() -> Value {
    success(list(text()))
}

/// Metadata by family.
pub(crate) fn metadata() -> Value {
    let entry = object(&[("type", text()), ("help", text()), ("unit", text())]);
    success(json!({ "type": "object", "additionalProperties": list(entry) }))
}

/// Rule groups.
pub(crate) fn rules() -> Value {
    success(object(&[(
        "groups",
        list(object(&[("name", text()), ("file", text()), ("rules", list(json!({})))])),
    )]))
}

/// Alerts that are pending or firing.
pub(crate) fn alerts() -> Value {
    let alert = object(&[
        ("labels", labels()),
        ("annotations", labels()),
        ("state", text()),
        ("value", text()),
        ("weir", explained()),
    ]);
    success(object(&[("alerts", list(alert))]))
}

/// What an alert says beyond what Prometheus tells of it.
fn explained() -> Value {
    let part = object(&[("name", text()), ("points", number()), ("why", text())]);
    let level = json!({ "enum": ["LOW", "MEDIUM", "HIGH", "CRITICAL"] });
    let priority = object(&[("level", level), ("score", number()), ("parts", list(part))]);
    let other = object(&[
        ("id", text()),
        ("alertname", text()),
        ("activeAt", text()),
        ("shared", list(text())),
        ("strength", number()),
    ]);
    let mut told = object(&[
        ("id", text()),
        ("value", text()),
        ("since", text()),
        ("activeSeconds", count()),
        ("plotUrl", text()),
        ("priority", priority),
        ("correlated", list(other)),
        ("actions", list(text())),
        ("time", json!({ "type": "object" })),
    ]);
    let level = json!({ "enum": ["low", "medium", "high", "critical"] });
    told["properties"]["impact"] = object(&[("level", level), ("text", text())]);
    told["properties"]["condition"] =
        object(&[("measured", text()), ("comparison", text()), ("thresholdText", text())]);
    told["properties"]["runbookUrl"] = text();
    told["properties"]["falsePositive"] = false_positive();
    told
}

/// How likely a firing is a false positive.
fn false_positive() -> Value {
    let reason = object(&[("feature", text()), ("logOdds", number())]);
    let mut told = object(&[
        ("probability", number()),
        ("basis", json!({ "enum": ["prior", "learned"] })),
        ("verdicts", count()),
        ("reasons", list(reason)),
    ]);
    told["properties"]["verdict"] = verdict();
    told
}

fn verdict() -> Value {
    json!({ "enum": ["true_positive", "false_positive"] })
}

/// Feedback on a firing.
pub(crate) fn feedback_body() -> Value {
    json!({
        "type": "object",
        "required": ["verdict"],
        "additionalProperties": false,
        "properties": {
            "verdict": verdict(),
            "by": { "type": "string", "maxLength": 200 },
            "comment": { "type": "string", "maxLength": 4000 },
        },
        "example": { "verdict": "false_positive", "by": "anna", "comment": "a planned load test" },
    })
}

/// What became of feedback.
pub(crate) fn feedback() -> Value {
    success(object(&[
        ("id", text()),
        ("verdict", verdict()),
        ("counted", json!({ "type": "boolean" })),
        ("falsePositive", false_positive()),
    ]))
}

/// Scraped targets.
pub(crate) fn targets() -> Value {
    success(object(&[("activeTargets", list(json!({}))), ("droppedTargets", list(json!({})))]))
}

/// Metadata by target.
pub(crate) fn target_metadata() -> Value {
    success(list(object(&[("target", labels()), ("type", text()), ("help", text()), ("unit", text())])))
}

/// Scrape pools.
pub(crate) fn scrape_pools() -> Value {
    success(object(&[("scrapePools", list(text()))]))
}

/// Alertmanagers.
pub(crate) fn alertmanagers() -> Value {
    let them = || list(object(&[("url", text())]));
    success(object(&[("activeAlertmanagers", them()), ("droppedAlertmanagers", them())]))
}

/// Notifications of the server to its users.
pub(crate) fn notifications() -> Value {
    success(list(json!({})))
}

/// What is built.
pub(crate) fn build_info() -> Value {
    success(object(
        &["version", "revision", "branch", "buildUser", "buildDate", "goVersion"].map(|name| (name, text())),
    ))
}

/// The configuration as YAML.
pub(crate) fn config() -> Value {
    success(object(&[("yaml", text())]))
}

/// Settings by name.
pub(crate) fn flags() -> Value {
    success(labels())
}

/// How the process runs.
pub(crate) fn runtime_info() -> Value {
    success(object(&[("startTime", text()), ("serverTime", text()), ("storageRetention", text())]))
}

/// Cardinality.
pub(crate) fn cardinality() -> Value {
    let head = object(&[
        ("numSeries", count()),
        ("numLabelPairs", count()),
        ("chunkCount", count()),
        ("minTime", json!({ "type": "integer" })),
        ("maxTime", json!({ "type": "integer" })),
    ]);
    let ranked = || list(object(&[("name", text()), ("value", count())]));
    success(object(&[
        ("headStats", head),
        ("seriesCountByMetricName", ranked()),
        ("labelValueCountByLabelName", ranked()),
        ("memoryInBytesByLabelName", ranked()),
        ("seriesCountByLabelValuePair", ranked()),
    ]))
}

/// How far a replay is.
pub(crate) fn wal_replay() -> Value {
    success(object(&[("min", count()), ("max", count()), ("current", count())]))
}

fn accepted_counts() -> Value {
    object(&["samples", "histograms", "exemplars", "metadata"].map(|name| (name, count())))
}

/// What of a body was accepted: all of it.
pub(crate) fn accepted() -> Value {
    let mut body = object(&[("accepted", accepted_counts()), ("rejected", count()), ("ignored", count())]);
    body["properties"]["status"] = json!({ "const": "success" });
    body
}

/// Health as the module specification has it.
pub(crate) fn health() -> Value {
    object(&[("status", text()), ("service", text()), ("version", text())])
}

/// What a compaction did.
pub(crate) fn compacted() -> Value {
    object(&[("compacted", json!({ "type": "object" })), ("garbage", json!({ "type": "object" }))])
}

/// A retention policy in the form of its file.
fn policy() -> Value {
    object(&[("retention_policies", json!({ "type": "object" })), ("archive", json!({ "type": "object" }))])
}

/// One change of a policy.
fn retention_change() -> Value {
    object(&[("version", count()), ("changed_at", text()), ("changed_by", text()), ("policy", policy())])
}

/// The policy in force and its history.
pub(crate) fn retention() -> Value {
    let mut retention =
        object(&[("own", json!({ "type": "boolean" })), ("history", list(retention_change()))]);
    retention["properties"]["policy"] = policy();
    object(&[("status", json!({ "const": "success" })), ("retention", retention)])
}

/// That a policy is in force, since when and instead of what.
pub(crate) fn retention_update() -> Value {
    let mut update = retention_change();
    update["properties"]["changed"] = json!({ "type": "boolean" });
    update["properties"]["previous_policy"] = policy();
    object(&[("status", json!({ "const": "success" })), ("retention_update", update)])
}

/// A request to erase.
pub(crate) fn erase() -> Value {
    let flag = || json!({ "type": "boolean" });
    json!({
        "type": "object",
        "required": ["matcher"],
        "properties": { "matcher": text(), "dry_run": flag(), "drop_unreadable": flag() },
        "additionalProperties": false,
        "example": { "matcher": "{user_id=\"4711\"}", "dry_run": true },
    })
}

/// What is asked of erasures, and what became of them.
pub(crate) fn erasures() -> Value {
    let counts = json!({ "type": "object", "additionalProperties": object(&[
        ("examined", count()), ("rewritten", count()), ("dropped", count()), ("samples", count()),
        ("exemplars", count()), ("unreadable", count()),
    ]) });
    let mut erasure = object(&[
        ("number", count()),
        ("tenant", text()),
        ("matchers", list(text())),
        ("by", text()),
        ("requested_at", text()),
        ("state", json!({ "enum": ["running", "watched", "settled"] })),
        ("watched_until", text()),
        ("counts", counts.clone()),
    ]);
    erasure["properties"]["done_at"] = text();
    let mut answer = object(&[("status", json!({ "const": "success" })), ("erasures", list(erasure))]);
    answer["properties"]["dry_run"] = counts;
    answer
}

/// What came in over a range, what is stored, and how queries fare.
pub(crate) fn metrics_statistics() -> Value {
    let of_tenant = object(&[
        ("tenant", text()),
        ("samples", count()),
        ("samples_per_second", number()),
        ("active_series", count()),
    ]);
    let ingestion =
        object(&[("samples", count()), ("samples_per_second", number()), ("tenants", list(of_tenant))]);
    let queries = object(&[
        ("requests", count()),
        ("failed", count()),
        ("average_ms", number()),
        ("samples_read", count()),
        ("since", text()),
    ]);
    let statistics = object(&[
        ("timestamp", text()),
        ("time_range", object(&[("start", text()), ("end", text())])),
        ("ingestion", ingestion),
        ("storage", list(tier_usage())),
        ("query_performance", queries),
    ]);
    object(&[("status", json!({ "const": "success" })), ("metrics_statistics", statistics)])
}

fn tier_usage() -> Value {
    object(&[
        ("tier", json!({ "enum": ["hot", "raw", "1m", "1h", "1d"] })),
        ("objects", count()),
        ("size_bytes", count()),
        ("samples", count()),
        ("series", count()),
    ])
}

/// What each tier and tenant holds.
pub(crate) fn metrics_storage() -> Value {
    let of_tenant = object(&[("tenant", text()), ("tiers", list(tier_usage()))]);
    let storage =
        object(&[("timestamp", text()), ("tiers", list(tier_usage())), ("tenants", list(of_tenant))]);
    object(&[("status", json!({ "const": "success" })), ("metrics_storage", storage)])
}

/// An OpenAPI document.
pub(crate) fn openapi() -> Value {
    object(&[
        ("openapi", text()),
        ("info", json!({ "type": "object" })),
        ("paths", json!({ "type": "object" })),
    ])
}

/// Where a stored export lies, in the form of the module specification.
pub(crate) fn export_link() -> Value {
    let part = object(&[("url", text()), ("size_bytes", count()), ("record_count", count())]);
    let export = object(&[
        ("export_id", text()),
        ("timestamp", text()),
        ("format", text()),
        ("time_range", object(&[("start", text()), ("end", text())])),
        ("exported_metrics", list(text())),
        ("compression", text()),
        ("size_bytes", count()),
        ("record_count", count()),
        ("export_url", json!({ "type": ["string", "null"] })),
        ("parts", list(part)),
        ("expires", text()),
    ]);
    object(&[("status", json!({ "const": "success" })), ("metrics_export", export)])
}
