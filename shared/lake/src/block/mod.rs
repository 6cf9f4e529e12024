//! Blocks: how some time of one tenant (an hour, later more) lies at rest as open Parquet.
//!
//! A block is two objects, `samples-<id>.parquet` and `series-<id>.parquet`, and a third one,
//! `exemplars-<id>.parquet`, where there are exemplars (a block may hold nothing else). [`BlockWriter`] takes series in
//! order and gives both; [`BlockIndex`] needs only the series object (fetched whole) to say which series
//! there are and which byte ranges of the samples object hold them. A [`ReadPlan`] names the ranges to
//! fetch, [`BlockPages`] holds them compressed, and a [`BlockCursor`] per thread unpacks one series at a time.
//!
//! # What SQL sees
//!
//! The samples table has one row a sample, sorted by metric, labels and time: `block`, `series` (the row of the
//! series within its block), `metric`, `timestamp`, `units`, `value`, `histogram`, `set`. The series table
//! has one row a series: `block`, `series`, `id`, `metric`, `labels` (a map, without the metric's name),
//! `kind`, `unit`, `temporality`, `rows`, `min_timestamp`, `max_timestamp`, `base`, `step`, `divisor`, and for
//! our reader `contents` and `pages`. One view gives every sample its value, bit for bit (checked with
//! DuckDB 2.0):
//!
//! ```sql
//! CREATE VIEW weir AS
//! SELECT r.metric, r.labels, r.id, s.timestamp, s.histogram, s.set,
//!        CASE WHEN s.histogram IS NULL AND s.set IS NULL
//!             THEN coalesce(s.value, (r.base + r.step * s.units) / r.divisor) END AS value
//! FROM read_parquet('**/samples-*.parquet') s JOIN read_parquet('**/series-*.parquet') r USING (block, series)
//! ```
//!
//! The exemplars table stands alone, since an exemplar may lie in an hour in which its series has no sample:
//! `block`, `id`, `metric`, `series_labels` (a map, without the metric's name), `timestamp`, `value`, `labels`.
//!
//! # Why it is so
//!
//! - **Decimals.** `value = (base + step * units) / divisor` with the smallest power of ten that gives every
//!   value back exactly, and the greatest common divisor of the differences as step (memory moves in pages).
//!   What has no such form (full precision, NaN and staleness markers, infinities, -0.0) stands in `value`,
//!   which overrides; `units` repeats there.
//! - **Units run on from series to series.** `base` is free, so a series' first unit is the last one of the
//!   series before plus a likely difference. Parquet's own DELTA_BINARY_PACKED then holds exactly the
//!   differences within series, without jumps, and any reader unpacks it. That beats every layout tried,
//!   also those that would need a running sum in SQL (table below).
//! - **Minima chosen by cost.** A delta block's minimum need not be its least difference, see `delta`.
//! - **`series` is the row number**, not the 16-byte id, which no codec shrinks: 0.07 bytes a sample saved.
//! - **Pages end where series end**, at the same rows in `timestamp` and `units`: one series costs one page of
//!   each. `value`, `histogram` and `set` skip stretches without values.
//! - **`pages`** lists where pages lie, so a reader needs neither the footer nor an index of the samples
//!   object: one request less, and no page index to parse.
//! - **Checksums.** Each page's Zstandard frame has one; the series object has one in front.
//!
//! # Measured
//!
//! 10,000 series x 240 samples, node_exporter and a latency histogram, 3 % of scrapes late, Zstandard 3, pages of
//! 20 series; bytes per sample of each column alone:
//!
//! | values | B/sample | timestamps | B/sample |
//! |---|---|---|---|
//! | mantissa, PLAIN | 1.27 | PLAIN | 1.36 |
//! | mantissa, BYTE_STREAM_SPLIT | 1.18 | BYTE_STREAM_SPLIT | 0.42 |
//! | mantissa, DELTA_BINARY_PACKED | 1.15 | DELTA_BINARY_PACKED, bits | 0.26 |
//! | (mantissa - first) / step, BYTE_STREAM_SPLIT | 1.13 | the same, bytes | 0.19 |
//! | (mantissa - first) / step, DELTA_BINARY_PACKED | 1.04 | minima by cost, bytes (as written; blocks of 512 save more) | 0.17 |
//! | differences, PLAIN (needs a running sum in SQL) | 1.04 | running on like units (needs the join for the time) | 0.12 |
//! | differences, varints (closed) | 0.90 | | |
//! | differences, zigzag, BYTE_STREAM_SPLIT (running sum) | 0.81 | | |
//! | running units, widths in whole bytes | 0.89 | | |
//! | running units, DELTA_BINARY_PACKED | 0.80 | | |
//! | **running units, minima by cost (as written)** | **0.79** | | |
//!
//! The floats without decimal form (1 % of the series) add 0.06 over all samples. Whole blocks, from
//! `benches/block.rs`, whose data is slightly noisier:
//!
//! | rows a page | samples | series | B/sample | bytes read for one series |
//! |---|---|---|---|---|
//! | 2,400 | 1.081 | 0.092 | 1.172 | 1,575 |
//! | **4,800** | 1.044 | 0.091 | **1.134** | 3,359 |
//! | 9,600 | 1.025 | 0.091 | 1.115 | 6,556 |
//!
//! Time, on two shared cores with a load of 8 (read them as upper bounds): encoding 66 ns a sample, scanning
//! everything 120 M samples/s, planning and reading one series of 10,000 28 to 38 us, opening an index of
//! 10,000 series 2.7 ms, unpacking their labels 6.7 ms.
//!
//! Not taken, though smaller: timestamps stored once for all series that share them (0.15 less by estimate,
//! not tried), since the samples table alone would then not say when.

mod chunk;
mod columns;
mod cursor;
mod decimal;
mod delta;
mod error;
mod exemplars_table;
mod index;
mod integers;
mod levels;
mod page_table;
mod plan;
mod samples_table;
mod schema;
mod series_table;
mod writer;

pub use cursor::BlockCursor;
pub use error::BlockError;
pub(crate) use exemplars_table::decode_exemplars;
pub(crate) use index::Holds;
pub use index::{BlockIndex, BlockLabels};
pub use plan::{BlockPages, ReadPlan};
pub(crate) use series_table::temporality_name;
pub use writer::{
    BlockOptions, BlockStats, BlockWriter, EncodedBlock, EncodedExemplars, MAX_SAMPLES_PER_SERIES,
    MAX_SERIES, SeriesEntry, series_order,
};
