//! Column chunks made of pages that this crate cuts itself.
//!
//! The Parquet crate's column writers choose page ends on their own; a block needs them at the ends of
//! series, the same for the columns that are read together. So pages are written here, and the finished
//! chunks handed to the crate, which writes the footer. Each page's Zstandard frame carries a checksum,
//! which every reader of Parquet verifies without knowing.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::delta::put_varint;
use super::error::BlockError;

/// Most bytes of a page before compression, for the writer and the reader. Writers end a page of wide values
/// at a few megabytes; only single values of many megabytes come near.
pub(super) const MAX_PAGE_BYTES: usize = 256 << 20;

/// Where a page's compressed bytes lie, without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Location {
    /// First byte: in the chunk while it is written, in the object once it is placed.
    pub(super) offset: u64,
    /// Length in bytes; zero when there is no such page.
    pub(super) size: u32,
}

/// Compresses pages; keeps its buffers.
pub(super) struct PageCompressor(zstd::bulk::Compressor<'static>);

impl PageCompressor {
    /// A compressor of the given level.
    pub(super) fn new(level: i32) -> Result<Self, BlockError> {
        let mut compressor = zstd::bulk::Compressor::new(level).map_err(BlockError::write)?;
        let checksum = zstd::zstd_safe::CParameter::ChecksumFlag(true);
        compressor.set_parameter(checksum).map_err(BlockError::write)?;
        Ok(Self(compressor))
    }
}

/// A column chunk in the making.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    uncompressed: usize,
    values: u64,
    first_data_page: Option<usize>,
    encoding: Option<Encoding>,
}

/// Page types as the format numbers them.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;

impl Chunk {
    /// Appends the dictionary page, which comes first.
    pub(super) fn push_dictionary(
        &mut self,
        compressor: &mut PageCompressor,
        entries: usize,
        body: &[u8],
    ) -> Result<(), BlockError> {
        self.push(compressor, DICTIONARY_PAGE, entries, Encoding::PLAIN, body).map(drop)
    }

    /// Appends a version 1 data page of `rows` rows and says where its compressed bytes lie.
    pub(super) fn push_data(
        &mut self,
        compressor: &mut PageCompressor,
        rows: usize,
        encoding: Encoding,
        body: &[u8],
    ) -> Result<Location, BlockError> {
        self.first_data_page.get_or_insert(self.bytes.len());
        self.encoding = Some(encoding);
        self.values += rows as u64;
        self.push(compressor, DATA_PAGE, rows, encoding, body)
    }

    fn push(
        &mut self,
        compressor: &mut PageCompressor,
        page_type: i64,
        values: usize,
        encoding: Encoding,
        body: &[u8],
    ) -> Result<Location, BlockError> {
        let limit = MAX_PAGE_BYTES as u64;
        if body.len() as u64 > limit {
            return Err(BlockError::TooMany { what: "bytes in a page", found: body.len() as u64, limit });
        }
        let compressed = compressor.0.compress(body).map_err(BlockError::write)?;
        let header_at = self.bytes.len();
        put_page_header(&mut self.bytes, page_type, [body.len(), compressed.len(), values], encoding);
        self.uncompressed += self.bytes.len() - header_at + body.len();
        let location = Location { offset: self.bytes.len() as u64, size: compressed.len() as u32 };
        self.bytes.extend_from_slice(&compressed);
        Ok(location)
    }

    /// The bytes and the description that the row group writer takes.
    pub(super) fn finish(
        self,
        column: ColumnDescPtr,
        level: i32,
        statistics: Option<Statistics>,
    ) -> Result<(Bytes, ColumnCloseResult), BlockError> {
        let encoding = self.encoding.unwrap_or(Encoding::PLAIN);
        let first_data_page = self.first_data_page.unwrap_or(0);
        let dictionary = (first_data_page > 0).then_some(0);
        let mut encodings = vec![Encoding::RLE, encoding];
        if dictionary.is_some() {
            encodings.push(Encoding::PLAIN);
        }
        let codec = Compression::ZSTD(ZstdLevel::try_new(level).map_err(BlockError::write)?);
        let mut metadata = ColumnChunkMetaData::builder(column)
            .set_encodings(encodings)
            .set_compression(codec)
            .set_num_values(self.values as i64)
            .set_total_compressed_size(self.bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_data_page_offset(first_data_page as i64)
            .set_dictionary_page_offset(dictionary);
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: self.bytes.len() as u64,
            rows_written: self.values,
            metadata: metadata.build().map_err(BlockError::write)?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((Bytes::from(self.bytes), close))
    }
}

/// Appends a page header: Thrift's compact protocol, field numbers from the format's `parquet.thrift`.
fn put_page_header(out: &mut Vec<u8>, page_type: i64, sizes: [usize; 3], encoding: Encoding) {
    const I32: u8 = 5;
    const STRUCT: u8 = 12;
    const STOP: u8 = 0;
    let [uncompressed, compressed, values] = sizes;
    // `step` is how far the field's number lies beyond that of the field before.
    let mut field = |step: u8, value: i64| {
        out.push(step << 4 | I32);
        put_varint(out, (value as u64) << 1);
    };
    field(1, page_type);
    field(1, uncompressed as i64);
    field(1, compressed as i64);
    let data = page_type == DATA_PAGE;
    // data_page_header is field 5, dictionary_page_header field 7; the last one written was 3.
    out.push(if data { 2 } else { 4 } << 4 | STRUCT);
    let mut field = |step: u8, value: i64| {
        out.push(step << 4 | I32);
        put_varint(out, (value as u64) << 1);
    };
    field(1, values as i64);
    field(1, encoding as i64);
    if data {
        // Definition and repetition levels are run-length encoded, where there are any.
        field(1, Encoding::RLE as i64);
        field(1, Encoding::RLE as i64);
    }
    out.push(STOP);
    out.push(STOP);
}
