//! Whole columns of a sealed Parquet object, written and read by the Parquet crate's own coders.
//!
//! Right after Parquet's magic a sealed object holds eight bytes that no reader of Parquet looks at: the
//! XXH3-64 hash of everything behind them. Our reader checks it before it parses anything, so damage is
//! found before it can mislead a parser.

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::TypePtr;
use weir_model::SeriesId;
use xxhash_rust::xxh3::xxh3_64;

use super::error::BlockError;
use super::schema;

/// Where the hash stands, behind the four bytes of Parquet's magic.
const HASH_AT: usize = 4;
/// Where the hashed bytes begin.
const HASHED_FROM: usize = HASH_AT + 8;

/// A file with room for its hash.
pub(super) fn sealed_file(
    message: TypePtr,
    properties: WriterProperties,
) -> Result<SerializedFileWriter<Vec<u8>>, BlockError> {
    let mut file =
        SerializedFileWriter::new(Vec::new(), message, properties.into()).map_err(BlockError::write)?;
    file.write_all(&[0; HASHED_FROM - HASH_AT]).map_err(BlockError::write)?;
    Ok(file)
}

/// Ends a file and puts its hash in.
pub(super) fn seal(file: SerializedFileWriter<Vec<u8>>) -> Result<Bytes, BlockError> {
    let mut bytes = file.into_inner().map_err(BlockError::write)?;
    let hash = xxh3_64(&bytes[HASHED_FROM..]);
    bytes[HASH_AT..HASHED_FROM].copy_from_slice(&hash.to_le_bytes());
    Ok(Bytes::from(bytes))
}

/// Writes columns one after the other.
pub(super) struct GroupColumns<'a> {
    writer: SerializedRowGroupWriter<'a, Vec<u8>>,
}

/// Maps of text to text, as a column of keys and one of values with their levels.
#[derive(Default)]
pub(super) struct MapColumn {
    keys: Vec<ByteArray>,
    values: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl MapColumn {
    /// Appends the map of the next row.
    pub(super) fn push(&mut self, pairs: impl Iterator<Item = (ByteArray, ByteArray)>) {
        let mut repetition = 0;
        for (key, value) in pairs {
            self.keys.push(key);
            self.values.push(value);
            self.definition.push(1);
            self.repetition.push(repetition);
            repetition = 1;
        }
        if repetition == 0 {
            // An empty map.
            self.definition.push(0);
            self.repetition.push(0);
        }
    }
}

impl<'a> GroupColumns<'a> {
    pub(super) fn new(writer: SerializedRowGroupWriter<'a, Vec<u8>>) -> Self {
        Self { writer }
    }

    /// Writes the next column from its values and, where it has any, its levels.
    pub(super) fn put<T: DataType>(
        &mut self,
        values: &[T::T],
        definition: Option<&[i16]>,
        repetition: Option<&[i16]>,
    ) -> Result<(), BlockError> {
        let column = self.writer.next_column().map_err(BlockError::write)?;
        let Some(mut column) = column else {
            return Err(BlockError::Request("the table has no further column".to_owned()));
        };
        column.typed::<T>().write_batch(values, definition, repetition).map_err(BlockError::write)?;
        column.close().map_err(BlockError::write)
    }

    /// Writes a column that has a value in every row.
    pub(super) fn required<T: DataType>(
        &mut self,
        values: impl Iterator<Item = T::T>,
    ) -> Result<(), BlockError> {
        self.put::<T>(&values.collect::<Vec<_>>(), None, None)
    }

    /// Writes a column of series' identities.
    pub(super) fn ids(&mut self, ids: impl Iterator<Item = SeriesId>) -> Result<(), BlockError> {
        let ids: Bytes = ids.flat_map(|id| id.0.to_be_bytes()).collect::<Vec<u8>>().into();
        let parts = (0..ids.len()).step_by(16).map(|at| ids.slice(at..at + 16));
        self.required::<FixedLenByteArrayType>(parts.map(|id| FixedLenByteArray::from(ByteArray::from(id))))
    }

    /// Writes a map: its column of keys and its column of values.
    pub(super) fn map(&mut self, map: &MapColumn) -> Result<(), BlockError> {
        for column in [&map.keys, &map.values] {
            self.put::<ByteArrayType>(column, Some(&map.definition), Some(&map.repetition))?;
        }
        Ok(())
    }

    /// Ends the row group.
    pub(super) fn close(self) -> Result<(), BlockError> {
        self.writer.close().map_err(BlockError::write).map(drop)
    }
}

fn damaged(error: ParquetError) -> BlockError {
    BlockError::Damaged(error.to_string())
}

/// A sealed object of `columns` columns as Parquet, its hash checked; `what` it holds is for errors.
pub(super) fn open(
    object: &Bytes,
    what: &str,
    columns: usize,
) -> Result<SerializedFileReader<Bytes>, BlockError> {
    let hash =
        object.get(HASH_AT..HASHED_FROM).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    if hash != object.get(HASHED_FROM..).map(xxh3_64) {
        let bytes = object.len();
        return Err(BlockError::damaged(format!("the {what} object's hash is wrong ({bytes} bytes)")));
    }
    let reader = SerializedFileReader::new(object.clone()).map_err(damaged)?;
    let file = reader.metadata().file_metadata();
    let version = file
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == schema::VERSION_KEY))
        .and_then(|pair| pair.value.as_deref());
    if version != Some(schema::VERSION) {
        let found = version.unwrap_or("none");
        return Err(BlockError::damaged(format!("layout version {found}, known is {}", schema::VERSION)));
    }
    let found = file.schema_descr().num_columns();
    if found != columns {
        return Err(BlockError::damaged(format!("{found} columns of {what}, not {columns}")));
    }
    Ok(reader)
}

/// The rows of a row group, which are at most `limit`.
pub(super) fn group_rows(
    reader: &SerializedFileReader<Bytes>,
    group: usize,
    limit: usize,
) -> Result<usize, BlockError> {
    let rows = reader.metadata().row_group(group).num_rows();
    usize::try_from(rows)
        .ok()
        .filter(|&rows| rows <= limit)
        .ok_or_else(|| BlockError::damaged(format!("{rows} rows in a row group, at most {limit}")))
}

/// A whole column of a row group: its values, and its definition and repetition levels where it has any.
pub(super) struct Column<T: DataType> {
    pub(super) values: Vec<T::T>,
    pub(super) definition: Vec<i16>,
    pub(super) repetition: Vec<i16>,
}

/// Reads `records` records of a column.
pub(super) fn read_column<T: DataType>(
    reader: &SerializedFileReader<Bytes>,
    group: usize,
    column: usize,
    records: usize,
) -> Result<Column<T>, BlockError> {
    let found = reader.metadata().row_group(group).column(column).column_type();
    if found != T::get_physical_type() {
        return Err(BlockError::damaged(format!("column {column} is {found}")));
    }
    let row_group = reader.get_row_group(group).map_err(damaged)?;
    let any: ColumnReader = row_group.get_column_reader(column).map_err(damaged)?;
    let mut typed = get_typed_column_reader::<T>(any);
    let mut out =
        Column { values: Vec::with_capacity(records), definition: Vec::new(), repetition: Vec::new() };
    let mut done = 0;
    while done < records {
        let (read, ..) = typed
            .read_records(
                records - done,
                Some(&mut out.definition),
                Some(&mut out.repetition),
                &mut out.values,
            )
            .map_err(damaged)?;
        if read == 0 {
            return Err(BlockError::damaged(format!("column {column} has {done} rows, not {records}")));
        }
        done += read;
    }
    Ok(out)
}
