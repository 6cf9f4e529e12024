//! The exemplars table: one row an exemplar, written and read whole.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FixedLenByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use weir_model::{LabelsRef, METRIC_NAME};

use super::BlockOptions;
use super::columns::{self, GroupColumns, MapColumn, read_column};
use super::error::BlockError;
use super::index::{BlockLabels, append_labels, series_id};
use super::schema::{self, exemplars_column};
use crate::exemplars::{ExemplarKey, ExemplarSet, StoredExemplar};

/// Most rows of the table.
const MAX_ROWS: usize = 1 << 22;
/// Rows of a row group.
const ROWS_PER_GROUP: usize = 131_072;

/// Writes exemplars, which are sorted, as one object.
pub(super) fn encode(options: &BlockOptions, set: &ExemplarSet) -> Result<Bytes, BlockError> {
    let rows: Vec<(&ExemplarKey, &StoredExemplar)> =
        set.iter().flat_map(|(key, exemplars)| exemplars.iter().map(move |e| (key, e))).collect();
    if rows.len() > MAX_ROWS {
        let (found, limit) = (rows.len() as u64, MAX_ROWS as u64);
        return Err(BlockError::TooMany { what: "exemplars in a block", found, limit });
    }
    let (message, _) = schema::parse(schema::EXEMPLARS_SCHEMA)?;
    let zstd = ZstdLevel::try_new(options.zstd_level).map_err(BlockError::write)?;
    let version = KeyValue::new(schema::VERSION_KEY.to_owned(), schema::VERSION.to_owned());
    let column = |name: &str| ColumnPath::from(name);
    let own_values = ColumnPath::new(["labels", "key_value", "value"].map(str::to_owned).to_vec());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(column("metric"), EnabledStatistics::Chunk)
        .set_column_statistics_enabled(column("timestamp"), EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![version]))
        // Times, values and trace ids seldom repeat.
        .set_column_dictionary_enabled(column("timestamp"), false)
        .set_column_encoding(column("timestamp"), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(column("value"), false)
        .set_column_dictionary_enabled(own_values, false)
        .build();
    let mut file = columns::sealed_file(message, properties)?;
    for rows in rows.chunks(ROWS_PER_GROUP) {
        let group = file.next_row_group().map_err(BlockError::write)?;
        write_group(GroupColumns::new(group), &options.block, rows)?;
    }
    columns::seal(file)
}

fn write_group(
    mut group: GroupColumns<'_>,
    block: &str,
    rows: &[(&ExemplarKey, &StoredExemplar)],
) -> Result<(), BlockError> {
    let block = ByteArray::from(block);
    group.required::<ByteArrayType>(rows.iter().map(|_| block.clone()))?;
    group.ids(rows.iter().map(|(key, _)| key.id))?;
    group.required::<ByteArrayType>(rows.iter().map(|(key, _)| key.labels.metric_name().into()))?;
    group.map(&map(rows.iter().map(|(key, _)| key.labels.borrowed()), true))?;
    group.required::<Int64Type>(rows.iter().map(|(_, e)| e.timestamp_ms))?;
    group.required::<DoubleType>(rows.iter().map(|(_, e)| e.value))?;
    group.map(&map(rows.iter().map(|(_, e)| e.labels.borrowed()), false))?;
    group.close()
}

fn map<'a>(labels: impl Iterator<Item = LabelsRef<'a>>, without_metric: bool) -> MapColumn {
    let mut column = MapColumn::default();
    for labels in labels {
        let pairs = labels.iter().filter(|(name, _)| !without_metric || *name != METRIC_NAME);
        column.push(pairs.map(|(name, value)| (name.into(), value.into())));
    }
    column
}

