//! Series as lines of JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    weir_fuzz::check(weir_formats::series_lines::parse(body, weir_fuzz::NOW_MS, &weir_fuzz::limits()));
});
