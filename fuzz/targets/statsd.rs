//! StatsD and DogStatsD packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let mut gauges = weir_formats::statsd::GaugeTable::new(16);
    weir_fuzz::check(weir_formats::statsd::parse(body, weir_fuzz::NOW_MS, &weir_fuzz::limits(), &mut gauges));
});
