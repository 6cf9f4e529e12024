//! Texts of notifications with fields in them, in the part of Go's templates that titles and attributes need:
//! `[{{ .Status | toUpper }}] {{ .GroupLabels.alertname }}`.

use crate::message::Message;

/// Longest text in bytes.
const MAX_BYTES: usize = 64 << 10;
/// What may stand in braces, for messages.
const HELP: &str = "write .Status, .Receiver, .ExternalURL, .GroupLabels.NAME, .CommonLabels.NAME, \
                    .CommonAnnotations.NAME, or .Alerts, .Alerts.Firing, .Alerts.Resolved with | len; \
                    then | toUpper, | toLower";

/// A text with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Field(Field, Vec<Case>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Status,
    Receiver,
    ExternalUrl,
    GroupLabel(String),
    CommonLabel(String),
    CommonAnnotation(String),
    Alerts,
    Firing,
    Resolved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
}

impl Text {
    /// Reads a text.
    ///
    /// # Errors
    /// What stands in braces and is not built.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("text of {} bytes is longer than {MAX_BYTES} bytes", text.len()));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").ok_or("{{ is not closed by }}")?;
            let plain = if inside.starts_with("- ") { before.trim_end() } else { before };
            rest = if inside.ends_with(" -") { after.trim_start() } else { after };
            if !plain.is_empty() {
                pieces.push(Piece::Plain(plain.to_owned()));
            }
            let inside = inside.trim_start_matches("- ").trim_end_matches(" -").trim();
            pieces.push(field(inside).ok_or_else(|| format!("{{{{ {inside} }}}} is not built: {HELP}"))?);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Ok(Self { source: text.to_owned(), pieces })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text over a notification's message.
    #[must_use]
    pub fn expand(&self, message: &Message<'_>) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Field(field, cases) => {
                    let value = field.of(message);
                    out.push_str(&cases.iter().fold(value, |value, case| match case {
                        Case::Upper => value.to_uppercase(),
                        Case::Lower => value.to_lowercase(),
                    }));
                }
            }
        }
        out
    }
}

impl Field {
    fn of(&self, message: &Message<'_>) -> String {
        match self {
            Self::Status => message.status.name().to_owned(),
            Self::Receiver => message.receiver.to_owned(),
            Self::ExternalUrl => message.external_url.to_owned(),
            Self::GroupLabel(name) => message.group_labels.get(name).unwrap_or_default().to_owned(),
            Self::CommonLabel(name) => message.common_labels.get(name).unwrap_or_default().to_owned(),
            Self::CommonAnnotation(name) => {
                message.common_annotations.get(name).unwrap_or_default().to_owned()
            }
            Self::Alerts => message.alerts.len().to_string(),
            Self::Firing => message.firing().to_string(),
            Self::Resolved => (message.alerts.len() - message.firing()).to_string(),
        }
    }
}

fn field(inside: &str) -> Option<Piece> {
    let mut parts = inside.split('|').map(str::trim);
    let path = parts.next()?;
    let is_name = |name: &str| weir_rules::is_label_name(name).then(|| name.to_owned());
    let label = |prefix: &str| path.strip_prefix(prefix).and_then(is_name);
    let field = match path {
        ".Status" => Field::Status,
        ".Receiver" => Field::Receiver,
        ".ExternalURL" => Field::ExternalUrl,
        ".Alerts" => Field::Alerts,
        ".Alerts.Firing" => Field::Firing,
        ".Alerts.Resolved" => Field::Resolved,
        _ => label(".GroupLabels.")
            .map(Field::GroupLabel)
            .or_else(|| label(".CommonLabels.").map(Field::CommonLabel))
            .or_else(|| label(".CommonAnnotations.").map(Field::CommonAnnotation))?,
    };
    let counted = matches!(field, Field::Alerts | Field::Firing | Field::Resolved);
    if counted && parts.next() != Some("len") {
        return None;
    }
    let case = |part| match part {
        "toUpper" => Some(Case::Upper),
        "toLower" => Some(Case::Lower),
        _ => None,
    };
    Some(Piece::Field(field, parts.map(case).collect::<Option<_>>()?))
}
