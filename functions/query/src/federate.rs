//! `/federate`: the latest sample of every selected series as Prometheus text, for another Prometheus to
//! scrape.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use weir_formats::text::exposition::{Names, Page};
use weir_lake::Selection;
use weir_model::{Histogram, Labels, Matcher, SCHEMA_CUSTOM_BUCKETS, Samples, Temporality, is_stale_nan};

use crate::error::ApiError;
use crate::router::{Asked, Query};

/// Most bytes of a page.
const MAX_PAGE_BYTES: usize = 256 << 20;

/// A series' latest sample.
enum Latest {
    Float(f64),
    /// One with custom buckets; others cannot be written as text, so Prometheus leaves them out, too.
    Histogram(std::sync::Arc<Histogram>),
}

/// Series by labels, which several selectors may find.
type Found = HashMap<Labels, (i64, Latest)>;

pub(crate) async fn answer(query: &Query, asked: &Asked, headers: &HeaderMap) -> Result<Response, ApiError> {
    let inner = &query.0;
    let timeout = inner.options.timeout;
    let Ok(Ok(_turn)) = tokio::time::timeout(timeout, inner.turns.clone().acquire_owned()).await else {
        return Err(ApiError::timeout("federation timed out in the query queue"));
    };
    let mut found = Found::new();
    for matchers in asked.params.selectors("match[]")? {
        select(query, asked, matchers, &mut found).await?;
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (names, escaping) = if accept.contains("escaping=allow-utf-8") {
        (Names::Utf8, "allow-utf-8")
    } else {
        (Names::Underscores, "underscores")
    };
    let mut page = Page::new(names);
    let mut found: Vec<(Labels, (i64, Latest))> = found.into_iter().collect();
    // Samples of a metric have to stand together.
    found.sort_by(|(a, _), (b, _)| a.metric_name().cmp(b.metric_name()).then_with(|| a.iter().cmp(b.iter())));
    for (labels, (timestamp_ms, latest)) in &found {
        // An empty instance keeps the scraping Prometheus from putting its own there.
        let more: &[(&str, &str)] = if labels.get("instance").is_none() { &[("instance", "")] } else { &[] };
        match latest {
            Latest::Float(value) => page.float(labels.borrowed(), more, *value, *timestamp_ms),
            Latest::Histogram(histogram) => {
                page.histogram(labels.borrowed(), more, histogram, *timestamp_ms);
            }
        }
        if page.len() > MAX_PAGE_BYTES {
            return Err(ApiError::execution(format!(
                "the page has more than {MAX_PAGE_BYTES} bytes; select fewer series"
            )));
        }
    }
    let content_type = format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}");
    Ok(([(header::CONTENT_TYPE, content_type)], page.finish()).into_response())
}

/// Adds the latest samples, within the lookback, of the series that match.
async fn select(
    query: &Query,
    asked: &Asked,
    matchers: Vec<Matcher>,
    found: &mut Found,
) -> Result<(), ApiError> {
    let options = &query.0.options;
    let end_ms = query.0.clock.now_ms();
    let lookback_ms = i64::try_from(options.lookback.as_millis()).unwrap_or(i64::MAX);
    let start_ms = end_ms.saturating_sub(lookback_ms);
    let selection =
        Selection { matchers, start_ms, end_ms, max_series: options.max_series, bypass_cache: false };
    let selection = query.0.lake.select(&asked.tenant, &selection).await?;
    let mut reader = selection.reader();
    let mut samples = Samples::default();
    for (index, series) in selection.series().iter().enumerate() {
        // The latest change of a delta series would be taken for its state.
        if series.labels.metric_name().is_empty() || series.temporality == Temporality::Delta {
            continue;
        }
        reader.read(index, &mut samples)?;
        let Some((at_ms, latest)) = latest(&samples) else { continue };
        found.insert(series.labels.clone(), (at_ms, latest));
    }
    Ok(())
}

/// The last sample, unless the series has ended or the sample has no form in the text.
fn latest(samples: &Samples) -> Option<(i64, Latest)> {
    let float = samples.timestamps.last().copied().zip(samples.values.last().copied());
    let histogram = samples.histograms.last().filter(|(at_ms, _)| float.is_none_or(|float| *at_ms > float.0));
    if let Some((at_ms, histogram)) = histogram {
        let fits = histogram.schema == SCHEMA_CUSTOM_BUCKETS && !is_stale_nan(histogram.sum);
        return fits.then(|| (*at_ms, Latest::Histogram(histogram.clone())));
    }
    float.filter(|(_, value)| !is_stale_nan(*value)).map(|(at_ms, value)| (at_ms, Latest::Float(value)))
}
