//! The load of a running Weir, from what it has counted about itself.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::load::{Assumptions, Load};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 16 << 20;
/// Shortest time that says anything about a month.
const SHORTEST: Duration = Duration::from_secs(300);

/// Counters as they were read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) load: Load,
    seconds: f64,
    samples_per_request: f64,
    request_bytes_per_sample: f64,
    queries_per_minute: f64,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    data: Option<T>,
    #[serde(default)]
    error: String,
}

#[derive(Debug, Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(rename = "headStats")]
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    #[serde(rename = "numSeries")]
    series: f64,
}

/// Asks a Weir for what it took in and answered within a period.
pub(super) fn measure(
    url: &str,
    tenant: Option<&str>,
    api_key: Option<&str>,
    period: Duration,
) -> Result<Measured> {
    let url = url.trim_end_matches('/');
    if !url.starts_with("http://") && !url.starts_with("https://") {
        bail!("--url {url:?} is no address; write for instance http://127.0.0.1:7070");
    }
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let ask = |path: &str| ask(&agent, url, path, tenant, api_key);
    let counter = |name: &str| -> Result<Vec<Series>> {
        let query = serde_urlencoded::to_string([("query", format!("{name}[{}ms]", period.as_millis()))])?;
        let text = ask(&format!("/api/v1/query?{query}"))?;
        read::<Matrix>(&text).map(|matrix| matrix.result).with_context(|| format!("{url}: {name}"))
    };
    // Not those that `weir up` collects by itself: they come without a request, and not at all on AWS.
    let samples = counter("weir_ingest_samples_accepted_total{dialect!=\"own\"}")?;
    let requests = counter("weir_ingest_requests_total")?;
    let bytes = counter("weir_ingest_bytes_total")?;
    let queries = counter("weir_query_requests_total")?;
    let status: Status = read(&ask("/api/v1/status/tsdb")?).with_context(|| format!("{url}: status"))?;
    Measured::of([&samples, &requests, &bytes, &queries], status.head.series)
        .with_context(|| format!("{url} has counted too little in the last {} s", period.as_secs()))
}

fn ask(
    agent: &ureq::Agent,
    url: &str,
    path: &str,
    tenant: Option<&str>,
    api_key: Option<&str>,
) -> Result<String> {
    let mut request = agent.get(format!("{url}{path}"));
    if let Some(tenant) = tenant {
        request = request.header("x-scope-orgid", tenant);
    }
    if let Some(key) = api_key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let answer = request.call().with_context(|| format!("{url} does not answer; is it running?"))?;
    let mut text = String::new();
    let mut body = answer.into_body().into_reader().take(MAX_ANSWER_BYTES);
    body.read_to_string(&mut text).with_context(|| format!("{url}{path}"))?;
    Ok(text)
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    let answer: Answer<T> = serde_json::from_str(text).context("answers something else than Weir does")?;
    answer.data.with_context(|| format!("it answers: {}", answer.error))
}

impl Measured {
    /// From samples of the counters of samples, requests, bytes of requests, and queries.
    fn of(counters: [&[Series]; 4], series: f64) -> Result<Self> {
        let [samples, requests, bytes, queries] = counters;
        let times = samples.iter().flat_map(|series| series.values.iter().map(|(time, _)| *time));
        let (first, last) = times.fold((f64::MAX, f64::MIN), |(low, high), t| (low.min(t), high.max(t)));
        let seconds = (last - first).max(0.0);
        if seconds < SHORTEST.as_secs_f64() {
            bail!(
                "its counters of samples sent to it cover {seconds:.0} s and a month needs at least {} s; wait, or ask for a longer \
                 --period (a Weir started with --no-self has none)",
                SHORTEST.as_secs()
            );
        }
        let [samples, requests, bytes, queries] =
            [increase(samples)?, increase(requests)?, increase(bytes)?, increase(queries)?];
        if samples <= 0.0 {
            bail!("it accepted no samples of others in {seconds:.0} s; send some first");
        }
        if series <= 0.0 {
            bail!("it knows of no series");
        }
        let load = Load { series, samples_per_second: samples / seconds };
        let per_request = if requests > 0.0 { (samples / requests).max(1.0) } else { 0.0 };
        Ok(Self {
            load,
            seconds,
            samples_per_request: per_request,
            request_bytes_per_sample: bytes / samples,
            queries_per_minute: queries / seconds * 60.0,
        })
    }

