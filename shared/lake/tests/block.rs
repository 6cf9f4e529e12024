//! Blocks come back as they were written, whatever is in them, and damage is always noticed.

#[cfg(test)]
mod block {
    use std::sync::Arc;

    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::schema::printer::print_schema;
    use proptest::prelude::*;
    use weir_lake::block::{
        BlockError, BlockIndex, BlockOptions, BlockPages, BlockWriter, EncodedBlock, SeriesEntry,
        series_order,
    };
    use weir_model::{
        DistributionBuilder, Histogram, Labels, MetricKind, STALE_NAN, Samples, SeriesId, Temporality,
        UniqueSet,
    };

    /// A series as tests write it.
    #[derive(Debug, Clone)]
    struct Series {
        labels: Labels,
        temporality: Temporality,
        kind: MetricKind,
        unit: String,
        samples: Samples,
    }

    impl Series {
        fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, samples: Samples) -> Self {
            Self {
                labels: Labels::from_pairs(labels),
                temporality: Temporality::Cumulative,
                kind: MetricKind::Gauge,
                unit: String::new(),
                samples,
            }
        }

        fn entry(&self) -> SeriesEntry<'_> {
            SeriesEntry {
                id: SeriesId::of(self.labels.borrowed(), self.temporality),
                labels: self.labels.borrowed(),
                kind: self.kind,
                temporality: self.temporality,
                unit: &self.unit,
            }
        }
    }

    fn floats(start_ms: i64, values: &[f64]) -> Samples {
        Samples {
            timestamps: (0..values.len() as i64).map(|i| start_ms + i * 15_000).collect(),
            values: values.to_vec(),
            ..Samples::default()
        }
    }

    fn small_pages() -> BlockOptions {
        BlockOptions { rows_per_page: 64, rows_per_group: 200, ..BlockOptions::new("test") }
    }

    fn write(options: BlockOptions, series: &[Series]) -> Result<EncodedBlock, BlockError> {
        let mut writer = BlockWriter::new(options)?;
        for one in series {
            writer.push(&one.entry(), &one.samples)?;
        }
        writer.finish()
    }

    /// Fetches the whole of a plan.
    fn fetch(index: &Arc<BlockIndex>, samples: &Bytes, ordinals: &[u32], times: (i64, i64)) -> BlockPages {
        let plan = index.plan(ordinals, times.0, times.1).unwrap();
        let bytes = plan
            .ranges()
            .iter()
            .map(|range| samples.slice(range.start as usize..range.end as usize))
            .collect();
        BlockPages::new(plan, bytes).unwrap()
    }

    /// Samples as text that shows every bit, but for sets: a sketch's bytes depend on the order of its members.
    fn shown(samples: &Samples, (start_ms, end_ms): (i64, i64)) -> String {
        let within = |at: i64| (start_ms..=end_ms).contains(&at);
        let mut rows: Vec<String> = samples
            .timestamps
            .iter()
            .zip(&samples.values)
            .filter(|(at, _)| within(**at))
            .map(|(at, value)| format!("{at} {:016x} {value}", value.to_bits()))
            .collect();
        rows.extend(
            samples
                .histograms
                .iter()
                .filter(|(at, _)| within(*at))
                .map(|(at, h)| format!("{at} {:?}", h.to_bytes())),
        );
        rows.extend(
            samples.sets.iter().filter(|(at, _)| within(*at)).map(|(at, s)| format!("{at} {}", s.count())),
        );
        rows.join("\n")
    }

    fn assert_same(series: &[Series], block: &EncodedBlock, ordinals: &[u32], times: (i64, i64)) {
        let index = Arc::new(BlockIndex::decode(block.series.clone()).unwrap());
        let labels = index.labels().unwrap();
        let units = index.units().unwrap();
        assert_eq!((index.len(), labels.len()), (series.len(), series.len()));
        assert_eq!(index.samples(), block.stats.samples);
        assert_eq!(index.time_range(), Some((block.stats.min_ms, block.stats.max_ms)));
        let pages = fetch(&index, &block.samples, ordinals, times);
        let mut cursor = pages.cursor();
        let mut samples = floats(0, &[1.0, 2.0]);
        for &ordinal in ordinals {
            let want = &series[ordinal as usize];
            assert_eq!(index.ids()[ordinal as usize], want.entry().id);
            assert_eq!(labels.get(ordinal), want.labels.borrowed());
            assert_eq!(units[ordinal as usize], want.unit);
            assert_eq!(index.kind(ordinal), want.kind);
            assert_eq!(index.temporality(ordinal), want.temporality);
            assert_eq!(index.rows(ordinal) as usize, want.samples.len());
            cursor.read(ordinal, times.0, times.1, &mut samples).unwrap();
            assert_eq!(shown(&samples, times), shown(&want.samples, times), "series {ordinal}");
            assert_eq!(samples.len(), shown(&want.samples, times).lines().count());
        }
    }

    fn all(series: &[Series]) -> Vec<u32> {
        (0..series.len() as u32).collect()
    }

    const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

    fn histogram(seed: u32) -> Arc<Histogram> {
        let mut builder = DistributionBuilder::new();
        (1..=seed % 40 + 1).for_each(|i| builder.observe(f64::from(i * (seed % 7 + 1)) / 8.0, 1.0));
        Arc::new(builder.build())
    }

    fn set(seed: u32) -> Arc<UniqueSet> {
        let mut set = UniqueSet::new();
        (0..seed % 50).for_each(|member| set.insert(&member.wrapping_mul(seed).to_le_bytes()));
        Arc::new(set)
    }

    /// Values of every sort: short decimals, full precision, and those that no decimal can stand for.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-10_000..10_000_i32, 0..4_u32).prop_map(|(m, e)| f64::from(m) / f64::from(10_u32.pow(e))),
            4 => any::<i64>().prop_map(|i| i as f64),
            3 => any::<f64>(),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => prop_oneof![
                Just(STALE_NAN), Just(f64::NAN), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY),
                Just(f64::MIN_POSITIVE / 8.0), Just(f64::MAX), Just(9_007_199_254_740_993.0),
            ],
        ]
    }

    /// Distinct ascending timestamps, sometimes with gaps of centuries.
    fn times(count: usize) -> impl Strategy<Value = Vec<i64>> {
        let start = prop_oneof![8 => Just(1_750_000_000_000_i64), 1 => Just(i64::MIN), 1 => -10_000_000_000_000..0_i64];
        let gap = prop_oneof![20 => Just(15_000_i64), 4 => 1..40_000_i64, 1 => 1..1_i64 << 50];
        (start, proptest::collection::vec(gap, count)).prop_map(|(start, gaps)| {
            gaps.iter()
                .scan(start, |at, gap| {
                    *at += gap;
                    Some(*at)
                })
                .collect()
        })
    }

    /// Samples of one kind, or of all mixed.
    fn samples() -> impl Strategy<Value = Samples> {
        let mostly_decimal =
            proptest::collection::vec((-1000..1000_i32).prop_map(|m| f64::from(m) * 4096.0), 1..300);
        let values = prop_oneof![mostly_decimal, proptest::collection::vec(value(), 1..150)];
        let columns =
            prop_oneof![6 => Just(0_u8..1), 1 => Just(1_u8..2), 1 => Just(2_u8..3), 2 => Just(0_u8..3)];
        (values, columns).prop_flat_map(|(values, columns)| {
            let kinds = proptest::collection::vec(columns, values.len());
            (times(values.len()), Just(values), kinds).prop_map(|(times, values, kinds)| {
                let mut samples = Samples::default();
                for ((at, value), kind) in times.into_iter().zip(values).zip(kinds) {
                    let seed = (at as u32).wrapping_mul(2_654_435_761);
                    match kind {
                        0 => {
                            samples.timestamps.push(at);
                            samples.values.push(value);
                        }
                        1 => samples.histograms.push((at, histogram(seed))),
                        _ => samples.sets.push((at, set(seed))),
                    }
                }
                samples
            })
        })
    }

    fn series() -> impl Strategy<Value = Series> {
        let pairs = proptest::collection::vec(("[A-Za-z_]{1,3}", "\\PC{0,4}"), 0..4);
        let name = prop_oneof![1 => Just(String::new()), 9 => "[a-c]{1,2}"];
        (pairs, name, any::<bool>(), 0..8_u8, "s?", samples()).prop_map(
            |(pairs, name, delta, kind, unit, samples)| {
                let mut labels = pairs;
                labels.push(("__name__".to_owned(), name));
                Series {
                    labels: Labels::from_pairs(labels),
                    temporality: if delta { Temporality::Delta } else { Temporality::Cumulative },
                    kind: MetricKind::from_code(kind).unwrap(),
                    unit,
                    samples,
                }
            },
        )
    }

    fn some_series() -> impl Strategy<Value = Vec<Series>> {
        proptest::collection::vec(series(), 1..12).prop_map(|mut series| {
            let key = |s: &Series| (s.labels.clone(), s.temporality);
            series.sort_by(|a, b| {
                series_order((a.labels.borrowed(), a.temporality), (b.labels.borrowed(), b.temporality))
            });
            series.dedup_by(|a, b| key(a) == key(b));
            series
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_series_comes_back_bit_for_bit(series in some_series(), cut in 32..400_usize, group in 1..900_usize) {
            let options = BlockOptions { rows_per_page: cut, rows_per_group: group, ..BlockOptions::new("b") };
            let block = write(options, &series).unwrap();
            assert_same(&series, &block, &all(&series), ALWAYS);
            // Every other series, and half of the time.
            let some: Vec<u32> = all(&series).into_iter().step_by(2).collect();
            let (low, high) = (block.stats.min_ms, block.stats.max_ms);
            let half = ((i128::from(high) - i128::from(low)) / 2) as i64;
            assert_same(&series, &block, &some, (low, low + half));
            assert_same(&series, &block, &some, (low + half, high));
        }

        #[test]
        fn a_damaged_series_object_is_noticed(series in some_series(), at: usize, change in 1..=255_u8, cut: bool) {
            let block = write(small_pages(), &series).unwrap();
            let mut bytes = block.series.to_vec();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= change }
            // The first four bytes are Parquet's magic, which our reader does not need.
            prop_assert!(at < 4 && !cut || BlockIndex::decode(bytes.into()).is_err());
        }

        #[test]
        fn damaged_samples_are_noticed_and_never_panic(
            series in some_series(), at: usize, change in 1..=255_u8, zeros in 0..40_usize,
        ) {
            let block = write(small_pages(), &series).unwrap();
            let index = Arc::new(BlockIndex::decode(block.series.clone()).unwrap());
            let mut bytes = block.samples.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= change;
            bytes[at + 1..].iter_mut().take(zeros).for_each(|byte| *byte = 0);
            let pages = fetch(&index, &Bytes::from(bytes), &all(&series), ALWAYS);
            let mut samples = Samples::default();
            for (ordinal, want) in series.iter().enumerate() {
                match pages.cursor().read(ordinal as u32, ALWAYS.0, ALWAYS.1, &mut samples) {
                    Ok(()) => prop_assert_eq!(shown(&samples, ALWAYS), shown(&want.samples, ALWAYS)),
                    Err(error) => prop_assert!(matches!(error, BlockError::Damaged(_)), "{error}"),
                }
            }
        }

        #[test]
        fn arbitrary_bytes_are_no_index(bytes: Vec<u8>) {
            prop_assert!(BlockIndex::decode(bytes.into()).is_err());
        }
    }

    #[test]
    fn columns_keep_their_names_and_types() {
        let block = write(small_pages(), &[Series::new([("__name__", "up")], floats(0, &[1.0]))]).unwrap();
        let schema = |bytes: &Bytes| {
            let reader = SerializedFileReader::new(bytes.clone()).unwrap();
            let mut text = Vec::new();
            print_schema(&mut text, reader.metadata().file_metadata().schema());
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            schema(&block.samples),
            "message samples {
  REQUIRED BYTE_ARRAY block (STRING);
  REQUIRED INT32 series;
  REQUIRED BYTE_ARRAY metric (STRING);
  REQUIRED INT64 timestamp (TIMESTAMP(MILLIS,true));
  REQUIRED INT64 units;
  OPTIONAL DOUBLE value;
  OPTIONAL BYTE_ARRAY histogram;
  OPTIONAL BYTE_ARRAY set;
}
"
        );
        assert_eq!(
            schema(&block.series),
            "message series {
  REQUIRED BYTE_ARRAY block (STRING);
  REQUIRED INT32 series;
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) id (UUID);
  REQUIRED BYTE_ARRAY metric (STRING);
  REQUIRED group labels (MAP) {
    REPEATED group key_value {
      REQUIRED BYTE_ARRAY key (STRING);
      REQUIRED BYTE_ARRAY value (STRING);
    }
  }
  REQUIRED BYTE_ARRAY kind (STRING);
  REQUIRED BYTE_ARRAY unit (STRING);
  REQUIRED BYTE_ARRAY temporality (STRING);
  REQUIRED INT32 rows;
  REQUIRED INT64 min_timestamp (TIMESTAMP(MILLIS,true));
  REQUIRED INT64 max_timestamp (TIMESTAMP(MILLIS,true));
  REQUIRED INT64 base;
  REQUIRED INT64 step;
  REQUIRED DOUBLE divisor;
  REQUIRED INT32 contents;
  OPTIONAL BYTE_ARRAY pages;
}
"
        );
    }

    #[test]
    fn another_reader_of_parquet_sees_the_same_samples() {
        use parquet::record::RowAccessor;
        let mut mixed = floats(0, &[0.25, 1.0 / 3.0, 7.5, STALE_NAN]);
        mixed.histograms.push((7, histogram(9)));
        mixed.sets.push((8, set(9)));
        let series = [
            Series::new([("__name__", "a")], floats(0, &[4096.0, 8192.0, -4096.0])),
            Series::new([("__name__", "b"), ("job", "x")], mixed),
        ];
        let block = write(small_pages(), &series).unwrap();
        let rows = |bytes: &Bytes| -> Vec<parquet::record::Row> {
            let reader = SerializedFileReader::new(bytes.clone()).unwrap();
            reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
        };
        let table = rows(&block.series);
        let mut seen = Vec::new();
        for row in rows(&block.samples) {
            let of = &table[row.get_int(1).unwrap() as usize];
            assert_eq!(
                (row.get_string(0).unwrap().as_str(), of.get_string(0).unwrap().as_str()),
                ("test", "test")
            );
            assert_eq!(row.get_string(2).unwrap(), of.get_string(3).unwrap());
            let value = row.get_double(5).unwrap_or_else(|_| {
                let (base, step) = (of.get_long(11).unwrap(), of.get_long(12).unwrap());
                (base + step * row.get_long(4).unwrap()) as f64 / of.get_double(13).unwrap()
            });
            let other = row.get_bytes(6).is_ok() || row.get_bytes(7).is_ok();
            seen.push((row.get_timestamp_millis(3).unwrap(), (!other).then_some(value.to_bits())));
        }
        let number = |value: f64| Some(value.to_bits());
        let want = vec![
            (0, number(4096.0)),
            (15_000, number(8192.0)),
            (30_000, number(-4096.0)),
            (0, number(0.25)),
            (7, None),
            (8, None),
            (15_000, number(1.0 / 3.0)),
            (30_000, number(7.5)),
            (45_000, number(STALE_NAN)),
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn series_longer_than_a_page_are_read_in_parts() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i * i) / 4.0).collect();
        let series = [
            Series::new([("__name__", "a")], floats(5, &values[..10])),
            Series::new([("__name__", "b")], floats(5, &values)),
            Series::new([("__name__", "c")], floats(5, &values[..100])),
        ];
        let block = write(small_pages(), &series).unwrap();
        for times in [ALWAYS, (0, 4), (5, 5), (15_000 * 63, 15_000 * 65), (15_000 * 900, i64::MAX), (7, 6)] {
            assert_same(&series, &block, &all(&series), times);
        }
    }

    #[test]
    fn a_few_minutes_of_a_long_series_cost_a_few_pages() {
        let values: Vec<f64> =
            (0..40_000_u64).map(|i| ((i * i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64).collect();
        let series = [Series::new([("__name__", "a")], floats(0, &values))];
        let block = write(BlockOptions::new("test"), &series).unwrap();
        let times = (15_000 * 20_000, 15_000 * 20_010);
        assert_same(&series, &block, &[0], times);
        let index = Arc::new(BlockIndex::decode(block.series.clone()).unwrap());
        let bytes = |times: (i64, i64)| index.plan(&[0], times.0, times.1).unwrap().bytes();
        assert!(bytes(times) * 4 < bytes(ALWAYS), "{} of {}", bytes(times), bytes(ALWAYS));
    }

    #[test]
    fn reading_beyond_the_plan_is_refused() {
        let series: Vec<Series> = ["a", "b", "c", "d"]
            .map(|name| Series::new([("__name__", name)], floats(0, &[1.0 / 3.0; 60])))
            .into();
        let block = write(small_pages(), &series).unwrap();
        let index = Arc::new(BlockIndex::decode(block.series.clone()).unwrap());
        for (ordinals, want) in [(&[1_u32, 1][..], "series 1 after 1"), (&[0, 4], "series 4 of a block of 4")]
        {
            let error = index.plan(ordinals, 0, 1).unwrap_err().to_string();
            assert_eq!(error, format!("bad block request: {want}"));
        }
        let empty = BlockPages::new(index.plan(&[], 0, 1).unwrap(), Vec::new()).unwrap();
        let mut samples = Samples::default();
        let error = empty.cursor().read(2, 0, i64::MAX, &mut samples).unwrap_err();
        assert!(matches!(error, BlockError::Request(_)), "{error}");
        assert!(empty.cursor().read(9, 0, 1, &mut samples).is_err());
        let plan = index.plan(&[0], 0, 1).unwrap();
        let error = BlockPages::new(plan, vec![Bytes::from_static(b"short")]).unwrap_err();
        assert!(error.to_string().contains("5 bytes for range"), "{error}");
    }

    #[test]
    fn what_cannot_be_stored_is_refused_with_its_reason() {
        let good = || Series::new([("__name__", "b")], floats(0, &[1.0]));
        let with = |change: &dyn Fn(&mut Series)| {
            let mut series = good();
            change(&mut series);
            series
        };
        let rows: [(&str, Vec<Series>, &str); 6] = [
            ("no series", vec![], "nothing to write: block \"test\" without samples"),
            ("no samples", vec![with(&|s| s.samples.clear())], "nothing to write: series b without samples"),
            ("a series twice", vec![good(), good()], "series b does not follow b in block order"),
            (
                "a series out of order",
                vec![good(), with(&|s| s.labels = Labels::from_pairs([("__name__", "a"), ("z", "1")]))],
                "series a{z=\"1\"} does not follow b in block order",
            ),
            (
                "times that stand still",
                vec![with(&|s| {
                    s.samples =
                        Samples { timestamps: vec![4, 4], values: vec![1.0, 2.0], ..Samples::default() }
                })],
                "series b: timestamps do not ascend at timestamp 4 ms",
            ),
            (
                "a time in two columns",
                vec![with(&|s| s.samples.histograms.push((0, histogram(3))))],
                "series b: timestamps do not ascend at timestamp 0 ms",
            ),
        ];
        for (shows, series, want) in rows {
            assert_eq!(write(small_pages(), &series).unwrap_err().to_string(), want, "{shows}");
        }
        for (shows, options) in [
            ("an empty name", BlockOptions::new("")),
            ("pages of nothing", BlockOptions { rows_per_page: 0, ..BlockOptions::new("b") }),
            ("endless row groups", BlockOptions { rows_per_group: usize::MAX, ..BlockOptions::new("b") }),
            ("a level that does not exist", BlockOptions { zstd_level: 40, ..BlockOptions::new("b") }),
        ] {
            assert!(matches!(BlockWriter::new(options), Err(BlockError::Options { .. })), "{shows}");
        }
    }
}
