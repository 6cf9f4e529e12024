//! What every notifier keeps: one result for each notification, in order; the bad ones keep none back.

use std::collections::BTreeMap;

use weir_platform::{Destination, MAX_NOTIFICATION_BYTES, Notification, Notifier, NotifyError};

/// A notification of its number.
pub(crate) fn notification(to: &Destination, number: usize) -> Notification {
    Notification {
        destination: to.clone(),
        id: format!("conformance-{number}"),
        subject: Some(format!("[FIRING] Überlauf №{number}\nsecond line")),
        body: format!(r#"{{"number":{number},"text":"naïve ☃"}}"#),
        attributes: BTreeMap::from([("severity".to_owned(), "critical".to_owned())]),
    }
}

/// Runs the suite; the ids that must have arrived, each once, with what [`notification`] says.
pub(crate) async fn run(notifier: &dyn Notifier, to: &Destination) -> Vec<String> {
    assert!(notifier.notify(Vec::new()).await.is_empty());
    // More than one batch of any kind, every third of them bad.
    let mut all: Vec<Notification> = (0..25).map(|number| notification(to, number)).collect();
    let break_it: [fn(&mut Notification); 3] = [
        |it| it.body = "x".repeat(MAX_NOTIFICATION_BYTES),
        |it| drop(it.attributes.insert("not a name".to_owned(), "v".to_owned())),
        |it| it.body.clear(),
    ];
    for (index, it) in all.iter_mut().enumerate().filter(|(index, _)| index % 3 == 2) {
        break_it[index / 3 % 3](it);
    }
    let ids: Vec<String> = all.iter().map(|it| it.id.clone()).collect();
    let results = notifier.notify(all).await;
    assert_eq!(results.len(), 25);
    for (index, (result, want)) in results.iter().zip(&ids).enumerate() {
        match result {
            Err(NotifyError::Invalid { id, .. }) if index % 3 == 2 => assert_eq!(id, want),
            other => assert!(index % 3 != 2 && other.is_ok(), "{want}: {other:?}"),
        }
    }
    // The largest there may be.
    let mut largest = notification(to, 25);
    largest.body.push_str(&" ".repeat(MAX_NOTIFICATION_BYTES - largest.size()));
    let mut arrived: Vec<String> =
        ids.into_iter().enumerate().filter(|(i, _)| i % 3 != 2).map(|it| it.1).collect();
    arrived.push(largest.id.clone());
    for result in notifier.notify(vec![largest]).await {
        result.unwrap_or_else(|error| panic!("the largest: {error}"));
    }
    arrived
}
