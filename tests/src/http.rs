//! A blocking HTTP client for tests: any status is an answer.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

fn reply(response: ureq::http::Response<ureq::Body>) -> Result<Reply> {
    let (parts, mut body) = response.into_parts();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or("").to_owned();
    Ok(Reply {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.with_config().limit(256 << 20).read_to_vec()?,
    })
}

/// Keeps connections open between requests.
pub struct Client(ureq::Agent);

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client without connections yet.
    #[must_use]
    pub fn new() -> Self {
        Self(agent())
    }

    /// `GET`
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        let mut request = self.0.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.call()?)
    }

    /// `POST`
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        let mut request = self.0.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.send(body)?)
    }
}

impl Client {
    /// A request of any method, without a body.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = self.0.configure_request(request.body(())?).allow_non_standard_methods(true).build();
        reply(self.0.run(request)?)
    }
}

/// `GET` on a connection of its own.
///
/// # Errors
/// When there is no answer.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    Client::new().get(url, headers)
}

/// `POST` on a connection of its own.
///
/// # Errors
/// When there is no answer.
pub fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
    Client::new().post(url, headers, body)
}

/// Percent-encodes a query parameter's value.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}
