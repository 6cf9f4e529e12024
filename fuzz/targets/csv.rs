//! CSV with a header, with columns told by place, and of one metric.
#![no_main]

use weir_formats::csv;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let (now_ms, limits) = (weir_fuzz::NOW_MS, weir_fuzz::limits());
    let columns = csv::Columns::from_format("2:metric:ask,1:time:unix_s,3:label:pair").ok();
    weir_fuzz::check(csv::parse(body, None, None, now_ms, &limits));
    weir_fuzz::check(csv::parse(body, None, Some("load"), now_ms, &limits));
    weir_fuzz::check(csv::parse(body, columns, None, now_ms, &limits));
});
