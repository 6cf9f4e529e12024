//! The syntax tree of a template.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A parsed template with the templates it defines.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tree {
    pub(super) root: Vec<Node>,
    pub(super) defined: BTreeMap<String, Arc<Vec<Node>>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// `{{ pipeline }}`
    Action(Pipeline),
    /// `if`, `with` and `range`, with what stands before and behind `else`.
    If(Branch),
    With(Branch),
    Range(Branch),
    /// `{{ template "name" pipeline }}`
    Template {
        name: String,
        pipeline: Option<Pipeline>,
        line: u32,
    },
    Break,
    Continue,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$x := a | b`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    /// Variables that take its value; two for the index and element of a range.
    pub(super) variables: Vec<String>,
    /// True for `:=`.
    pub(super) declares: bool,
    /// Each takes the value of the one before as its last argument.
    pub(super) commands: Vec<Vec<Operand>>,
    pub(super) line: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    Function(String),
    /// `(pipeline).a.b`
    Nested(Box<Pipeline>, Vec<String>),
}
