//! Executes a parsed template over its data.

use std::sync::Arc;

use super::ast::{Branch, Node, Operand, Pipeline, Tree};
use super::functions;
use super::value::{Data, Value};
use super::{Answers, MAX_OUTPUT_BYTES};

/// Most nodes and calls of one expansion.
const MAX_STEPS: u32 = 50_000;
/// Deepest calls of templates by templates.
const MAX_CALLS: u32 = 50;

/// Why an execution ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The template failed at this line.
    Failed {
        line: u32,
        message: String,
    },
    /// It needs the answer to this query first.
    Asks(String),
    Break,
    Continue,
}

pub(super) struct Exec<'a> {
    tree: &'a Tree,
    pub(super) answers: &'a Answers,
    pub(super) at_ms: i64,
    pub(super) external_url: &'a str,
    variables: Vec<(String, Value)>,
    out: String,
    steps: u32,
    calls: u32,
    line: u32,
}

impl<'a> Exec<'a> {
    pub(super) fn new(tree: &'a Tree, data: &'a Arc<Data>, answers: &'a Answers, at_ms: i64) -> Self {
        let variables = vec![
            (String::new(), Value::Data(Arc::clone(data))),
            ("labels".to_owned(), Value::Labels(data.labels.clone())),
            ("externalLabels".to_owned(), Value::Labels(data.external_labels.clone())),
            ("externalURL".to_owned(), Value::text(&data.external_url)),
            ("value".to_owned(), Value::Float(data.value)),
        ];
        let external_url = &data.external_url;
        Self {
            tree,
            answers,
            at_ms,
            external_url,
            variables,
            out: String::new(),
            steps: 0,
            calls: 0,
            line: 1,
        }
    }

    /// The text that the template gives.
    pub(super) fn run(mut self, data: &Arc<Data>) -> Result<String, Stop> {
        self.nodes(&self.tree.root, &Value::Data(Arc::clone(data)))?;
        Ok(self.out)
    }

    pub(super) fn fail(&self, message: impl Into<String>) -> Stop {
        Stop::Failed { line: self.line, message: message.into() }
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(self.fail(format!("template takes more than {MAX_STEPS} steps")));
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Stop> {
        self.out.push_str(text);
        if self.out.len() > MAX_OUTPUT_BYTES {
            return Err(self.fail(format!("template gives more than {MAX_OUTPUT_BYTES} bytes")));
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), Stop> {
        for node in nodes {
            self.step()?;
            match node {
                Node::Text(text) => self.write(text)?,
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        let text = value.printed();
                        self.write(&text)?;
                    }
                }
                Node::If(branch) => {
                    let scope = self.variables.len();
                    let taken = self.pipeline(&branch.pipeline, dot)?.is_true();
                    self.nodes(if taken { &branch.body } else { &branch.otherwise }, dot)?;
                    self.variables.truncate(scope);
                }
                Node::With(branch) => {
                    let scope = self.variables.len();
                    let value = self.pipeline(&branch.pipeline, dot)?;
                    if value.is_true() {
                        self.nodes(&branch.body, &value)?;
                    } else {
                        self.nodes(&branch.otherwise, dot)?;
                    }
                    self.variables.truncate(scope);
                }
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template { name, pipeline, line } => {
                    let value = match pipeline {
                        Some(pipeline) => self.pipeline(pipeline, dot)?,
                        None => Value::Nil,
                    };
                    self.line = *line;
                    self.template(name, &value)?;
                }
                Node::Break => return Err(Stop::Break),
                Node::Continue => return Err(Stop::Continue),
            }
        }
        Ok(())
    }

