//! The notifier port's conformance suite on SNS, read by a subscriber with a filter policy, and with faults
//! between the adapter and SNS.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "../../platform/tests/conformance/notifier.rs"]
mod conformance;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_aws::{Account, SnsNotifier, SnsOptions};
use weir_platform::{Destination, Notifier, NotifyError};
use weir_tests::Random;
use weir_tests::cloud::Cloud;

/// A notifier that calls the endpoint, or a proxy before it.
fn notifier(cloud: &Cloud, url: &str) -> SnsNotifier {
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(url.to_owned()),
        _ => cloud.variable(name),
    };
    SnsNotifier::new(&Account::from_variables(variable).unwrap(), SnsOptions::default())
}

/// A topic whose subscriber gets what is critical, in an account that may be anyone's; the subscriber's queue.
fn topic(cloud: &Cloud, what: &str) -> (Destination, String) {
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let name = format!("weir-{what}-{now_ms}-{}", std::process::id());
    let made = cloud.subscriber(&["subscribe", &name, r#"{"severity":["critical"]}"#]);
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (Destination::Topic { arn: text("topic") }, text("queue"))
}

fn id(arrived: &Value) -> String {
    arrived["MessageAttributes"]["weir_id"]["Value"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sns_is_a_notifier_whose_attributes_filter_policies_see() {
    let Some(cloud) = Cloud::start() else { return };
    let (to, queue) = topic(&cloud, "sound");
    let notifier = notifier(&cloud, &cloud.url);
    let mut sent = conformance::run(&notifier, &to).await;
    // What the policy does not let through does not arrive.
    let mut other = conformance::notification(&to, 99);
    other.attributes.insert("severity".to_owned(), "info".to_owned());
    assert!(notifier.notify(vec![other]).await.remove(0).is_ok());
    let arrived = cloud.subscriber(&["drain", &queue]);
    let arrived = arrived.as_array().unwrap();
    let mut ids: Vec<String> = arrived.iter().map(id).collect();
    ids.sort();
    sent.sort();
    assert_eq!(ids, sent);
    for message in arrived {
        let number: usize = id(message).rsplit('-').next().unwrap().parse().unwrap();
        let want = conformance::notification(&to, number);
        assert_eq!(message["Message"].as_str().unwrap().trim_end(), want.body);
        assert_eq!(message["Subject"], format!("[FIRING] ?berlauf ?{number} second line"));
        assert_eq!(message["MessageAttributes"]["severity"]["Value"], "critical");
    }
    let nowhere = Destination::Topic { arn: "arn:aws:sns:us-east-1:000000000000:weir-nowhere".to_owned() };
    let refused = notifier.notify(vec![conformance::notification(&nowhere, 1)]).await.remove(0);
    assert!(matches!(refused, Err(NotifyError::Refused { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_refusals_and_lost_replies_each_arrives_or_is_told_and_repetitions_have_the_same_id() {
    let Some(cloud) = Cloud::start() else { return };
    let (to, queue) = topic(&cloud, "faulty");
    let faults = json!([
        { "target": "/", "percent": 20, "status": 503, "type": "ServiceUnavailable" },
        { "target": "/", "percent": 20, "lose": true },
    ]);
    let (_proxy, url) = cloud.faults(&faults, Random::from_env().number());
    let all = (0..40).map(|number| conformance::notification(&to, number)).collect::<Vec<_>>();
    let results = notifier(&cloud, &url).notify(all.clone()).await;
    let arrived = cloud.subscriber(&["drain", &queue]);
    let arrived: BTreeSet<String> = arrived.as_array().unwrap().iter().map(id).collect();
    for (sent, result) in all.iter().zip(&results) {
        match result {
            Ok(()) => assert!(arrived.contains(&sent.id), "{} was said to have arrived", sent.id),
            Err(error) => assert!(error.retryable(), "{error}"),
        }
    }
    assert!(results.iter().any(Result::is_ok));
}
