//! The stream record: one tenant's batch as bytes, small enough for one Kinesis record.
//!
//! Version 1: version, flags, 16 bytes of retry key when flag 1 is set, the tenant's length and name,
//! arrival time (zigzag), length of the body once unpacked, then the body as one zstd frame. The body
//! is columnar: series with their labels front-coded against the series before (shared start and
//! shared end), then series places, timestamps and values of the floats in columns of their own, the
//! values split into byte planes so that zstd finds the repeating ones.

use crate::batch::{Batch, Exemplar, FloatSample, HistogramSample, Metadata, SetSample};
use crate::histogram::Histogram;
use crate::labels::{Labels, LabelsRef};
use crate::series::{MetricKind, Temporality};
use crate::set::UniqueSet;
use crate::tenant::TenantId;
use crate::varint::{put_i64, put_u64, take_bytes, take_f64, take_i64, take_u64};

/// Largest record in bytes: the default of Kinesis, and what every emulator takes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// A record is halved at most this often until it fits the stream.
const MAX_SPLITS: u32 = 16;
/// Largest body once unpacked; a bound against bombs.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Compression level: the stream is passed through once, so speed counts more than size.
const ZSTD_LEVEL: i32 = 1;
const VERSION: u8 = 1;
const HAS_KEY: u8 = 1;

/// Names a delivery: two records of one key are one delivery and its retry, so one of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(pub u128);

impl RecordKey {
    /// The key of a tenant's delivery that its sender (or its body) calls `name`.
    #[must_use]
    pub fn of(tenant: &TenantId, name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(tenant.as_str().len() + 1 + name.len());
        bytes.extend_from_slice(tenant.as_str().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(name);
        Self(xxhash_rust::xxh3::xxh3_128(&bytes))
    }

    /// The key of the `index`-th record of the delivery, for deliveries that fill several.
    #[must_use]
    pub fn part(self, index: u32) -> Self {
        if index == 0 {
            return self;
        }
        let mut bytes = self.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(&index.to_le_bytes());
        Self(xxhash_rust::xxh3::xxh3_128(&bytes))
    }
}

/// One tenant's batch on its way through the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Set when a second delivery of the same content must be dropped.
    pub key: Option<RecordKey>,
    /// When it arrived, milliseconds since the Unix epoch; orders writes to one timestamp.
    pub received_ms: i64,
    /// Series and samples.
    pub batch: Batch,
}

/// Bytes that are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a later version.
    #[error("stream record of unknown version {0}")]
    Version(u8),
    /// Cut off, or holding an impossible number; says in which part.
    #[error("stream record is damaged in its {0}")]
    Damaged(&'static str),
    /// Claims to unpack to more than the bound.
    #[error("stream record unpacks to {0} bytes, at most {MAX_BODY_BYTES}")]
    TooLarge(u64),
    /// The record does not fit the stream.
    #[error("stream record takes {0} bytes, at most {MAX_RECORD_BYTES}: split the batch")]
    Oversized(usize),
}

