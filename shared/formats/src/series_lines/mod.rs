//! Lines of JSON, a series with its samples each: VictoriaMetrics' import and export form, completed.
//!
//! `{"metric":{"__name__":"up","job":"a"},"values":[1,null],"timestamps":[1700000000000,1700000015000]}`:
//! timestamps are milliseconds, `null` is NaN, and what JSON has no number for is text: `"+Inf"`, `"-Inf"`,
//! `"StaleNaN"` (the staleness marker). Members beyond VictoriaMetrics' form, so that nothing is lost:
//! `type` and `temporality` of the series (absent: unknown, cumulative), `histograms` and `sets`, lists of
//! `{"timestamp":…,"histogram":{…}}` and `{"timestamp":…,"set":"base64"}`. A series may stand on
//! several lines.

mod histogram;
mod number;
mod read;
mod write;

pub use read::parse;
pub use write::write;

pub(crate) use histogram::HistogramForm;
pub(crate) use number::{Number, from_text};
pub(crate) use read::unpack;
pub(crate) use write::pack;
