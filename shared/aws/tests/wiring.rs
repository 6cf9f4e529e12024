//! template.yaml gives each function what it needs, and nothing else: permissions, variables, a log group,
//! alarms.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;
use serde_norway::value::TaggedValue;
use weir_aws::{
    BUCKET_CALLS, BUCKET_HEADERS, NOTIFIER_CALLS, SINK_CALLS, STREAM_CALLS, VARIABLES, permissions,
};

const TEMPLATE: &str = include_str!("../../../template.yaml");

fn template() -> Value {
    serde_norway::from_str(TEMPLATE).unwrap()
}

/// A value with its `!If` decided: whether there is a stream, every other condition true.
fn decided(value: &Value, stream: bool) -> Option<Value> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "If" => {
            let [condition, yes, no] = tagged.value.as_sequence().unwrap().as_slice() else {
                panic!("an !If has three parts: {value:?}")
            };
            let holds = condition != "HasStream" || stream;
            decided(if holds { yes } else { no }, stream)
        }
        Value::Tagged(tagged) if tagged.tag == "Ref" && tagged.value == "AWS::NoValue" => None,
        Value::Tagged(tagged) => Some(Value::Tagged(Box::new(TaggedValue {
            tag: tagged.tag.clone(),
            value: decided(&tagged.value, stream)?,
        }))),
        Value::Sequence(items) => Some(items.iter().filter_map(|item| decided(item, stream)).collect()),
        Value::Mapping(entries) => {
            let entries =
                entries.iter().filter_map(|(key, value)| Some((key.clone(), decided(value, stream)?)));
            Some(Value::Mapping(entries.collect()))
        }
        other => Some(other.clone()),
    }
}

/// The resources of that type that exist with a stream, or without.
fn resources(kind: &str, stream: bool) -> BTreeMap<String, Value> {
    let template = template();
    let all = template["Resources"].as_mapping().unwrap().iter();
    let there = all.filter(|(_, resource)| {
        let needs_stream = |c: &Value| c == "HasStream" || c == "HasSinks";
        resource["Type"] == kind && (stream || !resource.get("Condition").is_some_and(needs_stream))
    });
    there
        .map(|(id, r)| (id.as_str().unwrap().to_owned(), decided(&r["Properties"], stream).unwrap()))
        .collect()
}

fn functions(stream: bool) -> BTreeMap<String, Value> {
    resources("AWS::Serverless::Function", stream)
}

/// One or many, as IAM takes both.
fn many(value: &Value) -> Vec<Value> {
    value.as_sequence().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// `!Sub "${Lake.Arn}/hot/*"` and `!GetAtt Lake.Arn` as `Lake/hot/*` and `Lake`; of what another stack made,
/// service and path.
fn resource(value: &Value) -> String {
    // `as_str` would look through tags.
    if let Value::String(text) = value {
        return text.clone();
    }
    let Value::Tagged(tagged) = value else { panic!("{value:?} names no resource of the template") };
    let plain = tagged.value.as_str().unwrap().replace("${", "").replace('}', "").replacen(".Arn", "", 1);
    plain.replacen("arn:AWS::Partition:", "", 1).replacen("AWS::Region:AWS::AccountId:", "", 1)
}

fn granted(function: &Value) -> BTreeSet<(String, String)> {
    let mut granted = BTreeSet::new();
    for policy in function["Policies"].as_sequence().unwrap() {
        for statement in policy["Statement"].as_sequence().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            if statement["Resource"] == "*" {
                // What knows no resources is narrowed by a condition where there is one.
                let narrowed = statement.get("Condition").is_some();
                assert_eq!(narrowed, statement["Action"][0] == "cloudwatch:PutMetricData");
            }
            for action in many(&statement["Action"]) {
                for on in many(&statement["Resource"]) {
                    let grant = (action.as_str().unwrap().to_owned(), resource(&on));
                    assert!(granted.insert(grant.clone()), "{grant:?} is granted twice");
                }
            }
        }
    }
    granted
}

#[test]
fn each_function_may_do_what_its_ports_do_and_nothing_else() {
    let calls = BUCKET_CALLS
        .iter()
        .chain(&BUCKET_HEADERS)
        .chain(&STREAM_CALLS)
        .chain(&NOTIFIER_CALLS)
        .chain(&SINK_CALLS);
    let known: BTreeSet<&str> = calls.map(|(_, action)| *action).collect();
    let mut used = BTreeSet::new();
    for stream in [true, false] {
        for (name, function) in functions(stream) {
            let needed = permissions(&name, stream);
            used.extend(
                needed.iter().map(|(action, _)| *action).filter(|action| !action.starts_with("kms:")),
            );
            let needed: BTreeSet<_> =
                needed.iter().map(|(a, on)| ((*a).to_owned(), (*on).to_owned())).collect();
            assert!(!needed.is_empty(), "what {name} asks for is not in permissions.rs");
            assert_eq!(granted(&function), needed, "{name}, with a stream: {stream}");
        }
    }
    assert_eq!(used, known, "the adapters' calls and what functions ask for");
}

#[test]
fn every_variable_that_a_function_reads_is_set_and_no_other() {
    let template = template();
    let variables = |value: &Value| -> BTreeSet<String> {
        let set = value.get("Environment").and_then(|set| set["Variables"].as_mapping());
        set.into_iter().flatten().map(|(name, _)| name.as_str().unwrap().to_owned()).collect()
    };
    let mut set = variables(&template["Globals"]["Function"]);
    for function in functions(true).values() {
        set.append(&mut variables(function));
    }
    assert_eq!(set, VARIABLES.iter().map(|name| (*name).to_owned()).collect());
    // `Wiring` reads the variables; a function that read one by itself would not be seen here.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    for function in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(function.unwrap().path().join("src")).unwrap() {
            let path = file.unwrap().path();
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(!source.contains("env::var"), "{} reads the environment by itself", path.display());
        }
    }
}