impl Record {
    /// The record's bytes.
    ///
    /// # Errors
    /// [`RecordError::Oversized`] when they pass [`MAX_RECORD_BYTES`]: split the batch and try again.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let body = encode_body(&self.batch);
        if body.len() > MAX_BODY_BYTES {
            return Err(RecordError::Oversized(body.len()));
        }
        let mut out = Vec::with_capacity(body.len() / 3 + 64);
        out.push(VERSION);
        out.push(if self.key.is_some() { HAS_KEY } else { 0 });
        if let Some(key) = self.key {
            out.extend_from_slice(&key.0.to_le_bytes());
        }
        put_u64(&mut out, self.tenant.as_str().len() as u64);
        out.extend_from_slice(self.tenant.as_str().as_bytes());
        put_i64(&mut out, self.received_ms);
        put_u64(&mut out, body.len() as u64);
        let packed = zstd::bulk::compress(&body, ZSTD_LEVEL).map_err(|_| RecordError::Damaged("body"))?;
        out.extend_from_slice(&packed);
        if out.len() > MAX_RECORD_BYTES {
            return Err(RecordError::Oversized(out.len()));
        }
        Ok(out)
    }

    /// The record's bytes, as several records where one would be too large, each with its part of the key.
    ///
    /// # Errors
    /// [`RecordError::Oversized`] when a single sample is too large.
    pub fn encode_parts(self) -> Result<Vec<Vec<u8>>, RecordError> {
        let mut parts = Vec::new();
        self.encode_into(0, &mut parts)?;
        Ok(parts)
    }

    fn encode_into(self, depth: u32, parts: &mut Vec<Vec<u8>>) -> Result<(), RecordError> {
        let whole_key = self.key;
        let part = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let record = Self { key: whole_key.map(|key| key.part(part)), ..self };
        match record.encode() {
            Ok(bytes) => parts.push(bytes),
            Err(RecordError::Oversized(_)) if depth < MAX_SPLITS && record.batch.sample_count() > 1 => {
                let (first, second) = record.batch.split();
                for batch in [first, second] {
                    let half = Self {
                        tenant: record.tenant.clone(),
                        key: whole_key,
                        received_ms: record.received_ms,
                        batch,
                    };
                    half.encode_into(depth + 1, parts)?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] for bytes that no version of [`Record::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged("header");
        let mut input = bytes;
        let version = *take_bytes(&mut input, 1).and_then(<[u8]>::first).ok_or_else(damaged)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let flags = *take_bytes(&mut input, 1).and_then(<[u8]>::first).ok_or_else(damaged)?;
        let key = if flags & HAS_KEY != 0 {
            let bytes = take_bytes(&mut input, 16).and_then(|b| b.try_into().ok()).ok_or_else(damaged)?;
            Some(RecordKey(u128::from_le_bytes(bytes)))
        } else {
            None
        };
        let len = take_len(&mut input).ok_or_else(damaged)?;
        let name =
            take_bytes(&mut input, len).and_then(|b| std::str::from_utf8(b).ok()).ok_or_else(damaged)?;
        let tenant = TenantId::new(name).map_err(|_| damaged())?;
        let received_ms = take_i64(&mut input).ok_or_else(damaged)?;
        let unpacked = take_u64(&mut input).ok_or_else(damaged)?;
        if unpacked > MAX_BODY_BYTES as u64 {
            return Err(RecordError::TooLarge(unpacked));
        }
        let body =
            zstd::bulk::decompress(input, unpacked as usize).map_err(|_| RecordError::Damaged("body"))?;
        let batch = decode_body(&body)?;
        Ok(Self { tenant, key, received_ms, batch })
    }
}

fn take_len(input: &mut &[u8]) -> Option<usize> {
    let len = usize::try_from(take_u64(input)?).ok()?;
    (len <= MAX_BODY_BYTES).then_some(len)
}

fn encode_body(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.series().len() * 48 + batch.floats.len() * 12 + 256);
    put_series(&mut out, batch);
    put_floats(&mut out, &batch.floats);
    put_u64(&mut out, batch.histograms.len() as u64);
    for sample in &batch.histograms {
        put_u64(&mut out, u64::from(sample.series));
        put_i64(&mut out, sample.timestamp_ms);
        put_blob(&mut out, &sample.histogram.to_bytes());
    }
    put_u64(&mut out, batch.sets.len() as u64);
    for sample in &batch.sets {
        put_u64(&mut out, u64::from(sample.series));
        put_i64(&mut out, sample.timestamp_ms);
        put_blob(&mut out, &sample.set.to_bytes());
    }
    put_u64(&mut out, batch.exemplars.len() as u64);
    for exemplar in &batch.exemplars {
        put_u64(&mut out, u64::from(exemplar.series));
        put_i64(&mut out, exemplar.timestamp_ms);
        out.extend_from_slice(&exemplar.value.to_le_bytes());
        put_blob(&mut out, exemplar.labels.as_bytes());
    }
    put_u64(&mut out, batch.metadata.len() as u64);
    for entry in &batch.metadata {
        out.push(entry.kind as u8);
        put_blob(&mut out, entry.family.as_bytes());
        put_blob(&mut out, entry.unit.as_bytes());
        put_blob(&mut out, entry.help.as_bytes());
    }
    out
}

fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_series(out: &mut Vec<u8>, batch: &Batch) {
    put_u64(out, batch.series().len() as u64);
    let mut previous: &[u8] = &[];
    for series in batch.series() {
        let labels = batch.labels(series).as_bytes();
        out.push(series.kind as u8 | if series.temporality == Temporality::Delta { 0x80 } else { 0 });
        let shortest = labels.len().min(previous.len());
        let start = shared_start(labels, previous);
        let end = shared_end(&labels[start..], &previous[start..]).min(shortest - start);
        put_u64(out, start as u64);
        put_u64(out, end as u64);
        put_blob(out, &labels[start..labels.len() - end]);
        previous = labels;
    }
}

fn shared_start(a: &[u8], b: &[u8]) -> usize {
    let mut same = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        if x != y {
            break;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(x, y)| x == y).count()
}

fn shared_end(a: &[u8], b: &[u8]) -> usize {
    let mut same = 0;
    for (x, y) in a.rchunks_exact(8).zip(b.rchunks_exact(8)) {
        if x != y {
            break;
        }
        same += 8;
    }
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    same + a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count()
}

fn put_floats(out: &mut Vec<u8>, floats: &[FloatSample]) {
    put_u64(out, floats.len() as u64);
    let mut expected = 0i64;
    for sample in floats {
        put_i64(out, i64::from(sample.series) - expected);
        expected = i64::from(sample.series) + 1;
    }
    let mut previous = 0i64;
    for sample in floats {
        put_i64(out, sample.timestamp_ms.wrapping_sub(previous));
        previous = sample.timestamp_ms;
    }
    let start = out.len();
    let len = floats.len();
    out.resize(start + len * 8, 0);
    let planes = &mut out[start..];
    for (index, sample) in floats.iter().enumerate() {
        for (plane, byte) in sample.value.to_le_bytes().into_iter().enumerate() {
            planes[plane * len + index] = byte;
        }
    }
}

fn decode_body(body: &[u8]) -> Result<Batch, RecordError> {
    let mut input = body;
    let mut batch = Batch::new();
    take_series(&mut input, &mut batch).ok_or(RecordError::Damaged("series"))?;
    take_floats(&mut input, &mut batch).ok_or(RecordError::Damaged("floats"))?;
    take_histograms(&mut input, &mut batch).ok_or(RecordError::Damaged("histograms"))?;
    take_sets(&mut input, &mut batch).ok_or(RecordError::Damaged("sets"))?;
    take_exemplars(&mut input, &mut batch).ok_or(RecordError::Damaged("exemplars"))?;
    take_metadata(&mut input, &mut batch).ok_or(RecordError::Damaged("metadata"))?;
    if input.is_empty() { Ok(batch) } else { Err(RecordError::Damaged("end")) }
}

/// Takes a count of things that are at least one byte each.
fn take_count(input: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(take_u64(input)?).ok()?;
    (count <= input.len()).then_some(count)
}

fn take_blob<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_count(input)?;
    take_bytes(input, len)
}

fn take_text(input: &mut &[u8]) -> Option<String> {
    Some(std::str::from_utf8(take_blob(input)?).ok()?.to_owned())
}

fn take_series(input: &mut &[u8], batch: &mut Batch) -> Option<()> {
    let count = take_count(input)?;
    let mut previous: Vec<u8> = Vec::new();
    let mut labels: Vec<u8> = Vec::new();
    let mut total = 0usize;
    for _ in 0..count {
        let tag = *take_bytes(input, 1)?.first()?;
        let kind = MetricKind::from_code(tag & 0x7f)?;
        let temporality = if tag & 0x80 == 0 { Temporality::Cumulative } else { Temporality::Delta };
        let start = usize::try_from(take_u64(input)?).ok()?;
        let end = usize::try_from(take_u64(input)?).ok()?;
        let middle = take_blob(input)?;
        if start.checked_add(end)? > previous.len() {
            return None;
        }
        labels.clear();
        labels.extend_from_slice(&previous[..start]);
        labels.extend_from_slice(middle);
        labels.extend_from_slice(&previous[previous.len() - end..]);
        total += labels.len();
        if total > MAX_BODY_BYTES * 4 {
            return None;
        }
        let checked = LabelsRef::check(&labels).ok()?;
        batch.push_series(checked, kind, temporality);
        std::mem::swap(&mut previous, &mut labels);
    }
    Some(())
}

fn take_floats(input: &mut &[u8], batch: &mut Batch) -> Option<()> {
    let count = take_count(input)?;
    let known = batch.series().len() as i64;
    batch.floats.reserve_exact(count);
    let mut expected = 0i64;
    for _ in 0..count {
        let series = expected.checked_add(take_i64(input)?)?;
        if !(0..known).contains(&series) {
            return None;
        }
        batch.floats.push(FloatSample { series: series as u32, timestamp_ms: 0, value: 0.0 });
        expected = series + 1;
    }
    let mut timestamp_ms = 0i64;
    for sample in &mut batch.floats {
        timestamp_ms = timestamp_ms.wrapping_add(take_i64(input)?);
        sample.timestamp_ms = timestamp_ms;
    }
    let planes = take_bytes(input, count.checked_mul(8)?)?;
    for (index, sample) in batch.floats.iter_mut().enumerate() {
        let mut bytes = [0u8; 8];
        for (plane, byte) in bytes.iter_mut().enumerate() {
            *byte = planes[plane * count + index];
        }
        sample.value = f64::from_le_bytes(bytes);
    }
    Some(())
}

/// Takes series place and timestamp of a sample that is stored row by row.
fn take_row(input: &mut &[u8], batch: &Batch) -> Option<(u32, i64)> {
    let series = u32::try_from(take_u64(input)?).ok()?;
    ((series as usize) < batch.series().len()).then_some(())?;
    Some((series, take_i64(input)?))
}

fn take_histograms(input: &mut &[u8], batch: &mut Batch) -> Option<()> {
    for _ in 0..take_count(input)? {
        let (series, timestamp_ms) = take_row(input, batch)?;
        let histogram = Histogram::from_bytes(take_blob(input)?).ok()?.into();
        batch.histograms.push(HistogramSample { series, timestamp_ms, histogram });
    }
    Some(())
}

fn take_sets(input: &mut &[u8], batch: &mut Batch) -> Option<()> {
    for _ in 0..take_count(input)? {
        let (series, timestamp_ms) = take_row(input, batch)?;
        let set = UniqueSet::from_bytes(take_blob(input)?).ok()?.into();
        batch.sets.push(SetSample { series, timestamp_ms, set });
    }
    Some(())
}

fn take_exemplars(input: &mut &[u8], batch: &mut Batch) -> Option<()> {
    for _ in 0..take_count(input)? {
        let (series, timestamp_ms) = take_row(input, batch)?;
        let value = take_f64(input)?;
        let labels: Labels = LabelsRef::check(take_blob(input)?).ok()?.to_labels();
        batch.exemplars.push(Exemplar { series, timestamp_ms, value, labels });
    }
    Some(())
}

fn take_metadata(input: &mut &[u8], batch: &mut Batch) -> Option<()> {
    for _ in 0..take_count(input)? {
        let kind = MetricKind::from_code(*take_bytes(input, 1)?.first()?)?;
        let family = take_text(input)?;
        let unit = take_text(input)?;
        let help = take_text(input)?;
        batch.metadata.push(Metadata { family, kind, unit, help });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DistributionBuilder, STALE_NAN};
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = Labels> {
        prop::collection::btree_map("[a-zé]{1,6}", "[a-z0-9 ü]{1,10}", 0..6).prop_map(Labels::from_pairs)
    }

    fn record() -> impl Strategy<Value = Record> {
        let series = prop::collection::vec((labels(), 0u8..8, any::<bool>()), 1..20);
        let floats = prop::collection::vec((any::<prop::sample::Index>(), any::<i64>(), any::<f64>()), 0..60);
        (series, floats, any::<Option<u128>>(), any::<i64>()).prop_map(
            |(series, floats, key, received_ms)| {
                let mut batch = Batch::new();
                for (labels, kind, delta) in &series {
                    let temporality = if *delta { Temporality::Delta } else { Temporality::Cumulative };
                    batch.push_series(labels.borrowed(), MetricKind::from_code(*kind).unwrap(), temporality);
                }
                for (at, timestamp_ms, value) in floats {
                    batch.floats.push(FloatSample {
                        series: at.index(series.len()) as u32,
                        timestamp_ms,
                        value,
                    });
                }
                let mut seen = DistributionBuilder::new();
                seen.observe(1.5, 2.0);
                batch.histograms.push(HistogramSample {
                    series: 0,
                    timestamp_ms: 7,
                    histogram: seen.build().into(),
                });
                let mut set = UniqueSet::new();
                set.insert(b"a");
                batch.sets.push(SetSample { series: 0, timestamp_ms: -7, set: set.into() });
                batch.exemplars.push(Exemplar {
                    series: 0,
                    timestamp_ms: 1,
                    value: 2.0,
                    labels: series[0].0.clone(),
                });
                batch.metadata.push(Metadata {
                    family: "up".into(),
                    kind: MetricKind::Gauge,
                    unit: String::new(),
                    help: "1 when scraped".into(),
                });
                Record { tenant: TenantId::default(), key: key.map(RecordKey), received_ms, batch }
            },
        )
    }

    /// Bits instead of floats, since NaN is unlike itself.
    fn bits(record: &Record) -> Vec<(u32, i64, u64)> {
        record.batch.floats.iter().map(|s| (s.series, s.timestamp_ms, s.value.to_bits())).collect()
    }

    proptest! {
        #[test]
        fn a_record_survives_a_round_trip(mut record in record()) {
            let mut back = Record::decode(&record.encode().unwrap()).unwrap();
            prop_assert_eq!(bits(&back), bits(&record));
            back.batch.floats.clear();
            record.batch.floats.clear();
            prop_assert_eq!(back, record);
        }

        #[test]
        fn splitting_loses_nothing(record in record()) {
            let (mut first, second) = record.batch.split();
            first.append(&second);
            let of = |batch: &Batch| {
                let mut rows: Vec<_> = batch.floats.iter()
                    .map(|s| (batch.labels_at(s.series).to_labels(), s.timestamp_ms, s.value.to_bits())).collect();
                rows.sort();
                rows
            };
            prop_assert_eq!(of(&first), of(&record.batch));
            prop_assert_eq!(first.sample_count(), record.batch.sample_count());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Record::decode(&bytes);
            let _ = decode_body(&bytes);
        }

        #[test]
        fn damaged_bodies_never_panic(record in record(), at: prop::sample::Index, to: u8) {
            let mut body = encode_body(&record.batch);
            let at = at.index(body.len());
            body[at] = to;
            let _ = decode_body(&body);
        }
    }

    #[test]
    fn the_staleness_marker_keeps_its_bits() {
        let mut batch = Batch::new();
        let up = Labels::from_pairs([("__name__", "up")]);
        let series = batch.push_series(up.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
        batch.floats.push(FloatSample { series, timestamp_ms: 1, value: STALE_NAN });
        let record = Record { tenant: TenantId::default(), key: None, received_ms: 2, batch };
        let back = Record::decode(&record.encode().unwrap()).unwrap();
        assert!(crate::is_stale_nan(back.batch.floats[0].value));
    }
}
