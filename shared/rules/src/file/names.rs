//! Names of labels and metrics as rule files may hold them.

/// True for a name that PromQL reads without quotes.
pub(super) fn is_metric_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// True for a label's name: letters, digits and underscores, no digit first.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}
