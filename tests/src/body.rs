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

/// Base64 as API Gateway encodes binary bodies (RFC 4648, with padding).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let three = chunk.iter().chain(&[0, 0]).take(3).fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[(three >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { digit as char } else { '=' });
        }
    }
    out
}
