//! Several requests under way at once, a bounded number of bodies waiting.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::client::{Client, Outcome, Post};
use crate::banner;

/// Requests at once.
const WORKERS: usize = 4;
/// Bodies that are made ahead of the requests.
const WAITING: usize = 8;
/// Refusals told one by one.
const TOLD: usize = 10;

/// A body, and by how much the bar advances once it is taken.
pub(super) struct Job {
    pub(super) post: Post,
    pub(super) progress: u64,
}

/// Takes the bodies that `make` gives and returns what was refused of them; an error of either side ends all.
pub(super) fn run(
    client: &Client,
    bar: &ProgressBar,
    make: impl FnOnce(&mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<Outcome> {
    let (sender, receiver) = sync_channel(WAITING);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(|| work(client, bar, &receiver))).collect();
        let made = make_all(sender, make);
        let mut all = Outcome::default();
        for worker in workers {
            let done = worker.join().map_err(|_| anyhow::anyhow!("a sending thread ended early"))?;
            let done = done.context("the transfer stopped; running the same command again completes it")?;
            all.rejected += done.rejected;
            all.first.extend(done.first);
        }
        all.first.truncate(TOLD);
        made.map(|()| all)
    })
}

fn make_all(
    sender: SyncSender<Job>,
    make: impl FnOnce(&mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<()> {
    make(&mut |job| sender.send(job).context("the sending threads ended"))
}

fn work(client: &Client, bar: &ProgressBar, receiver: &Mutex<Receiver<Job>>) -> Result<Outcome> {
    let mut all = Outcome::default();
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return Ok(all) };
        let outcome = match client.post(&job.post) {
            Ok(outcome) => outcome,
            Err(error) => {
                // Nobody makes bodies for a server that does not take them.
                drain(receiver);
                return Err(error);
            }
        };
        all.rejected += outcome.rejected;
        if all.first.len() < TOLD {
            all.first.extend(outcome.first);
        }
        bar.inc(job.progress);
    }
}

/// Lets the maker run into its end instead of waiting for ever.
fn drain(receiver: &Mutex<Receiver<Job>>) {
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    while receiver.recv().is_ok() {}
}

/// Tells what was refused; an error when anything was.
pub(super) fn report(outcome: &Outcome) -> Result<()> {
    for refusal in &outcome.first {
        banner::complain(&format!("refused: {refusal}"));
    }
    if outcome.rejected > 0 {
        anyhow::bail!("{} entries were refused, the rest is stored", outcome.rejected);
    }
    Ok(())
}
