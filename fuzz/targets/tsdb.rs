//! Files of a Prometheus TSDB block. The first byte says which; chunks come without their checksums, which
//! would hide them from the fuzzer.
#![no_main]

use weir_formats::tsdb::{Chunk, Encoding, Index, Segment, Tombstones, encode};
use weir_model::Samples;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Some((&kind, content)) = body.split_first() else { return };
    match kind % 6 {
        0 => chunk(Encoding::Xor, content),
        1 => chunk(Encoding::Histogram, content),
        2 => chunk(Encoding::FloatHistogram, content),
        3 => {
            if let Ok(index) = Index::open(content) {
                let _ = index.series().take(10_000).count();
            }
        }
        4 => {
            let _ = Tombstones::open(content);
        }
        _ => {
            if let Ok(segment) = Segment::open(content) {
                let mut samples = Samples::default();
                let _ = segment.chunk(8).and_then(|chunk| chunk.read(&mut samples));
            }
        }
    }
});

/// What can be read can be written and is then the same.
fn chunk(encoding: Encoding, content: &[u8]) {
    let mut samples = Samples::default();
    if (Chunk { encoding, content }).read(&mut samples).is_err() || !ascending(&samples) {
        return;
    }
    let mut back = Samples::default();
    for written in encode(&samples) {
        let chunk = Chunk { encoding: written.encoding, content: &written.content };
        chunk.read(&mut back).expect("an encoded chunk can be read");
    }
    assert_eq!(samples.timestamps, back.timestamps);
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&samples.values), bits(&back.values));
    assert_eq!(samples.histograms.len(), back.histograms.len());
}

fn ascending(samples: &Samples) -> bool {
    samples.timestamps.is_sorted_by(|a, b| a < b) && samples.histograms.is_sorted_by(|a, b| a.0 < b.0)
}
