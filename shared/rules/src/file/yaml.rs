//! The YAML of a rule file as it is written, each value with its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::MAX_FILE_BYTES;
use crate::yaml::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) groups: Option<Vec<Spanned<RawGroup>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    #[serde(default)]
    pub(super) name: Option<Spanned<String>>,
    pub(super) interval: Option<Spanned<String>>,
    pub(super) query_offset: Option<Spanned<String>>,
    pub(super) limit: Option<Spanned<i64>>,
    pub(super) labels: Option<BTreeMap<String, Spanned<String>>>,
    pub(super) rules: Option<Vec<Spanned<RawRule>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) record: Option<Spanned<String>>,
    pub(super) alert: Option<Spanned<String>>,
    pub(super) expr: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pub(super) hold: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    pub(super) labels: Option<BTreeMap<String, Spanned<String>>>,
    pub(super) annotations: Option<BTreeMap<String, Spanned<String>>>,
}

/// Reads the text; unknown, repeated and ill-typed members are refused.
pub(super) fn read(text: &str) -> Result<RawFile, Problem> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("file of {} bytes is larger than {MAX_FILE_BYTES} bytes", text.len());
        return Err(Problem { line: 0, column: 0, message });
    }
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(RawFile { groups: None });
    }
    crate::yaml::read(text)
}
