//! One notifier out of two: topics to the one, webhooks to the other.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Destination, Notification, Notifier, NotifyError};

/// Sends each notification by what its destination is.
pub struct Notifiers {
    topics: Option<Arc<dyn Notifier>>,
    webhooks: Arc<dyn Notifier>,
}

impl Notifiers {
    /// Without `topics`, as on a single machine, notifications to SNS topics are refused.
    #[must_use]
    pub fn new(topics: Option<Arc<dyn Notifier>>, webhooks: Arc<dyn Notifier>) -> Self {
        Self { topics, webhooks }
    }
}

#[async_trait]
impl Notifier for Notifiers {
    async fn notify(&self, notifications: Vec<Notification>) -> Vec<Result<(), NotifyError>> {
        let mut results: Vec<Option<Result<(), NotifyError>>> = notifications.iter().map(|_| None).collect();
        let (mut topics, mut webhooks) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (index, notification) in notifications.into_iter().enumerate() {
            let (indexes, kind) = match (&notification.destination, &self.topics) {
                (Destination::Topic { .. }, None) => {
                    let reason = "SNS topics need AWS; use a webhook on a single machine";
                    results[index] = Some(Err(NotifyError::refused(&notification, reason)));
                    continue;
                }
                (Destination::Topic { .. }, Some(_)) => &mut topics,
                (Destination::Webhook { .. }, _) => &mut webhooks,
            };
            indexes.push(index);
            kind.push(notification);
        }
        let to_topics = async {
            match &self.topics {
                Some(notifier) if !topics.1.is_empty() => notifier.notify(topics.1).await,
                _ => Vec::new(),
            }
        };
        let (to_topics, to_webhooks) = tokio::join!(to_topics, self.webhooks.notify(webhooks.1));
        let answered = topics.0.into_iter().zip(to_topics).chain(webhooks.0.into_iter().zip(to_webhooks));
        for (index, result) in answered {
            results[index] = Some(result);
        }
        results.into_iter().flatten().collect()
    }
}
