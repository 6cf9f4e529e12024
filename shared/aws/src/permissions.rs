//! What each function asks of AWS. Its permissions in template.yaml are these, no more and no fewer: a test
//! compares them, and another looks for calls in the adapters that are not listed here.

use std::collections::BTreeSet;

/// An action and what it is done to: `Lake`, `Stream` or another resource of template.yaml, `Lake/hot/*` for
/// a part of the bucket.
pub type Permission = (&'static str, &'static str);

/// The SDK's calls that the bucket makes, and the actions that allow them.
pub const BUCKET_CALLS: [(&str, &str); 5] = [
    ("get_object", "s3:GetObject"),
    ("put_object", "s3:PutObject"),
    ("list_objects_v2", "s3:ListBucket"),
    ("delete_object", "s3:DeleteObject"),
    ("restore_object", "s3:RestoreObject"),
];
/// What the bucket says in the headers of a call that needs an action of its own.
pub const BUCKET_HEADERS: [(&str, &str); 1] = [("tagging", "s3:PutObjectTagging")];
/// The SDK's calls that the stream makes, and the actions that allow them.
pub const STREAM_CALLS: [(&str, &str); 1] = [("put_records", "kinesis:PutRecords")];

/// The SDK's calls that the notifier makes, and the actions that allow them.
pub const NOTIFIER_CALLS: [(&str, &str); 1] = [("publish_batch", "sns:Publish")];

/// The SDK's calls that sinks make, and the actions that allow them.
pub const SINK_CALLS: [(&str, &str); 3] = [
    ("put_metric_data", "cloudwatch:PutMetricData"),
    ("write_records", "timestream:WriteRecords"),
    ("with_endpoint_discovery_enabled", "timestream:DescribeEndpoints"),
];

const LIST: Permission = ("s3:ListBucket", "Lake");
const GET: Permission = ("s3:GetObject", "Lake/*");
/// Damaged objects are set aside by whoever reads them.
const SET_ASIDE: Permission = ("s3:PutObject", "Lake/quarantine/*");
const PUT_SEGMENT: Permission = ("s3:PutObject", "Lake/hot/*");
const PUBLISH: Permission = ("sns:Publish", "AlertTopic");
const PUT_RECORDS: Permission = ("kinesis:PutRecords", "Stream");

/// What opens the lake to read it, as `Wiring::lake` does.
const READER: &[Permission] = &[LIST, GET, SET_ASIDE];
/// What a function does that keeps the lake in order: everything it writes.
const KEEPER: &[Permission] = &[LIST, GET, ("s3:PutObject", "Lake/*"), ("s3:DeleteObject", "Lake/*")];
/// Old samples go to colder storage classes, with tags, and are asked back from there.
const TAG: Permission = ("s3:PutObjectTagging", "Lake/blocks/*");
const RESTORE: Permission = ("s3:RestoreObject", "Lake/blocks/*");
/// Exports that wait to be fetched.
const EXPORTS: &[Permission] = &[("s3:PutObject", "Lake/exports/*"), ("s3:DeleteObject", "Lake/exports/*")];
/// What people said of alerts.
const FEEDBACK: &[Permission] = &[("s3:PutObject", "Lake/rules/tenant=*/feedback/*")];
/// Alerts that people do not want to hear of.
const SILENCES: &[Permission] = &[("s3:PutObject", "Lake/rules/tenant=*/silences/*")];
/// Copies in other services: a namespace of CloudWatch, which a condition names, and a table of Timestream.
const SINKS: &[Permission] = &[
    ("cloudwatch:PutMetricData", "*"),
    ("timestream:WriteRecords", "timestream:database/TimestreamDatabase/table/TimestreamTable"),
    ("timestream:DescribeEndpoints", "*"),
];
/// What rules remember from one evaluation to the next.
const RULE_STATES: &[Permission] = &[("s3:PutObject", "Lake/rules/*"), ("s3:DeleteObject", "Lake/rules/*")];

/// What a function (by its logical id) asks for with a stream, or in direct mode, under a key of one's own;
/// empty for an unknown one.
#[must_use]
pub fn permissions(function: &str, stream: bool) -> BTreeSet<Permission> {
    // What is acknowledged is in the stream, or else in the lake.
    let producer: &[&[Permission]] = if stream { &[&[PUT_RECORDS]] } else { &[READER, &[PUT_SEGMENT]] };
    let asked: Vec<&[Permission]> = match function {
        "Ingest" => producer.to_vec(),
        // A damaged segment whose records come again is replaced.
        "Enrich" => vec![READER, &[PUT_SEGMENT, ("s3:DeleteObject", "Lake/hot/*")]],
        "Compact" => vec![KEEPER],
        "Archive" => vec![KEEPER, &[TAG, RESTORE]],
        // Blocks that rollups replace are deleted by compact, later.
        "Rollup" => vec![&KEEPER[..3], &[RESTORE]],
        "Query" => vec![READER, EXPORTS, FEEDBACK, SILENCES, &[RESTORE]],
        "Kpi" => [&[READER, RULE_STATES], producer].concat(),
        "Alert" => [&[READER, RULE_STATES, &[PUBLISH]], producer].concat(),
        // The rules, and what they choose.
        "Forward" => vec![&[("s3:GetObject", "Lake/config/sinks.yaml"), LIST], SINKS],
        _ => Vec::new(),
    };
    let asked: BTreeSet<Permission> = asked.concat().into_iter().collect();
    // S3, Kinesis and SNS ask the key in the caller's name.
    let of_key = |(action, _): &Permission| match *action {
        "s3:PutObject" | "kinesis:PutRecords" | "sns:Publish" => Some(("kms:GenerateDataKey", "KmsKeyArn")),
        "s3:GetObject" => Some(("kms:Decrypt", "KmsKeyArn")),
        _ => None,
    };
    let keys: Vec<Permission> = asked.iter().filter_map(of_key).collect();
    asked.into_iter().chain(keys).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operations that a file calls on an SDK's client: `.client.put_object()` and the like.
    fn calls(source: &str) -> BTreeSet<&str> {
        let after_client = source.split("client").skip(1);
        after_client
            .filter_map(|rest| rest.trim_start().strip_prefix('.')?.split_once("()").map(|(name, _)| name))
            .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()))
            .collect()
    }

    #[test]
    fn every_call_of_an_adapter_has_its_action_and_the_other_way_round() {
        for (source, table) in [
            (include_str!("bucket.rs"), &BUCKET_CALLS[..]),
            (include_str!("stream.rs"), &STREAM_CALLS[..]),
            (include_str!("notify.rs"), &NOTIFIER_CALLS[..]),
            (include_str!("sinks/cloudwatch.rs"), &SINK_CALLS[..1]),
            (include_str!("sinks/timestream.rs"), &SINK_CALLS[1..]),
        ] {
            let listed: BTreeSet<&str> = table.iter().map(|(call, _)| *call).collect();
            assert_eq!(calls(source), listed);
        }
    }
}
