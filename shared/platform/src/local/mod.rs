//! Adapters on the local machine: a folder as the bucket, a durable log as the stream.

mod bucket;
mod stream;

pub use bucket::LocalBucket;
pub use stream::{EventSource, EventSourceOptions, LocalStream, LocalStreamOptions};

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes a folder and everything above it, each new entry durable.
fn create_dir_durably(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create_dir_durably(parent)?;
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

/// Makes a folder's entries durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
