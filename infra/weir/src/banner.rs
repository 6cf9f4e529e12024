//! What `weir up` tells the person who started it.

use std::io::Write;
use std::net::SocketAddr;

use crate::cli::Up;

/// Says what is served and what to try first.
pub(crate) fn welcome(up: &Up, listen: SocketAddr, statsd: Option<SocketAddr>) {
    let url = format!("http://{listen}");
    let statsd = statsd.map_or_else(|| "off".to_owned(), |address| format!("udp://{address}"));
    let first_query = if up.no_self { "hello" } else { "host_memory_bytes" };
    let text = format!(
        "weir {version} is up; data in {data}, Ctrl-C stops it

  write   {url}/api/v1/write               Prometheus remote write 1.0 and 2.0
          {url}/api/v1/import/prometheus   Prometheus text, OpenMetrics
          {url}/api/v1/import/json         custom, event and CloudWatch-style JSON (batch: …/import/batch)
          {url}/api/v1/import/statsd       StatsD and DogStatsD lines; the same on {statsd}
  ask     {url}                            as a Prometheus data source in Grafana

Try:
  curl '{url}/api/v1/query?query={first_query}'
  curl -d 'hello{{from=\"curl\"}} 1' {url}/api/v1/import/prometheus
  curl '{url}/api/v1/query?query=hello'
",
        version = env!("CARGO_PKG_VERSION"),
        data = up.data.display(),
    );
    // Nobody reading is no reason to stop.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Says why the command failed.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says one line of progress.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
