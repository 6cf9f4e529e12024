//! Requests to a Weir, tried again while that may help.

use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Server;

/// How long one request is tried again before the whole transfer gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// First wait before another try; it doubles up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// A Weir to talk to.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    server: Server,
}

/// A body to send.
pub(super) struct Post {
    /// Path and query string.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) encoding: &'static str,
    /// Marks further tries of the same body as such.
    pub(super) key: String,
    pub(super) body: Vec<u8>,
}

/// What became of a body.
#[derive(Debug, Default, Clone)]
pub(super) struct Outcome {
    /// Entries refused.
    pub(super) rejected: u64,
    /// The first of them, with place and reason.
    pub(super) first: Vec<String>,
}

/// The part of an ingest answer that matters here.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    first: Vec<Refusal>,
    /// Absent where nothing of the body was looked at.
    accepted: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Refusal {
    place: String,
    reason: String,
}

impl Client {
    pub(super) fn new(server: &Server) -> Result<Self> {
        let mut server = server.clone();
        server.url.truncate(server.url.trim_end_matches('/').len());
        if !server.url.starts_with("http://") && !server.url.starts_with("https://") {
            bail!("--url {:?} is no address; write for instance http://127.0.0.1:7070", server.url);
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .build()
            .into();
        Ok(Self { agent, server })
    }

    /// Sends a body until it is taken, refused for good, or too long was tried.
    pub(super) fn post(&self, post: &Post) -> Result<Outcome> {
        let started = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let error = match self.try_post(post)? {
                Tried::Done(outcome) => return Ok(outcome),
                Tried::Later(error) => error,
            };
            if started.elapsed() > GIVE_UP_AFTER {
                return Err(error.context(format!(
                    "{} did not take a request for {} s",
                    self.server.url,
                    GIVE_UP_AFTER.as_secs()
                )));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    fn try_post(&self, post: &Post) -> Result<Tried> {
        let mut request = self
            .agent
            .post(format!("{}{}", self.server.url, post.path))
            .header("content-type", post.content_type)
            .header("content-encoding", post.encoding)
            .header("idempotency-key", &post.key);
        if let Some(tenant) = &self.server.tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        if let Some(key) = &self.server.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = match request.send(&post.body[..]) {
            Ok(response) => response,
            Err(error) => return Ok(Tried::Later(anyhow::Error::new(error))),
        };
        let status = response.status().as_u16();
        let text = response.into_body().with_config().limit(MAX_ANSWER_BYTES).read_to_string();
        let text = match text {
            Ok(text) => text,
            Err(error) => return Ok(Tried::Later(anyhow::Error::new(error))),
        };
        let answer: Option<Answer> = serde_json::from_str(&text).ok();
        Ok(match (status, answer) {
            (200..300, answer) => Tried::Done(answer.map_or_else(Outcome::default, Outcome::from)),
            // Partly bad: what is good is stored.
            (400, Some(answer)) if answer.accepted.is_some() => Tried::Done(answer.into()),
            (429 | 500.., answer) => {
                let reason = answer.map_or(text, |answer| answer.error);
                Tried::Later(anyhow::anyhow!("it answers {status}: {reason}"))
            }
            (_, answer) => bail!("{} answers {status}: {}", post.path, answer.map_or(text, |a| a.error)),
        })
    }

    /// Opens an answer that is read while it is sent, with its size if it is known.
    pub(super) fn open(&self, path: &str) -> Result<(Option<u64>, impl Read + use<>)> {
        let mut request = self.agent.get(format!("{}{path}", self.server.url));
        if let Some(tenant) = &self.server.tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        if let Some(key) = &self.server.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response =
            request.call().with_context(|| format!("{} does not answer; is it running?", self.server.url))?;
        let status = response.status().as_u16();
        if status != 200 {
            let text = response.into_body().with_config().limit(MAX_ANSWER_BYTES).read_to_string()?;
            let reason = serde_json::from_str::<Answer>(&text).map_or(text, |answer| answer.error);
            bail!("{} answers {status}: {reason}", self.server.url);
        }
        let size = response.headers().get("content-length").and_then(|size| size.to_str().ok()?.parse().ok());
        Ok((size, response.into_body().into_reader()))
    }
}

enum Tried {
    Done(Outcome),
    Later(anyhow::Error),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        let first = answer.first.into_iter().map(|refusal| format!("{}: {}", refusal.place, refusal.reason));
        Self { rejected: answer.rejected, first: first.collect() }
    }
}
