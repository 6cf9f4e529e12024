//! Unit tests of rules: read, and never run, since what they may load is as large as they say.
#![no_main]

use weir_rules::UnitTestFile;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(text) = std::str::from_utf8(body) else { return };
    if let Err(problems) = UnitTestFile::parse(text) {
        assert!(!problems.is_empty());
    }
});
