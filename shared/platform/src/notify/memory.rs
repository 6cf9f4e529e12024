//! A notifier that keeps what it is given, for tests.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Notification, Notifier, NotifyError};

/// Keeps notifications in memory.
#[derive(Debug, Default)]
pub struct MemoryNotifier {
    sent: Mutex<Vec<Notification>>,
}

impl MemoryNotifier {
    /// What was sent so far, repetitions included, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Notification> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Notifier for MemoryNotifier {
    async fn notify(&self, notifications: Vec<Notification>) -> Vec<Result<(), NotifyError>> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |notification: Notification| {
            notification.check()?;
            sent.push(notification);
            Ok(())
        };
        notifications.into_iter().map(keep).collect()
    }
}
