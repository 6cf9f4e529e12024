//! The word to stop, passed on to every task.

use tokio::sync::watch;

/// What a task holds to hear it.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A way to say it, and a way to hear it.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (say, hear) = watch::channel(false);
        (say, Self(hear))
    }

    /// Waits for the word; a sender that has gone away counts as the word, too.
    pub(crate) async fn said(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// The channel itself, for those who bring their own way of listening.
    pub(crate) fn receiver(&self) -> watch::Receiver<bool> {
        self.0.clone()
    }
}
