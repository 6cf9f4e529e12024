//! Wire formats in, one module per format: bytes of a request to a checked batch; and the text forms out.
//!
//! Every parser has the same shape: body, time of arrival and [`Limits`] in, [`Parsed`] out. A body
//! that cannot be read at all is a [`FormatError`]; a single bad line, series or document is
//! rejected with its place and reason while the rest proceeds. Nothing here panics on input, and
//! every text in an error is bounded in length. What to do about duplicates, relabelling and storage is left to others.

pub mod batch;
mod canonical;
pub mod csv;
pub mod encoding;
pub mod json;
mod limits;
mod names;
mod number;
mod outcome;
mod protobuf;
pub mod remote_read;
pub mod remote_write;
pub mod series_lines;
mod sink;
pub mod statsd;
pub mod text;
mod timestamp;
pub mod tsdb;

pub use limits::Limits;
pub use outcome::{Accepted, ErrorKind, FormatError, Parsed, RejectKind, Rejection, Rejections};
pub use timestamp::from_iso8601;
