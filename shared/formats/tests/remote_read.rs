//! Chunks as remote read streams them, read back by the reader of Prometheus' own blocks; and requests,
//! damaged ones too.

use std::sync::Arc;

use proptest::prelude::*;
use weir_formats::remote_read::{ResponseType, frames, parse};
use weir_formats::tsdb::{Chunk, encode};
use weir_model::{
    CounterResetHint, Histogram, Labels, MatchOp, SCHEMA_CUSTOM_BUCKETS, STALE_NAN, Samples, Span,
    is_stale_nan,
};

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1000i32..1000).prop_map(f64::from),
        4 => any::<f64>(),
        1 => Just(STALE_NAN),
        1 => Just(0.1),
    ]
}

/// A timestamp's distance to the one before.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(15_000i64), 2 => 1i64..40_000, 1 => 1i64..10_000_000_000]
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let hint = prop::sample::select(vec![
        CounterResetHint::Unknown,
        CounterResetHint::Reset,
        CounterResetHint::NotReset,
        CounterResetHint::Gauge,
    ]);
    let threshold =
        prop::sample::select(vec![0.0, 0.001, 2f64.powi(-128), 2f64.powi(10), 2f64.powi(-244), 5.5]);
    let bound = prop::sample::select(vec![0.001, 0.1, 12.345, 33_554.430, 33_554.431, 1e9, -3.0, 1.0 / 3.0]);
    let custom = prop::collection::btree_set(bound.prop_map(|b: f64| (b * 1e9) as i64), 0..5);
    (hint, threshold, prop::collection::vec(0u32..9, 2..6), any::<bool>(), custom, 0u8..20).prop_map(
        |(counter_reset_hint, zero_threshold, counts, is_custom, custom, kind)| {
            if kind == 0 {
                return Histogram { sum: STALE_NAN, ..Histogram::default() };
            }
            let buckets: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
            let total: f64 = buckets.iter().sum();
            if is_custom {
                let custom_values: Vec<f64> = custom.into_iter().map(|bound| bound as f64 / 1e9).collect();
                return Histogram {
                    counter_reset_hint,
                    schema: SCHEMA_CUSTOM_BUCKETS,
                    count: buckets[0],
                    sum: total,
                    positive_spans: vec![Span { offset: 0, length: 1 }],
                    positive_buckets: vec![buckets[0]],
                    custom_values,
                    ..Histogram::default()
                };
            }
            Histogram {
                counter_reset_hint,
                schema: 3,
                zero_threshold,
                zero_count: 2.0,
                count: total + 3.5,
                sum: total / 3.0,
                positive_spans: vec![
                    Span { offset: -4, length: 1 },
                    Span { offset: 7, length: buckets.len() as u32 - 1 },
                ],
                positive_buckets: buckets,
                negative_spans: vec![Span { offset: 2, length: 1 }],
                negative_buckets: vec![1.5],
                ..Histogram::default()
            }
        },
    )
}

fn samples() -> impl Strategy<Value = Samples> {
    let floats = prop::collection::vec((step(), float().prop_map(Some), Just(Histogram::default())), 0..400);
    let either = prop_oneof![1 => float().prop_map(Some), 6 => Just(None)];
    let mixed = prop::collection::vec((step(), either, histogram()), 0..60);
    let rows = prop_oneof![floats.boxed(), mixed.boxed()];
    (-1_000_000_000_000i64..2_000_000_000_000, rows).prop_map(|(start, rows)| {
        let mut samples = Samples::default();
        let mut at = start;
        for (step, float, histogram) in rows {
            at += step;
            match float {
                Some(value) => {
                    samples.timestamps.push(at);
                    samples.values.push(value);
                }
                None => samples.histograms.push((at, Arc::new(histogram))),
            }
        }
        samples
    })
}

fn without_hint(histogram: &Histogram) -> Histogram {
    // A chunk cannot keep what is known of a reset but for its first sample, and that of gauges.
    Histogram { counter_reset_hint: CounterResetHint::Unknown, ..histogram.clone() }
}

