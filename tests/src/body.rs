//! Bodies as senders compress them.

use std::io::Write;

/// A body in the given content encoding.
///
/// # Panics
/// For an encoding that tests do not use.
#[must_use]
pub fn compress(encoding: &str, plain: &[u8]) -> Vec<u8> {
    let done = match encoding {
        "identity" => Ok(plain.to_vec()),
        "gzip" => gzip(plain),
        "deflate" => deflate(plain),
        "zstd" => zstd::bulk::compress(plain, 3),
        "snappy" => Ok(snappy(plain)),
        other => panic!("no test compresses with {other}"),
    };
    done.unwrap_or_else(|error| panic!("{encoding}: {error}"))
}

/// A body as remote write sends it.
///
/// # Panics
/// Beyond 4 GiB.
#[must_use]
pub fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap_or_else(|error| panic!("snappy: {error}"))
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn deflate(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}
