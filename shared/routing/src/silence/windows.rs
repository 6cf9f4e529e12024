//! A file of maintenance windows: silences that are known beforehand.

use jiff::Timestamp;
use serde::Deserialize;
use serde_saphyr::Spanned;
use weir_rules::Problem;
use xxhash_rust::xxh3::xxh3_128;

use super::{MAX_SILENCES, Silence, SilenceMatcher};
use crate::config::parse_matchers;

/// A file that holds no maintenance windows, with all that is wrong in the order of lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(|problem| problem.in_file(.file)).collect::<Vec<_>>().join("\n"))]
pub struct WindowsError {
    /// The file's name.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    maintenance_windows: Vec<Spanned<Window>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    matchers: Vec<Spanned<String>>,
    starts_at: Spanned<String>,
    ends_at: Spanned<String>,
    comment: String,
    #[serde(default)]
    created_by: String,
}

/// Reads maintenance windows as silences, each with an id made of what it says.
///
/// # Errors
/// [`WindowsError`].
pub fn parse_windows(name: &str, text: &str) -> Result<Vec<Silence>, WindowsError> {
    let fail = |problems| WindowsError { file: name.to_owned(), problems };
    let file: File = weir_rules::read_yaml(text).map_err(|problem| fail(vec![problem]))?;
    let count = file.maintenance_windows.len();
    if count > MAX_SILENCES {
        let message = format!("{count} maintenance windows, at most {MAX_SILENCES}");
        return Err(fail(vec![Problem { line: 0, column: 0, message }]));
    }
    let (mut silences, mut problems) = (Vec::new(), Vec::new());
    for window in &file.maintenance_windows {
        match silence(window) {
            Ok(silence) => silences.push(silence),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(silences) } else { Err(fail(problems)) }
}

fn silence(window: &Spanned<Window>) -> Result<Silence, Problem> {
    let raw = &window.value;
    let time = |text: &Spanned<String>| {
        let refusal = || {
            let message = format!("{:?} is no time; write for instance 2026-12-01T22:00:00Z", text.value);
            Problem::at(text.referenced, message)
        };
        text.value.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|_| refusal())
    };
    let mut matchers = Vec::new();
    for text in &raw.matchers {
        let parsed = parse_matchers(&text.value).map_err(|message| Problem::at(text.referenced, message))?;
        matchers.extend(parsed.iter().map(SilenceMatcher::from));
    }
    let mut silence = Silence {
        id: String::new(),
        matchers,
        starts_ms: time(&raw.starts_at)?,
        ends_ms: time(&raw.ends_at)?,
        updated_ms: 0,
        created_by: if raw.created_by.is_empty() {
            "maintenance window".to_owned()
        } else {
            raw.created_by.clone()
        },
        comment: raw.comment.clone(),
    };
    silence.id = uuid(xxh3_128(format!("{silence:?}").as_bytes()));
    silence.check().map_err(|error| Problem::at(window.referenced, error.to_string()))?;
    Ok(silence)
}

/// A number in the form of ids of silences: a UUID of version 8 (made by hash).
fn uuid(bits: u128) -> String {
    let bits = (bits & !(0xf000_c000_u128 << 48)) | (0x8000_8000_u128 << 48);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
