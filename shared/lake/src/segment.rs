//! Hot segments: one stream batch of one shard as one object, its records verbatim.
//!
//! Layout, little-endian: `WSEG`, version 2, shard (u32), first and last sequence number covered (u256
//! each), number of records (u32), newest arrival among records with a retry key (i64, the minimum when
//! there is none); then for each record its sequence number (u256), arrival (i64), flags (u8, 1 = has a
//! retry key), the key if any (u128), length (u32) and the stream record's bytes; last the XXH3-64 of
//! everything before. The range may cover more than the records listed: a repeated delivery that was
//! dropped, or a record in quarantine, stays covered.

use bytes::Bytes;
use weir_model::RecordKey;
use weir_platform::{SequenceNumber, ShardId};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"WSEG";
const VERSION: u8 = 2;
const HAS_KEY: u8 = 1;
/// Bytes of the fixed part at the start.
pub(crate) const HEADER_BYTES: usize = 4 + 1 + 4 + 2 * SequenceNumber::BYTES + 4 + 8;

/// One record of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRecord {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// When it arrived, milliseconds since the Unix epoch.
    pub received_ms: i64,
    /// Its retry key.
    pub key: Option<RecordKey>,
    /// The stream record.
    pub payload: Bytes,
}

/// What the start of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The shard.
    pub shard: ShardId,
    /// First sequence number covered; also in the object's key.
    pub first: SequenceNumber,
    /// Last sequence number covered.
    pub last: SequenceNumber,
    /// Records listed.
    pub records: u32,
    /// Newest arrival among the records that carry a retry key.
    pub newest_keyed_ms: Option<i64>,
}

/// A whole segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// What its start says.
    pub header: SegmentHeader,
    /// Its records, ascending by sequence number.
    pub records: Vec<SegmentRecord>,
}

impl Segment {
    /// A segment of these records that covers `first` to `last`.
    pub(crate) fn new(
        shard: ShardId,
        first: SequenceNumber,
        last: SequenceNumber,
        records: Vec<SegmentRecord>,
    ) -> Self {
        let newest_keyed_ms = records.iter().filter(|r| r.key.is_some()).map(|r| r.received_ms).max();
        let header = SegmentHeader { shard, first, last, records: records.len() as u32, newest_keyed_ms };
        Self { header, records }
    }

    /// The object's bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let payload: usize = self.records.iter().map(|r| r.payload.len() + 61).sum();
        let mut out = Vec::with_capacity(HEADER_BYTES + payload + 8);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.header.shard.0.to_le_bytes());
        out.extend_from_slice(&self.header.first.to_le_bytes());
        out.extend_from_slice(&self.header.last.to_le_bytes());
        out.extend_from_slice(&self.header.records.to_le_bytes());
        out.extend_from_slice(&self.header.newest_keyed_ms.unwrap_or(i64::MIN).to_le_bytes());
        for record in &self.records {
            out.extend_from_slice(&record.sequence.to_le_bytes());
            out.extend_from_slice(&record.received_ms.to_le_bytes());
            out.push(if record.key.is_some() { HAS_KEY } else { 0 });
            if let Some(key) = record.key {
                out.extend_from_slice(&key.0.to_le_bytes());
            }
            out.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
            out.extend_from_slice(&record.payload);
        }
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.into()
    }

    /// Reads [`Segment::encode`]; the error says which part is wrong.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, &'static str> {
        let (body, checksum) = bytes.split_last_chunk::<8>().ok_or("it is cut off")?;
        let header = SegmentHeader::decode(body)?;
        if xxh3_64(body) != u64::from_le_bytes(*checksum) {
            return Err("its checksum does not match");
        }
        let mut input = &body[HEADER_BYTES..];
        // A record takes at least 45 bytes, so that a wrong count cannot make us reserve much.
        let mut records = Vec::with_capacity((header.records as usize).min(input.len() / 45));
        for _ in 0..header.records {
            let record = take_record(&mut input, bytes).ok_or("a record is cut off")?;
            let after = records.last().map(|r: &SegmentRecord| r.sequence);
            let inside = header.first <= record.sequence && record.sequence <= header.last;
            if !inside || after.is_some_and(|after| record.sequence <= after) {
                return Err("its sequence numbers are out of order");
            }
            records.push(record);
        }
        if input.is_empty() { Ok(Self { header, records }) } else { Err("something follows its records") }
    }
}

