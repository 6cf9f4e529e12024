//! PromQL expressions: what is read and printed is read again as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(text) = std::str::from_utf8(body) else { return };
    if let Ok(expression) = weir_promql::parse(text) {
        let printed = expression.to_string();
        if printed.len() <= weir_promql::MAX_QUERY_BYTES {
            match weir_promql::parse(&printed) {
                Ok(again) => assert_eq!(again.to_string(), printed),
                Err(error) => panic!("{text:?} prints as {printed:?}: {error}"),
            }
        }
    }
});
