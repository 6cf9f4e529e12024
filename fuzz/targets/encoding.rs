//! Content encodings: the first byte chooses one, the rest is the body.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    const NAMES: [&str; 6] = ["gzip", "deflate", "zstd", "snappy", "identity", "gzip, snappy"];
    let Some((which, body)) = body.split_first() else { return };
    let limits = weir_fuzz::limits();
    let name = NAMES[usize::from(*which) % NAMES.len()];
    if let Ok(plain) = weir_formats::encoding::decompress(body, name, &limits) {
        assert!(plain.len() <= limits.body_bytes);
    }
});
