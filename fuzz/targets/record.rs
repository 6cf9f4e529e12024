//! Stream records: as they are, and as the unpacked body behind a valid header.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(record) = weir_model::Record::decode(body) {
        weir_fuzz::same_after_encoding(record);
    }
    // Compression hides the body from the fuzzer, so it is packed here.
    let mut packed = vec![1, 0, 1, b't', 0];
    let mut len = body.len();
    while len >= 0x80 {
        packed.push(len as u8 | 0x80);
        len >>= 7;
    }
    packed.push(len as u8);
    packed.extend(zstd::bulk::compress(body, -7).expect("memory can be compressed"));
    if let Ok(record) = weir_model::Record::decode(&packed) {
        weir_fuzz::same_after_encoding(record);
    }
});