    /// Puts what was measured in the place of what was assumed.
    pub(super) fn apply(&self, a: &mut Assumptions) {
        a.queries_per_minute = self.queries_per_minute;
        if self.samples_per_request > 0.0 {
            a.samples_per_request = self.samples_per_request;
            a.request_bytes_per_sample = self.request_bytes_per_sample;
            // The size of requests is known: no deadline is to cut them further.
            a.send_deadline_seconds =
                (self.samples_per_request * a.senders / self.load.samples_per_second).max(1e-9);
        }
    }

    /// Where the figures come from.
    pub(super) fn basis(&self, url: &str) -> String {
        format!(
            "{url}, measured over {:.0} s and scaled to a month: {:.0} samples a second of {:.0} series, {:.1} \
             samples a request, {:.1} queries a minute. What its waiting and CPU cost is assumed as below.",
            self.seconds,
            self.load.samples_per_second,
            self.load.series,
            self.samples_per_request,
            self.queries_per_minute
        )
    }
}

/// What counters grew by, from their first samples on; one that fell was started again.
fn increase(counters: &[Series]) -> Result<f64> {
    let mut sum = 0.0;
    for counter in counters {
        let mut before: Option<f64> = None;
        for (_, text) in &counter.values {
            let value: f64 = text.parse().with_context(|| format!("value {text:?} is no number"))?;
            if !value.is_finite() {
                continue;
            }
            sum += before.map_or(0.0, |before| if value < before { value } else { value - before });
            before = Some(value);
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(values: &[(f64, f64)]) -> Vec<Series> {
        vec![Series { values: values.iter().map(|(time, value)| (*time, value.to_string())).collect() }]
    }

    #[test]
    fn counters_become_rates_over_the_time_they_cover() {
        let samples = counter(&[(0.0, 500.0), (300.0, 30_500.0), (600.0, 60_500.0)]);
        let requests = counter(&[(0.0, 7.0), (600.0, 127.0)]);
        let bytes = counter(&[(0.0, 0.0), (600.0, 1_200_000.0)]);
        let queries = counter(&[(0.0, 0.0), (600.0, 50.0)]);
        let found = Measured::of([&samples, &requests, &bytes, &queries], 1500.0).unwrap();
        assert_eq!(found.load, Load { series: 1500.0, samples_per_second: 100.0 });
        assert_eq!((found.samples_per_request, found.request_bytes_per_sample), (500.0, 20.0));
        assert_eq!(found.queries_per_minute, 5.0);
        let mut assumed = Assumptions::default();
        found.apply(&mut assumed);
        // The deadline is set so that a request has as many samples as were measured.
        assert_eq!(assumed.send_deadline_seconds * found.load.samples_per_second, 500.0);
    }

    #[test]
    fn a_restart_does_not_take_away_what_was_counted() {
        let counter = counter(&[(0.0, 10.0), (1.0, 25.0), (2.0, 4.0), (3.0, 6.0)]);
        assert_eq!(increase(&counter).unwrap(), 15.0 + 4.0 + 2.0);
    }

    #[test]
    fn too_little_is_said_with_what_to_do() {
        let none: &[Series] = &[];
        let short = counter(&[(0.0, 1.0), (299.0, 2.0)]);
        let still = counter(&[(0.0, 5.0), (600.0, 5.0)]);
        for (samples, part) in
            [(none, "cover 0 s"), (&short, "cover 299 s"), (&still, "accepted no samples of others in 600 s")]
        {
            let error = Measured::of([samples, none, none, none], 1.0).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