#[test]
fn every_function_is_a_crate_with_a_log_that_ends_and_alarms() {
    let logs = resources("AWS::Logs::LogGroup", true);
    let alarms = resources("AWS::CloudWatch::Alarm", true);
    assert!(alarms.contains_key("IteratorAge") && alarms.contains_key("ForwardIteratorAge"));
    for (name, function) in functions(true) {
        let zip = format!("target/lambda/{}/bootstrap.zip", name.to_lowercase());
        assert_eq!(function["CodeUri"], zip.as_str(), "{name}");
        assert!(logs[&format!("{name}Log")].get("RetentionInDays").is_some(), "{name}");
        for metric in ["Errors", "Throttles"] {
            let alarm = &alarms[&format!("{name}{metric}")];
            assert_eq!(alarm["MetricName"], metric);
            let Value::Tagged(of) = &alarm["Dimensions"][0]["Value"] else { panic!("{name}{metric}") };
            assert_eq!(of.value, name.as_str(), "{name}{metric} watches another function");
        }
    }
    for (name, alarm) in alarms {
        assert!(alarm.get("AlarmActions").is_some(), "{name} tells nobody");
    }
}

#[test]
fn alarms_on_own_metrics_watch_what_their_functions_count() {
    let mut watched = BTreeSet::new();
    for (name, alarm) in resources("AWS::CloudWatch::Alarm", true) {
        if alarm["Namespace"] != "Weir" {
            continue;
        }
        let Value::Tagged(of) = &alarm["Dimensions"][0]["Value"] else { panic!("{name}") };
        let function = of.value.as_str().unwrap().to_lowercase();
        let folder = format!("{}/../../functions/{function}/src", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let source: String = files.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect();
        let says = |text: &str| source.contains(&format!("\"{text}\""));
        // As `Emf` names them: the metric, and its outcome where it has one.
        let metric = alarm["MetricName"].as_str().unwrap();
        let with_outcome = |(at, _): (usize, &str)| says(&metric[..at]) && says(&metric[at + 1..]);
        let counted = says(metric) || metric.match_indices('_').any(with_outcome);
        assert!(counted, "{name} watches {metric}, which {function} does not count");
        watched.insert(name);
    }
    let expected = ["Damaged", "Quarantined", "SinkPointsRejected", "SinkRulesRefused"];
    assert!(watched.iter().eq(expected), "{watched:?}");
}

#[test]
fn every_schedule_is_retried_within_a_bound_and_then_set_aside() {
    for (name, function) in functions(true) {
        for (event, body) in function["Events"].as_mapping().into_iter().flatten() {
            let properties = &body["Properties"];
            match body["Type"].as_str().unwrap() {
                "ScheduleV2" => {
                    assert!(properties["RetryPolicy"]["MaximumRetryAttempts"].is_u64(), "{name} {event:?}");
                    assert!(properties["RetryPolicy"]["MaximumEventAgeInSeconds"].is_u64(), "{name}");
                    assert!(properties["DeadLetterConfig"].get("Arn").is_some(), "{name} {event:?}");
                    // Else two stacks of one account would be in each other's way.
                    assert!(
                        matches!(&properties["Name"], Value::Tagged(name) if name.tag == "Sub"),
                        "{name}"
                    );
                }
                "Kinesis" => {
                    assert_eq!(properties["FunctionResponseTypes"][0], "ReportBatchItemFailures");
                    assert!(properties["MaximumRetryAttempts"].is_u64(), "{name}: a batch is tried for ever");
                    assert!(properties["MaximumRecordAgeInSeconds"].is_u64(), "{name}");
                    assert_eq!(properties["DestinationConfig"]["OnFailure"]["Type"], "S3");
                }
                "HttpApi" => {}
                other => panic!("{name}: this test does not know events of type {other}"),
            }
        }
    }
}

#[test]
fn the_dashboard_is_json_and_shows_every_function() {
    let dashboards = resources("AWS::CloudWatch::Dashboard", true);
    let Value::Tagged(body) = &dashboards["Dashboard"]["DashboardBody"] else { panic!("no !Sub") };
    let body: serde_json::Value = serde_json::from_str(body.value[0].as_str().unwrap()).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    for (name, _) in functions(true) {
        let shown = widgets.iter().filter(|widget| widget.to_string().contains(&format!("${{{name}}}")));
        assert!(shown.count() >= 2, "{name}");
    }
}

#[test]
fn every_function_has_example_events_of_the_shape_that_its_schedule_sends() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    for (name, function) in functions(true) {
        let begin = format!("{}-", name.to_lowercase());
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name());
        let files: Vec<String> = files.filter_map(|file| file.into_string().ok()).collect();
        assert!(files.iter().any(|file| file.starts_with(&begin)), "events/ has no {begin}….json");
        for (_, event) in function["Events"].as_mapping().into_iter().flatten() {
            let Some(input) = event["Properties"].get("Input") else { continue };
            let example = std::fs::read_to_string(folder.join(format!("{begin}schedule.json"))).unwrap();
            let read =
                |text: &str| serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text).unwrap();
            assert!(read(&example).keys().eq(read(input.as_str().unwrap()).keys()), "{name}");
        }
    }
}
