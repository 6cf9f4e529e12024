//! What `enrich` does: a stream batch becomes a hot segment, once, however it is delivered.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use weir_model::{Record, RecordKey};
use weir_platform::{BucketError, Created, SequenceNumber, ShardId};

use crate::erase::without;
use crate::error::LakeError;
use crate::keys;
use crate::lake::Lake;
use crate::segment::{HEADER_BYTES, Segment, SegmentHeader, SegmentRecord};

/// Most damaged segments that one append replaces.
const MAX_REPLACED: usize = 1_000;

/// A record as the stream delivered it.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// The stream record's own bytes, which the segment keeps.
    pub payload: Bytes,
    /// The same, decoded.
    pub record: Record,
}

/// What became of a delivered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// Samples that are new in the lake.
    pub samples: u64,
    /// Exemplars that came with them, repeats included.
    pub exemplars: u64,
    /// Exemplars, these or older ones, that were dropped since a series or the tenant has too many.
    pub exemplars_dropped: u64,
    /// Records that are new in the lake.
    pub records: u64,
    /// Records that were dropped, since one of the same retry key is there already.
    pub repeated_keys: u64,
    /// Records that an earlier delivery had brought.
    pub already_covered: u64,
    /// The shard's last sequence number in the lake.
    pub covered_through: Option<SequenceNumber>,
}

/// What the start of a segment told.
pub(crate) enum SegmentStart {
    /// This.
    Read(SegmentHeader),
    /// Nothing, since it has been deleted.
    Gone,
    /// Nothing that can be read.
    Damaged,
}

/// How often the next numbers of a shard are tried for while others take them.
const NUMBER_TRIES: usize = 32;

