//! Malformed bodies of every format: each gets an error of its own that says what and where.

mod bounds;
mod json;
mod lines;
mod remote_write;

use weir_formats::remote_write::encode::{TimeSeries, put_varint};
use weir_formats::{FormatError, Parsed};

const NOW_MS: i64 = 1_760_000_000_000;

/// What a body comes to: the whole refused, or a first rejection.
fn told(result: Result<Parsed, FormatError>) -> String {
    match result {
        Err(error) => format!("{} {error}", error.kind.status()),
        Ok(parsed) => match parsed.rejections.first.first() {
            Some(first) => format!("{}: {first}", first.kind.name()),
            None => "accepted".to_owned(),
        },
    }
}

fn check(shows: &str, result: Result<Parsed, FormatError>, want: &str) {
    let told = told(result);
    assert!(told.contains(want), "{shows}: expected {want:?} in {told:?}");
}

fn series(labels: &[(&str, &str)]) -> TimeSeries {
    TimeSeries {
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        samples: vec![(NOW_MS, 1.0)],
        ..TimeSeries::default()
    }
}

/// A length-delimited field.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3 | 2);
    put_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}
