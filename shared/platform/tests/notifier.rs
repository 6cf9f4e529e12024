//! Notifiers that need no cloud: in memory, by signed webhooks, and both by kind.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "conformance/notifier.rs"]
mod conformance;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use weir_platform::{
    Destination, ID_HEADER, ManualClock, MemoryNotifier, Notifier, Notifiers, NotifyError, SIGNATURE_HEADER,
    Secret, WebhookNotifier, WebhookOptions, signature,
};

const NOW_MS: i64 = 1_795_255_200_000;

/// What a receiver saw: path, id, signature, body.
type Seen = Arc<Mutex<Vec<(String, String, String)>>>;
/// A receiver: what it saw, and the statuses it answers next, at the end of which it accepts.
type Receiver = (Seen, Arc<Mutex<Vec<u16>>>);

async fn receive((seen, script): Receiver, headers: HeaderMap, body: String) -> (StatusCode, &'static str) {
    let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    seen.lock().unwrap().push((header(ID_HEADER), header(SIGNATURE_HEADER), body));
    let status = script.lock().unwrap().pop().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), "says the receiver")
}

/// A receiver that answers `script` from its end on; its address.
async fn receiver(script: Vec<u16>) -> (Seen, String) {
    let state: Receiver = (Seen::default(), Arc::new(Mutex::new(script)));
    let seen = state.0.clone();
    let post = axum::routing::post(|state: State<Receiver>, headers, body| receive(state.0, headers, body));
    let router = axum::Router::new().route("/hook", post).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (seen, url)
}

fn webhook(options: WebhookOptions) -> WebhookNotifier {
    WebhookNotifier::new(Arc::new(ManualClock::new(NOW_MS)), options).unwrap()
}

fn hook(url: &str) -> Destination {
    Destination::Webhook { url: url.to_owned(), secret: Some(Secret::new("hush")) }
}

#[tokio::test]
async fn what_is_kept_in_memory_is_what_was_sent() {
    let notifier = MemoryNotifier::default();
    let arrived = conformance::run(&notifier, &hook("http://127.0.0.1:9")).await;
    let sent: Vec<String> = notifier.sent().into_iter().map(|it| it.id).collect();
    assert_eq!(sent, arrived);
}

#[tokio::test]
async fn webhooks_get_each_notification_once_signed() {
    let (seen, url) = receiver(Vec::new()).await;
    let mut arrived = conformance::run(&webhook(WebhookOptions::default()), &hook(&url)).await;
    let seen = seen.lock().unwrap();
    let mut ids: Vec<String> = seen.iter().map(|(id, ..)| id.clone()).collect();
    ids.sort();
    arrived.sort();
    assert_eq!(ids, arrived);
    for (id, signed, body) in &*seen {
        assert_eq!(*signed, signature(&Secret::new("hush"), NOW_MS / 1_000, body.as_bytes()));
        let number: usize = id.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(body.trim_end(), conformance::notification(&hook(&url), number).body);
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_id_and_what_may_not_is_refused_at_once() {
    for (script, attempts, ends) in [
        (vec![429, 503], 3, "ok"),
        (vec![400], 1, "refused"),
        (vec![302], 1, "refused"),
        (vec![410], 1, "refused"),
    ] {
        let (seen, url) = receiver(script.clone()).await;
        let one = conformance::notification(&hook(&url), 1);
        let result = webhook(WebhookOptions::default()).notify(vec![one]).await.remove(0);
        match result {
            Ok(()) => assert_eq!(ends, "ok"),
            Err(error) => {
                assert!(ends == "refused" && !error.retryable(), "{script:?}: {error}");
                let text = error.to_string();
                assert!(
                    text.contains(&script[0].to_string()) && text.contains("says the receiver"),
                    "{text}"
                );
            }
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), attempts, "{script:?}");
        assert!(seen.iter().all(|(id, ..)| id == "conformance-1"));
    }
}

#[tokio::test]
async fn a_receiver_that_stays_away_is_given_up_at_the_deadline_and_keeps_no_other_back() {
    let (seen, url) = receiver(Vec::new()).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let options = WebhookOptions { deadline: Duration::from_millis(500), ..WebhookOptions::default() };
    let two = vec![conformance::notification(&hook(&closed), 1), conformance::notification(&hook(&url), 2)];
    let results = webhook(options).notify(two).await;
    assert!(matches!(&results[0], Err(error @ NotifyError::Unavailable { .. }) if error.retryable()));
    assert!(results[1].is_ok());
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn each_kind_of_destination_has_its_notifier_and_topics_need_aws() {
    let topic = Destination::Topic { arn: "arn:aws:sns:us-east-1:123456789012:alerts".to_owned() };
    let hook = hook("http://127.0.0.1:9");
    let list = || [&topic, &hook, &topic].into_iter().enumerate();
    let mixed = || list().map(|(number, to)| conformance::notification(to, number)).collect::<Vec<_>>();
    let (topics, hooks) = (Arc::new(MemoryNotifier::default()), Arc::new(MemoryNotifier::default()));
    let both = Notifiers::new(Some(topics.clone()), hooks.clone());
    assert!(both.notify(mixed()).await.iter().all(Result::is_ok));
    assert_eq!((topics.sent().len(), hooks.sent().len()), (2, 1));
    let local = Notifiers::new(None, hooks.clone()).notify(mixed()).await;
    assert_eq!(local.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
    let Err(error) = &local[0] else { panic!("there is no SNS") };
    assert!(error.to_string().contains("need AWS") && !error.retryable(), "{error}");
}
