//! Asks the engine on behalf of rules and of their templates.

use std::sync::Arc;

use weir_model::Labels;
use weir_promql::ast::Expr;
use weir_promql::{InstantSample, Query, QueryError, SampleValue, Storage, Value, evaluate, parse};

use super::Settings;
use crate::template::{Answers, Data, Expansion, Template, TemplateSample};

/// Most different queries that one text may ask.
const MAX_QUERIES: usize = 20;
/// Most answers kept while one rule is evaluated.
const MAX_ANSWERS: usize = 1_000;
/// Most samples of a query that a template sees.
const MAX_TEMPLATE_SAMPLES: usize = 10_000;

/// A rule could not be evaluated; what it gave before stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The engine refused the expression or could not read what it needs.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Two results became one series once the rule's labels were on them.
    #[error("vector contains metrics with the same labelset after applying {0} labels")]
    SameLabels(&'static str),
    /// More results than the group allows.
    #[error("exceeded limit of {limit} with {found} {what}")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// How many there are.
        found: usize,
        /// Series or alerts.
        what: &'static str,
    },
    /// The expression gives a text or a range.
    #[error("rule result is not a vector or scalar")]
    NotAVector,
}

/// Asks one storage.
pub(super) struct Asker<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) settings: &'a Settings,
}

impl Asker<'_> {
    /// The samples of an expression at one time; a scalar is a sample without labels.
    pub(super) async fn instant(
        &self,
        expr: &Expr,
        text: &str,
        at_ms: i64,
    ) -> Result<Vec<InstantSample>, RuleError> {
        let mut query = Query::instant(expr.clone(), text, at_ms);
        query.lookback_ms = self.settings.lookback_ms;
        match evaluate(self.storage, &query, &self.settings.limits).await?.value {
            Value::Vector(samples) => Ok(samples),
            Value::Scalar { timestamp_ms, value } => {
                let value = SampleValue::Float(value);
                Ok(vec![InstantSample { labels: Labels::empty(), timestamp_ms, value }])
            }
            Value::String { .. } | Value::Matrix(_) => Err(RuleError::NotAVector),
        }
    }

    /// The text of a template; what fails becomes the text, as in Prometheus.
    pub(super) async fn expand(
        &self,
        template: &Template,
        alert: &str,
        data: &Arc<Data>,
        answers: &mut Answers,
        at_ms: i64,
    ) -> String {
        if let Some(plain) = template.plain() {
            return plain.to_owned();
        }
        for _ in 0..=MAX_QUERIES {
            match template.expand(data, answers, at_ms) {
                Expansion::Done(text) => return text,
                Expansion::Failed(error) => return failure(alert, &error.to_string()),
                Expansion::Asks(query) => {
                    if answers.len() >= MAX_ANSWERS {
                        answers.clear();
                    }
                    let answer = self.answer(&query, at_ms).await;
                    answers.insert(query, answer);
                }
            }
        }
        failure(alert, &format!("template asks more than {MAX_QUERIES} queries"))
    }

    async fn answer(&self, text: &str, at_ms: i64) -> Result<Arc<Vec<TemplateSample>>, String> {
        let expr = parse(text).map_err(|error| error.to_string())?;
        let samples = self.instant(&expr, text, at_ms).await.map_err(|error| error.to_string())?;
        if samples.len() > MAX_TEMPLATE_SAMPLES {
            return Err(format!("query gives {} samples, at most {MAX_TEMPLATE_SAMPLES}", samples.len()));
        }
        let sample =
            |sample: InstantSample| TemplateSample { value: float(&sample.value), labels: sample.labels };
        Ok(Arc::new(samples.into_iter().map(sample).collect()))
    }
}

fn failure(alert: &str, error: &str) -> String {
    tracing::warn!(alert, error, "a template of an alert cannot be expanded");
    format!("<error expanding template: error executing template __alert_{alert}: {error}>")
}

/// The number of a sample; a histogram counts as zero, as in Prometheus.
pub(super) fn float(value: &SampleValue) -> f64 {
    match value {
        SampleValue::Float(x) => *x,
        SampleValue::Histogram(_) => 0.0,
    }
}
