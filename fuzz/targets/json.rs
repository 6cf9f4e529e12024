//! JSON documents of every kind.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    weir_fuzz::check(weir_formats::json::parse(body, weir_fuzz::NOW_MS, &weir_fuzz::limits()));
});
