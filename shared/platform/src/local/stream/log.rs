//! One shard's records in files: appended, checksummed, synced by group, dropped file by file.
//!
//! A file is named by the sequence number of its first record (20 digits, `.log`). Frame: length of
//! the data (4 bytes), XXH3-64 of sequence number and data (8 bytes), sequence number (8 bytes), data;
//! all little-endian. The last frame of the last file may be cut off by a crash; it was not
//! acknowledged then, and opening cuts it away. Damage anywhere else is an error, never skipped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::local::{create_dir_durably, sync_dir};

/// A new file begins when the current one has passed this size.
const FILE_BYTES: u64 = 16 << 20;
const HEADER_BYTES: usize = 20;
/// No frame is larger; a length beyond is damage.
const MAX_DATA_BYTES: usize = 64 << 20;

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) data: Bytes,
}

/// The files of one shard, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    /// First sequence number of each file, ascending; the last is the one being written.
    files: Vec<u64>,
    current: File,
    current_bytes: u64,
    next_sequence: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Opens a shard's folder and reads the entries after `consumed`.
    pub(super) fn open(folder: PathBuf, consumed: u64) -> io::Result<(Self, Vec<Entry>)> {
        create_dir_durably(&folder)?;
        let mut files = log_files(&folder)?;
        let mut waiting = Vec::new();
        let mut next_sequence = consumed + 1;
        for (index, first) in files.iter().enumerate() {
            let is_last = index + 1 == files.len();
            // The next file's name says where this one ends: nothing in it is wanted.
            if files.get(index + 1).is_some_and(|next| *next <= consumed + 1) {
                continue;
            }
            next_sequence = next_sequence.max(*first);
            for entry in read_file(&file_path(&folder, *first), is_last)? {
                next_sequence = next_sequence.max(entry.sequence + 1);
                if entry.sequence > consumed {
                    waiting.push(entry);
                }
            }
        }
        if files.is_empty() {
            files.push(next_sequence);
        }
        let first = files.last().copied().unwrap_or(next_sequence);
        let current = open_for_append(&folder, first)?;
        let current_bytes = current.metadata()?.len();
        let log = Self { folder, files, current, current_bytes, next_sequence, buffer: Vec::new() };
        Ok((log, waiting))
    }

    /// Appends records and makes them durable with one sync; returns their sequence numbers in order.
    ///
    /// After an error the log must not be written again: what the disk holds is unknown until reopened.
    pub(super) fn append(&mut self, group: &[Bytes]) -> io::Result<Vec<u64>> {
        if self.current_bytes >= FILE_BYTES {
            self.begin_file()?;
        }
        self.buffer.clear();
        let mut sequences = Vec::with_capacity(group.len());
        for data in group {
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            self.buffer.extend_from_slice(&(data.len() as u32).to_le_bytes());
            self.buffer.extend_from_slice(&checksum(sequence, data).to_le_bytes());
            self.buffer.extend_from_slice(&sequence.to_le_bytes());
            self.buffer.extend_from_slice(data);
            sequences.push(sequence);
        }
        self.current.write_all(&self.buffer)?;
        self.current.sync_data()?;
        self.current_bytes += self.buffer.len() as u64;
        // One large group must not hold its memory for good.
        self.buffer.shrink_to(1 << 20);
        Ok(sequences)
    }

    /// Deletes files that hold nothing after `consumed`. With `also_current`, a current file that is
    /// done with makes way for a new one.
    pub(super) fn trim(&mut self, consumed: u64, also_current: bool) -> io::Result<()> {
        if also_current && self.current_bytes > 0 && consumed + 1 == self.next_sequence {
            self.begin_file()?;
        }
        while self.files.len() > 1 && self.files[1] <= consumed + 1 {
            fs::remove_file(file_path(&self.folder, self.files[0]))?;
            self.files.remove(0);
        }
        Ok(())
    }

    /// Bytes of the file being written.
    pub(super) fn current_bytes(&self) -> u64 {
        self.current_bytes
    }

    fn begin_file(&mut self) -> io::Result<()> {
        self.current = open_for_append(&self.folder, self.next_sequence)?;
        self.current_bytes = 0;
        self.files.push(self.next_sequence);
        Ok(())
    }
}

