//! What is posted: JSON documents of hosts, of a business, of single events, and of random numbers.

use std::fmt::Write;

use crate::host::{Course, Random, histogram, templates};

/// Documents of one request.
const DOCUMENTS: usize = 20;

/// Bytes of the same samples in several forms of JSON.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Documents as written by hand, indented: one a source and tick, or one an event.
    pub(crate) document: u64,
    /// The same without spaces.
    pub(crate) dense: u64,
    /// One object a metric, with a timestamp of its own, without spaces; 0 where there is no such form.
    pub(crate) single: u64,
    /// A line an hour of a series: its labels, values and timestamps; 0 where there is no such form.
    pub(crate) lines: u64,
}

/// A metric of a source: a series, or the series of a classic histogram.
struct Metric {
    name: String,
    kind: &'static str,
    labels: Vec<(String, String)>,
    /// One value a tick; of a histogram the buckets, the sum and the count.
    values: Vec<Vec<f64>>,
}

/// Upper bounds of a histogram's buckets, as the specification's example has them.
const BOUNDS: [&str; 6] = ["5", "10", "25", "50", "100", "+Inf"];

/// Series and how they come.
pub(crate) struct Mix {
    name: &'static str,
    /// The name of each source and its metrics.
    sources: Vec<(String, Vec<Metric>)>,
    /// What makes events; other mixes have none.
    events: Option<Random>,
    tick: usize,
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Mix {
    /// Hosts of 113 series.
    pub(crate) fn hosts(count: usize, ticks: usize) -> Self {
        let mut random = Random(7);
        let mut sources = Vec::new();
        for host in 0..count {
            let mut metrics = Vec::new();
            let common = owned(&[("job", "node"), ("region", "eu-west-1"), ("env", "prod")]);
            for (name, further, course) in templates() {
                let mut labels = common.clone();
                labels.extend(further.into_iter().map(|(name, value)| (name.to_owned(), value)));
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                let values = vec![course.values(&mut random, ticks)];
                metrics.push(Metric { name: name.to_owned(), kind, labels, values });
            }
            for (name, bound, values) in histogram(&mut random, ticks) {
                let mut labels = common.clone();
                labels.extend(bound.map(|bound| ("le".to_owned(), bound.to_owned())));
                metrics.push(Metric { name: name.to_owned(), kind: "counter", labels, values: vec![values] });
            }
            sources.push((format!("prod-{host:04}.eu-west-1.example.net:9100"), metrics));
        }
        Self { name: "hosts", sources, events: None, tick: 0 }
    }

    /// Counters, money, durations and shares of a prediction service and a payment service.
    pub(crate) fn business(ticks: usize) -> Self {
        let mut random = Random(8);
        let symbols = ["AAPL", "MSFT", "GOOG", "AMZN", "NVDA", "TSLA", "META", "NFLX"];
        let (mut predictions, mut payments) = (Vec::new(), Vec::new());
        let counter = |mean| Course::Counter { mean, weight: 1.0, divisor: 1.0 };
        let gauge = |start, spread, divisor| Course::Gauge { start, spread, unit: 1.0, divisor };
        for (at, symbol) in symbols.iter().enumerate() {
            let service = [("service", "ml-inference"), ("symbol", *symbol)];
            let mut labels = owned(&service);
            labels.extend(owned(&[("model", "momentum_transformer"), ("strategy", "optimized")]));
            let mut add = |name: &str, kind, course: Course| {
                let values = vec![course.values(&mut random, ticks)];
                predictions.push(Metric { name: name.to_owned(), kind, labels: labels.clone(), values });
            };
            add("predictions_generated_total", "counter", counter(4.0 + at as f64));
            add("trading_profit_loss_usd", "gauge", gauge(1_200_000.0, 900.0, 100.0));
            add("prediction_confidence", "gauge", gauge(78.0, 1.0, 100.0));
            add("feature_count", "gauge", Course::Constant(23.0));
            let mut sums = vec![0.0; ticks];
            let mut values = Vec::new();
            for mean in [2.0, 3.0, 3.0, 2.0, 0.5, 0.1] {
                let own = counter(mean).values(&mut random, ticks);
                sums.iter_mut().zip(own).for_each(|(sum, count)| *sum += count);
                values.push(sums.clone());
            }
            let divisor = 10.0;
            values.push(Course::Counter { mean: 10.0, weight: 170.0, divisor }.values(&mut random, ticks));
            values.push(sums);
            let name = "model_inference_duration_ms".to_owned();
            predictions.push(Metric { name, kind: "histogram", labels, values });
        }
        for status in ["completed", "failed", "refunded"] {
            for currency in ["USD", "EUR", "GBP"] {
                let labels = [("status", status), ("currency", currency), ("payment_method_type", "card")];
                let mut add = |name: &str, kind, course: Course| {
                    let values = vec![course.values(&mut random, ticks)];
                    payments.push(Metric { name: name.to_owned(), kind, labels: owned(&labels), values });
                };
                let cents = Course::Counter { mean: 3.0, weight: 4_300.0, divisor: 100.0 };
                add("payments_total", "counter", counter(3.0));
                add("payments_amount_total", "counter", cents);
                add("payment_success_rate", "gauge", gauge(9_870.0, 6.0, 100.0));
                add("active_users", "gauge", gauge(15_400.0, 40.0, 1.0));
            }
        }
        let sources =
            vec![("prediction-service".to_owned(), predictions), ("payment-service".to_owned(), payments)];
        Self { name: "business", sources, events: None, tick: 0 }
    }

    /// Twenty kinds of events, one each at a random time of every step: a count, a duration, three numbers.
    pub(crate) fn events() -> Self {
        Self { name: "events", sources: Vec::new(), events: Some(Random(9)), tick: 0 }
    }

    /// A hundred gauges of random bits, which nothing can compress: the worst case.
    pub(crate) fn random(ticks: usize) -> Self {
        let mut random = Random(10);
        let metric = |of: usize| Metric {
            name: "noise".to_owned(),
            kind: "gauge",
            labels: owned(&[("of", &of.to_string())]),
            values: vec![(0..ticks).map(|_| random.share()).collect()],
        };
        let metrics = (0..100).map(metric).collect();
        Self { name: "random", sources: vec![("noise".to_owned(), metrics)], events: None, tick: 0 }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How many series it has.
    pub(crate) fn series(&self) -> usize {
        match self.events {
            Some(_) => 100,
            None => self.sources.iter().flat_map(|source| &source.1).map(|metric| metric.values.len()).sum(),
        }
    }

    /// The bodies of an hour.
    pub(crate) fn hour(&mut self, from_ms: i64, step_ms: i64, weights: &mut Weights) -> Vec<Vec<u8>> {
        let mut documents = Vec::new();
        let first = self.tick;
        for at_ms in (from_ms..from_ms + 3_600_000).step_by(step_ms as usize) {
            match &mut self.events {
                Some(random) => documents.extend((0..20).map(|of| event(of, at_ms, step_ms, random))),
                None => {
                    for (source, metrics) in &self.sources {
                        documents.push(document(source, metrics, at_ms, self.tick, weights));
                    }
                }
            }
            self.tick += 1;
        }
        for (source, metrics) in &self.sources {
            weights.lines += lines(source, metrics, from_ms, step_ms, first..self.tick);
        }
        for document in &documents {
            weights.document += document.len() as u64;
            weights.dense += dense(document);
        }
        let body = |documents: &[String]| format!("[{}]", documents.join(",")).into_bytes();
        documents.chunks(DOCUMENTS).map(body).collect()
    }
}

/// Its length without spaces; no text in it has any.
fn dense(json: &str) -> u64 {
    json.bytes().filter(|byte| !byte.is_ascii_whitespace()).count() as u64
}

/// Times are numbers, which are shorter than ISO 8601.
fn document(source: &str, metrics: &[Metric], at_ms: i64, tick: usize, weights: &mut Weights) -> String {
    let mut text = format!(
        "{{\n  \"custom_metrics\": {{\n    \"timestamp\": {at_ms},\n    \"source\": \"{source}\",\n    \"metrics\": ["
    );
    for (at, metric) in metrics.iter().enumerate() {
        let from = text.len();
        let (name, kind) = (&metric.name, metric.kind);
        put(
            &mut text,
            format_args!("\n      {{\n        \"name\": \"{name}\",\n        \"type\": \"{kind}\","),
        );
        match &metric.values[..] {
            [values] => put(&mut text, format_args!("\n        \"value\": {},", values[tick])),
            [buckets @ .., sum, count] => {
                text.push_str("\n        \"buckets\": {");
                for (at, (bound, counts)) in BOUNDS.iter().zip(buckets).enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    put(&mut text, format_args!("{comma}\n          \"{bound}\": {}", counts[tick]));
                }
                let (sum, count) = (sum[tick], count[tick]);
                put(
                    &mut text,
                    format_args!("\n        }},\n        \"sum\": {sum},\n        \"count\": {count},"),
                );
            }
            [] => {}
        }
        text.push_str("\n        \"labels\": {");
        for (at, (name, value)) in metric.labels.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            put(&mut text, format_args!("{comma}\n          \"{name}\": \"{value}\""));
        }
        text.push_str("\n        }\n      }");
        let own = format!(",\"source\":\"{source}\",\"timestamp\":{at_ms}").len() as u64;
        weights.single += dense(&text[from..]) + own;
        if at + 1 < metrics.len() {
            text.push(',');
        }
    }
    text.push_str("\n    ]\n  }\n}");
    text
}