proptest! {
    #[test]
    fn chunks_hold_what_was_put_in(samples in samples()) {
        let chunks = encode(&samples);
        let mut back = Samples::default();
        let mut last = i64::MIN;
        for chunk in &chunks {
            prop_assert!(chunk.min_ms > last && chunk.max_ms >= chunk.min_ms);
            last = chunk.max_ms;
            Chunk { encoding: chunk.encoding, content: &chunk.content }.read(&mut back).unwrap();
        }
        prop_assert_eq!(&back.timestamps, &samples.timestamps);
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back.values), bits(&samples.values));
        prop_assert_eq!(back.histograms.len(), samples.histograms.len());
        for ((at, back), (want_at, want)) in back.histograms.iter().zip(&samples.histograms) {
            prop_assert_eq!(at, want_at);
            prop_assert_eq!(is_stale_nan(back.sum), is_stale_nan(want.sum));
            if !is_stale_nan(want.sum) {
                prop_assert_eq!(without_hint(back), without_hint(want));
                let gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
                prop_assert_eq!(gauge(back), gauge(want));
                // What is said of resets must be true: a reset is never denied.
                if want.counter_reset_hint == CounterResetHint::Reset {
                    prop_assert_eq!(back.counter_reset_hint, CounterResetHint::Reset);
                }
            }
        }
    }

    #[test]
    fn requests_never_panic(body: Vec<u8>) {
        let _ = parse(&body);
    }
}

#[test]
fn frames_have_length_checksum_and_the_query_they_belong_to() {
    let samples = Samples { timestamps: vec![1, 2], values: vec![1.0, 2.0], ..Samples::default() };
    let frames = frames(300, Labels::from_pairs([("a", "b")]).borrowed(), &samples);
    assert_eq!(frames.len(), 1);
    let (length, rest) = (usize::from(frames[0][0]), &frames[0][1..]);
    let (checksum, message) = rest.split_at(4);
    assert_eq!(message.len(), length);
    assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
    assert!(message.ends_with(&[0x10, 0xac, 0x02]), "field 2 is the query's place");
    assert!(message.starts_with(&[0x0a]) && message[2..].starts_with(b"\x0a\x06\x0a\x01a\x12\x01b"));
    let none = frames_of(&Samples::default());
    assert!(none.is_empty(), "a series without samples has no frame");
}

fn frames_of(samples: &Samples) -> Vec<Vec<u8>> {
    frames(0, Labels::from_pairs([("a", "b")]).borrowed(), samples)
}

#[test]
fn requests_are_read_and_their_limits_told() {
    // One query from 5 to 7 ms of {a!="b"}, with hints; streamed chunks before samples.
    let query = b"\x08\x05\x10\x07\x1a\x08\x08\x01\x12\x01a\x1a\x01b\x22\x02\x08\x01";
    let mut body = vec![0x0a, query.len() as u8];
    body.extend_from_slice(query);
    body.extend_from_slice(b"\x12\x02\x01\x00");
    let request = parse(&body).unwrap();
    assert_eq!(request.response, ResponseType::StreamedChunks);
    let asked = &request.queries[0];
    assert_eq!((asked.start_ms, asked.end_ms), (5, 7));
    let matcher = &asked.matchers[0];
    assert_eq!((matcher.name(), matcher.op(), matcher.value()), ("a", MatchOp::NotEqual, "b"));
    assert_eq!(parse(b"").unwrap().response, ResponseType::Samples);
    for (body, part) in [
        (&b"\x10\x09"[..], "response types"),
        (b"\x0a\x04\x1a\x02\x08\x09", "matcher type 9"),
        (b"\x0a\x09\x1a\x01", "damaged"),
        (b"\x0a\x0a\x1a\x08\x08\x02\x12\x01a\x1a\x01[", "regular expression"),
        (b"\x0a\x05\x1a\x03\x12\x01\xff", "UTF-8"),
        (&[b"\x0a\x00".repeat(101)].concat(), "more than 100 queries"),
    ] {
        let error = parse(body).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}
