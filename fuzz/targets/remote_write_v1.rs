//! Remote write 1.0 bodies, decompressed.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let version = weir_formats::remote_write::Version::V1;
    weir_fuzz::check(weir_formats::remote_write::parse(
        version,
        body,
        weir_fuzz::NOW_MS,
        &weir_fuzz::limits(),
    ));
});