/// Bytes of a line an hour of each series, in VictoriaMetrics' form.
fn lines(source: &str, metrics: &[Metric], from_ms: i64, step_ms: i64, ticks: std::ops::Range<usize>) -> u64 {
    let mut bytes = 0;
    let times: String = (0..ticks.len() as i64).map(|at| format!("{},", from_ms + at * step_ms)).collect();
    for metric in metrics {
        for values in &metric.values {
            let mut text = format!("{{\"metric\":{{\"__name__\":\"{}\",\"source\":\"{source}\"", metric.name);
            metric
                .labels
                .iter()
                .for_each(|(name, value)| put(&mut text, format_args!(",\"{name}\":\"{value}\"")));
            text.push_str("},\"values\":[");
            values[ticks.clone()].iter().for_each(|value| put(&mut text, format_args!("{value},")));
            bytes += (text.len() + "\"timestamps\":[".len() + times.len() + "]}\n".len()) as u64;
        }
    }
    bytes
}

fn event(of: usize, from_ms: i64, step_ms: i64, random: &mut Random) -> String {
    let at_ms = from_ms + (random.share() * step_ms as f64) as i64;
    let symbol = ["AAPL", "MSFT", "GOOG", "AMZN", "NVDA"][of % 5];
    let duration = (150.0 * (0.4 * random.noise()).exp()).round();
    let (confidence, strategy) =
        ((78.0 + random.noise() * 5.0).round() / 100.0, (85.0 + random.noise() * 4.0).round() / 100.0);
    let (event, request) = (random.bits(), random.bits());
    format!(
        r#"{{
  "event_metrics": {{
    "event_id": "evt_{event:016x}",
    "timestamp": {at_ms},
    "event_type": "prediction_completed",
    "source_service": "ml-inference",
    "duration_ms": {duration},
    "success": true,
    "metrics": {{
      "prediction_confidence": {confidence},
      "feature_count": 23,
      "model_version": "v2.1.3",
      "strategy_confidence": {strategy}
    }},
    "labels": {{
      "user_id": "user_{of}",
      "symbol": "{symbol}",
      "prediction_horizon": "60min",
      "model_name": "momentum_transformer"
    }},
    "context": {{
      "request_id": "req_{request:016x}"
    }}
  }}
}}"#
    )
}

/// Writing to a text cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).unwrap_or_default();
}
