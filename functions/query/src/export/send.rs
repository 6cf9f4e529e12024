//! Sends an export while it is made.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Order;
use super::encode::Encoder;
use super::run::{Bounds, label_names, walk};
use crate::error::{ApiError, Kind};
use crate::router::Inner;

/// Bytes that are sent at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for a slow client; the export waits with them.
const CHUNKS_WAITING: usize = 4;

type Chunk = Result<Bytes, ApiError>;

/// The body of an export. What fails before the first chunk is full is an answer of its own; what fails
/// later ends the connection, so that no client takes half an export for a whole one.
pub(super) async fn body(
    inner: Arc<Inner>,
    order: Order,
    turn: OwnedSemaphorePermit,
) -> Result<Body, ApiError> {
    let labels = label_names(&inner.lake, &order).await?;
    let bounds = Bounds {
        max_series: inner.options.max_series,
        deadline: Instant::now() + inner.options.export_timeout,
    };
    let (sender, mut receiver) = mpsc::channel(CHUNKS_WAITING);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let sink = Chunks { sender: sender.clone(), chunk: Vec::with_capacity(CHUNK_BYTES) };
        let made = make(&runtime, &inner, &order, &labels, bounds, sink);
        if let Err(error) = made {
            // Nobody listens any more when the client went away.
            let _ = sender.blocking_send(Err(error));
        }
    });
    match receiver.recv().await {
        None => Ok(Body::empty()),
        Some(Err(error)) => Err(error),
        Some(Ok(first)) => Ok(Body::new(Sending { first: Some(first), receiver })),
    }
}

fn make(
    runtime: &Handle,
    inner: &Inner,
    order: &Order,
    labels: &[String],
    bounds: Bounds,
    sink: Chunks,
) -> Result<(), ApiError> {
    let mut encoder = Encoder::new(order.format, order.compression, labels, sink)?;
    walk(runtime, &inner.lake, order, bounds, |series, samples| encoder.series(series, samples))?;
    let mut sink = encoder.finish()?;
    sink.send().map_err(|_| ApiError::new(Kind::Canceled, "the client went away"))
}

/// Gathers written bytes and sends them by the chunk.
struct Chunks {
    sender: mpsc::Sender<Chunk>,
    chunk: Vec<u8>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer's body while it arrives from the thread that makes it.
struct Sending {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Chunk>,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.receiver.poll_recv(context).map(|chunk| {
            chunk.map(|chunk| {
                chunk.map(Frame::data).map_err(|error| {
                    tracing::warn!(?error, "an export ended early");
                    io::Error::other("the export failed")
                })
            })
        })
    }
}
