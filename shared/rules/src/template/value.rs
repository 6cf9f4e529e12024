//! Values that templates compute with, and how Go prints them.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_model::Labels;

use super::number::go_float;

/// A sample as the template function `query` gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateSample {
    /// Its labels, the metric's name included.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// What `query` gives.
    Vector(Arc<Vec<TemplateSample>>),
    Sample(Arc<TemplateSample>),
    /// A map of labels: a name it does not hold reads as the empty text.
    Labels(Labels),
    /// What `args` gives.
    Map(Arc<BTreeMap<String, Value>>),
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// What a template is expanded over.
    Data(Arc<Data>),
}

/// What a template is expanded over: `.Labels`, `.ExternalLabels`, `.ExternalURL`, `.Value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Labels of the alert's sample.
    pub labels: Labels,
    /// Labels that this Weir puts on what leaves it.
    pub external_labels: Labels,
    /// Where a person reaches this Weir.
    pub external_url: String,
    /// The sample's value.
    pub value: f64,
}

impl Value {
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(text.as_ref()))
    }

    /// Go's truth: false for nil, zero and what is empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Vector(samples) => !samples.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Sample(_) | Self::Time(_) | Self::Data(_) => true,
        }
    }

    /// Go's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Vector(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "*time.Time",
            Self::Data(_) => "struct",
        }
    }

    /// `.name` of this value.
    pub(super) fn field(&self, name: &str) -> Result<Value, String> {
        match self {
            Self::Labels(labels) => Ok(Self::text(labels.get(name).unwrap_or(""))),
            Self::Map(map) => Ok(map.get(name).cloned().unwrap_or(Self::Nil)),
            Self::Sample(sample) => match name {
                "Labels" => Ok(Self::Labels(sample.labels.clone())),
                "Value" => Ok(Self::Float(sample.value)),
                _ => Err(self.no_field(name)),
            },
            Self::Data(data) => match name {
                "Labels" => Ok(Self::Labels(data.labels.clone())),
                "ExternalLabels" => Ok(Self::Labels(data.external_labels.clone())),
                "ExternalURL" => Ok(Self::text(&data.external_url)),
                "Value" => Ok(Self::Float(data.value)),
                _ => Err(self.no_field(name)),
            },
            Self::Time(ms) => match name {
                "Unix" => Ok(Self::Int(ms.div_euclid(1000))),
                "UTC" => Ok(self.clone()),
                _ => Err(self.no_field(name)),
            },
            Self::Nil => Err(format!("nil data; no entry for key {name:?}")),
            _ => Err(self.no_field(name)),
        }
    }

    fn no_field(&self, name: &str) -> String {
        format!("can't evaluate field {name} in type {}", self.type_name())
    }

    /// Appends the value as Go's `%v` prints it.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("<no value>"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(n) => out.push_str(&format!("{n}")),
            Self::Float(x) => out.push_str(&go_float(*x)),
            Self::Str(text) => out.push_str(text),
            Self::Vector(samples) => {
                out.push('[');
                for (index, sample) in samples.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    print_sample(sample, out);
                }
                out.push(']');
            }
            Self::Sample(sample) => print_sample(sample, out),
            Self::Labels(labels) => print_labels(labels, out),
            Self::Map(map) => {
                out.push_str("map[");
                for (index, (name, value)) in map.iter().enumerate() {
                    let space = if index > 0 { " " } else { "" };
                    out.push_str(&format!("{space}{name}:"));
                    value.print(out);
                }
                out.push(']');
            }
            Self::Time(ms) => out.push_str(&super::time::go_time(*ms)),
            Self::Data(data) => {
                out.push('{');
                print_labels(&data.labels, out);
                out.push(' ');
                print_labels(&data.external_labels, out);
                out.push_str(&format!(" {} {}}}", data.external_url, go_float(data.value)));
            }
        }
    }

    pub(super) fn printed(&self) -> String {
        match self {
            Self::Str(text) => text.to_string(),
            other => {
                let mut out = String::new();
                other.print(&mut out);
                out
            }
        }
    }
}

fn print_sample(sample: &TemplateSample, out: &mut String) {
    out.push_str("&{");
    print_labels(&sample.labels, out);
    out.push_str(&format!(" {}}}", go_float(sample.value)));
}

fn print_labels(labels: &Labels, out: &mut String) {
    out.push_str("map[");
    for (index, (name, value)) in labels.iter().enumerate() {
        let space = if index > 0 { " " } else { "" };
        out.push_str(&format!("{space}{name}:{value}"));
    }
    out.push(']');
}
