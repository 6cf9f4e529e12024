//! Content encodings: bounded before and after decompression.
//!
//! One encoding per body: `identity`, `gzip` (`x-gzip`), `deflate` (zlib as the RFC wants it, or raw
//! as many senders do), `zstd`, and `snappy` (the block format of remote write, or the framed format,
//! told by its magic bytes). Several encodings in a row are refused: no sender of metrics needs them,
//! and each layer would multiply the work that a small body can cause.

use std::borrow::Cow;
use std::io::Read;

use crate::limits::Limits;
use crate::outcome::{ErrorKind, FormatError, quote};

/// First bytes of a framed snappy stream: a stream identifier chunk (framing format, section 4.1).
const SNAPPY_FRAME_MAGIC: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// No snappy block unpacks to more than this many times its size: a copy element of 3 bytes yields at most 64.
const SNAPPY_MAX_RATIO: usize = 22;
/// Largest window of a zstd frame, as a power of two (32 MiB): bounds memory whatever the frame claims.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// A body whose encoding cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// 415: an encoding that is not supported, or several in a row.
    #[error("content encoding {0} is not supported: use one of identity, gzip, deflate, zstd, snappy")]
    Unsupported(String),
    /// 413: the body is too large as sent or once unpacked.
    #[error("the body has more than {limit} bytes {stage}")]
    TooLarge {
        /// The bound that was passed, in bytes.
        limit: usize,
        /// `as sent` or `once decompressed`.
        stage: &'static str,
    },
    /// 400: the bytes are not what the encoding says.
    #[error("the body is not valid {encoding}: {reason}")]
    Corrupt {
        /// The encoding.
        encoding: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

impl EncodingError {
    /// Who is at fault.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Corrupt { .. } => ErrorKind::BadRequest,
        }
    }
}

impl From<EncodingError> for FormatError {
    fn from(error: EncodingError) -> Self {
        Self { kind: error.kind(), message: error.to_string(), place: None }
    }
}

/// Undoes the content encoding of `body`; a plain body is borrowed.
///
/// `content_encoding` is the header's value, empty when there is none.
///
/// # Errors
/// [`EncodingError`] for unknown encodings, damaged bytes, and bodies past `limits.compressed_bytes`
/// as sent or `limits.body_bytes` once decompressed.
pub fn decompress<'b>(
    body: &'b [u8],
    content_encoding: &str,
    limits: &Limits,
) -> Result<Cow<'b, [u8]>, EncodingError> {
    if body.len() > limits.compressed_bytes {
        return Err(EncodingError::TooLarge { limit: limits.compressed_bytes, stage: "as sent" });
    }
    let mut names = content_encoding
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    let Some(name) = names.next() else {
        return if body.len() > limits.body_bytes {
            Err(EncodingError::TooLarge { limit: limits.body_bytes, stage: "as sent" })
        } else {
            Ok(Cow::Borrowed(body))
        };
    };
    if names.next().is_some() {
        return Err(EncodingError::Unsupported(quote(content_encoding)));
    }
    let limit = limits.body_bytes;
    let plain = match name.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => drain(flate2::read::MultiGzDecoder::new(body), body.len(), limit, "gzip"),
        "deflate" => inflate(body, limit),
        "zstd" => unzstd(body, limit),
        "snappy" | "x-snappy-framed" => unsnap(body, limit),
        _ => return Err(EncodingError::Unsupported(quote(name))),
    };
    plain.map(Cow::Owned)
}

/// Reads all that `decoder` yields, up to `limit` bytes.
fn drain(
    decoder: impl Read,
    packed: usize,
    limit: usize,
    encoding: &'static str,
) -> Result<Vec<u8>, EncodingError> {
    let mut plain = Vec::with_capacity((packed * 4).min(limit));
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| EncodingError::Corrupt { encoding, reason: error.to_string() })?;
    if plain.len() > limit {
        return Err(EncodingError::TooLarge { limit, stage: "once decompressed" });
    }
    Ok(plain)
}

fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, EncodingError> {
    // RFC 1950: the low four bits of the first byte are 8, and the first two bytes divide by 31.
    let zlib = matches!(body, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0);
    if zlib {
        let plain = drain(flate2::read::ZlibDecoder::new(body), body.len(), limit, "deflate");
        // One raw stream in some thousand starts like a zlib header by chance.
        if !matches!(plain, Err(EncodingError::Corrupt { .. })) {
            return plain;
        }
    }
    drain(flate2::read::DeflateDecoder::new(body), body.len(), limit, "deflate")
}

