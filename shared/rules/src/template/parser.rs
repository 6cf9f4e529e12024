//! Builds the syntax tree of a template.

use std::sync::Arc;

use super::ast::{Branch, Node, Operand, Pipeline, Tree};
use super::functions;
use super::lexer::{Lexeme, Token, lex};
use super::{MAX_TEMPLATE_BYTES, TemplateError};

/// Deepest nesting of actions and parentheses.
const MAX_NESTING: u32 = 50;

/// Parses a template over which the variables `known` are defined.
pub(super) fn parse(text: &str, known: &[&str]) -> Result<Tree, TemplateError> {
    if text.len() > MAX_TEMPLATE_BYTES {
        let message = format!("template of {} bytes is longer than {MAX_TEMPLATE_BYTES} bytes", text.len());
        return Err(TemplateError { line: 1, message });
    }
    let lexemes = lex(text)?;
    let variables = known.iter().map(ToString::to_string).collect();
    let mut parser = Parser { lexemes, at: 0, variables, tree: Tree::default(), depth: 0, loops: 0 };
    let (root, end) = parser.list(true)?;
    if let Some((word, line)) = end {
        return Err(TemplateError { line, message: format!("unexpected {{{{{word}}}}}") });
    }
    parser.tree.root = root;
    Ok(parser.tree)
}

struct Parser {
    lexemes: Vec<Lexeme>,
    at: usize,
    /// Variables in scope.
    variables: Vec<String>,
    tree: Tree,
    depth: u32,
    loops: u32,
}

