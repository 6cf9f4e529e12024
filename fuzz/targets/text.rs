//! Prometheus text pages.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let dialect = weir_formats::text::Dialect::Prometheus;
    weir_fuzz::check(weir_formats::text::parse(body, dialect, weir_fuzz::NOW_MS, &weir_fuzz::limits()));
});
