//! Rule files: what is wrong is told with a place inside the file; what is good can be explained and translated.
#![no_main]

use weir_rules::{Guide, RuleFile, datadog, duplicates};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u64 + 1;
    match RuleFile::parse("fuzz.yml", text) {
        Err(error) => {
            assert!(!error.problems.is_empty());
            for problem in &error.problems {
                assert!(problem.line <= lines, "line {} of {lines}: {}", problem.line, problem.message);
            }
        }
        Ok(file) => {
            let _ = duplicates([&file]);
            let by = vec!["host".to_owned()];
            let (monitors, losses) =
                datadog::monitors(&file, &datadog::Options { by, ..datadog::Options::default() });
            let left_out = losses.iter().filter(|loss| loss.left_out).count();
            let alerts =
                file.groups.iter().flat_map(|g| &g.rules).filter(|rule| rule.alert.is_some()).count();
            assert_eq!(monitors.len() + left_out, alerts, "an alert is neither a monitor nor told");
        }
    }
    let _ = Guide::parse(text);
});
