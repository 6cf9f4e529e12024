//! What Alertmanager's API answers and takes, without an envelope.

use serde_json::{Value, json};

use super::{labels, list, object, text};

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn named() -> Value {
    object(&[("name", text())])
}

/// The configuration that alerts are routed by.
pub(crate) fn status() -> Value {
    object(&[
        ("cluster", object(&[("status", text()), ("peers", list(json!({})))])),
        ("config", object(&[("original", text())])),
        ("uptime", time()),
        ("versionInfo", object(&[("version", text())])),
    ])
}

/// Names of receivers.
pub(crate) fn receivers() -> Value {
    list(named())
}

fn alert() -> Value {
    object(&[
        ("labels", labels()),
        ("annotations", labels()),
        ("startsAt", time()),
        ("endsAt", time()),
        ("updatedAt", time()),
        ("generatorURL", text()),
        ("fingerprint", text()),
        ("receivers", receivers()),
        (
            "status",
            object(&[
                ("state", json!({ "enum": ["active", "suppressed"] })),
                ("silencedBy", list(text())),
                ("inhibitedBy", list(text())),
            ]),
        ),
    ])
}

/// Alerts that fire.
pub(crate) fn alerts() -> Value {
    list(alert())
}

/// Alerts by groups.
pub(crate) fn groups() -> Value {
    list(object(&[("labels", labels()), ("receiver", named()), ("alerts", alerts())]))
}

fn matcher() -> Value {
    json!({
        "type": "object",
        "required": ["name", "value", "isRegex"],
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "value": text(),
            "isRegex": { "type": "boolean" },
            "isEqual": { "type": "boolean" },
        },
    })
}

/// A silence.
pub(crate) fn silence() -> Value {
    object(&[
        ("id", text()),
        ("status", object(&[("state", json!({ "enum": ["pending", "active", "expired"] }))])),
        ("updatedAt", time()),
        ("comment", text()),
        ("createdBy", text()),
        ("startsAt", time()),
        ("endsAt", time()),
        ("matchers", list(matcher())),
    ])
}

/// Silences.
pub(crate) fn silences() -> Value {
    list(silence())
}

/// A silence to be created or changed.
pub(crate) fn silence_body() -> Value {
    json!({
        "type": "object",
        "required": ["matchers", "startsAt", "endsAt", "createdBy", "comment"],
        "properties": {
            "id": text(),
            "matchers": { "type": "array", "minItems": 1, "maxItems": 100, "items": matcher() },
            "startsAt": time(),
            "endsAt": time(),
            "createdBy": text(),
            "comment": text(),
        },
        "example": {
            "matchers": [{ "name": "service", "value": "pay", "isRegex": false, "isEqual": true }],
            "startsAt": "2026-12-01T22:00:00Z",
            "endsAt": "2036-12-02T00:00:00Z",
            "createdBy": "anna",
            "comment": "a new database",
        },
    })
}

/// The id of a silence that was created.
pub(crate) fn created() -> Value {
    object(&[("silenceID", text())])
}

/// Nothing.
pub(crate) fn nothing() -> Value {
    json!({ "type": "object", "additionalProperties": false })
}
