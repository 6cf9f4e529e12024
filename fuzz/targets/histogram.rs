//! Stored native histograms: what is read back is valid and encodes to the same again.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(histogram) = weir_model::Histogram::from_bytes(body) {
        histogram.validate().expect("a histogram that was read is valid");
        let bytes = histogram.to_bytes();
        let back = weir_model::Histogram::from_bytes(&bytes).expect("an encoded histogram can be decoded");
        assert_eq!(back.to_bytes(), bytes);
        let _ = (histogram.positive().count(), histogram.negative().count());
    }
});
