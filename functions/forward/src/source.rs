//! Where the rules come from: a file that stays as it is, or the bucket, read again while the function lives.

use std::sync::Arc;

use tokio::sync::Mutex;
use weir_platform::{Bucket, BucketError, Clock, Telemetry};

use crate::metrics;
use crate::rules::SinkRules;

/// Where people put rules of their own in the bucket.
pub const RULES_KEY: &str = "config/sinks.yaml";
/// How old rules may be; each look is a request.
const REFRESH_MS: i64 = 60_000;

/// The rules in force.
pub struct RuleSource {
    origin: Origin,
    kept: Mutex<Kept>,
}

enum Origin {
    Fixed,
    Bucket { bucket: Arc<dyn Bucket>, clock: Arc<dyn Clock> },
}

struct Kept {
    rules: Arc<SinkRules>,
    read_ms: Option<i64>,
}

impl RuleSource {
    /// These, always.
    #[must_use]
    pub fn fixed(rules: SinkRules) -> Self {
        Self::new(Origin::Fixed, rules)
    }

    /// Those under [`RULES_KEY`] in the bucket; none while there is no such file.
    #[must_use]
    pub fn bucket(bucket: Arc<dyn Bucket>, clock: Arc<dyn Clock>) -> Self {
        Self::new(Origin::Bucket { bucket, clock }, SinkRules::default())
    }

    fn new(origin: Origin, rules: SinkRules) -> Self {
        Self { origin, kept: Mutex::new(Kept { rules: Arc::new(rules), read_ms: None }) }
    }

    /// The rules in force. A file that cannot be used is told, and those before it stay.
    ///
    /// # Errors
    /// [`BucketError`] when the bucket fails and nothing was read before.
    pub(crate) async fn rules(&self, telemetry: &Telemetry) -> Result<Arc<SinkRules>, BucketError> {
        let mut kept = self.kept.lock().await;
        let Origin::Bucket { bucket, clock } = &self.origin else { return Ok(kept.rules.clone()) };
        let now_ms = clock.now_ms();
        if kept.read_ms.is_some_and(|at| now_ms.saturating_sub(at) < REFRESH_MS) {
            return Ok(kept.rules.clone());
        }
        let read = match bucket.get(RULES_KEY).await {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => SinkRules::parse(RULES_KEY, text).map_err(|error| error.to_string()),
                Err(error) => Err(format!("{RULES_KEY}: {error}")),
            },
            Err(BucketError::NotFound { .. }) => Ok(SinkRules::default()),
            Err(error) if kept.read_ms.is_some() => {
                tracing::warn!(%error, "the rules of sinks cannot be read again; those before stay in force");
                return Ok(kept.rules.clone());
            }
            Err(error) => return Err(error),
        };
        match read {
            Ok(rules) => kept.rules = Arc::new(rules),
            Err(reason) => {
                telemetry.add(&metrics::RULES_REFUSED, &[], 1.0);
                tracing::error!(reason, "the rules of sinks are refused; those before stay in force");
            }
        }
        kept.read_ms = Some(now_ms);
        Ok(kept.rules.clone())
    }
}