/// Reads an exemplars object: of the series that `wanted` says the exemplars that `stays` says, given the labels of
/// their series and their own. The others are never held in memory.
///
/// # Errors
/// [`BlockError::Damaged`] says what is wrong with the bytes.
pub(crate) fn decode_exemplars(
    object: &Bytes,
    wanted: impl Fn(LabelsRef<'_>) -> bool,
    stays: impl Fn(LabelsRef<'_>, LabelsRef<'_>) -> bool,
) -> Result<ExemplarSet, BlockError> {
    let reader = columns::open(object, "exemplars", exemplars_column::COUNT)?;
    let (mut set, mut rows) = (ExemplarSet::default(), 0);
    for group in 0..reader.metadata().num_row_groups() {
        let count = columns::group_rows(&reader, group, MAX_ROWS)?;
        rows += count;
        if rows > MAX_ROWS {
            return Err(BlockError::damaged(format!("more than {MAX_ROWS} exemplars")));
        }
        read_group(&reader, group, count, (&wanted, &stays), &mut set)?;
    }
    Ok(set)
}

fn read_group(
    reader: &SerializedFileReader<Bytes>,
    group: usize,
    count: usize,
    (wanted, stays): (impl Fn(LabelsRef<'_>) -> bool, impl Fn(LabelsRef<'_>, LabelsRef<'_>) -> bool),
    set: &mut ExemplarSet,
) -> Result<(), BlockError> {
    let texts = |column| read_column::<ByteArrayType>(reader, group, column, count);
    let metrics = texts(exemplars_column::METRIC)?.values;
    let labels = |metrics: &[ByteArray], keys: usize, values: usize| {
        let mut labels = BlockLabels::default();
        append_labels(metrics, &texts(keys)?, &texts(values)?.values, &mut labels)?;
        if labels.len() == count { Ok(labels) } else { Err(BlockError::damaged("labels are missing")) }
    };
    let series = labels(&metrics, exemplars_column::SERIES_KEY, exemplars_column::SERIES_VALUE)?;
    let nameless = vec![ByteArray::from(""); count];
    let own = labels(&nameless, exemplars_column::LABEL_KEY, exemplars_column::LABEL_VALUE)?;
    let ids = read_column::<FixedLenByteArrayType>(reader, group, exemplars_column::ID, count)?.values;
    let times = read_column::<Int64Type>(reader, group, exemplars_column::TIMESTAMP, count)?.values;
    let values = read_column::<DoubleType>(reader, group, exemplars_column::VALUE, count)?.values;
    let mut row = 0;
    // The rows of a series lie side by side.
    while row < count {
        let of = checked(series.get(row as u32))?;
        let same = |at: usize| ids[at].data() == ids[row].data() && series.get(at as u32) == of;
        let end = (row + 1..count).find(|at| !same(*at)).unwrap_or(count);
        if wanted(of) {
            let mut exemplars = Vec::new();
            for at in row..end {
                let own = checked(own.get(at as u32))?;
                if stays(of, own) {
                    let labels = own.to_labels();
                    exemplars.push(StoredExemplar { timestamp_ms: times[at], value: values[at], labels });
                }
            }
            if !exemplars.is_empty() {
                set.extend(ExemplarKey { labels: of.to_labels(), id: series_id(&ids[row])? }, exemplars);
            }
        }
        row = end;
    }
    Ok(())
}

fn checked(labels: LabelsRef<'_>) -> Result<LabelsRef<'_>, BlockError> {
    LabelsRef::check(labels.as_bytes()).map_err(|error| BlockError::damaged(format!("labels: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_model::{Labels, SeriesId};
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::exemplars::ExemplarLimits;
    use crate::exemplars::tests::{listed, rows, set};

    const NO_LIMITS: ExemplarLimits = ExemplarLimits { per_series: 1_000, per_tenant: 1_000 };

    proptest! {
        #[test]
        fn exemplars_survive_a_round_trip(rows in rows(), wild in prop::collection::vec((any::<i64>(), any::<f64>(), "[a-zé]{1,4}", ".{1,6}"), 0..9)) {
            let mut written = set(&rows);
            for (timestamp_ms, value, name, text) in wild {
                let labels = Labels::from_pairs([(&name, &text), (&"__name__".to_owned(), &text)]);
                let key = ExemplarKey { labels: labels.clone(), id: SeriesId(u128::MAX) };
                written.extend(key, [StoredExemplar { timestamp_ms, value, labels }]);
            }
            written.bound(NO_LIMITS);
            let bytes = encode(&BlockOptions::new("b"), &written).unwrap();
            let back = decode_exemplars(&bytes, |_| true, |_, _| true).unwrap();
            prop_assert_eq!(listed(&back), listed(&written));
            let of_one = |labels: LabelsRef<'_>| labels.get("s") == Some("1");
            let is_first = |own: LabelsRef<'_>| own.get("trace_id") == Some("t1");
            let some = decode_exemplars(&bytes, of_one, |_, own| is_first(own)).unwrap();
            let mut wanted = listed(&written);
            wanted.retain(|(key, e)| of_one(key.labels.borrowed()) && is_first(e.labels.borrowed()));
            prop_assert_eq!(listed(&some), wanted);
        }

        #[test]
        fn damage_is_refused(rows in rows(), at: prop::sample::Index, to in 1u8..=255) {
            let mut bytes = encode(&BlockOptions::new("b"), &set(&rows)).unwrap().to_vec();
            // Parquet's first magic is the one part that the hash does not cover.
            let at = 4 + at.index(bytes.len() - 4);
            bytes[at] ^= to;
            prop_assert!(decode_exemplars(&bytes.into(), |_| true, |_, _| true).is_err());
        }
    }

    #[test]
    fn the_layout_never_changes() {
        let mut one = set(&[(1, 1_795_219_200_000, 1, 1), (1, 1_795_219_200_001, 1, 1)]);
        one.bound(NO_LIMITS);
        let bytes = encode(&BlockOptions::new("b"), &one).unwrap();
        let reader = columns::open(&bytes, "exemplars", exemplars_column::COUNT).unwrap();
        let names = reader.metadata().file_metadata().schema_descr().columns().iter();
        let names: Vec<String> = names.map(|c| c.path().string()).collect();
        assert_eq!(
            names.join(" "),
            "block id metric series_labels.key_value.key series_labels.key_value.value timestamp value \
             labels.key_value.key labels.key_value.value"
        );
        // The pages; the footer names the version of the writer.
        let tail: [u8; 4] = bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap();
        let pages = &bytes[12..bytes.len() - 8 - u32::from_le_bytes(tail) as usize];
        assert_eq!(xxh3_64(pages), 309391967154390538);
    }
}