    /// Runs a defined template, writing where this one writes.
    fn template(&mut self, name: &str, dot: &Value) -> Result<(), Stop> {
        let tree = self.tree;
        let Some(body) = tree.defined.get(name) else {
            return Err(self.fail(format!("template {name:?} not defined")));
        };
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(self.fail(format!("templates call each other deeper than {MAX_CALLS}")));
        }
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())]);
        let done = self.nodes(body, dot);
        self.variables = outer;
        self.calls -= 1;
        done
    }

    /// Runs a defined template and returns what it writes.
    pub(super) fn template_text(&mut self, name: &str, dot: &Value) -> Result<String, Stop> {
        let before = std::mem::take(&mut self.out);
        let done = self.template(name, dot);
        let text = std::mem::replace(&mut self.out, before);
        done.map(|()| text)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<(), Stop> {
        let scope = self.variables.len();
        let value = self.evaluate(&branch.pipeline, dot)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::Vector(samples) => {
                let item =
                    |(at, s): (usize, &_)| (Value::Int(at as i64), Value::Sample(Arc::new(Clone::clone(s))));
                samples.iter().enumerate().map(item).collect()
            }
            Value::Labels(labels) => labels.iter().map(|(n, v)| (Value::text(n), Value::text(v))).collect(),
            Value::Map(map) => map.iter().map(|(n, v)| (Value::text(n), v.clone())).collect(),
            Value::Int(n) => {
                (0..(*n).min(i64::from(MAX_STEPS))).map(|i| (Value::Int(i), Value::Int(i))).collect()
            }
            other => return Err(self.fail(format!("range can't iterate over {}", other.printed()))),
        };
        if items.is_empty() {
            self.nodes(&branch.otherwise, dot)?;
        }
        for (index, element) in items {
            self.step()?;
            let named: Vec<(&String, &Value)> = match branch.pipeline.variables.as_slice() {
                [one] => vec![(one, &element)],
                [first, second] => vec![(first, &index), (second, &element)],
                _ => Vec::new(),
            };
            for (name, value) in named {
                self.bind(name, value.clone(), branch.pipeline.declares);
            }
            let done = self.nodes(&branch.body, &element);
            self.variables.truncate(scope);
            match done {
                Err(Stop::Break) => break,
                Ok(()) | Err(Stop::Continue) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn bind(&mut self, name: &str, value: Value, declares: bool) {
        let known = self.variables.iter_mut().rev().find(|(n, _)| n == name);
        match known {
            Some((_, old)) if !declares => *old = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    /// The value of a pipeline, bound to its variables.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Stop> {
        let value = self.evaluate(pipeline, dot)?;
        for name in &pipeline.variables {
            self.bind(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn evaluate(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Stop> {
        let mut last: Option<Value> = None;
        for command in &pipeline.commands {
            self.line = pipeline.line;
            self.step()?;
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &[Operand], dot: &Value, piped: Option<Value>) -> Result<Value, Stop> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Nil) };
        if let Operand::Function(name) = first {
            return self.call(name, rest, dot, piped);
        }
        let value = self.operand(first, dot)?;
        if !rest.is_empty() || piped.is_some() {
            let what = match first {
                Operand::Field(path) => format!("{} is not a method but has arguments", path.join(".")),
                _ => format!("can't give argument to non-function {}", value.printed()),
            };
            return Err(self.fail(what));
        }
        Ok(value)
    }

    fn call(
        &mut self,
        name: &str,
        rest: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Stop> {
        if name == "and" || name == "or" {
            // These stop at the first argument that decides.
            let mut value = None;
            for operand in rest {
                let next = self.operand(operand, dot)?;
                let decides = next.is_true() == (name == "or");
                value = Some(next);
                if decides {
                    return Ok(value.unwrap_or(Value::Nil));
                }
            }
            return piped
                .or(value)
                .ok_or_else(|| self.fail(format!("wrong number of args for {name}: want at least 1 got 0")));
        }
        let mut args = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            args.push(self.operand(operand, dot)?);
        }
        args.extend(piped);
        functions::call(self, name, &args)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Stop> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Nil => Ok(Value::Nil),
            Operand::Bool(b) => Ok(Value::Bool(*b)),
            Operand::Int(n) => Ok(Value::Int(*n)),
            Operand::Float(x) => Ok(Value::Float(*x)),
            Operand::Str(text) => Ok(Value::Str(Arc::clone(text))),
            Operand::Field(path) => self.fields(dot.clone(), path),
            Operand::Variable(name, path) => {
                let value =
                    self.variables.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.clone());
                let value = value.ok_or_else(|| self.fail(format!("undefined variable: ${name}")))?;
                self.fields(value, path)
            }
            Operand::Function(name) => self.call(name, &[], dot, None),
            Operand::Nested(pipeline, path) => {
                let value = self.pipeline(pipeline, dot)?;
                self.fields(value, path)
            }
        }
    }

    fn fields(&self, mut value: Value, path: &[String]) -> Result<Value, Stop> {
        for name in path {
            value = value.field(name).map_err(|message| self.fail(message))?;
        }
        Ok(value)
    }
}
