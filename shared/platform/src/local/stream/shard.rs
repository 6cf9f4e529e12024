//! One shard: a writer thread that commits whatever has gathered with one fsync, and the queue of
//! records that wait for the consumer.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::log::{Entry, Log};
use crate::local::create_dir_durably;
use crate::stream::{SequenceNumber, ShardId, StreamError};

/// Most records of one group commit.
const MAX_GROUP: usize = 1024;
/// Producers that may stand in line before they are told to wait.
const MAX_QUEUED: usize = 4096;
/// How long a refused producer should wait.
const RETRY_AFTER_MS: u64 = 1000;
/// A consumed current file below this size is kept rather than replaced at every idle moment.
const TRIM_CURRENT_BYTES: u64 = 1 << 20;

/// When nothing waits and somebody asks, a smaller file goes, too.
const TRIM_IDLE_BYTES: u64 = 64 << 10;

type Reply = oneshot::Sender<Result<SequenceNumber, String>>;

/// One shard of the local stream.
pub(super) struct Shard {
    id: ShardId,
    folder: PathBuf,
    writer: mpsc::SyncSender<(Bytes, Reply)>,
    state: Arc<State>,
}

/// What the writer and the consumer share.
struct State {
    queue: Mutex<Queue>,
    log: Mutex<Log>,
    arrived: Notify,
    max_waiting_bytes: usize,
}

struct Queue {
    /// Committed and not yet consumed, ascending.
    records: VecDeque<Entry>,
    bytes: usize,
    consumed: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    pub(super) fn open(id: ShardId, folder: PathBuf, max_waiting_bytes: usize) -> io::Result<Self> {
        create_dir_durably(&folder)?;
        let consumed = read_checkpoint(&folder)?;
        let (log, waiting) = Log::open(folder.clone(), consumed)?;
        let bytes = waiting.iter().map(|e| e.data.len()).sum();
        let queue = Queue { records: waiting.into(), bytes, consumed };
        let state = Arc::new(State {
            queue: Mutex::new(queue),
            log: Mutex::new(log),
            arrived: Notify::new(),
            max_waiting_bytes,
        });
        let (writer, requests) = mpsc::sync_channel(MAX_QUEUED);
        let shared = state.clone();
        thread::Builder::new()
            .name(format!("stream-{}", id.0))
            .spawn(move || write_groups(&shared, &requests))?;
        Ok(Self { id, folder, writer, state })
    }

    pub(super) fn id(&self) -> ShardId {
        self.id
    }

    /// Hands a record to the writer; the receiver learns its place once it is durable.
    pub(super) fn put(
        &self,
        data: Bytes,
    ) -> Result<oneshot::Receiver<Result<SequenceNumber, String>>, StreamError> {
        let throttled = StreamError::Throttled { retry_after_ms: RETRY_AFTER_MS };
        if lock(&self.state.queue).bytes >= self.state.max_waiting_bytes {
            return Err(throttled);
        }
        let (reply, commit) = oneshot::channel();
        match self.writer.try_send((data, reply)) {
            Ok(()) => Ok(commit),
            Err(mpsc::TrySendError::Full(_)) => Err(throttled),
            Err(mpsc::TrySendError::Disconnected(_)) => {
                Err(StreamError::Unavailable("the stream's writer has stopped".into()))
            }
        }
    }

    /// Bytes and records that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let queue = lock(&self.state.queue);
        (queue.bytes, queue.records.len())
    }

    /// Waits until a record waits. Only one consumer may wait.
    pub(super) async fn arrived(&self) {
        loop {
            // Registered before looking, so that nothing arrives in between unseen.
            let arrived = self.state.arrived.notified();
            if !lock(&self.state.queue).records.is_empty() {
                return;
            }
            arrived.await;
        }
    }

    /// The first waiting records within the bounds, at least one if any waits; they stay waiting.
    pub(super) fn peek(&self, max_records: usize, max_bytes: usize) -> Vec<Entry> {
        let queue = lock(&self.state.queue);
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.data.len();
            bytes <= max_bytes
        };
        let some: Vec<Entry> = queue.records.iter().take(max_records).take_while(fits).cloned().collect();
        if some.is_empty() { queue.records.front().cloned().into_iter().collect() } else { some }
    }

    /// Marks everything up to `sequence` as consumed and remembers it on disk.
    pub(super) fn consumed(&self, sequence: u64) -> io::Result<()> {
        let idle = {
            let mut queue = lock(&self.state.queue);
            while queue.records.front().is_some_and(|e| e.sequence <= sequence) {
                if let Some(done) = queue.records.pop_front() {
                    queue.bytes -= done.data.len();
                }
            }
            queue.consumed = queue.consumed.max(sequence);
            queue.records.is_empty()
        };
        write_checkpoint(&self.folder, sequence)?;
        let mut log = lock(&self.state.log);
        let current_too = idle && log.current_bytes() >= TRIM_CURRENT_BYTES;
        log.trim(sequence, current_too)
    }

    pub(super) fn trim(&self) -> io::Result<()> {
        let consumed = lock(&self.state.queue).consumed;
        let mut log = lock(&self.state.log);
        let grown = log.current_bytes() >= TRIM_IDLE_BYTES;
        log.trim(consumed, grown)
    }

    pub(super) fn trim_delivered(&self) -> io::Result<()> {
        let consumed = lock(&self.state.queue).consumed;
        lock(&self.state.log).trim(consumed, true)
    }
}

fn write_groups(state: &State, requests: &mpsc::Receiver<(Bytes, Reply)>) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(MAX_GROUP - 1));
        let (data, replies): (Vec<Bytes>, Vec<Reply>) = group.into_iter().unzip();
        let committed = lock(&state.log).append(&data);
        match committed {
            Ok(sequences) => {
                {
                    let mut queue = lock(&state.queue);
                    queue.bytes += data.iter().map(Bytes::len).sum::<usize>();
                    let entries = sequences.iter().zip(data).map(|(s, data)| Entry { sequence: *s, data });
                    queue.records.extend(entries);
                }
                state.arrived.notify_one();
                for (reply, sequence) in replies.into_iter().zip(sequences) {
                    // A producer that has gone away no longer wants to know.
                    let _ = reply.send(Ok(SequenceNumber::from(u128::from(sequence))));
                }
            }
            Err(error) => {
                tracing::error!(%error, "the stream log cannot be written; restart once the disk is well");
                for reply in replies {
                    let _ = reply.send(Err(error.to_string()));
                }
                // After a failed write or sync the file's end is unknown: go on only from a reopened log.
                return;
            }
        }
    }
}

const CHECKPOINT: &str = "consumed";

/// How far the consumer has come. A lost or old checkpoint only means delivering again.
fn read_checkpoint(folder: &Path) -> io::Result<u64> {
    match fs::read_to_string(folder.join(CHECKPOINT)) {
        Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn write_checkpoint(folder: &Path, sequence: u64) -> io::Result<()> {
    let scratch = folder.join("consumed.new");
    fs::write(&scratch, sequence.to_string())?;
    fs::rename(scratch, folder.join(CHECKPOINT))
}