/// What closed a list of nodes: `else` or `end`, and its line.
type End = Option<(&'static str, u32)>;

impl Parser {
    /// Nodes until `else`, `end` or the end of the template.
    fn list(&mut self, top: bool) -> Result<(Vec<Node>, End), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error(format!("actions nest deeper than {MAX_NESTING}")));
        }
        let mut nodes = Vec::new();
        let end = loop {
            let Some(lexeme) = self.lexemes.get(self.at) else { break None };
            let line = lexeme.line;
            if let Token::Text(text) = &lexeme.token {
                nodes.push(Node::Text(text.clone()));
                self.at += 1;
                continue;
            }
            // Outside text there are only actions.
            self.at += 1;
            self.space();
            let word = match self.peek() {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match word.as_str() {
                "else" => break Some(("else", line)),
                "end" => break Some(("end", line)),
                "define" | "block" if !top => {
                    return Err(self.error(format!("unexpected {{{{{word}}}}} within another action")));
                }
                _ => {}
            }
            if let Some(node) = self.action(&word, line)? {
                nodes.push(node);
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    /// One action; `None` when it leaves nothing to do.
    fn action(&mut self, word: &str, line: u32) -> Result<Option<Node>, TemplateError> {
        let keyword =
            ["if", "with", "range", "template", "define", "block", "break", "continue"].contains(&word);
        if keyword {
            self.at += 1;
            self.space();
        }
        Ok(Some(match word {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "template" => {
                let name = self.name("template")?;
                let pipeline = if self.closes() { None } else { Some(self.pipeline("template", false)?) };
                self.close("template")?;
                Node::Template { name, pipeline, line }
            }
            "define" | "block" => {
                let name = self.name(word)?;
                let pipeline = if word == "block" { Some(self.pipeline("block", false)?) } else { None };
                self.close(word)?;
                let scope = std::mem::replace(&mut self.variables, vec![String::new()]);
                let (body, end) = self.list(false)?;
                self.variables = scope;
                self.expect_end(end, word)?;
                self.tree.defined.insert(name.clone(), Arc::new(body));
                match pipeline {
                    Some(pipeline) => Node::Template { name, pipeline: Some(pipeline), line },
                    None => return Ok(None),
                }
            }
            "break" | "continue" => {
                self.close(word)?;
                if self.loops == 0 {
                    return Err(self.error(format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                if word == "break" { Node::Break } else { Node::Continue }
            }
            _ => {
                let pipeline = self.pipeline("command", false)?;
                self.close("command")?;
                Node::Action(pipeline)
            }
        }))
    }

    fn branch(&mut self, what: &'static str) -> Result<Branch, TemplateError> {
        let scope = self.variables.len();
        let pipeline = self.pipeline(what, what == "range")?;
        self.close(what)?;
        let in_loop = u32::from(what == "range");
        self.loops += in_loop;
        let (body, end) = self.list(false)?;
        self.loops -= in_loop;
        let mut otherwise = Vec::new();
        match end {
            Some(("else", line)) => {
                self.at += 1;
                self.space();
                // `else if` and `else with` are the whole of an else that ends with theirs.
                let nested =
                    matches!(self.peek(), Some(Token::Word(word)) if word == what && what != "range");
                if nested {
                    self.at += 1;
                    self.space();
                    self.depth += 1;
                    if self.depth > MAX_NESTING {
                        return Err(self.error(format!("actions nest deeper than {MAX_NESTING}")));
                    }
                    let branch = self.branch(what)?;
                    self.depth -= 1;
                    otherwise.push(if what == "if" { Node::If(branch) } else { Node::With(branch) });
                    self.variables.truncate(scope);
                    return Ok(Branch { pipeline, body, otherwise });
                }
                self.close("else")?;
                let (nodes, end) = self.list(false)?;
                if let Some(("else", _)) = end {
                    return Err(TemplateError { line, message: "expected end; found {{else}}".to_owned() });
                }
                self.expect_end(end, what)?;
                otherwise = nodes;
            }
            end => self.expect_end(end, what)?,
        }
        self.variables.truncate(scope);
        Ok(Branch { pipeline, body, otherwise })
    }

    fn expect_end(&mut self, end: End, what: &str) -> Result<(), TemplateError> {
        match end {
            Some(("end", _)) => {
                self.at += 1;
                self.close("end")
            }
            Some((word, line)) => {
                Err(TemplateError { line, message: format!("unexpected {{{{{word}}}}} in {what}") })
            }
            None => Err(self.error(format!("unexpected EOF: {{{{{what}}}}} has no {{{{end}}}}"))),
        }
    }

    fn pipeline(&mut self, context: &str, range: bool) -> Result<Pipeline, TemplateError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error(format!("pipelines nest deeper than {MAX_NESTING}")));
        }
        self.space();
        let line = self.line();
        let (variables, declares) = self.declaration(range)?;
        let mut commands = Vec::new();
        loop {
            let command = self.command()?;
            if command.is_empty() {
                let what = if commands.is_empty() { "missing value for" } else { "missing command in" };
                return Err(self.error(format!("{what} {context}")));
            }
            let constant = matches!(
                command[0],
                Operand::Bool(_)
                    | Operand::Dot
                    | Operand::Nil
                    | Operand::Int(_)
                    | Operand::Float(_)
                    | Operand::Str(_)
            );
            if !commands.is_empty() && constant {
                return Err(
                    self.error(format!("non executable command in pipeline stage {}", commands.len() + 1))
                );
            }
            commands.push(command);
            if self.peek() != Some(&Token::Pipe) {
                break;
            }
            self.at += 1;
        }
        // A variable is in scope behind its own pipeline.
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline { variables, declares, commands, line })
    }

    /// `$x :=`, `$x =`, or `$i, $x :=` in a range.
    fn declaration(&mut self, range: bool) -> Result<(Vec<String>, bool), TemplateError> {
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek() {
            names.push(name.clone());
            self.at += 1;
            self.space();
            match self.peek() {
                Some(Token::Comma) if range && names.len() == 1 => {
                    self.at += 1;
                    self.space();
                }
                Some(token @ (Token::Declare | Token::Assign)) => {
                    let declares = *token == Token::Declare;
                    self.at += 1;
                    if !declares && let Some(unknown) = names.iter().find(|n| !self.variables.contains(n)) {
                        return Err(self.error(format!("undefined variable \"${unknown}\"")));
                    }
                    return Ok((names, declares));
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn command(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut operands = Vec::new();
        loop {
            self.space();
            if self.closes() || matches!(self.peek(), Some(Token::Pipe | Token::RightParen)) {
                return Ok(operands);
            }
            operands.push(self.operand()?);
            let separated = matches!(
                self.peek(),
                None | Some(Token::Space | Token::Pipe | Token::RightParen | Token::Close)
            );
            if !separated {
                return Err(self.error(format!("unexpected {} in operand", self.describe())));
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, TemplateError> {
        let Some(token) = self.peek().cloned() else { return Err(self.error("unclosed action".to_owned())) };
        self.at += 1;
        let operand = match token {
            Token::Dot => Operand::Dot,
            Token::Field(name) => {
                let mut path = vec![name];
                path.extend(self.fields());
                Operand::Field(path)
            }
            Token::Variable(name) => {
                if !self.variables.contains(&name) {
                    return Err(self.error(format!("undefined variable \"${name}\"")));
                }
                Operand::Variable(name, self.fields())
            }
            Token::Int(n) => Operand::Int(n),
            Token::Float(x) => Operand::Float(x),
            Token::Str(text) => Operand::Str(text.into()),
            Token::Word(word) => match word.as_str() {
                "true" | "false" => Operand::Bool(word == "true"),
                "nil" => Operand::Nil,
                _ if functions::exists(&word) => Operand::Function(word),
                _ => return Err(self.error(format!("function {word:?} not defined"))),
            },
            Token::LeftParen => {
                let inner = self.pipeline("parenthesized pipeline", false)?;
                self.space();
                if self.peek() != Some(&Token::RightParen) {
                    return Err(self.error(format!("unclosed left paren before {}", self.describe())));
                }
                self.at += 1;
                Operand::Nested(Box::new(inner), self.fields())
            }
            _ => {
                self.at -= 1;
                return Err(self.error(format!("unexpected {} in command", self.describe())));
            }
        };
        Ok(operand)
    }

    /// `.a.b` right behind an operand.
    fn fields(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while let Some(Token::Field(name)) = self.peek() {
            path.push(name.clone());
            self.at += 1;
        }
        path
    }

    fn name(&mut self, context: &str) -> Result<String, TemplateError> {
        match self.peek() {
            Some(Token::Str(name)) => {
                let name = name.clone();
                self.at += 1;
                self.space();
                Ok(name)
            }
            _ => {
                Err(self
                    .error(format!("unexpected {} in {context} clause, expected its name", self.describe())))
            }
        }
    }

    fn close(&mut self, context: &str) -> Result<(), TemplateError> {
        self.space();
        if !self.closes() {
            return Err(self.error(format!("unexpected {} in {context}", self.describe())));
        }
        self.at += 1;
        Ok(())
    }

    fn closes(&self) -> bool {
        self.peek() == Some(&Token::Close)
    }

    fn space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.token)
    }

    fn describe(&self) -> String {
        match self.peek() {
            None => "EOF".to_owned(),
            Some(Token::Close) => "\"}}\"".to_owned(),
            Some(Token::Word(word)) => format!("<{word}>"),
            Some(Token::Field(name)) => format!("<.{name}>"),
            Some(Token::Variable(name)) => format!("<${name}>"),
            Some(Token::Int(n)) => format!("<{n}>"),
            Some(Token::Float(x)) => format!("<{x}>"),
            Some(Token::Str(text)) => format!("{text:?}"),
            Some(Token::Pipe) => "\"|\"".to_owned(),
            Some(Token::LeftParen) => "\"(\"".to_owned(),
            Some(Token::RightParen) => "\")\"".to_owned(),
            Some(Token::Declare) => "\":=\"".to_owned(),
            Some(Token::Assign) => "\"=\"".to_owned(),
            Some(Token::Comma) => "\",\"".to_owned(),
            Some(Token::Dot) => "<.>".to_owned(),
            Some(Token::Text(_) | Token::Open | Token::Space) => "text".to_owned(),
        }
    }

    fn line(&self) -> u32 {
        let lexeme = self.lexemes.get(self.at).or(self.lexemes.last());
        lexeme.map_or(1, |lexeme| lexeme.line)
    }

    fn error(&self, message: String) -> TemplateError {
        TemplateError { line: self.line(), message }
    }
}
