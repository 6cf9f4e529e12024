//! Where the curve behind an alert can be seen.

use super::Guide;

/// How much before an alert's beginning the plot shows, in seconds.
const BEFORE_S: i64 = 3600;
/// Steps of a plot, about: what a screen shows.
const STEPS: i64 = 240;
/// Shortest step, in seconds.
const MIN_STEP_S: i64 = 15;

/// A URL of what the alert measures from an hour before it began until now: the guide's `plot_url`, or Weir's
/// own range query.
pub(super) fn plot_url(guide: &Guide, external_url: &str, query: &str, since_ms: i64, at_ms: i64) -> String {
    let (start, end) = (since_ms.div_euclid(1000) - BEFORE_S, at_ms.div_euclid(1000));
    let step = ((end - start) / STEPS).max(MIN_STEP_S);
    let query = encode(query);
    match &guide.plot_url {
        Some(template) => template
            .replace("{query}", &query)
            .replace("{start}", &start.to_string())
            .replace("{end}", &end.to_string())
            .replace("{step}", &step.to_string()),
        None => {
            let base = external_url.trim_end_matches('/');
            format!("{base}/api/v1/query_range?query={query}&start={start}&end={end}&step={step}")
        }
    }
}

/// Percent-encoding of all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3 / 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_begin_an_hour_before_the_alert() {
        let own = Guide::parse("impacts: []").unwrap();
        assert_eq!(
            plot_url(&own, "https://weir.example/", "up{a=\"ä\"} + 1", 7_200_000, 10_800_000),
            "https://weir.example/api/v1/query_range?query=up%7Ba%3D%22%C3%A4%22%7D%20%2B%201&start=3600&end=10800&step=30"
        );
        let grafana =
            Guide::parse("plot_url: 'https://g/explore?q={query}&from={start}000&to={end}000&s={step}'")
                .unwrap();
        assert_eq!(
            plot_url(&grafana, "", "up", 7_200_000, 7_200_000),
            "https://g/explore?q=up&from=3600000&to=7200000&s=15"
        );
    }
}
