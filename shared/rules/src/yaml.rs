//! How YAML is read here: typed, strict, bounded, every error with its place.

use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Options};

/// Something wrong with a YAML file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Problem {
    /// Where: the line, from 1; zero when it is the file as a whole.
    pub line: u64,
    /// Where: the character within the line, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    #[must_use]
    pub fn at(place: Location, message: impl Into<String>) -> Self {
        Self { line: place.line(), column: place.column(), message: message.into() }
    }

    /// The problem with its place in a file, as compilers write it.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        match self.line {
            0 => format!("{file}: {}", self.message),
            _ => format!("{file}:{}:{}: {}", self.line, self.column, self.message),
        }
    }
}

/// Reads a document of a known shape. Unknown members are up to the types to refuse.
///
/// # Errors
/// The first [`Problem`].
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| problem(&error))
}

fn options() -> Options {
    serde_saphyr::options! {
        // Enough for the largest file of rules; aliases keep their own, smaller bounds.
        budget: serde_saphyr::budget! { max_events: 8_000_000, max_nodes: 4_000_000 },
        with_snippet: false,
    }
}

fn problem(error: &serde_saphyr::Error) -> Problem {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let text = error.without_snippet().to_string();
    // The place stands in front of the message already.
    let suffix = format!(" at line {}, column {}", place.line(), place.column());
    let message = text.lines().next().unwrap_or_default().replace(&suffix, "");
    Problem { line: place.line(), column: place.column(), message }
}
