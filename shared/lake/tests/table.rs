//! The table of an export reads back as it was written.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use weir_lake::table::{TableError, TableRow, TableWriter, read_table};
use weir_model::{DistributionBuilder, Labels, MetricKind, STALE_NAN, Samples, Temporality, UniqueSet};

fn read(file: Vec<u8>) -> Result<Vec<TableRow>, TableError> {
    let mut rows = Vec::new();
    read_table(Bytes::from(file), |row| {
        rows.push(row);
        Ok::<_, TableError>(())
    })?;
    Ok(rows)
}

#[test]
fn every_kind_of_sample_survives() {
    let labels = Labels::from_pairs([("__name__", "latency"), ("host", "a"), ("ort", "Möhnesee")]);
    let mut builder = DistributionBuilder::new();
    builder.observe(0.25, 3.0);
    let mut set = UniqueSet::new();
    set.insert(b"someone");
    let samples = Samples {
        timestamps: vec![-5, 10],
        values: vec![1.5, STALE_NAN],
        histograms: vec![(20, Arc::new(builder.build()))],
        sets: vec![(30, Arc::new(set))],
        ..Samples::default()
    };
    let bare = Labels::from_pairs([("__name__", "up")]);
    let mut writer = TableWriter::new(Vec::new()).unwrap();
    writer.series(labels.borrowed(), MetricKind::Histogram, Temporality::Delta, &samples).unwrap();
    let one = Samples { timestamps: vec![1], values: vec![f64::INFINITY], ..Samples::default() };
    writer.series(bare.borrowed(), MetricKind::Unknown, Temporality::Cumulative, &one).unwrap();
    let rows = read(writer.finish().unwrap()).unwrap();
    assert_eq!(rows.len(), 5);
    assert!(rows[..4].iter().all(|row| row.labels == labels));
    assert!(rows[..4].iter().all(|row| row.temporality == Temporality::Delta));
    assert_eq!((rows[0].sample.timestamps[0], rows[0].sample.values[0]), (-5, 1.5));
    assert_eq!(rows[1].sample.values[0].to_bits(), STALE_NAN.to_bits());
    assert_eq!(rows[2].sample.histograms[0].1, samples.histograms[0].1);
    assert_eq!(rows[3].sample.sets[0].1.count(), 1.0);
    assert_eq!((rows[4].labels.clone(), rows[4].kind), (bare, MetricKind::Unknown));
}

#[test]
fn more_rows_than_a_group_are_all_there() {
    let labels = Labels::from_pairs([("__name__", "ticks")]);
    let count = 300_000i64;
    let samples = Samples {
        timestamps: (0..count).collect(),
        values: (0..count).map(|i| i as f64).collect(),
        ..Samples::default()
    };
    let mut writer = TableWriter::new(Vec::new()).unwrap();
    writer.series(labels.borrowed(), MetricKind::Counter, Temporality::Cumulative, &samples).unwrap();
    let mut next = 0;
    read_table(Bytes::from(writer.finish().unwrap()), |row| {
        assert_eq!((row.sample.timestamps[0], row.sample.values[0]), (next, next as f64));
        next += 1;
        Ok::<_, TableError>(())
    })
    .unwrap();
    assert_eq!(next, count);
}

#[test]
fn what_is_no_table_of_samples_is_refused_with_its_reason() {
    assert!(read(b"metric,value\n".to_vec()).is_err());
    assert!(read(Vec::new()).is_err());
    let empty = TableWriter::new(Vec::new()).unwrap().finish().unwrap();
    assert_eq!(read(empty).unwrap().len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_damaged_table_does_not_panic(at in any::<prop::sample::Index>(), with in 1..=255u8) {
        let labels = Labels::from_pairs([("__name__", "a"), ("b", "c")]);
        let samples = Samples { timestamps: vec![1, 2, 3], values: vec![1.0, 2.5, 3.0], ..Samples::default() };
        let mut writer = TableWriter::new(Vec::new()).unwrap();
        writer.series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative, &samples).unwrap();
        let mut file = writer.finish().unwrap();
        let at = at.index(file.len());
        file[at] ^= with;
        let _ = read(file);
    }
}
