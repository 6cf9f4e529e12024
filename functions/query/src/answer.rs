//! An answer in the JSON of the Prometheus HTTP API: the value, and on request figures about the evaluation
//! (`stats`) and the plan (`explain`).

use serde_json::{Value as Json, json};
use weir_promql::{Answer, Explained, SampleValue, Timings, Value};

use crate::json::{put_histogram_point, put_labels, put_point, put_string, put_time};

/// Warnings and infos that are told of each, as in Prometheus.
const MAX_NOTES: usize = 10;

/// What to write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    /// Most series; the rest is cut off with a warning.
    pub(crate) limit: Option<usize>,
    /// What `data.stats` says.
    pub(crate) stats: Option<Json>,
    /// What `data.explain` says.
    pub(crate) explain: Option<Json>,
}

/// Writes an answer.
pub(crate) fn encode(answer: &Answer, shape: &Shape) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut truncated = false;
    let limit = shape.limit.unwrap_or(usize::MAX);
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"resultType\":");
    match &answer.value {
        Value::Scalar { timestamp_ms, value } => {
            out.extend_from_slice(b"\"scalar\",\"result\":");
            put_point(&mut out, *timestamp_ms, *value);
        }
        Value::String { timestamp_ms, text } => {
            out.extend_from_slice(b"\"string\",\"result\":[");
            put_time(&mut out, *timestamp_ms);
            out.push(b',');
            put_string(&mut out, text);
            out.push(b']');
        }
        Value::Vector(samples) => {
            truncated = samples.len() > limit;
            out.extend_from_slice(b"\"vector\",\"result\":");
            put_list(&mut out, samples.iter().take(limit), |out, sample| {
                out.extend_from_slice(b"{\"metric\":");
                put_labels(out, &sample.labels);
                match &sample.value {
                    SampleValue::Float(value) => {
                        out.extend_from_slice(b",\"value\":");
                        put_point(out, sample.timestamp_ms, *value);
                    }
                    SampleValue::Histogram(histogram) => {
                        out.extend_from_slice(b",\"histogram\":");
                        put_histogram_point(out, sample.timestamp_ms, histogram);
                    }
                }
                out.push(b'}');
            });
        }
        Value::Matrix(series) => {
            truncated = series.len() > limit;
            out.extend_from_slice(b"\"matrix\",\"result\":");
            put_list(&mut out, series.iter().take(limit), |out, series| {
                out.extend_from_slice(b"{\"metric\":");
                put_labels(out, &series.labels);
                if !series.floats.is_empty() {
                    out.extend_from_slice(b",\"values\":");
                    put_list(out, series.floats.iter(), |out, (at, value)| put_point(out, *at, *value));
                }
                if !series.histograms.is_empty() {
                    out.extend_from_slice(b",\"histograms\":");
                    put_list(out, series.histograms.iter(), |out, (at, h)| put_histogram_point(out, *at, h));
                }
                out.push(b'}');
            });
        }
    }
    for (name, told) in [("stats", &shape.stats), ("explain", &shape.explain)] {
        if let Some(told) = told {
            out.extend_from_slice(format!(",\"{name}\":{told}").as_bytes());
        }
    }
    out.push(b'}');
    let mut warnings = cut(&answer.warnings, "warning");
    if truncated {
        warnings.push("results truncated due to limit".to_owned());
    }
    for (name, notes) in [("warnings", warnings), ("infos", cut(&answer.infos, "info"))] {
        if !notes.is_empty() {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            put_list(&mut out, notes.iter(), |out, note| put_string(out, note));
        }
    }
    out.push(b'}');
    out
}

/// The first notes, and how many there are beyond.
fn cut(notes: &[String], kind: &str) -> Vec<String> {
    let mut told: Vec<String> = notes.iter().take(MAX_NOTES).cloned().collect();
    if notes.len() > MAX_NOTES {
        told.push(format!("{} more {kind} annotations omitted", notes.len() - MAX_NOTES));
    }
    told
}

fn put_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(out, item);
    }
    out.push(b']');
}

/// Figures of an evaluation as Prometheus tells them, times in seconds. `grid` has the first step and their
/// distance in milliseconds when every step is to be told.
pub(crate) fn stats(answer: &Answer, queued: std::time::Duration, grid: Option<(i64, i64)>) -> Json {
    let stats = &answer.stats;
    let Timings { preparing, evaluating, sorting } = stats.timings;
    let mut samples = json!({
        "totalQueryableSamples": stats.samples_per_step.iter().sum::<u64>(),
        "peakSamples": stats.peak_points,
    });
    if let Some((start_ms, step_ms)) = grid {
        let at = |step: usize| (start_ms + step_ms * step as i64) as f64 / 1000.0;
        let steps = stats.samples_per_step.iter().enumerate();
        samples["totalQueryableSamplesPerStep"] =
            steps.map(|(step, count)| json!([at(step), count])).collect();
    }
    json!({
        "timings": {
            "evalTotalTime": (preparing + evaluating).as_secs_f64(),
            "resultSortTime": sorting.as_secs_f64(),
            "queryPreparationTime": preparing.as_secs_f64(),
            "innerEvalTime": evaluating.saturating_sub(sorting).as_secs_f64(),
            "execQueueTime": queued.as_secs_f64(),
            "execTotalTime": (queued + preparing + evaluating).as_secs_f64(),
        },
        "samples": samples,
    })
}

/// A node of a plan.
pub(crate) fn plan(node: &Explained) -> Json {
    let mut told = json!({
        "expr": node.expr,
        "kind": node.kind,
        "series": node.series,
        "samplesRead": node.samples_read,
        "seconds": node.seconds,
    });
    if node.steps > 0 {
        told["steps"] = node.steps.into();
    }
    if node.repeated {
        told["repeated"] = true.into();
    }
    if let Some(storage) = &node.storage {
        told["storage"] = json!({
            "series": storage.series,
            "bytes": storage.stats.bytes,
            "blocks": storage.stats.blocks,
            "cachedIndexes": storage.stats.cached_indexes,
            "tier": storage.stats.tier,
            "seconds": storage.seconds,
            "shared": storage.shared,
        });
    }
    if !node.children.is_empty() {
        told["children"] = node.children.iter().map(plan).collect();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_beyond_ten_are_counted() {
        let notes: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let told = cut(&notes, "info");
        assert_eq!((told.len(), told[10].as_str()), (11, "2 more info annotations omitted"));
        assert_eq!(cut(&notes[..10], "info").len(), 10);
    }
}
