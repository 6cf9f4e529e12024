//! What every accepted body must hold, checked after each run of a parser.

use weir_formats::{FormatError, Limits, Parsed, Rejections};
use weir_model::{LabelsRef, METRIC_NAME, Record, TenantId};

/// Time of arrival in all targets.
pub const NOW_MS: i64 = 1_760_000_000_000;
/// Longest text that an error may tell, in bytes: names a few quotes of bounded length.
const MAX_TOLD_BYTES: usize = 2_000;

/// Limits small enough that an input of a few kilobytes reaches them.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        compressed_bytes: 1 << 20,
        body_bytes: 4 << 20,
        samples: 2_000,
        label_bytes: 1 << 20,
        ..Limits::default()
    }
}

/// Checks what came of a body.
///
/// # Panics
/// When a parser let something through that the rest of the system may not meet.
pub fn check(result: Result<Parsed, FormatError>) {
    let parsed = match result {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(error.to_string().len() <= MAX_TOLD_BYTES, "{} bytes told", error.to_string().len());
            return;
        }
    };
    let (batch, limits) = (&parsed.batch, limits());
    for series in batch.series() {
        let labels = LabelsRef::check(batch.labels(series).as_bytes()).expect("labels are canonical");
        assert!(!labels.metric_name().is_empty());
        assert!(labels.iter().count() <= limits.labels);
        for (name, value) in labels.iter() {
            let most = if name == METRIC_NAME { limits.name_bytes } else { limits.value_bytes };
            assert!(name.len() <= limits.name_bytes && value.len() <= most);
        }
    }
    let known = batch.series().len() as u32;
    let times = Limits::MIN_TIMESTAMP_MS..=Limits::MAX_TIMESTAMP_MS;
    let floats = batch.floats.iter().map(|s| (s.series, s.timestamp_ms));
    let histograms = batch.histograms.iter().map(|s| (s.series, s.timestamp_ms));
    let sets = batch.sets.iter().map(|s| (s.series, s.timestamp_ms));
    let exemplars = batch.exemplars.iter().map(|s| (s.series, s.timestamp_ms));
    for (series, timestamp_ms) in floats.chain(histograms).chain(sets).chain(exemplars) {
        assert!(series < known && times.contains(&timestamp_ms));
    }
    for sample in &batch.histograms {
        sample.histogram.validate().expect("histograms are valid");
    }
    assert!(batch.sample_count() <= limits.samples);
    assert!(parsed.rejections.first.len() <= Rejections::TOLD);
    for rejection in &parsed.rejections.first {
        assert!(rejection.to_string().len() <= MAX_TOLD_BYTES, "{} bytes told", rejection.to_string().len());
    }
    survives_the_stream(parsed);
}

/// Whatever is accepted can be written to the stream and read back the same.
fn survives_the_stream(parsed: Parsed) {
    let Ok(tenant) = TenantId::new("fuzz") else { return };
    same_after_encoding(Record { tenant, key: None, received_ms: NOW_MS, batch: parsed.batch });
}

/// Checks that a record is the same after it was encoded and decoded, if it fits a record.
///
/// # Panics
/// When it is not.
pub fn same_after_encoding(mut record: Record) {
    let Ok(bytes) = record.encode() else { return };
    let mut back = Record::decode(&bytes).expect("an encoded record can be decoded");
    // A sketch may list its members in another order, so sets are compared by what they say.
    let members = |record: &mut Record| {
        let sets = std::mem::take(&mut record.batch.sets);
        sets.iter().map(|s| (s.series, s.timestamp_ms, s.set.count())).collect::<Vec<_>>()
    };
    for (sent, read) in members(&mut record).into_iter().zip(members(&mut back)) {
        assert!((sent.0, sent.1) == (read.0, read.1), "a set moved on its way");
        assert!((sent.2 - read.2).abs() <= 1e-9 * sent.2, "a set of {} became one of {}", sent.2, read.2);
    }
    // The rest is compared as bytes, since a NaN does not equal itself.
    assert_eq!(record.encode(), back.encode(), "a record changed on its way");
}