impl SegmentHeader {
    /// Reads the first [`HEADER_BYTES`] bytes of a segment.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut input = bytes;
        if take(&mut input) != Some(*MAGIC) {
            return Err("it does not begin as a segment");
        }
        if take(&mut input) != Some([VERSION]) {
            return Err("it is of an unknown version");
        }
        let cut_off = "its start is cut off";
        let shard = ShardId(u32::from_le_bytes(take(&mut input).ok_or(cut_off)?));
        let first = SequenceNumber::from_le_bytes(take(&mut input).ok_or(cut_off)?);
        let last = SequenceNumber::from_le_bytes(take(&mut input).ok_or(cut_off)?);
        let records = u32::from_le_bytes(take(&mut input).ok_or(cut_off)?);
        let newest = i64::from_le_bytes(take(&mut input).ok_or(cut_off)?);
        if last < first {
            return Err("its range ends before it begins");
        }
        Ok(Self { shard, first, last, records, newest_keyed_ms: (newest != i64::MIN).then_some(newest) })
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = input.split_first_chunk::<N>()?;
    *input = tail;
    Some(*head)
}

fn take_record(input: &mut &[u8], whole: &Bytes) -> Option<SegmentRecord> {
    let sequence = SequenceNumber::from_le_bytes(take(input)?);
    let received_ms = i64::from_le_bytes(take(input)?);
    let [flags] = take(input)?;
    let key = if flags & HAS_KEY != 0 { Some(RecordKey(u128::from_le_bytes(take(input)?))) } else { None };
    let len = u32::from_le_bytes(take(input)?) as usize;
    let (payload, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(SegmentRecord { sequence, received_ms, key, payload: whole.slice_ref(payload) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment() -> impl Strategy<Value = Segment> {
        let record = (1u128..9, any::<i64>(), any::<Option<u128>>(), any::<Vec<u8>>());
        (prop::collection::vec(record, 0..8), any::<u32>(), 0u128..1 << 100).prop_map(
            |(rows, shard, first)| {
                let mut sequence = first;
                let records: Vec<_> = rows
                    .into_iter()
                    .map(|(step, received_ms, key, payload)| {
                        sequence += step;
                        SegmentRecord {
                            sequence: SequenceNumber::from(sequence),
                            received_ms: received_ms.max(i64::MIN + 1),
                            key: key.map(RecordKey),
                            payload: payload.into(),
                        }
                    })
                    .collect();
                Segment::new(
                    ShardId(shard),
                    SequenceNumber::from(first),
                    SequenceNumber::from(sequence + 3),
                    records,
                )
            },
        )
    }

    proptest! {
        #[test]
        fn a_segment_survives_a_round_trip(segment in segment()) {
            let bytes = segment.encode();
            prop_assert_eq!(SegmentHeader::decode(&bytes[..HEADER_BYTES]).unwrap(), segment.header);
            prop_assert_eq!(Segment::decode(&bytes).unwrap(), segment);
        }

        #[test]
        fn a_changed_or_cut_segment_is_refused(segment in segment(), at: prop::sample::Index, to in 1u8..=255) {
            let bytes = segment.encode();
            let at = at.index(bytes.len());
            let mut changed = bytes.to_vec();
            changed[at] ^= to;
            prop_assert!(Segment::decode(&changed.into()).is_err());
            prop_assert!(Segment::decode(&bytes.slice(..at)).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut framed = MAGIC.to_vec();
            framed.push(VERSION);
            framed.extend_from_slice(&bytes);
            let checksum = xxh3_64(&framed);
            framed.extend_from_slice(&checksum.to_le_bytes());
            let _ = Segment::decode(&framed.into());
            let _ = Segment::decode(&bytes.into());
        }
    }

    #[test]
    fn the_layout_never_changes() {
        let record = SegmentRecord {
            sequence: SequenceNumber::from(2),
            received_ms: 3,
            key: Some(RecordKey(4)),
            payload: Bytes::from_static(b"p"),
        };
        let bytes =
            Segment::new(ShardId(1), SequenceNumber::from(2), SequenceNumber::from(5), vec![record]).encode();
        assert_eq!(bytes.len(), HEADER_BYTES + 32 + 8 + 1 + 16 + 4 + 1 + 8);
        assert_eq!(&bytes[..9], b"WSEG\x02\x01\0\0\0");
        assert_eq!(xxh3_64(&bytes), 13138789140631520220);
    }
}
