//! What every function's `main` does first: settings, logs, clients, the lake.

use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use weir_api::{ADMIN_KEY_VARIABLE, API_KEY_VARIABLE, Gate, ShortKey};
use weir_lake::{DirectStream, Lake, LakeError, LakeOptions};
use weir_platform::{Bucket, Clock, Notifier, Sink, Stream, SystemClock, Telemetry};

use crate::account::Account;
use crate::bucket::S3Bucket;
use crate::emf::Emf;
use crate::lambda::Error;
use crate::notify::{SnsNotifier, SnsOptions};
use crate::sinks::{CloudWatchSink, SinkOptions, TimestreamSink};
use crate::stream::{KinesisOptions, KinesisStream};

/// The variables that functions read besides those that Lambda sets; template.yaml sets them all.
pub const VARIABLES: [&str; 9] = [
    "WEIR_BUCKET",
    "WEIR_STREAM",
    "WEIR_LOG",
    API_KEY_VARIABLE,
    ADMIN_KEY_VARIABLE,
    "WEIR_EXTERNAL_URL",
    "ALERT_TOPIC_ARN",
    "WEIR_CLOUDWATCH_NAMESPACE",
    "WEIR_TIMESTREAM_TABLE",
];

/// How old what a function knows of the lake may be before it looks again: each look is a few requests.
const REFRESH_MS: i64 = 1_000;
/// Memory of a function that does not say.
const DEFAULT_MEMORY_BYTES: usize = 1 << 30;

/// A variable is missing or of no use.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is not set, or empty.
    #[error("the environment variable {name} is not set; template.yaml or Lambda should")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// The table is not named with its database.
    #[error("WEIR_TIMESTREAM_TABLE is {found:?}; a table is named as DATABASE/TABLE")]
    Table {
        /// What the variable says.
        found: String,
    },
    /// A key is one that could be guessed.
    #[error(transparent)]
    Key(#[from] ShortKey),
}

/// A function's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `WEIR_BUCKET`: the bucket that holds the lake.
    pub bucket: String,
    /// `WEIR_STREAM`: the Kinesis stream; without one, `ingest` writes to the lake itself.
    pub stream: Option<String>,
    /// `WEIR_CLOUDWATCH_NAMESPACE`: where chosen series go in CloudWatch; without it nowhere there.
    pub cloudwatch_namespace: Option<String>,
    /// `WEIR_TIMESTREAM_TABLE`, as DATABASE/TABLE: where chosen series go in Timestream; without it nowhere there.
    pub timestream_table: Option<(String, String)>,
    /// `WEIR_API_KEY` and `WEIR_ADMIN_KEY`: who may use the API, and the admin API.
    pub gate: Gate,
    /// `WEIR_EXTERNAL_URL`: what links in alerts begin with; empty for links without a host.
    pub external_url: String,
    /// `WEIR_LOG`: what is logged, as tracing's filters say it.
    pub log: String,
    /// The function's name, as Lambda says.
    pub function: String,
    /// Memory of the execution environment, as Lambda says.
    pub memory_bytes: usize,
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    /// [`SettingsError`] when there is no bucket, or a key is short.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let [bucket, stream, log, api_key, admin_key, external_url, _, namespace, table] = VARIABLES;
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let memory = set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|mib| mib.parse::<usize>().ok());
        Ok(Self {
            bucket: set(bucket).ok_or(SettingsError::Missing { name: bucket })?,
            stream: set(stream),
            cloudwatch_namespace: set(namespace),
            timestream_table: set(table).map(database_and_table).transpose()?,
            gate: Gate::cloud(set(api_key).as_deref(), set(admin_key).as_deref())?,
            external_url: set(external_url).unwrap_or_default(),
            log: set(log).unwrap_or_else(|| "info".to_owned()),
            function: set("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "weir".to_owned()),
            memory_bytes: memory.map_or(DEFAULT_MEMORY_BYTES, |mib| mib.saturating_mul(1 << 20)),
        })
    }
}

fn database_and_table(text: String) -> Result<(String, String), SettingsError> {
    match text.split_once('/') {
        Some((database, table)) if !database.is_empty() && !table.is_empty() => {
            Ok((database.to_owned(), table.to_owned()))
        }
        _ => Err(SettingsError::Table { found: text }),
    }
}

/// A function's surroundings, made once per execution environment.
#[derive(Clone)]
pub struct Wiring {
    settings: Settings,
    account: Account,
    clock: Arc<dyn Clock>,
    telemetry: Arc<Telemetry>,
}