fn unzstd(body: &[u8], limit: usize) -> Result<Vec<u8>, EncodingError> {
    let corrupt =
        |error: std::io::Error| EncodingError::Corrupt { encoding: "zstd", reason: error.to_string() };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(corrupt)?;
    drain(decoder, body.len(), limit, "zstd")
}

fn unsnap(body: &[u8], limit: usize) -> Result<Vec<u8>, EncodingError> {
    if body.starts_with(SNAPPY_FRAME_MAGIC) {
        return drain(snap::read::FrameDecoder::new(body), body.len(), limit, "snappy");
    }
    let corrupt = |reason: String| EncodingError::Corrupt { encoding: "snappy", reason };
    let declared = snap::raw::decompress_len(body).map_err(|error| corrupt(error.to_string()))?;
    if declared > limit {
        return Err(EncodingError::TooLarge { limit, stage: "once decompressed" });
    }
    // The decoder allocates what is declared before it looks at the rest.
    if declared > body.len() * SNAPPY_MAX_RATIO {
        return Err(corrupt(format!("{} bytes claim to unpack to {declared}", body.len())));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(|error| corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use proptest::prelude::*;

    use super::*;

    fn packed(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        let mut framed = snap::write::FrameEncoder::new(Vec::new());
        gzip.write_all(plain).unwrap();
        zlib.write_all(plain).unwrap();
        raw.write_all(plain).unwrap();
        framed.write_all(plain).unwrap();
        vec![
            ("", plain.to_vec()),
            ("identity", plain.to_vec()),
            ("gzip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("Deflate", raw.finish().unwrap()),
            ("zstd", zstd::bulk::compress(plain, 1).unwrap()),
            ("snappy", snap::raw::Encoder::new().compress_vec(plain).unwrap()),
            ("identity, snappy", framed.into_inner().unwrap()),
        ]
    }

    #[test]
    fn every_encoding_survives_a_round_trip() {
        let plain = "metric{a=\"b\"} 1\n".repeat(1000);
        for (name, body) in packed(plain.as_bytes()) {
            let back = decompress(&body, name, &Limits::default()).unwrap();
            assert_eq!(back.as_ref(), plain.as_bytes(), "{name}");
        }
    }

    #[test]
    fn bodies_past_a_bound_are_too_large_whatever_their_encoding() {
        let plain = vec![b'a'; 10_000];
        let limits = Limits { body_bytes: 9_999, ..Limits::default() };
        for (name, body) in packed(&plain) {
            let error = decompress(&body, name, &limits).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}: {error}");
        }
        let limits = Limits { compressed_bytes: 9_999, ..Limits::default() };
        let error = decompress(&plain, "", &limits).unwrap_err();
        assert_eq!(error.to_string(), "the body has more than 9999 bytes as sent");
    }

    #[test]
    fn damaged_bodies_are_corrupt() {
        for (name, body) in packed(&b"some text that is packed".repeat(50)).split_off(2) {
            for damaged in [&body[..body.len() / 2], &body[1..], &[], b"plain text"] {
                let error = decompress(damaged, name, &Limits::default()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BadRequest, "{name}: {error}");
            }
        }
    }

    #[test]
    fn a_small_snappy_body_that_claims_to_be_large_is_refused_before_any_memory_is_taken() {
        let error = decompress(b"\x80\x80\x80\x10xyz", "snappy", &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "the body is not valid snappy: 7 bytes claim to unpack to 33554432");
    }

    #[test]
    fn unknown_and_stacked_encodings_are_unsupported() {
        for name in ["br", "gzip, snappy", "compress"] {
            let error = decompress(b"x", name, &Limits::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_and_mutated_bodies_never_panic(
            // A framed snappy writer that was given nothing writes nothing, not even its magic bytes.
            bytes in prop::collection::vec(any::<u8>(), 1..300),
            which in 0usize..8,
            at: usize,
            to: u8,
        ) {
            let (name, mut body) = packed(&bytes).swap_remove(which);
            prop_assert_eq!(decompress(&body, name, &Limits::default()).unwrap().into_owned(), bytes.clone());
            if !body.is_empty() {
                let at = at % body.len();
                body[at] = to;
            }
            let _ = decompress(&body, name, &Limits::default());
            let _ = decompress(&bytes, name, &Limits::default());
        }
    }
}