fn checksum(sequence: u64, data: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(sequence);
    hash.update(data);
    hash.digest()
}

fn file_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.log"))
}

fn log_files(folder: &Path) -> io::Result<Vec<u64>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let first: Option<u64> =
            name.to_str().and_then(|n| n.strip_suffix(".log")).and_then(|n| n.parse().ok());
        files.extend(first);
    }
    files.sort_unstable();
    Ok(files)
}

fn open_for_append(folder: &Path, first: u64) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(file_path(folder, first))?;
    sync_dir(folder)?;
    Ok(file)
}

fn read_file(path: &Path, is_last: bool) -> io::Result<Vec<Entry>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let bytes = Bytes::from(bytes);
    let mut entries = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some((entry, end)) = read_frame(&bytes, at) else { break };
        entries.push(entry);
        at = end;
    }
    if at < bytes.len() {
        if !is_last {
            let message = format!("stream log {} is damaged at byte {at}", path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        tracing::warn!(file = %path.display(), at, dropped = bytes.len() - at, "cut an unfinished record off the stream log");
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(at as u64)?;
        file.sync_all()?;
    }
    Ok(entries)
}

fn read_frame(bytes: &Bytes, at: usize) -> Option<(Entry, usize)> {
    let header = bytes.get(at..at + HEADER_BYTES)?;
    let len = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    let sum = u64::from_le_bytes(header[4..12].try_into().ok()?);
    let sequence = u64::from_le_bytes(header[12..20].try_into().ok()?);
    let start = at + HEADER_BYTES;
    let end = start.checked_add(len)?;
    if len > MAX_DATA_BYTES || end > bytes.len() {
        return None;
    }
    let data = bytes.slice(start..end);
    (checksum(sequence, &data) == sum).then_some((Entry { sequence, data }, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|t| Bytes::from_static(t.as_bytes())).collect()
    }

    fn sequences(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|e| e.sequence).collect()
    }

    #[test]
    fn reopening_gives_back_what_was_not_consumed_and_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, waiting) = Log::open(folder.path().into(), 0).unwrap();
        assert!(waiting.is_empty());
        assert_eq!(log.append(&bytes(&["a", "b"])).unwrap(), [1, 2]);
        assert_eq!(log.append(&bytes(&["c"])).unwrap(), [3]);
        let (mut log, waiting) = Log::open(folder.path().into(), 1).unwrap();
        assert_eq!(sequences(&waiting), [2, 3]);
        log.trim(3, true).unwrap();
        let (mut log, waiting) = Log::open(folder.path().into(), 3).unwrap();
        assert!(waiting.is_empty());
        assert_eq!(log.append(&bytes(&["d"])).unwrap(), [4], "numbers never start again");
    }

    #[test]
    fn a_lost_checkpoint_after_trimming_does_not_reuse_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(folder.path().into(), 0).unwrap();
        log.append(&bytes(&["a", "b"])).unwrap();
        log.trim(2, true).unwrap();
        let (mut log, _) = Log::open(folder.path().into(), 0).unwrap();
        assert_eq!(log.append(&bytes(&["c"])).unwrap(), [3]);
    }

    proptest! {
        #[test]
        fn a_log_cut_anywhere_keeps_every_whole_record_before_the_cut(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (mut log, _) = Log::open(folder.path().into(), 0).unwrap();
            let group: Vec<Bytes> = records.iter().cloned().map(Bytes::from).collect();
            log.append(&group).unwrap();
            let path = file_path(folder.path(), 1);
            let len = fs::metadata(&path).unwrap().len();
            let cut = cut.index(len as usize + 1) as u64;
            OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
            let mut end = 0;
            let whole = records.iter().take_while(|r| { end += (HEADER_BYTES + r.len()) as u64; end <= cut }).count();
            let (mut log, waiting) = Log::open(folder.path().into(), 0).unwrap();
            prop_assert_eq!(waiting.len(), whole);
            prop_assert_eq!(log.append(&group).unwrap()[0], whole as u64 + 1);
            let (_, again) = Log::open(folder.path().into(), 0).unwrap();
            prop_assert_eq!(again.len(), whole + records.len());
        }
    }
}
