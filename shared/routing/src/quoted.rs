//! Labels and matchers as Alertmanager prints them in the keys of groups.

use weir_model::{Labels, Matcher};
use weir_promql::quote;

/// `{a="b",c=~"d"}`.
pub(crate) fn matchers_text(matchers: &[Matcher]) -> String {
    let one = |m: &Matcher| format!("{}{}{}", m.name(), m.op().symbol(), quote(m.value()));
    format!("{{{}}}", matchers.iter().map(one).collect::<Vec<_>>().join(","))
}

/// `{a="b", c="d"}`.
pub(crate) fn labels_text(labels: &Labels) -> String {
    let one = |(name, value): (&str, &str)| format!("{name}={}", quote(value));
    format!("{{{}}}", labels.iter().map(one).collect::<Vec<_>>().join(", "))
}