impl Wiring {
    /// Reads the process's environment and starts logging, one JSON object a line.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is missing.
    pub fn from_environment() -> Result<Self, SettingsError> {
        let variable = |name: &str| std::env::var(name).ok();
        let settings = Settings::from_variables(variable)?;
        // A second subscriber in one process (as in tests) is refused; the first one stays.
        let _ = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(EnvFilter::try_new(&settings.log).unwrap_or_else(|_| EnvFilter::new("info")))
            .try_init();
        let account = Account::from_variables(variable)?;
        Ok(Self { settings, account, clock: Arc::new(SystemClock), telemetry: Arc::default() })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// What the function counts about itself.
    #[must_use]
    pub fn telemetry(&self) -> Arc<Telemetry> {
        self.telemetry.clone()
    }

    pub(crate) fn emf(&self) -> Arc<Emf> {
        Arc::new(Emf::new(self.settings.function.clone(), self.telemetry(), self.clock()))
    }

    /// Opens the lake in the bucket to ask it, or to put it in order.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or an object is damaged.
    pub async fn lake(&self) -> Result<Arc<Lake>, LakeError> {
        self.open(true).await
    }

    /// Opens the lake in the bucket to append to it: no hot samples are kept in memory.
    ///
    /// # Errors
    /// As [`Wiring::lake`].
    pub async fn lake_to_append(&self) -> Result<Arc<Lake>, LakeError> {
        self.open(false).await
    }

    /// What routes of alerts name: the topic of template.yaml, and variables that people add for secrets.
    pub fn environment(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static + use<> {
        |name| std::env::var(name).ok()
    }

    /// Publishes to SNS topics.
    #[must_use]
    pub fn topics(&self) -> Arc<dyn Notifier> {
        Arc::new(SnsNotifier::new(&self.account, SnsOptions::default()))
    }

    /// The sinks that are on.
    ///
    /// # Errors
    /// When Timestream does not say where it is.
    pub async fn sinks(&self) -> Result<Vec<Arc<dyn Sink>>, Error> {
        let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
        let (account, options) = (&self.account, SinkOptions::default());
        if let Some(namespace) = &self.settings.cloudwatch_namespace {
            sinks.push(Arc::new(CloudWatchSink::new(account, namespace, self.clock(), options)));
        }
        if let Some((database, table)) = &self.settings.timestream_table {
            sinks
                .push(Arc::new(TimestreamSink::open(account, database, table, self.clock(), options).await?));
        }
        Ok(sinks)
    }

    /// The bucket that holds the lake.
    #[must_use]
    pub fn bucket(&self) -> Arc<dyn Bucket> {
        Arc::new(S3Bucket::new(&self.account, &self.settings.bucket))
    }

    async fn open(&self, keep_hot: bool) -> Result<Arc<Lake>, LakeError> {
        let options = LakeOptions {
            sole_writer: false,
            keep_hot,
            refresh_ms: REFRESH_MS,
            index_memory_bytes: self.settings.memory_bytes / 4,
            ..LakeOptions::default()
        };
        Lake::open(self.bucket(), self.clock(), options).await
    }

    /// Where `ingest` puts records: the Kinesis stream, or in direct mode the lake.
    ///
    /// # Errors
    /// [`LakeError`] when there is no stream and the lake cannot be opened.
    pub async fn stream(&self) -> Result<Arc<dyn Stream>, LakeError> {
        Ok(match &self.settings.stream {
            Some(name) => Arc::new(KinesisStream::new(&self.account, name, KinesisOptions::default())),
            None => Arc::new(DirectStream::new(self.lake_to_append().await?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_environment_and_name_what_is_missing() {
        let with = |pairs: &'static [(&str, &str)]| {
            Settings::from_variables(|name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let error = with(&[("WEIR_BUCKET", "")]).unwrap_err().to_string();
        assert!(error.contains("WEIR_BUCKET"), "{error}");
        let error = with(&[("WEIR_BUCKET", "b"), ("WEIR_TIMESTREAM_TABLE", "t")]).unwrap_err().to_string();
        assert!(error.contains("\"t\"; a table is named as DATABASE/TABLE"), "{error}");
        let direct = with(&[("WEIR_BUCKET", "b"), ("WEIR_STREAM", "")]).unwrap();
        assert_eq!((direct.stream, direct.log.as_str()), (None, "info"));
        let small =
            with(&[("WEIR_BUCKET", "b"), ("WEIR_STREAM", "s"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")]);
        let small = small.unwrap();
        assert_eq!((small.stream.as_deref(), small.memory_bytes), (Some("s"), 128 << 20));
    }
}