impl Lake {
    /// Writes a batch of one shard. When this returns, every record of it is durable and visible to
    /// queries, exactly once: records that an earlier delivery brought, and repeats of a retry key,
    /// are counted and left out. Appends to one shard follow one another.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails: part of the batch may be in the lake, which does no harm when
    /// the batch is delivered again, cut as before or otherwise.
    pub async fn append(&self, shard: ShardId, delivered: Vec<Incoming>) -> Result<Appended, LakeError> {
        let lane = self.lane(shard)?;
        let mut prepared = lane.lock().await;
        if !*prepared {
            self.read_compacted_keys(shard).await?;
            *prepared = true;
        }
        if !self.options.sole_writer {
            // Another process may have written this shard since; segments must follow one another.
            self.read_new_segments(shard).await?;
        }
        let mut delivered = delivered;
        if !delivered.is_sorted_by(|a, b| a.sequence < b.sequence) {
            delivered.sort_by_key(|incoming| incoming.sequence);
            delivered.dedup_by_key(|incoming| incoming.sequence);
        }
        self.leave_out_erased(&mut delivered)?;
        let mut waiting = VecDeque::from(delivered);
        let (mut appended, mut replaced) = (Appended::default(), 0);
        loop {
            let covered = self.covered_through(shard);
            while let Some(first) = waiting.front()
                && covered.is_some_and(|to| first.sequence <= to)
            {
                waiting.pop_front();
                appended.already_covered += 1;
            }
            appended.covered_through = covered;
            let piece = self.cut(&mut waiting);
            let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return Ok(appended) };
            let (first, last) = (first.sequence, last.sequence);
            if !self.write(shard, &piece, &mut appended).await? {
                // An attempt whose reply was lost, or another process: what it wrote counts.
                self.read_new_segments(shard).await?;
                let key = keys::segment(shard, first);
                if self.covered_through(shard).is_none_or(|to| to < first) {
                    // A damaged one makes room: this delivery brings its records again.
                    replaced += 1;
                    if replaced > MAX_REPLACED || !self.delete_damaged(&key, shard).await? {
                        return Err(LakeError::damaged(
                            &key,
                            format!("it does not cover {first} (to {last})"),
                        ));
                    }
                }
                for incoming in piece.into_iter().rev() {
                    waiting.push_front(incoming);
                }
            }
        }
    }

    /// Writes records that have no numbers yet, under the next free ones of a shard, however many processes
    /// do so at once. Each needs a retry key: by it a write whose reply was lost is known as done.
    pub(crate) async fn append_next(
        &self,
        shard: ShardId,
        records: Vec<(Bytes, Record)>,
    ) -> Result<Vec<SequenceNumber>, LakeError> {
        let lane = self.lane(shard)?;
        let mut prepared = lane.lock().await;
        if !*prepared {
            self.read_compacted_keys(shard).await?;
            *prepared = true;
        }
        let covered = |lake: &Self| lake.covered_through(shard).unwrap_or(SequenceNumber::from(0));
        let sequence = covered(self);
        let incoming = |(payload, record)| Incoming { sequence, payload, record };
        let mut piece: Vec<Incoming> = records.into_iter().map(incoming).collect();
        self.leave_out_erased(&mut piece)?;
        let mut appended = Appended::default();
        for _ in 0..NUMBER_TRIES {
            // Every number is taken by creating its segment, so what others wrote must be known first;
            // also what has been compacted, before the grace period ends and its segments are gone.
            self.refresh_if_older(self.options.grace_ms / 4).await?;
            self.read_new_segments(shard).await?;
            let known = self.without_repeats(shard, &piece).is_empty();
            if !known {
                let mut next = covered(self);
                for incoming in &mut piece {
                    next = next.next();
                    incoming.sequence = next;
                }
            }
            // Known after a try of ours: it is there under the numbers of that try.
            if known || self.write(shard, &piece, &mut appended).await? {
                return Ok(piece.iter().map(|incoming| incoming.sequence).collect());
            }
        }
        Err(LakeError::unavailable(format!("others wrote to {shard} {NUMBER_TRIES} times meanwhile")))
    }

    /// Takes out of records what erasures take, so that it is not written again, as far as this process knows
    /// of them; what others write is found where it lies.
    fn leave_out_erased(&self, delivered: &mut [Incoming]) -> Result<(), LakeError> {
        let catalog = self.catalog();
        if catalog.erasures.is_empty() {
            return Ok(());
        }
        for incoming in delivered {
            let (left, _) = without(&incoming.record, catalog.erasures.values().map(Arc::as_ref));
            if let Cow::Owned(left) = left {
                let refused = |error| LakeError::Refused { reason: format!("{error}") };
                incoming.payload = left.encode().map_err(refused)?.into();
                incoming.record = left;
            }
        }
        Ok(())
    }

    /// Takes off as many records as one segment holds.
    fn cut(&self, waiting: &mut VecDeque<Incoming>) -> Vec<Incoming> {
        let mut bytes = 0;
        let fits = |incoming: &Incoming| {
            bytes += incoming.payload.len();
            bytes <= self.options.max_segment_bytes
        };
        let count = waiting.iter().map(fits).take_while(|fits| *fits).count().max(1);
        waiting.drain(..count.min(waiting.len())).collect()
    }

    /// Writes one segment; false when there is one of its name already.
    async fn write(
        &self,
        shard: ShardId,
        piece: &[Incoming],
        appended: &mut Appended,
    ) -> Result<bool, LakeError> {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return Ok(true) };
        let kept = self.without_repeats(shard, piece);
        let records = kept.iter().map(|incoming| SegmentRecord {
            sequence: incoming.sequence,
            received_ms: incoming.record.received_ms,
            key: incoming.record.key,
            payload: incoming.payload.clone(),
        });
        let segment = Segment::new(shard, first.sequence, last.sequence, records.collect());
        let bytes = segment.encode();
        let size = bytes.len() as u64;
        let key = keys::segment(shard, first.sequence);
        if self.bucket.create(&key, bytes).await? == Created::Existed {
            return Ok(false);
        }
        let now_ms = self.clock.now_ms();
        let records = kept.iter().map(|incoming| (incoming.sequence, &incoming.record));
        let taken = self.state_mut().absorb(&segment, size, records, now_ms);
        appended.exemplars += taken.exemplars;
        appended.exemplars_dropped += taken.exemplars_dropped;
        appended.records += kept.len() as u64;
        appended.repeated_keys += (piece.len() - kept.len()) as u64;
        appended.samples += kept.iter().map(|i| i.record.batch.sample_count() as u64).sum::<u64>();
        Ok(true)
    }

    fn without_repeats<'a>(&self, shard: ShardId, piece: &'a [Incoming]) -> Vec<&'a Incoming> {
        let state = self.state();
        let known = state.keys(shard);
        let mut here: HashMap<RecordKey, i64> = HashMap::new();
        let window_ms = self.options.retry_window_ms.unsigned_abs();
        let counts = |incoming: &&Incoming| {
            let Some(key) = incoming.record.key else { return true };
            let received_ms = incoming.record.received_ms;
            let repeated = known.is_some_and(|keys| keys.is_repeat(key, received_ms))
                || here.get(&key).is_some_and(|at| at.abs_diff(received_ms) <= window_ms);
            // What is dropped is not remembered: how a batch is cut must not change what counts.
            if !repeated {
                here.insert(key, received_ms);
            }
            !repeated
        };
        piece.iter().filter(counts).collect()
    }

    /// Reads the retry keys of compacted segments that are still there for their sake.
    async fn read_compacted_keys(&self, shard: ShardId) -> Result<(), LakeError> {
        let Some(to) = self.catalog().compacted.get(&shard).copied() else { return Ok(()) };
        for object in self.list_all(&keys::shard_prefix(shard)).await? {
            let Some((_, first)) = keys::parse_segment(&object.key) else { continue };
            if first > to {
                break;
            }
            let start = self.read_segment_header(&object.key).await?;
            // What is wrong with a damaged start is told below.
            if !matches!(start, SegmentStart::Read(header) if header.newest_keyed_ms.is_none()) {
                let bytes = self.bucket.get(&object.key).await?;
                if let Some(decoded) = self.decode_or_pass(object, bytes, shard).await? {
                    let now_ms = self.clock.now_ms();
                    self.state_mut().note_keys(&decoded.segment, now_ms);
                }
            }
        }
        Ok(())
    }

    /// The start of a segment.
    pub(crate) async fn read_segment_header(&self, key: &str) -> Result<SegmentStart, LakeError> {
        match self.bucket.get_range(key, 0..HEADER_BYTES as u64).await {
            Ok(bytes) => Ok(SegmentHeader::decode(&bytes).map_or(SegmentStart::Damaged, SegmentStart::Read)),
            Err(BucketError::NotFound { .. }) => Ok(SegmentStart::Gone),
            Err(BucketError::BadRange { .. }) => Ok(SegmentStart::Damaged),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets a record aside that cannot be decoded: its bytes and the reason, under its sequence number.
    /// Doing so again changes nothing.
    ///
    /// # Errors
    /// [`LakeError::Unavailable`] when the bucket fails.
    pub async fn quarantine(
        &self,
        shard: ShardId,
        sequence: SequenceNumber,
        bytes: Bytes,
        reason: &str,
    ) -> Result<(), LakeError> {
        let note = serde_json::json!({
            "shard": shard.to_string(),
            "sequence": sequence.to_string(),
            "reason": reason,
            "bytes": bytes.len(),
            "quarantined_ms": self.clock.now_ms(),
        });
        self.bucket.create(&keys::quarantine(shard, sequence, "bin"), bytes).await?;
        let note = Bytes::from(note.to_string());
        self.bucket.create(&keys::quarantine(shard, sequence, "json"), note).await?;
        Ok(())
    }
}
