//! Where and as whom AWS is called: region, credentials, endpoints and the one HTTP client of them all.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::SdkConfig;
use aws_types::sdk_config::SharedCredentialsProvider;

use crate::wiring::SettingsError;

/// Attempts of one call, the first included.
const ATTEMPTS: u32 = 4;
/// Longest wait for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for one call with its retries: API Gateway gives a request 30 s in all.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Overrides of endpoints, for emulators.
#[derive(Debug, Clone)]
struct Endpoints {
    s3: Option<String>,
    kinesis: Option<String>,
    sns: Option<String>,
    cloudwatch: Option<String>,
    timestream: Option<String>,
}

/// What every client is made of.
#[derive(Debug, Clone)]
pub struct Account {
    region: Region,
    credentials: Credentials,
    endpoints: Endpoints,
    http: SharedHttpClient,
    retry: RetryConfig,
}

impl Account {
    /// Reads the variables that Lambda sets: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`; and for emulators `AWS_ENDPOINT_URL`, or `AWS_ENDPOINT_URL_S3`, `…_KINESIS`,
    /// `…_SNS`, `…_CLOUDWATCH` and `…_TIMESTREAM_WRITE`, which win over it.
    ///
    /// Lambda's credentials live as long as the execution environment, so nothing has to refresh them.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is missing.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| set(name).ok_or(SettingsError::Missing { name });
        let endpoint =
            |service: &str| set(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| set("AWS_ENDPOINT_URL"));
        let tls = Provider::Rustls(CryptoMode::Ring);
        Ok(Self {
            region: Region::new(needed("AWS_REGION")?),
            credentials: Credentials::new(
                needed("AWS_ACCESS_KEY_ID")?,
                needed("AWS_SECRET_ACCESS_KEY")?,
                set("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            endpoints: Endpoints {
                s3: endpoint("S3"),
                kinesis: endpoint("KINESIS"),
                sns: endpoint("SNS"),
                cloudwatch: endpoint("CLOUDWATCH"),
                timestream: endpoint("TIMESTREAM_WRITE"),
            },
            http: aws_smithy_http_client::Builder::new().tls_provider(tls).build_https(),
            retry: RetryConfig::standard().with_max_attempts(ATTEMPTS),
        })
    }

    /// What the clients of a service are made of.
    fn config(&self, endpoint: Option<&String>) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .http_client(self.http.clone())
            .retry_config(self.retry.clone())
            .timeout_config(timeouts);
        config.set_endpoint_url(endpoint.cloned());
        config.build()
    }

    /// A client of S3.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let endpoint = self.endpoints.s3.as_ref();
        let config = aws_sdk_s3::config::Builder::from(&self.config(endpoint));
        // Emulators serve no host name per bucket.
        aws_sdk_s3::Client::from_conf(config.force_path_style(endpoint.is_some()).build())
    }

    /// A client of Kinesis.
    #[must_use]
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&self.config(self.endpoints.kinesis.as_ref()))
    }

    /// A client of SNS.
    #[must_use]
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config(self.endpoints.sns.as_ref()))
    }

    /// A client of CloudWatch.
    #[must_use]
    pub fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.config(self.endpoints.cloudwatch.as_ref()))
    }

    /// A client of Timestream's writing side, and whether its endpoint is overridden: else it has to be asked
    /// for.
    #[must_use]
    pub fn timestream(&self) -> (aws_sdk_timestreamwrite::Client, bool) {
        let endpoint = self.endpoints.timestream.as_ref();
        (aws_sdk_timestreamwrite::Client::new(&self.config(endpoint)), endpoint.is_some())
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
