//! Go templates as rule authors use them in labels and annotations: an interpreter of its own, since no
//! living crate has them, with bounds on size, steps, nesting and queries.
//!
//! Lexing and parsing happen once, when a rule file is read. Execution computes and nothing else: a template
//! that asks a query ends with that wish, its owner answers it, and the template runs again from its start.

mod ast;
mod compare;
mod exec;
mod functions;
mod humanize;
mod lexer;
mod number;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
mod time;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use ast::{Node, Tree};
use exec::{Exec, Stop};
pub use time::rfc3339;
pub use value::{Data, TemplateSample};

/// Longest template in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 64 << 10;
/// Longest text that a template may give, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 64 << 10;

/// A number as Prometheus' API writes the value of an alert: `1e+00`.
#[must_use]
pub fn scientific(value: f64) -> String {
    number::scientific(value, None)
}

/// Answers to a template's queries, by their texts.
pub type Answers = BTreeMap<String, Result<Arc<Vec<TemplateSample>>, String>>;

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: Arc<str>,
    tree: Tree,
}

/// A text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template line {line}: {message}")]
pub struct TemplateError {
    /// The line within the template, from 1.
    pub line: u32,
    /// What is wrong, in the words of Go's templates where they have any.
    pub message: String,
}

/// What became of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// The text.
    Done(String),
    /// The template needs this query's answer; run it again with that.
    Asks(String),
    /// The template failed over this data.
    Failed(TemplateError),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`TemplateError`] says where it is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let tree = parser::parse(text, &["", "labels", "externalLabels", "externalURL", "value"])?;
        Ok(Self { source: text.into(), tree })
    }

    /// The text that it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text itself, when the template is nothing but text.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self.tree.root.as_slice() {
            [] => Some(""),
            [Node::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Runs the template over `data` at the time of an evaluation.
    #[must_use]
    pub fn expand(&self, data: &Arc<Data>, answers: &Answers, at_ms: i64) -> Expansion {
        match Exec::new(&self.tree, data, answers, at_ms).run(data) {
            Ok(text) => Expansion::Done(text),
            Err(Stop::Asks(query)) => Expansion::Asks(query),
            Err(Stop::Failed { line, message }) => Expansion::Failed(TemplateError { line, message }),
            // The parser lets these stand within a range only, which catches them.
            Err(Stop::Break | Stop::Continue) => {
                Expansion::Failed(TemplateError { line: 1, message: "break outside range".to_owned() })
            }
        }
    }
}
