//! Templates of rules: what is read runs to an end over data with every kind of answer, within its bounds.
#![no_main]

use std::sync::Arc;

use weir_model::Labels;
use weir_rules::template::{Answers, Data, Expansion, MAX_OUTPUT_BYTES, Template, TemplateSample};

/// Most queries that are answered; the rest of a run is more of the same.
const MAX_ANSWERED: usize = 5;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let Ok(template) = Template::parse(text) else { return };
    assert_eq!(template.source(), text);
    let labels = Labels::from_pairs([("job", "a b"), ("instance", "<x:1>"), ("zone", "größe")]);
    let data = Arc::new(Data {
        labels: labels.clone(),
        external_labels: Labels::empty(),
        external_url: "http://weir/".to_owned(),
        value: -1234.5,
    });
    let samples = [f64::NAN, f64::INFINITY, 0.0, 1e-300];
    let samples = samples.map(|value| TemplateSample { labels: labels.clone(), value }).to_vec();
    let mut answers = Answers::new();
    for answered in 0..=MAX_ANSWERED {
        match template.expand(&data, &answers, weir_fuzz::NOW_MS) {
            Expansion::Done(text) => {
                assert!(text.len() <= MAX_OUTPUT_BYTES, "{} bytes", text.len());
                return;
            }
            Expansion::Failed(error) => {
                assert!(error.line >= 1);
                return;
            }
            Expansion::Asks(query) => {
                let answer = match answered % 3 {
                    0 => Ok(Arc::new(samples.clone())),
                    1 => Ok(Arc::default()),
                    _ => Err("no answer".to_owned()),
                };
                assert!(answers.insert(query, answer).is_none(), "the same query is asked twice");
            }
        }
    }
});
